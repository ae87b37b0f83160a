"""The profile counts what oneDNN's lines say, and what it does not know is a part of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers.project import ROOT
from tools.profile_operators import Call, split_steps, table, to_call

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
    call = to_call(START + line)
    assert (call.name, call.milliseconds, call.operations, call.moved) == (name, 1.5, operations, moved)


def test_the_first_step_does_not_count_and_the_rest_of_a_step_is_told():
    matmul = f"{START}matmul,gemm,undef,src,,,1000x1000:1000x1000,"
    lines = [f"{matmul}4", f"{matmul}2", "profile: peak", f"{matmul}50", "profile: step of 90.0 ms"]
    lines += [f"{matmul}3", "profile: step of 10.0 ms", "a warning", f"{matmul}5", "profile: step of 12.0 ms"]
    steps, peak = split_steps(lines)
    assert peak == 1e12
    assert [(milliseconds, [call.milliseconds for call in calls]) for milliseconds, calls in steps] == [
        (10.0, [3.0]), (12.0, [5.0]),
    ]  # fmt: skip
    printed = table(steps, 4, peak, 1e12).splitlines()
    assert printed[1].split() == ["matrix", "product", "1", "4.0", "36.4%", "2.0", "500"]
    assert printed[3].split() == ["all", "else", "7.0", "63.6%"]
    assert printed[4].split() == ["step", "11.0", "100.0%", "2.0"]


def test_a_part_that_memory_limits_takes_at_least_its_bytes():
    printed = table([(4.0, [Call("batch norm", "any", 2.0, 0.0, 1e6)])], 1, 1e12, 1e9)
    assert printed.splitlines()[1].split() == ["batch", "norm", "1", "2.0", "50.0%", "1.0"]


def profiled(*words: str) -> dict[str, str]:
    """The number of calls of each operator, one image of 71 x 71."""
    options = ["--image_size=71", "--batch_size=1", "--steps=1"]
    command = [sys.executable, ROOT / "tools/profile_operators.py", *words, *options]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return {line[:40].strip(): line[40:47].strip() for line in result.stdout.splitlines()}


def test_a_real_prediction_is_profiled():
    counts = profiled("predict")
    assert counts["depthwise 3 x 3 convolution, forward"] == "34"
    assert counts["1 x 1 convolution, forward"] == "38"
    assert counts["batch normalization, forward"] == "40"


def test_a_real_training_step_with_the_operators_is_profiled():
    counts = profiled("training")
    convolutions = {name: count for name, count in counts.items() if "convolution" in name}
    assert convolutions == {
        "1 x 1 convolution, forward": "38",
        "1 x 1 convolution, by inputs": "38",
        "1 x 1 convolution, by weights": "3",  # the narrow ones; the others are products of matrices
        "3 x 3 convolution, forward": "2",
        "3 x 3 convolution, by inputs": "1",  # the images need no gradient
        "3 x 3 convolution, by weights": "2",
    }
