"""The command names every image that training cannot read, below any folder of images."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from src.data.image_folders import find_images
from src.model_utils.config import ConfigError
from tests.helpers.image_files import GOOD, make_tree
from tests.helpers.project import ROOT
from tools.check_dataset import main

SCRIPT = ROOT / "tools" / "check_dataset.py"


def test_find_images_walks_class_folders_with_and_without_a_split(tmp_path):
    wanted = ["train/cat/1.jpg", "train/cat/2.JPEG", "train/dog/deep/3.Tif", "val/cat/4.webp", "val/dog/5.bmp"]
    make_tree(tmp_path, [*wanted, "train/cat/.6.jpg", "train/.git/7.jpg", "train/cat/notes.txt", "class_names.txt"])
    assert find_images(tmp_path) == sorted(tmp_path / name for name in wanted)


def test_find_images_follows_a_link_once(tmp_path):
    make_tree(tmp_path, ["data/cat/1.jpg", "elsewhere/2.jpg"])
    (tmp_path / "data" / "dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "cat" / "loop").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "dog2").symlink_to(tmp_path / "elsewhere")
    assert [str(path.relative_to(tmp_path)) for path in find_images(tmp_path / "data")] == [
        "data/cat/1.jpg",
        "data/dog/2.jpg",
    ]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Two classes in two splits with two bad files, one of them with a name that is not UTF-8."""
    root = tmp_path_factory.mktemp("tree")
    make_tree(root, [f"{split}/{name}/{n}.jpg" for split in ("train", "val") for name in ("cat", "dog") for n in "123"])
    (root / "train" / "cat" / "2.jpg").write_bytes(GOOD["baseline.jpg"][:900])
    with open(os.fsencode(root / "val" / "dog") + b"/\xe9.jpg", "wb"):
        pass
    return root


def test_bad_images_are_printed_and_listed(tree, tmp_path, capfd):
    assert main([str(tree), "--workers", "2", "--list", str(tmp_path / "bad.txt")]) == 1
    output = capfd.readouterr()
    lines = output.out.splitlines()
    assert lines[0].startswith(f"{tree}/train/cat/2.jpg: image file is truncated")
    assert lines[1:] == [
        f"{tree}/val/dog/\\xe9.jpg: empty file (0 bytes)",
        "checked 13 images in 2 classes: 2 bad",
    ]
    assert output.err.count("\n") == 1
    assert (tmp_path / "bad.txt").read_bytes().splitlines() == [
        os.fsencode(tree) + b"/train/cat/2.jpg",
        os.fsencode(tree) + b"/val/dog/\xe9.jpg",
    ]


def test_good_data_empties_an_old_list(tree, tmp_path, capfd):
    (tmp_path / "bad.txt").write_text("old")
    assert main([str(tree / "train" / "dog"), "--list", str(tmp_path / "bad.txt")]) == 0
    assert capfd.readouterr().out == "checked 3 images in 1 classes: 0 bad\n"
    assert (tmp_path / "bad.txt").read_bytes() == b""


def test_warnings_of_the_decoders_stay_off_the_screen(tmp_path, capfd):
    data = bytearray(GOOD["packed.TIFF"])
    data[200:400] = bytes(range(200))
    for n in range(3):
        (tmp_path / f"{n}.tif").write_bytes(bytes(data))
    assert main([str(tmp_path)]) == 1
    assert capfd.readouterr().err.count("\n") == 1


def test_usage_errors(tmp_path, tree):
    with pytest.raises(ConfigError, match="no folder"):
        main([str(tmp_path / "absent")])
    with pytest.raises(ConfigError, match="no images"):
        main([str(tmp_path)])
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        main([str(tree), "--workers", "0"])


@pytest.mark.parametrize(("name", "status"), [("train", 1), ("train/dog", 0), ("absent", 2)])
def test_the_script_runs_from_any_folder(tree, tmp_path, name, status):
    command = [sys.executable, SCRIPT, os.path.relpath(tree / name, tmp_path)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == status
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1
