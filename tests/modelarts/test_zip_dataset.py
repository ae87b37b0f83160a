"""Zip data sets: extracted whole or not at all, and never to anywhere else."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.modelarts.zip_dataset import unzip_dataset
from tests.helpers.project import ROOT
from tests.helpers.zip_files import content, make_zip

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
names = st.text("abcXYZ019 ._-é猫", min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))
trees = st.recursive(
    st.binary(max_size=300), lambda inner: st.dictionaries(names, inner, max_size=4), max_leaves=12
).map(lambda tree: tree if isinstance(tree, dict) else {"file": tree})


def files_of(tree: dict, above: str = "") -> dict[str, bytes]:
    found = {}
    for name, inner in tree.items():
        found |= files_of(inner, f"{above}{name}/") if isinstance(inner, dict) else {f"{above}{name}": inner}
    return found


@given(trees, st.sampled_from(METHODS))
def test_any_tree_of_files_comes_back_as_it_was(tree, method):
    with tempfile.TemporaryDirectory() as folder:
        archive = make_zip(Path(folder) / "data.zip", files_of(tree), method)
        unzip_dataset(archive, Path(folder) / "out", "job")
        assert content(Path(folder) / "out") == files_of(tree)
        assert sorted(os.listdir(folder)) == ["data.zip", "out"]


@given(st.data(), st.sampled_from(METHODS))
def test_a_damaged_file_gives_the_right_content_or_one_line_and_nothing(data, method):
    members = {"train/0/a.jpg": b"abc" * 40, "train/1/b.jpg": bytes(range(200)), "c": b""}
    with tempfile.TemporaryDirectory() as folder:
        archive = make_zip(Path(folder) / "data.zip", members, method)
        good = bytearray(archive.read_bytes())
        at = data.draw(st.integers(0, len(good) - 1))
        if data.draw(st.booleans()):
            del good[at:]
        else:
            good[at] ^= data.draw(st.integers(1, 255))
        archive.write_bytes(good)
        try:
            unzip_dataset(archive, Path(folder) / "out", "job")
        except ValueError as error:
            assert "\n" not in str(error) and str(archive) in str(error)
            assert os.listdir(folder) == ["data.zip"]
        else:
            assert sorted(content(Path(folder) / "out").values()) == sorted(members.values())


def test_too_little_space_is_seen_before_anything_is_written(tmp_path, monkeypatch):
    archive = make_zip(tmp_path / "data.zip", {"a": b"x", "b": b"y"})
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2 * 4096 - 1))
    with pytest.raises(OSError, match=r"needs 0\.0 MB, but .* has 0\.0 MB left; make room"):
        unzip_dataset(archive, tmp_path / "out", "job")
    assert os.listdir(tmp_path) == ["data.zip"]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2 * 4096))
    unzip_dataset(archive, tmp_path / "out", "job")


def test_a_full_disk_while_extracting_leaves_nothing(tmp_path):
    archive = make_zip(tmp_path / "data.zip", {"a": os.urandom(100), "b": os.urandom(100_000)})
    code = (
        "import resource, signal, sys; from pathlib import Path; from src.modelarts.zip_dataset import unzip_dataset\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))\n"
        "unzip_dataset(Path(sys.argv[1]), Path(sys.argv[2]), 'job')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, archive, tmp_path / "out"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert re.search(r"File too large: '.*/b'", result.stderr.splitlines()[-1])
    assert os.listdir(tmp_path) == ["data.zip"]


def test_a_second_call_does_nothing_and_a_changed_file_is_not_passed_over(tmp_path):
    archive, out = make_zip(tmp_path / "data.zip", {"a": b"x"}), tmp_path / "out"
    unzip_dataset(archive, out, "job")
    (out / "a").write_text("kept")
    unzip_dataset(archive, out, "job")
    assert content(out) == {"a": b"kept"}
    make_zip(archive, {"a": b"other"})
    with pytest.raises(ValueError, match=r"out holds the content of .*data\.zip"):
        unzip_dataset(archive, out, "job")
    assert content(out) == {"a": b"kept"}


def test_a_folder_of_others_is_not_touched(tmp_path):
    archive = make_zip(tmp_path / "data.zip", {"a": b"x"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(ValueError, match="out holds files that were not copied there"):
        unzip_dataset(archive, tmp_path / "out", "job")
    assert os.listdir(tmp_path / "out") == ["mine"]


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        unzip_dataset(tmp_path / "no.zip", tmp_path / "out", "job")
    assert caught.value.filename == str(tmp_path / "no.zip")


def test_progress_counts_the_files(tmp_path, capsys):
    archive = make_zip(tmp_path / "data.zip", {"train/": b"", "train/a": b"x", "train/b": b"y"})
    unzip_dataset(archive, tmp_path / "out", "job")
    assert "unzip: 3/3 files (100%)" in capsys.readouterr().err


def test_a_killed_process_leaves_no_folder_and_the_next_one_cleans_up(tmp_path):
    """Ten kills at different moments of the extraction, and three as soon as the folder is there."""
    buffer = io.BytesIO(os.urandom(2**20))
    members = {f"{number}.jpg": buffer.getvalue()[number:] for number in range(60)}
    archive, out = make_zip(tmp_path / "data.zip", members, zipfile.ZIP_STORED), tmp_path / "out"
    code = (
        "import sys; from pathlib import Path; from src.modelarts.zip_dataset import unzip_dataset\n"
        "unzip_dataset(Path(sys.argv[1]), Path(sys.argv[2]), 'job')"
    )
    killed_half = 0
    for count in range(13):
        process = subprocess.Popen([sys.executable, "-c", code, archive, out], cwd=ROOT, stderr=subprocess.DEVNULL)
        moment = count * 5 + 1 if count < 10 else len(members) + 1
        while process.poll() is None and len(list(tmp_path.glob(".out.job.*.tmp/*"))) < moment and not out.exists():
            time.sleep(0.001)
        process.kill()
        process.wait()
        killed_half += bool(list(tmp_path.glob(".out.job.*.tmp")))
        if out.exists():
            assert content(out) == members
            shutil.rmtree(out)
    assert killed_half >= 5
    unzip_dataset(archive, out, "job")
    assert content(out) == members
    assert sorted(os.listdir(tmp_path)) == ["data.zip", "out"]
