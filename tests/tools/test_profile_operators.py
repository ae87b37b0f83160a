"""The profile counts what the operators in C++ and oneDNN tell, and what it does not know is a part of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers.project import ROOT
from tools.profiles.native import read_step
from tools.profiles.onednn import read_steps, to_kernel
from tools.profiles.table import table
from tools.profiles.work import Kernel, Limits, Step, middle

START = "onednn_verbose,v1,primitive,exec,cpu,"
DEPTHWISE = "mb2_ic64oc64_ih9oh9kh3sh1dh0ph1_iw7ow7kw3sw1dw0pw1"


@pytest.mark.parametrize(
    ("line", "name", "operations", "moved"),
    [
        (
            f"convolution,x64:gemm:jit,backward_data,src wei dst,,alg:direct,g64{DEPTHWISE},1.5",
            "depthwise 3 x 3 convolution, by inputs", 2 * 2 * 64 * 9 * 7 * 9, 4 * (2 * 2 * 64 * 9 * 7 + 64 * 9),
        ),
        (
            "convolution,ref:any,forward_training,src,,alg:direct,mb2_ic3oc32_ih9oh4kh3sh2dh0ph0_iw9ow4kw3sw2dw0pw0,1.5",
            "3 x 3 convolution, forward", 2 * 2 * 32 * 16 * 27, 4 * (2 * 3 * 81 + 2 * 32 * 16 + 32 * 27),
        ),
        ("batch_normalization,any,backward,data,,flags:C,mb2ic8ih3iw5,1.5", "batch normalization, backward", 0, 2880),
        (
            "pooling,jit,backward_data,src,,alg:max,mb2ic8_ih5oh3kh3sh2dh0ph1_iw5ow3kw3sw2dw0pw1,1.5",
            "max pooling, by inputs", 0, 4 * 16 * (25 + 9),
        ),
        ("matmul,gemm,undef,src,,,2x3:3x5,1.5", "matrix product", 60, 4 * (6 + 15 + 10)),
        ("reorder,jit:uni,undef,src:f32::a::f0 dst:bf16::f0,,,8x3x3x3,1.5", "weights put in order", 0, 216 * 6),
        ("matmul,brg,undef,src:bf16:a wei:bf16:b dst:f32:c,,,2x3:3x5,1.5", "matrix product", 60, 2 * (6 + 15 + 10)),
        ("softmax,jit,forward_inference,src,,alg:softmax_log axis:1,2x10,1.5", "softmax, forward", 0, 160),
    ],
)  # fmt: skip
def test_a_line_tells_operator_time_operations_and_bytes(line, name, operations, moved):
    kernel = to_kernel(START + line)
    assert (kernel.name, kernel.milliseconds, kernel.operations, kernel.moved) == (name, 1.5, operations, moved)


def test_of_mindspores_layers_the_first_step_does_not_count_and_the_rest_of_a_step_is_told():
    matmul = f"{START}matmul,gemm,undef,src,,,1000x1000:1000x1000,"
    lines = [f"{matmul}4", f"{matmul}2", "profile: peak", f"{matmul}50", "profile: step of 90.0 ms"]
    lines += [f"{matmul}3", "profile: step of 10.0 ms", "a warning", f"{matmul}5", "profile: step of 12.0 ms"]
    steps, peak = read_steps(lines)
    assert peak == 1e12
    assert [(step.milliseconds, [kernel.milliseconds for kernel in step.kernels]) for step in steps] == [
        (10.0, [3.0]), (12.0, [5.0]),
    ]  # fmt: skip
    printed = table(steps[0], Limits(peak, 1e12), 4).splitlines()
    assert printed[1].split() == ["matrix", "product", "1", "3.0", "30.0%", "2.0", "667"]
    assert printed[3].split() == ["all", "else", "7.0", "70.0%"]
    assert printed[4].split() == ["step", "10.0", "100.0%", "2.0"]
    assert printed[6] == "2.5 ms an image: 400.00 images/s"


def test_the_operators_times_are_added_by_kernel_and_told_by_part():
    lines = [
        ("stem of 9 x 9 x 3", "", 1, 6_000_000, 0, 0),
        ("stem of 9 x 9 x 3", "product", 2, 4_000_000, 10**9, 10),
        ("block of 4 x 4 x 8", "", 8, 3_000_000, 0, 0),
        ("block of 4 x 4 x 8", "product", 1, 1_000_000, 10**9, 10),
        ("block of 4 x 4 x 8", "norm", 3, 2_000_000, 0, 10**6),
    ]
    step = read_step(10.0, "".join("\t".join(map(str, line)) + "\n" for line in lines))
    printed = [line.split() for line in table(step, Limits(1e12, 2e9), 2).splitlines()]
    assert printed[1] == ["product", "3", "5.0", "50.0%", "3.0", "600"]
    assert printed[2] == ["norm", "3", "2.0", "20.0%", "1.5"]
    assert printed[3] == ["all", "else", "3.0", "30.0%"]
    assert printed[7] == [*["stem", "of", "9", "x", "9", "x", "3", "1", "6.0", "60.0%", "2.0"]]
    assert printed[8] == [*["block", "of", "4", "x", "4", "x", "8", "8", "3.0", "30.0%", "2.5"]]
    assert printed[9] == ["all", "else", "1.0", "10.0%"]


def test_the_step_of_the_median_time_is_told():
    assert middle([Step(each, [], {}) for each in (9.0, 1.0, 3.0)]).milliseconds == 3.0


def test_a_kernel_that_memory_limits_takes_at_least_its_bytes():
    assert Limits(1e12, 1e9).least([Kernel("batch norm", 2.0, 0.0, 1e6, calls=3)]) == 3.0


def profiled(*words: str) -> dict[str, str]:
    """The number of calls of each operator and of each part, one image of 71 x 71."""
    options = ["--image_size=71", "--batch_size=1", "--steps=1"]
    command = [sys.executable, ROOT / "tools/profile_operators.py", *words, *options]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return {line[:48].strip(): line[48:55].strip() for line in result.stdout.splitlines()}


def convolutions(counts: dict[str, str]) -> dict[str, str]:
    return {name: count for name, count in counts.items() if "convolution" in name}


def test_a_real_prediction_by_the_operators_is_profiled():
    counts = profiled("predict")
    assert convolutions(counts) == {
        "1 x 1 convolution, forward": "39",  # with the classifier
        "3 x 3 convolution, forward": "2",
        "depthwise 3 x 3 convolution, forward": "34",
    }
    assert counts["max pooling, forward"] == "4"
    assert (counts["stem of 71 x 71 x 3"], counts["block of 5 x 5 x 728"], counts["tail of 3 x 3 x 1024"]) == (
        "1", "8", "1",
    )  # fmt: skip


def test_a_real_prediction_by_mindspores_layers_is_profiled():
    counts = profiled("predict", "--cpu_operators=none")
    assert counts["depthwise 3 x 3 convolution, forward"] == "34"
    assert counts["1 x 1 convolution, forward"] == "38"
    assert counts["batch normalization, forward"] == "40"


def test_a_real_training_step_by_the_operators_is_profiled():
    counts = profiled("training")
    assert convolutions(counts) == {
        "1 x 1 convolution, forward": "38",
        "1 x 1 convolution, by inputs": "38",
        "1 x 1 convolution, by weights": "38",
        "3 x 3 convolution, forward": "2",
        "3 x 3 convolution, by inputs": "1",  # the images need no gradient
        "3 x 3 convolution, by weights": "2",
        "depthwise 3 x 3 convolution, forward": "34",
        "depthwise 3 x 3 convolution, backward": "34",
    }
    assert counts["batch norm, statistics"] == "40"
    assert (counts["max pooling, forward"], counts["max pooling, backward"]) == ("4", "4")
    assert counts["block, backward of 5 x 5 x 728"] == "8"
