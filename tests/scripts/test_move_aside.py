"""The command that moves the results of an earlier run aside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.helpers.project import ROOT


def move_aside(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "move_aside.py"), *names]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_what_is_there_goes_to_the_first_free_folder(tmp_path):
    for number, text in enumerate(("first", "second"), start=1):
        (tmp_path / "a log").write_text(text)
        (tmp_path / "results").mkdir()
        (tmp_path / "others").touch()
        result = move_aside(tmp_path, "a log", "results", "absent")
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout == f"moved the results of an earlier run to earlier-{number}\n"
        assert {path.name for path in (tmp_path / f"earlier-{number}").iterdir()} == {"a log", "results"}
        assert (tmp_path / f"earlier-{number}" / "a log").read_text() == text
    assert {path.name for path in tmp_path.iterdir()} == {"earlier-1", "earlier-2", "others"}


def test_where_nothing_is_there_nothing_is_made_or_said(tmp_path):
    result = move_aside(tmp_path, "absent")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_named_src_in_the_current_one_is_not_taken_for_the_projects(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "__init__.py").write_text("raise RuntimeError('not this one')")
    (tmp_path / "log").touch()
    assert move_aside(tmp_path, "log").returncode == 0
    assert (tmp_path / "earlier-1" / "log").exists()


def test_what_cannot_be_moved_is_one_line_and_an_error(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "log").touch()
    result = move_aside(tmp_path, "a/log", "b/log")
    assert result.returncode == 1
    assert result.stderr.startswith("error: cannot move files of the same name into one folder: ")
    assert result.stderr.count("\n") == 1
