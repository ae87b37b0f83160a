"""MindRecord files made of image folders: written whole, and resumed after a kill."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src.common.folder_lock import only_writer
from src.data.record_set import SET_FILE, find_records
from src.model_utils.config import ConfigError
from tests.helpers.killing import kill_when
from tests.helpers.pipeline import batches
from tests.helpers.project import ROOT
from tests.helpers.record_files import SHARDS, record_files, visible
from tests.helpers.training_run import run
from tools.data_formats.record_writer import write_records
from tools.data_formats.stored_image import images_of_folders
from tools.make_mindrecord import main

pytestmark = pytest.mark.slow

TOOL = "tools/make_mindrecord.py"


@pytest.fixture(scope="module")
def folders(few_digits) -> Path:
    """The 37 images of `records` in 3 classes; only to be read."""
    return few_digits / "val"


def test_a_killed_conversion_goes_on_where_it_was(folders, records, tmp_path):
    out = tmp_path / "out"
    words = [str(folders), str(out), "--shards=12", "--workers=1"]
    for finished in (1, 5):
        kill_when(TOOL, words, lambda least=finished: len(record_files(out)) >= least if out.exists() else False)
        assert not (out / SET_FILE).exists()
        with pytest.raises(ValueError, match=r"run tools/make_mindrecord\.py to its end"):
            find_records(str(out))
    kept = {path: path.stat().st_mtime_ns for path in record_files(out)}
    assert 5 <= len(kept) < 12
    result = run(TOOL, words, tmp_path)
    assert result.returncode == 0, result.stderr
    assert "12 files, complete" in result.stdout
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert visible(out) == sorted([SET_FILE, *find_records(str(out)).files])
    for pair in zip(batches(records, False, 8), batches(out, False, 8), strict=True):
        assert all(np.array_equal(*columns) for columns in zip(*pair, strict=True))


def test_what_a_stopped_conversion_left_is_kept_mended_or_removed(folders, copied, records, capsys):
    files = record_files(copied)
    files[0].write_bytes(files[0].read_bytes().replace(b"\xff\xd8\xff", b"\0\0\0"))  # damaged
    os.truncate(files[1], 3000)  # cut
    files[2].unlink()  # its index alone
    Path(f"{files[3]}.db").unlink()  # no index
    (copied / f".{files[0].name}.{'0' * 32}.tmp").mkdir()
    before = files[4].stat().st_mtime_ns
    images = images_of_folders(str(folders))
    capsys.readouterr()
    write_records(images, copied, SHARDS, 1, False)
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if "making a damaged file again" not in line] == []
    assert ["images-0000" in said[0], "images-0001" in said[1], len(said)] == [True, True, 2]
    assert visible(copied) == visible(records)
    assert files[4].stat().st_mtime_ns == before
    for pair in zip(batches(records, False, 8), batches(copied, False, 8), strict=True):
        assert all(np.array_equal(*columns) for columns in zip(*pair, strict=True))


def test_damaged_images_are_all_named_and_left_out_only_on_request(folders, tmp_path, capsys):
    data = Path(shutil.copytree(folders, tmp_path / "data"))
    first, last = (sorted((data / name).iterdir())[0] for name in "02")
    first.write_bytes(first.read_bytes()[:300])
    last.write_bytes(b"")
    words = [str(data), str(tmp_path / "out"), "--shards=3", "--workers=1"]
    with pytest.raises(ValueError, match=r"2 damaged images, named above.*--bad_images=skip"):
        main(words)
    said = capsys.readouterr().out
    assert re.search(rf"bad image 0/{first.name}: .*[Tt]runcated", said)
    assert f"bad image 2/{last.name}: empty file" in said
    assert "images-0001-of-0003.mindrecord" in visible(tmp_path / "out")  # what has no damaged image is written
    assert main([*words, "--bad_images=skip"]) == 0
    assert "35 images in 3 classes, 3 files, complete, 2 damaged ones left out" in capsys.readouterr().out
    found = find_records(str(tmp_path / "out"))
    assert found.counts == {"0": 11, "1": 12, "2": 12}
    assert found.left_out == [f"0/{first.name}", f"2/{last.name}"]
    assert sum(len(label) for _, label in batches(tmp_path / "out", False, 8)) == 35


def test_a_folder_of_other_things_stays_as_it_is(folders, copied, tmp_path):
    for shards, extra, message in (
        (4, None, "holds images-0000-of-0005.mindrecord"),
        (5, "notes.txt", "holds notes.txt"),
    ):
        if extra:
            (copied / extra).write_text("mine")
        before = visible(copied)
        with pytest.raises(ValueError, match=message):
            main([str(folders), str(copied), f"--shards={shards}"])
        assert visible(copied) == before


def test_records_of_other_images_are_not_taken_for_these(few_digits, copied):
    with pytest.raises(ValueError, match="made from other images"):
        main([str(few_digits / "train"), str(copied), f"--shards={SHARDS}", "--workers=1"])
    assert len(record_files(copied)) == SHARDS


def test_two_conversions_to_one_folder_do_not_meet(folders, tmp_path):
    out = tmp_path / "out"
    with only_writer(out, "a test", ""), pytest.raises(ValueError, match="another conversion is writing to"):
        main([str(folders), str(out)])


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(folders, tmp_path):
    out = tmp_path / "out"
    # 100 KiB a file stands for a full disk.
    command = [
        "bash",
        "-c",
        'ulimit -f 100; exec "$@"',
        "bash",
        sys.executable,
        ROOT / TOOL,
        folders,
        out,
        "--workers=1",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert result.returncode == 1
    assert re.search(r"^error: .*images-0000-of-0001.mindrecord", result.stderr, re.MULTILINE), result.stderr
    assert visible(out) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{folders}", "{folders}/records"], "is inside"),
        (["{folders}/missing", "out"], "cannot read the data set folder"),
        (["{folders}", "out", "--shards=1001"], "--shards must be from 1 to 1000"),
        (["{folders}", "out", "--shards=38"], "--shards must be from 1 to 37 for 37 images"),
        (["{folders}", "out", "--workers=0"], "--workers must be at least 1"),
        (["{records}", "out"], "holds MindRecord files already"),
        (["{empty}", "out"], "no images in class nothing"),
    ],
)
def test_what_does_not_fit_is_named(folders, records, tmp_path, monkeypatch, *, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty" / "nothing").mkdir(parents=True)
    names = {"folders": folders, "records": records, "empty": tmp_path / "empty"}
    with pytest.raises((ValueError, ConfigError), match=message):
        main([word.format(**names) for word in words])
    assert not (tmp_path / "out").exists()
