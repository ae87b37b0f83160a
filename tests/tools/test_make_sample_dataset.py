"""The sample data set: what is written, that a second run reuses it, and that nobody's files are touched."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.helpers.project import ROOT
from tools import make_sample_dataset as tool

SCRIPT = ROOT / "tools" / "make_sample_dataset.py"
SIZE = 16
COUNTS = {"train": 1438, "val": 359}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """A complete small data set, only to be read."""
    out = tmp_path_factory.mktemp("sample") / "digits"
    assert tool.make_sample_dataset(out, SIZE) == COUNTS
    return out


@pytest.fixture
def copy(complete, tmp_path):
    """A complete small data set of the test's own."""
    return Path(shutil.copytree(complete, tmp_path / "digits"))


def test_every_digit_is_written_once_under_its_class(complete):
    files = set(contents(complete)) - {"dataset.json"}
    labels = {int(Path(name).stem): int(Path(name).parent.name) for name in files}
    assert len(files) == len(labels) == 1797
    assert [labels[index] for index in range(1797)] == load_digits().target.tolist()


def test_the_split_is_a_fifth_of_each_class_and_fixed(complete):
    for label in range(10):
        indices = np.flatnonzero(load_digits().target == label)
        held_out = {int(path.stem) for path in (complete / "val" / str(label)).iterdir()}
        assert held_out == set(indices[2::5])
        assert len(held_out) == round(len(indices) / 5)


def test_images_are_rgb_jpegs_that_look_like_the_digit(complete):
    images = load_digits().images
    for path in sorted(complete.rglob("*.jpg"))[::60]:
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (SIZE, SIZE))
            small = np.asarray(image.convert("L").resize((8, 8), Image.Resampling.BOX), float) / 255 * 16
        assert np.corrcoef(small.ravel(), images[int(path.stem)].ravel())[0, 1] > 0.95


def test_the_default_size_is_eighty(tmp_path, monkeypatch, capsys):
    data = load_digits()
    monkeypatch.setattr(tool, "_load_digits", lambda: (data.images[:40], data.target[:40]))
    assert tool.main([str(tmp_path)]) == 0
    with Image.open(next(tmp_path.rglob("*.jpg"))) as image:
        assert image.size == (80, 80)
    assert "training" in capsys.readouterr().out


def test_a_second_run_does_nothing_and_says_so(copy, capsys, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    monkeypatch.setattr(tool, "_load_digits", lambda: pytest.fail("the data was loaded again"))
    assert tool.make_sample_dataset(copy, SIZE) == COUNTS
    assert tool.main([str(copy), "--size", str(SIZE)]) == 0
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before
    assert capsys.readouterr().out == (
        f"{copy}: 1438 training and 359 held-out images in 10 classes, complete already, nothing to do\n"
    )


@pytest.mark.parametrize("marked", [True, False])
def test_missing_images_are_written_again(copy, complete, marked):
    for path in list(copy.rglob("*.jpg"))[::200]:
        path.unlink()
    if not marked:
        (copy / "dataset.json").unlink()
    assert tool.make_sample_dataset(copy, SIZE) == COUNTS
    assert contents(copy) == contents(complete)


def test_a_killed_run_is_completed(tmp_path, complete):
    out = tmp_path / "digits"
    process = subprocess.Popen([sys.executable, SCRIPT, out, "--size", str(SIZE)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(out.rglob("*.jpg"))) < 50 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (out / "dataset.json").exists()
    (out / "train" / "0" / f".0000.jpg.{'0' * 32}.tmp").write_bytes(b"half")
    assert tool.make_sample_dataset(out, SIZE) == COUNTS
    assert contents(out) == contents(complete)


@pytest.mark.parametrize("name", ["train/3/cat.jpg", "notes.txt", "val/0/0000.jpg", "train/10/0000.jpg"])
def test_a_foreign_file_is_an_error_and_nothing_changes(copy, name):
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_bytes(b"mine")
    before = contents(copy)
    with pytest.raises(ValueError, match=f"holds {name}.*choose another folder"):
        tool.make_sample_dataset(copy, SIZE)
    assert contents(copy) == before


def test_hidden_files_are_nobodys_business(copy):
    (copy / "train" / ".DS_Store").touch()
    assert tool.finished_counts(copy, SIZE) == COUNTS


def test_a_data_set_of_another_size_is_an_error(copy):
    with pytest.raises(ValueError, match=r"size 16.*not size 80.*choose another folder"):
        tool.make_sample_dataset(copy)
    (copy / "dataset.json").unlink()
    with pytest.raises(ValueError, match="16 x 16 pixels, not 80 x 80"):
        tool.make_sample_dataset(copy)


@pytest.mark.parametrize(
    "content", ["", "[]", "7", '{"size": 16}', '{"version": 1, "size": 16, "train": [], "val": 3}']
)
def test_a_foreign_marker_is_an_error(tmp_path, content):
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(ValueError, match=r"dataset\.json was not written by this tool"):
        tool.make_sample_dataset(tmp_path, SIZE)


def test_a_data_set_of_another_version_is_an_error(tmp_path):
    (tmp_path / "dataset.json").write_text(json.dumps({"version": 2, "size": SIZE, "train": 1, "val": 1}))
    with pytest.raises(ValueError, match="version 2"):
        tool.make_sample_dataset(tmp_path, SIZE)


def test_a_damaged_image_is_named(copy):
    path = copy / "train" / "0" / "0000.jpg"
    path.write_bytes(path.read_bytes()[:200])
    (copy / "dataset.json").unlink()
    with pytest.raises(ValueError, match=r"0000\.jpg is damaged"):
        tool.make_sample_dataset(copy, SIZE)


@pytest.mark.parametrize("size", [-1, 0, 7, 1025])
def test_an_impossible_size_is_an_error(tmp_path, size):
    with pytest.raises(ValueError, match=f"8 to 1024 pixels, got {size}"):
        tool.make_sample_dataset(tmp_path / "digits", size)
    assert not (tmp_path / "digits").exists()


def test_a_missing_scikit_learn_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ValueError, match=r"pip install -r requirements-sample\.txt"):
        tool.make_sample_dataset(tmp_path / "digits", SIZE)
    assert not (tmp_path / "digits").exists()


def test_the_script_runs_from_any_folder_and_fails_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    result = subprocess.run(
        [sys.executable, SCRIPT, "file", "--size", "16"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.stderr
