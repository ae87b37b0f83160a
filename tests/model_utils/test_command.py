"""What a person sees when a command fails, and what a script gets as its exit status."""

import io
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.model_utils.command import run_command
from src.model_utils.config import DEFAULT_FILE, ConfigError


def failing(error: BaseException):
    def main(argv):
        raise error

    return main


def outcome(capsys, error: BaseException, *argv: str) -> tuple[int, str]:
    status = run_command(failing(error), argv)
    return status, capsys.readouterr().err


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (3, 3)])
def test_status_is_that_of_main(capsys, returned, status):
    assert run_command(lambda argv: returned, []) == status
    assert capsys.readouterr().err == ""


def test_arguments_are_those_given_or_those_of_the_process(monkeypatch):
    seen = []
    run_command(seen.append, ["--a"])
    monkeypatch.setattr(sys, "argv", ["train.py", "--b"])
    run_command(seen.append)
    assert seen == [["--a"], ["--b"]]


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ConfigError("unknown option --x"), 2, "error: unknown option --x"),
        (ValueError("two\n  lines"), 1, "error: two lines"),
        (ValueError(), 1, "error: ValueError"),
        (OSError(13, "Permission denied", "a.ckpt"), 1, "error: Permission denied: a.ckpt"),
        (OSError("plain words"), 1, "error: plain words"),
        (OSError(18, "Invalid link", "a", None, "b"), 1, "error: Invalid link: a: b"),
        (RuntimeError("broken"), 1, "error: RuntimeError: broken (--debug shows the traceback)"),
        (KeyError("name"), 1, "error: KeyError: 'name' (--debug shows the traceback)"),
        (
            RuntimeError(
                f"Launch failed, name: x\n\n{'-' * 52}\n- C++ Call Stack: (For developers)\n{'-' * 52}\na.cc:7\n"
            ),
            1,
            "error: RuntimeError: Launch failed, name: x (--debug shows the traceback)",
        ),
        (AssertionError(), 1, "error: AssertionError (--debug shows the traceback)"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_error_becomes_one_line_and_a_status(capsys, error, status, line):
    assert outcome(capsys, error) == (status, line + "\n")


def test_system_exit_passes_through():
    with pytest.raises(SystemExit) as stop:
        run_command(failing(SystemExit(0)), [])
    assert stop.value.code == 0


@pytest.mark.parametrize(
    "argv", [["--debug"], ["--debug", "--seed", "1"], ["--debug=TRUE"], ["--seed=1", "--debug", "True"]]
)
def test_debug_prints_the_traceback_above_the_line(capsys, argv):
    status, text = outcome(capsys, RuntimeError("broken"), *argv)
    assert status == 1
    assert text.startswith("Traceback") and text.endswith("\nerror: RuntimeError: broken\n")


@pytest.mark.parametrize("argv", [[], ["--debug=false"], ["--debug", "False"], ["--debug", "--debug=false"]])
def test_no_traceback_without_debug(capsys, argv):
    assert "Traceback" not in outcome(capsys, RuntimeError("broken"), *argv)[1]


@given(st.text(max_size=3000), st.sampled_from([ValueError, RuntimeError, OSError, ConfigError]))
def test_any_message_is_one_line_of_limited_length(message, kind):
    with pytest.MonkeyPatch.context() as patch:
        sink = io.StringIO()
        patch.setattr(sys, "stderr", sink)
        run_command(failing(kind(message)), [])
    line = sink.getvalue()
    assert len(line.splitlines()) == 1 and line.endswith("\n")
    assert len("error: ") < len(line.strip()) <= 650


def test_output_stands_above_the_error_in_a_log_file(tmp_path):
    code = (
        "import sys; from src.model_utils.command import run_command\n"
        "def main(argv):\n    print('epoch: 1')\n    raise ValueError('stopped \\udc80')\n"
        "sys.exit(run_command(main))"
    )
    log = tmp_path / "log"
    with log.open("wb") as stream:
        process = subprocess.run(
            [sys.executable, "-c", code],
            cwd=DEFAULT_FILE.parent,
            check=False,
            stdout=stream,
            stderr=stream,
            env={**os.environ, "PYTHONIOENCODING": ""},
        )
    assert process.returncode == 1
    assert log.read_text().splitlines() == ["epoch: 1", "error: stopped \\x80"]
