"""The files of the cache of compiled graphs: taken if they are this user's own, and only they are removed."""

from __future__ import annotations

import os
import zipfile
from io import BytesIO

import pytest

from src.cpu import compile_cache
from src.cpu.compile_cache import CompileCache
from tests.helpers.compile_cache import ENABLE, GRAPH, KEY, compile_with, graph
from tests.helpers.cpu_library import give_away


@pytest.mark.parametrize("name", ["../../x", "{tmp_path}/x", "a/../../../x", "..\\x", "C:x", "a//x", "x/"])
def test_an_entry_writes_nothing_but_files_of_its_own(tmp_path, capsys, name):
    folder = tmp_path / "a" / "cache"
    compile_with(folder, graph("a"))
    files = {name.format(tmp_path=tmp_path): b"!", GRAPH: graph("a")}
    entry = folder / f"{KEY}.graph"
    entry.write_bytes(compile_cache._pack(files, entry.name))
    assert compile_with(folder, graph("b")) is None
    assert "is of no use (it has a file named" in capsys.readouterr().out
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "a", folder, entry]
    assert compile_with(folder, graph("c")) == graph("b")


def test_an_entry_that_would_grow_is_not_taken(tmp_path):
    compile_with(tmp_path, graph("a"))
    entry = tmp_path / f"{KEY}.graph"
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(GRAPH, bytes(10**6))
    entry.write_bytes(compile_cache._checksum(buffer.getvalue(), entry.name) + buffer.getvalue())
    assert compile_with(tmp_path, graph("b")) is None


@pytest.mark.parametrize("kind", ["a link", "a FIFO", "writable by others", "of another user"])
def test_an_entry_that_others_may_have_written_is_compiled_anew_and_replaced(tmp_path, capsys, kind):
    compile_with(tmp_path / "cache", graph("a"))
    entry = tmp_path / "cache" / f"{KEY}.graph"
    if kind == "a link":
        entry.symlink_to(entry.rename(tmp_path / "elsewhere"))
    elif kind == "a FIFO":
        entry.unlink()
        os.mkfifo(entry)
    elif kind == "writable by others":
        entry.chmod(0o666)
    elif os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    else:
        os.chown(entry, 65534, 65534)
    assert compile_with(tmp_path / "cache", graph("b")) is None
    assert "is of no use" in capsys.readouterr().out
    assert compile_with(tmp_path / "cache", graph("c")) == graph("b")


def test_nothing_is_removed_but_what_the_cache_has_made(monkeypatch, tmp_path):
    monkeypatch.setattr(compile_cache, "ENTRIES", 1)
    files = {
        "holiday.graph",
        "0.graph",
        f"{KEY}.graph.old",
        f"x{KEY}.graph",
        f"{KEY.upper()[:-1]}A.graph",
        f".thesis.{'a' * 32}.tmp",
    }
    folders = {"thesis.graph", f"{'2' * 64}.graph", f".thesis.{'b' * 32}.tmp"}
    for name in folders:
        (tmp_path / name).mkdir()
        (tmp_path / name / "work").write_text("of a year")
    for name in files:
        (tmp_path / name).write_text("of a year")
    for name in files | folders:
        os.utime(tmp_path / name, (0, 0))
    compile_with(tmp_path, graph(), "3" * 64)
    os.utime(tmp_path / f"{'3' * 64}.graph", (0, 0))
    compile_with(tmp_path, graph(), "4" * 64)
    assert {path.name for path in tmp_path.iterdir()} == files | folders | {f"{'4' * 64}.graph"}
    assert all((tmp_path / name / "work").exists() for name in folders)


def test_the_folder_is_for_this_user_alone_whatever_the_umask_is(tmp_path):
    before = os.umask(0)
    try:
        compile_with(tmp_path / "new" / "cache", graph("a"))
    finally:
        os.umask(before)
    assert (tmp_path / "new" / "cache").stat().st_mode & 0o777 == 0o700
    assert compile_with(tmp_path / "new" / "cache", graph("b")) == graph("a")


@pytest.mark.parametrize("kind", ["of another user", "open to others"])
def test_a_folder_of_another_user_or_open_to_others_costs_one_line(tmp_path, monkeypatch, capsys, kind):
    if kind == "open to others":
        tmp_path.chmod(0o777)
    else:
        give_away(tmp_path, monkeypatch)
    cache = CompileCache(tmp_path, KEY)
    cache.open()
    cache.close()
    assert ENABLE not in os.environ and list(tmp_path.iterdir()) == []
    output = capsys.readouterr().out
    reason = "other users can write to it" if kind == "open to others" else "it belongs to user"
    assert output.count("\n") == 1 and reason in output and "choose another --compile_cache=FOLDER" in output
