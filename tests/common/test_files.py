"""Files are written whole or not at all, also when the disk is full, the target is odd or several write at once."""

from __future__ import annotations

import csv
import errno
import io
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common.files import (
    atomic_write,
    check_free_space,
    expand_home,
    from_cell,
    move_aside,
    printable,
    replace_file,
    temporary_path,
    to_cell,
    to_csv,
)
from tests.helpers.project import ROOT


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.mark.parametrize(("data", "content"), [(b"\0\xff\r\n", b"\0\xff\r\n"), ("é\n", b"\xc3\xa9\n"), ("", b"")])
def test_atomic_write_writes_bytes_and_text_into_new_folders(tmp_path, data, content):
    path = tmp_path / "a" / "b" / "file"
    atomic_write(str(path), data)
    assert path.read_bytes() == content
    assert names(path.parent) == ["file"]


def test_atomic_write_replaces_the_old_file_and_gives_the_usual_mode(tmp_path):
    path = tmp_path / "file"
    path.write_text("a much longer old content")
    atomic_write(path, "new")
    assert path.read_text() == "new"
    (tmp_path / "usual").touch()
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_atomic_write_flushes_the_file_then_the_folder(tmp_path, monkeypatch):
    flushed = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (flushed.append(os.readlink(f"/proc/self/fd/{fd}")), sync(fd)))
    atomic_write(tmp_path / "file", "new")
    assert len(flushed) == 2
    assert Path(flushed[0]).name.startswith(".file.")
    assert flushed[1] == str(tmp_path)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, error):
    def fail(_):
        raise error

    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(error)) as caught:
        atomic_write(path, "new")
    assert getattr(caught.value, "filename", str(path)) == str(path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_file_system_that_cannot_flush_folders_is_no_failure(tmp_path, monkeypatch):
    sync = os.fsync
    calls = []

    def fail_second(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_second)
    atomic_write(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"


def test_a_folder_in_the_place_of_the_file_is_an_error(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError):
        atomic_write(tmp_path / "file", "new")
    assert names(tmp_path) == ["file"]


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises((NotADirectoryError, FileExistsError)):
        atomic_write(tmp_path / "a" / "file", "new")
    assert (tmp_path / "a").read_text() == "old"


def test_a_write_beyond_the_limit_of_the_system_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    code = (
        "import resource, sys; from src.common.files import check_free_space, atomic_write\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "atomic_write(sys.argv[1], bytes(100000))"
    )
    result = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"File too large: '{path}'" in result.stderr
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def write_often(path: Path, letter: str) -> None:
    for _ in range(20):
        atomic_write(path, letter * 300_000)


def test_parallel_writers_never_mix(tmp_path):
    path = tmp_path / "file"
    path.write_text("?" * 300_000)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_often, args=(path, letter)) for letter in "abc"]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        content = path.read_text()
        assert content == content[0] * 300_000
        seen.add(content[0])
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert seen & set("abc")
    assert path.read_text()[0] in "abc"
    assert names(tmp_path) == ["file"]


def test_temporary_paths_are_hidden_neighbours_and_differ(tmp_path):
    paths = {temporary_path(tmp_path / "a.ckpt") for _ in range(100)}
    assert len(paths) == 100
    assert all(path.parent == tmp_path and path.match(".a.ckpt.*.tmp") for path in paths)


def test_replace_file_moves_a_written_file(tmp_path):
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    replace_file(tmp_path / "new", str(tmp_path / "old"))
    assert names(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text() == "new"


def test_replace_file_without_a_new_file_keeps_the_old_one(tmp_path):
    (tmp_path / "old").write_text("old")
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "old"


def test_replace_file_names_the_file_and_not_the_temporary_one(tmp_path):
    final = tmp_path / "final"
    (final / "mine").mkdir(parents=True)
    temporary = temporary_path(final)
    temporary.touch()
    with pytest.raises(IsADirectoryError) as caught:
        replace_file(temporary, final)
    assert caught.value.filename == str(final)
    assert (final / "mine").exists()


def test_replace_file_works_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("new").write_text("new")
    replace_file("new", "final")
    assert names(tmp_path) == ["final"]


def test_move_aside_numbers_its_folders(tmp_path):
    for n in (1, 2):
        (tmp_path / "metrics.csv").write_text(f"run {n}")
        (tmp_path / "link").symlink_to("nowhere")
        paths = [tmp_path / "metrics.csv", tmp_path / "absent", tmp_path / "link", tmp_path / "metrics.csv"]
        assert move_aside(paths, tmp_path) == tmp_path / f"earlier-{n}"
        assert names(tmp_path / f"earlier-{n}") == ["link", "metrics.csv"]
        assert (tmp_path / f"earlier-{n}" / "metrics.csv").read_text() == f"run {n}"
    assert names(tmp_path) == ["earlier-1", "earlier-2"]


def test_move_aside_of_nothing_does_nothing(tmp_path):
    assert move_aside([tmp_path / "absent"], tmp_path / "folder") is None
    assert names(tmp_path) == []


def test_move_aside_never_puts_one_file_onto_another(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x").touch()
    with pytest.raises(ValueError, match="same name"):
        move_aside([tmp_path / "a" / "x", tmp_path / "b" / "x"], tmp_path)
    assert names(tmp_path) == ["a", "b"]


def test_a_disk_that_is_too_small_is_named_with_what_it_has(tmp_path):
    missing = tmp_path / "not" / "there"
    with pytest.raises(OSError, match=rf"^{missing} needs 1297036692682\.7 MB, but {tmp_path} has "):
        check_free_space(missing, 2**60 + 2**57)
    check_free_space(missing, 1000)
    assert list(tmp_path.iterdir()) == []


# Names in tables and lines


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\t=", "\r", "\n", " =1", "\uff1d1", "'=1", "''-1"])
def test_a_text_that_a_spreadsheet_would_run_begins_with_an_apostrophe(text):
    assert to_cell(text) == f"'{text}"
    assert from_cell(f"'{text}") == text


@pytest.mark.parametrize("text", ["", "a", "a=1", "1-1", "'a", "''", "'", " a", "0", "猫"])
def test_other_texts_stay_in_cells(text):
    assert to_cell(text) == from_cell(text) == text


@given(
    st.lists(
        st.tuples(st.text(), st.text("'=+-@ \t\r\n\uff1d,\""), st.integers(), st.floats(allow_nan=False)), min_size=1
    )
)
def test_tables_give_every_name_back_and_numbers_stay_numbers(rows):
    read = list(csv.reader(io.StringIO(to_csv(rows), newline="")))
    assert [(from_cell(row[0]), from_cell(row[1]), int(row[2]), float(row[3])) for row in read] == rows


def test_a_name_is_one_line_that_steers_no_terminal():
    assert printable("a\n\x1b[31m\x7f\x9b\u202e\u2028\udcff\ud800 é 猫") == (
        "a\\n\\x1b[31m\\x7f\\x9b\\u202e\\u2028\\xff\\ud800 é 猫"
    )


# The home folder


@pytest.mark.parametrize(
    ("text", "path"), [("~", "{}"), ("~/a b", "{}/a b"), ("./~/a", "./~/a"), ("a/~", "a/~"), ("~a/b", "~a/b")]
)
def test_a_tilde_at_the_beginning_is_the_home_folder(text, path, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expand_home(text) == path.format(tmp_path)


@pytest.mark.parametrize("home", ["", "relative"])
def test_a_tilde_without_a_home_folder_is_refused(home, monkeypatch):
    monkeypatch.setenv("HOME", home)
    with pytest.raises(ValueError, match="no home folder is known: set HOME"):
        expand_home("~/a")
