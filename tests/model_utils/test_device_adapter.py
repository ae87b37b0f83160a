"""The device of a run: what `auto` takes, and what a person reads when a device is absent."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import mindspore as ms
import pytest
from mindspore import communication

from scripts import cuda_environment
from src.model_utils import device_adapter
from src.model_utils.config import DEFAULT_FILE, ConfigError, parse_config
from src.model_utils.device_adapter import (
    available_devices,
    avoid_reference_convolutions,
    resolve_device,
    use_device,
)
from src.model_utils.local_adapter import Group, join_group


def run_python(code: str, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=DEFAULT_FILE.parent,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("available", "best"), [(["Ascend", "CPU"], "Ascend"), (["GPU", "CPU"], "GPU"), (["CPU"], "CPU")]
)
def test_auto_takes_the_best_device_there_is(monkeypatch, available, best):
    monkeypatch.setattr(device_adapter, "available_devices", lambda: available)
    assert resolve_device("auto") == best
    assert [resolve_device(device) for device in available] == available


def test_cpu_is_always_available_and_asking_logs_nothing(capfd):
    before = logging.root.manager.disable
    assert available_devices()[-1] == "CPU"
    assert logging.root.manager.disable == before
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("device", [device for device in ("Ascend", "GPU") if device not in available_devices()])
def test_an_absent_device_is_one_line_that_names_what_is_there(monkeypatch, device):
    monkeypatch.delenv("CUDA_HOME", raising=False)
    result = run_python(f"import sys, train; sys.exit(train.run_command(train.main, ['--device_target={device}']))")
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        f"error: device_target {device} is not there: MindSpore finds {', '.join(available_devices())} on this "
        "machine; use one of these or auto"
        + ("; it looks for a GPU only if CUDA_HOME is set: see requirements-gpu.txt" if device == "GPU" else "")
    ]


def test_use_device_sets_graph_mode_and_on_a_cpu_keeps_few_batches(monkeypatch):
    code = (
        "from src.model_utils.config import parse_config\n"
        "from src.model_utils.device_adapter import resolve_device, use_device\n"
        "use_device(parse_config(['--device_target=CPU'], resolve_device))\n"
        "import mindspore as ms; print(ms.get_context('device_target'), ms.get_context('mode') == ms.GRAPH_MODE)\n"
        "print(ms.dataset.config.get_prefetch_size())"
    )
    assert run_python(code).stdout == "CPU True\n2\n"


def test_no_convolution_on_cpu_falls_back_to_the_reference_code(monkeypatch):
    code = (
        "from src.model_utils.config import parse_config\n"
        "from src.model_utils.device_adapter import resolve_device, use_device\n"
        "use_device(parse_config(['--device_target=CPU'], resolve_device))\n"
        "from mindspore import ops\n"
        "for size, stride, groups in (3, 1, 16), (3, 2, 1), (1, 2, 1):\n"
        "    image, weight = ops.ones((1, 16, 19, 19)), ops.ones((16, 16 // groups, size, size))\n"
        "    ops.conv2d(image, weight, None, stride, 'pad', 1, 1, groups).asnumpy()"
    )
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")  # the tests' own choice
    lines = run_python(code, ONEDNN_VERBOSE="1").stdout.splitlines()
    executed = [line for line in lines if ",exec,cpu,convolution," in line]
    assert len(executed) == 3
    assert not [line for line in executed if "ref" in line.split(",")[6]]


def test_a_choice_of_instructions_by_the_user_counts(monkeypatch):
    for name, other in (("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"), ("DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA")):
        monkeypatch.delenv(other, raising=False)
        monkeypatch.setenv(name, "SSE41")
        avoid_reference_convolutions()
        assert os.environ[name] == "SSE41"
        assert other not in os.environ
        monkeypatch.delenv(name)


def test_arm_processors_are_not_kept_to_instructions_of_others(monkeypatch):
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    avoid_reference_convolutions()
    assert "ONEDNN_MAX_CPU_ISA" not in os.environ


def test_on_arm_no_package_is_named_that_would_give_a_gpu(monkeypatch):
    monkeypatch.delenv("CUDA_HOME", raising=False)
    monkeypatch.setattr(device_adapter, "available_devices", lambda: ["CPU"])
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(ConfigError, match=r"use one of these or auto; its package for aarch64 has no GPU plug-in$"):
        resolve_device("GPU")
    with pytest.raises(ConfigError, match=r"^there is no GPU for MindSpore here; its package for aarch64 has no GPU"):
        cuda_environment.main([])


def test_a_device_that_refuses_is_one_line(monkeypatch):
    def refuse(*arguments):
        raise RuntimeError("device 9 does not exist\n\n---- call stack ----\nfile.cc:1")

    monkeypatch.setattr(ms, "set_device", refuse)
    config = parse_config(["--device_id=9"], lambda _: "GPU")
    with pytest.raises(ConfigError, match=r"^cannot use GPU 9: device 9 does not exist$"):
        use_device(config)


@pytest.mark.parametrize(
    ("words", "told", "arguments"),
    [
        ([], None, ("GPU", 0)),
        (["--device_id=3"], None, ("GPU", 3)),
        (["--is_distributed=True"], None, ("GPU",)),  # MindSpore numbers the ranks of a machine
        (["--is_distributed=True", "--device_id=3"], None, ("GPU", 3)),
        (["--is_distributed=True"], "0", ("GPU", 0)),
        (["--is_distributed=True"], "5", ("GPU", 5)),
        (["--is_distributed=True", "--device_id=3"], "5", ("GPU", 5)),  # of a file that all ranks read
    ],
)
def test_a_process_of_a_launcher_takes_the_device_that_it_is_given(monkeypatch, words, told, arguments):
    found = []
    monkeypatch.setattr(ms, "set_device", lambda *arguments: found.append(arguments))
    monkeypatch.delenv("DEVICE_ID", raising=False)
    if told is not None:
        monkeypatch.setenv("DEVICE_ID", told)
    use_device(parse_config(words, lambda _: "GPU"))
    assert found == [arguments]


def test_a_run_that_is_not_distributed_is_a_group_of_one():
    assert join_group(parse_config([], lambda _: "CPU")) == Group(0, 1)


def test_a_start_by_a_rank_table_alone_names_the_script_that_takes_it(monkeypatch):
    def refuse():
        raise RuntimeError("MindSpore does not support ranktable startup, please use msrun to start it.")

    monkeypatch.setattr(communication, "init", refuse)
    monkeypatch.setenv("RANK_TABLE_FILE", "table.json")
    monkeypatch.delenv("MS_ROLE", raising=False)
    with pytest.raises(ConfigError, match=r"^RANK_TABLE_FILE is set, but .*run_distribute_train\.sh"):
        join_group(parse_config(["--is_distributed=True"], lambda _: "Ascend"))


def test_ranks_that_do_not_meet_are_told_where_and_why(monkeypatch, capsys):
    def refuse():
        assert capsys.readouterr().out == "waiting at 10.0.0.1:8118 for all 4 ranks to start\n"
        raise RuntimeError("Some are not spawned. You can run command: 'grep'. Reasons:\n1. ...\n---- call stack ----")

    monkeypatch.setattr(communication, "init", refuse)
    values = {"MS_ROLE": "MS_WORKER", "MS_SCHED_HOST": "10.0.0.1", "MS_SCHED_PORT": "8118", "MS_WORKER_NUM": "4"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        ConfigError, match=r"^the ranks do not meet at 10\.0\.0\.1:8118: Some are not spawned; see that"
    ):
        join_group(parse_config(["--is_distributed=True"], lambda _: "CPU"))


def test_a_distributed_run_without_a_launcher_says_how_to_start_it():
    code = "import sys, train; sys.exit(train.run_command(train.main, ['--device_target=CPU', '--is_distributed']))"
    result = run_python(code)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith(
        "error: is_distributed is true, but this process was started alone"
    )
    assert "msrun" in result.stderr
