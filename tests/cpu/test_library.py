"""The library of operators in C++: whole, of this user's own and tried before it is loaded, or not used at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from src.cpu import library as module
from src.cpu.library import build_cpu_library
from src.cpu.own_files import cache_folder
from tests.helpers.cpu_library import LIBRARIES, build, configuration, give_away, times_run, write_compiler
from tests.helpers.project import ROOT


def test_the_library_is_compiled_once(library):
    before = library.stat()
    assert build(library.parent) == library
    assert library.stat() == before
    assert list(library.parent.iterdir()) == [library]


@pytest.mark.parametrize("word", ["--cpu_operators=none", "--cpu_operators=", "--device_target=GPU"])
def test_other_runs_use_mindspores_operators(word, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert build_cpu_library(configuration(word)) is None
    assert list(tmp_path.iterdir()) == []


def test_auto_is_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("auto") == tmp_path / "mindspore-xception"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder("auto") == tmp_path / ".cache" / "mindspore-xception"
    for nothing in ("none", "", " "):
        assert cache_folder(nothing) is None
    monkeypatch.chdir(tmp_path)
    assert cache_folder("own") == tmp_path / "own"


# A library that is there already


def write_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def write_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


SPOILT = {
    "empty": lambda path: path.write_bytes(b""),
    "random": lambda path: path.write_bytes(os.urandom(50_000)),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "cut by a byte": lambda path: os.truncate(path, path.stat().st_size - 1),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "changed": lambda path: path.write_bytes(path.read_bytes().replace(b"\0", b"\1", 1)),
    "a link": write_link,
    "a FIFO": write_fifo,
    "writable by others": lambda path: path.chmod(0o666),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_a_spoilt_library_is_compiled_anew(compiler, library, tmp_path, capsys, kind):
    folder = tmp_path / "own"
    path = build(folder)
    SPOILT[kind](path)
    assert build(folder) == path
    assert path.read_bytes() == library.read_bytes() and path.is_file() and not path.is_symlink()
    assert times_run(compiler) == 2
    output = capsys.readouterr().err
    assert output.count("\n") == 1 and f"{path} is of no use" in output and "compiling it anew" in output


def test_a_folder_in_the_place_of_the_library_stays_and_is_named(compiler, tmp_path, capsys):
    library = build(tmp_path / "own")
    library.unlink()
    (library / "mine").mkdir(parents=True)
    assert build(tmp_path / "own") is None
    assert capsys.readouterr().err.endswith(f"{compiler} cannot make {library}: Is a directory: {library}\n")
    assert (library / "mine").exists()


@pytest.mark.parametrize("kind", LIBRARIES)
def test_a_library_that_cannot_be_used_never_comes_into_this_process(tmp_path, monkeypatch, capsys, kind):
    monkeypatch.setattr(module, "_LOAD_SECONDS", 2)
    (tmp_path / "bad.c").write_text(LIBRARIES[kind])
    made = tmp_path / "bad.so"
    subprocess.run(["cc", "-shared", "-fPIC", tmp_path / "bad.c", "-o", made], check=True)
    compiler = write_compiler(tmp_path / "compiler", made)
    monkeypatch.setenv("CXX", str(compiler))
    assert build(tmp_path / "own") is None
    assert times_run(compiler) == 1
    assert list((tmp_path / "own").iterdir()) == []
    output = capsys.readouterr().err
    assert output.count("\n") == 1 and f"so work on CPU is slower: what {compiler} makes is of no use" in output


def test_a_whole_library_that_crashes_is_compiled_anew_once(compiler, library, tmp_path, monkeypatch):
    (tmp_path / "bad.c").write_text(LIBRARIES["that crashes"])
    subprocess.run(["cc", "-shared", "-fPIC", tmp_path / "bad.c", "-o", tmp_path / "bad.so"], check=True)
    folder = tmp_path / "own"
    path = build(folder)
    data = (tmp_path / "bad.so").read_bytes()
    path.write_bytes(data + module.hashlib.sha256(data).digest())
    assert build(folder) == path
    assert path.read_bytes() == library.read_bytes()


# Whose it is


def test_the_folder_is_for_this_user_alone_whatever_the_umask_is(compiler, tmp_path):
    before = os.umask(0)
    try:
        path = build(tmp_path / "new" / "own")
    finally:
        os.umask(before)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not path.stat().st_mode & 0o022
    assert build(path.parent) == path and times_run(compiler) == 1


def test_the_folder_of_another_user_is_not_used(compiler, tmp_path, monkeypatch, capsys):
    path = build(tmp_path / "own")
    give_away(path.parent, monkeypatch)
    assert build(path.parent) is None
    assert f"{path.parent} cannot hold them (it belongs to user" in capsys.readouterr().err


def test_a_folder_that_others_can_write_to_is_not_used_and_the_users_own_is_closed_to_them(
    compiler, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("given", "mindspore-xception"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    assert build(tmp_path / "given") is None
    output = capsys.readouterr().err
    assert output.count("\n") == 1 and "other users can write to it" in output and times_run(compiler) == 0
    assert build_cpu_library(configuration()).parent == tmp_path / "mindspore-xception"
    assert (tmp_path / "mindspore-xception").stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_the_library_of_another_user_is_replaced(compiler, tmp_path):
    path = build(tmp_path / "own")
    os.chown(path, 65534, 65534)
    assert build(tmp_path / "own") == path
    assert path.stat().st_uid == 0 and times_run(compiler) == 2


@pytest.mark.parametrize("home", [None, "", "relative"])
def test_without_home_the_systems_list_of_users_tells_it(monkeypatch, tmp_path, capsys, home):
    pwd = pytest.importorskip("pwd")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", home or "")
    if home is None:
        monkeypatch.delenv("HOME")
    own = Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert cache_folder("auto") == own / ".cache" / "mindspore-xception"
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    assert cache_folder("auto") is None
    assert build_cpu_library(configuration()) is None
    assert "this user has no home to keep them in; choose a --cpu_operators=FOLDER\n" in capsys.readouterr().err


# Where nothing can be run from


def test_a_folder_that_nothing_can_be_run_from_is_told(compiler, tmp_path, monkeypatch, capsys):
    place = os.statvfs(tmp_path)
    flags = {"f_flag": place.f_flag | os.ST_NOEXEC}
    monkeypatch.setattr(os, "statvfs", lambda _: type("Place", (), flags))
    assert build(tmp_path / "own") is None
    output = capsys.readouterr().err
    assert output.count("\n") == 1 and "mounted noexec); choose another --cpu_operators=FOLDER" in output
    assert times_run(compiler) == 0


def test_a_real_noexec_mount_is_told_and_a_library_there_is_never_loaded(library, tmp_path):
    script = """
import sys
from src.cpu import library
from tests.helpers.cpu_library import configuration
folder = sys.argv[1]
assert library.build_cpu_library(configuration(f"--cpu_operators={folder}")) is None
print(library._problem_of(library.Path(sys.argv[2])))
"""
    place = tmp_path / "mount"
    place.mkdir()
    mounted = ["sh", "-c", 'mount -t tmpfs -o noexec,mode=755 none "$0" && cp -p "$1" "$0" && shift && exec "$@"']
    words = [*mounted, place, library, sys.executable, "-c", script, place, place / library.name]
    result = subprocess.run(["unshare", "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if "mount:" in result.stderr or "unshare" in result.stderr:
        pytest.skip("this user cannot mount")
    assert result.returncode == 0, result.stderr
    (problem,) = result.stdout.splitlines()
    assert "noexec" in result.stderr and "failed to map segment" in problem


@pytest.mark.parametrize("name", ["a:b", os.fsdecode(b"a\xff")])
def test_a_folder_that_mindspore_could_not_name_is_told(compiler, tmp_path, capsys, name):
    assert build(tmp_path / name) is None
    output = capsys.readouterr().err
    assert output.count("\n") == 1 and "path with a colon, or one that is not UTF-8" in output
