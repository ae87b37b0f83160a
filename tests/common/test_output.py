"""What a command prints never ends its work, and no name in it steers a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from src.common.output import Output, raw, safe_output
from src.model_utils.command import run_command
from tests.helpers.project import ROOT

# Prints more than any buffer holds, before and after MindSpore's change of stderr, and then saves.
COMMAND = """
import os, sys
from pathlib import Path
from src.common.progress import Progress
from src.model_utils.command import run_command
def main(argv):
    file = open("opened first", "wb")
    with Progress(3000, "work", log_seconds=0) as progress:
        for step in range(3000):
            if step == 1500:
                sys.stderr = os.fdopen(os.dup(2), "w", 1) if os.path.exists("/proc/self/fd/2") else None
                sys.__stderr__ = sys.stderr
            print(f"epoch: 1 step: {step}, loss is 1", flush=True)
            print("a warning", file=sys.stderr, flush=True)
            progress.update()
    assert file.fileno() > 2
    Path("saved").write_text("all of it")
sys.exit(run_command(main, prints_results=sys.argv[1] == "results"))
"""


def shell(folder: Path, redirection: str, kind: str) -> tuple[int, str, str]:
    """Run the command with its output redirected; return its status, and what came on stdout and stderr."""
    script = f'"$0" -c "$1" {kind} {redirection}; exit ${{PIPESTATUS[0]}}'
    # What waits in a buffer is written as Python ends, which gives status 120 where that fails.
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    result = subprocess.run(
        ["bash", "-c", script, sys.executable, COMMAND],
        cwd=folder, capture_output=True, text=True, check=False, env={**variables, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return result.returncode, result.stdout, result.stderr


LOST = "output is lost: No space left on device"


@pytest.mark.parametrize(
    ("redirection", "kind", "status", "last"),
    [
        ("2>&1 | head -1", "files", 0, ""),
        ("2>/dev/null | head -1", "results", 0, ""),
        ("> /dev/full 2>&1", "files", 0, ""),
        ("> /dev/full 2>&1", "results", 1, ""),
        ("> /dev/full", "files", 0, f"warning: {LOST}"),
        ("> /dev/full", "results", 1, f"error: {LOST}"),
        ("2> /dev/full", "results", 0, ""),
        ("2>&-", "results", 0, ""),
        (">&-", "results", 0, "work: 3000/3000 images (100%)"),
        ("<&- >&- 2>&-", "files", 0, ""),
    ],
)
def test_output_that_fails_leaves_the_work_alone(tmp_path, redirection, kind, status, last):
    ended, _, error = shell(tmp_path, redirection, kind)
    assert ended == status, error
    assert (tmp_path / "saved").read_text() == "all of it"
    assert (tmp_path / "opened first").read_bytes() == b""
    assert error.splitlines()[-1].startswith(last) if last else not error
    assert "Traceback" not in error and "Exception ignored" not in error


def test_a_reader_that_stays_gets_every_line(tmp_path):
    status, out, error = shell(tmp_path, "", "results")
    assert (status, len(out.splitlines()), error.count("a warning\n")) == (0, 3000, 3000)


def test_a_stderr_that_a_library_has_changed_is_put_back_by_the_next_line(capsys):
    with safe_output():
        mine = sys.stderr
        sys.stderr = sys.__stderr__
        print("epoch: 1 step: 1, loss is 1")
        assert sys.stderr is mine
    assert not isinstance(sys.stderr, Output) and not isinstance(sys.stdout, Output)


def test_lost_output_of_help_is_no_success(tmp_path):
    command = f'"{sys.executable}" "{ROOT}/postprocess.py" --help > /dev/full'
    result = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (1, "error: output is lost: No space left on device\n")


NAME = "a\x1b]0;title\x07\x9b31m\u202egnp.b\r\u2028c\x00"


def test_what_would_steer_a_terminal_is_written_as_text(capsys):
    def main(argv):
        print(f"one\ttwo\n{NAME}")
        print(NAME, file=sys.stderr)
        raw(sys.stdout).write("\r\x1b[K")
        raise ValueError(NAME)

    assert run_command(main, []) == 1
    out, error = capsys.readouterr()
    written = r"a\x1b]0;title\x07\x9b31m\u202egnp.b\r\u2028c\x00"
    assert out == f"one\ttwo\n{written}\n\r\x1b[K"
    collapsed = r"a\x1b]0;title\x07\x9b31m\u202egnp.b c\x00"
    assert error == f"{written}\nerror: {collapsed}\n"


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "latin-1"},
    ],
)
def test_names_are_utf8_in_every_locale(tmp_path, variables):
    (tmp_path / "été 猫").mkdir()
    code = (
        "import os, sys; from src.model_utils.command import run_command\n"
        "def main(argv):\n    print(sys.getfilesystemencoding(), argv, os.listdir('.'))\n"
        "    open('w', 'w').write('猫')\n"
        "sys.exit(run_command(main))"
    )
    (tmp_path / "door.py").write_text(code)
    environment = {key: value for key, value in os.environ.items() if key not in ("LANG", "PYTHONIOENCODING")}
    result = subprocess.run(
        [sys.executable, "door.py", "--x=猫"],
        cwd=tmp_path, capture_output=True, check=False, env={**environment, **variables, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    encoding = variables.get("PYTHONIOENCODING", "ascii")
    out = result.stdout.decode(encoding)
    assert out.startswith(r"utf-8 ['--x=\u732b']")
    assert (r"\xe9t\xe9 \u732b" if encoding == "ascii" else r"été \u732b") in out
    assert result.stderr.decode() == "note: the locale's encoding is ascii: names are read as UTF-8 all the same\n"
    assert (tmp_path / "w").read_text("utf-8") == "猫"


@pytest.mark.parametrize("door", sorted([*ROOT.glob("*.py"), *ROOT.glob("tools/*.py"), *ROOT.glob("scripts/*.py")]))
def test_every_command_is_found_with_a_safe_path(door, tmp_path):
    if "__main__" not in door.read_text("utf-8"):
        return
    result = subprocess.run(
        [sys.executable, door, "--help"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONSAFEPATH": "1"},
    )  # fmt: skip
    assert "ModuleNotFoundError: No module named 'src'" not in result.stderr
    assert "ModuleNotFoundError: No module named 'tools'" not in result.stderr
    assert result.returncode in (0, 2)
