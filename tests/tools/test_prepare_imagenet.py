"""Tar files built like those of ImageNet become image folders or MindRecord files, also after a kill; others not."""

from __future__ import annotations

import os
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest

from src.dataset import create_dataset
from src.model_utils.config import ConfigError
from tests.helpers.killing import kill_when
from tests.helpers.tars import PER_CLASS, SYNSETS, jpeg, link, tar, train_tar, write_tars
from tests.helpers.training_run import run
from tools.prepare_imagenet import main

TOOL = "tools/prepare_imagenet.py"


@pytest.fixture(scope="module")
def tars(tmp_path_factory) -> list[str]:
    """Options that name tar files of three classes; only to be read."""
    return write_tars(tmp_path_factory.mktemp("tars"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_folders_hold_every_image_in_its_class(tars, tmp_path, capsys):
    assert main([str(tmp_path / "out"), *tars]) == 0
    said = capsys.readouterr()
    assert f"{tmp_path / 'out' / 'train'}: 12 images in 3 classes, complete" in said.out
    assert re.search(r"train: 12/12 images \(100%\), .* images/s, took", said.err)
    train, val = contents(tmp_path / "out" / "train"), contents(tmp_path / "out" / "val")
    assert list(train) == [f"{synset}/{synset}_{n}.JPEG" for synset in SYNSETS for n in range(PER_CLASS)]
    assert train["n01443537/n01443537_2.JPEG"] == jpeg(9 * 8)
    # The labels are n02105855 n01443537 n01440764, twice.
    assert list(val) == [
        f"{synset}/ILSVRC2012_val_{n:08d}.JPEG"
        for synset, numbers in zip(SYNSETS, ((3, 6), (2, 5), (1, 4)), strict=True)
        for n in numbers
    ]
    assert val["n01440764/ILSVRC2012_val_00000006.JPEG"] == jpeg(24 * 8)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["train", "val"]
    # Another run finds all of it.
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert main([str(tmp_path / "out"), *tars]) == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_records_straight_from_the_tars_are_those_folders(tars, tmp_path):
    assert main([str(tmp_path / "folders"), *tars]) == 0
    result = run(TOOL, [str(tmp_path / "records"), *tars, "--mindrecord", "--workers=1"], tmp_path)
    assert result.returncode == 0, result.stderr
    assert "train: 12 images in 3 classes, 1 file, complete" in result.stdout
    for split in ("train", "val"):
        left, right = (
            [
                np.concatenate(column)
                for column in zip(
                    *create_dataset(str(tmp_path / form / split), False, 5, image_size=71).create_tuple_iterator(
                        num_epochs=1, output_numpy=True
                    ),
                    strict=True,
                )
            ]
            for form in ("folders", "records")
        )
        assert all(np.array_equal(*pair) for pair in zip(left, right, strict=True))


def test_a_killed_run_goes_on_with_the_next_class(tmp_path):
    words = write_tars(tmp_path, 3, [f"n{number:08d}" for number in range(1000)])
    out, unfinished = tmp_path / "out", tmp_path / "out" / "train.unfinished"
    command = [str(out), *words, "--workers=2"]
    for finished in (20, 300):
        kill_when(TOOL, command, lambda least=finished: unfinished.exists() and len(os.listdir(unfinished)) >= least)
        assert [path.name for path in out.iterdir()] == ["train.unfinished"]
        classes = [path for path in unfinished.iterdir() if not path.name.startswith(".")]
        assert finished / 2 < len(classes) < 1000
        assert {len(os.listdir(path)) for path in classes} == {3}  # each of them whole
    kept = {path: path.stat().st_ino for path in classes}
    os.truncate(classes[7] / os.listdir(classes[7])[0], 10)  # as a power cut may leave it
    result = run(TOOL, command, tmp_path)
    assert result.returncode == 0, result.stderr
    moved = {out / "train" / path.name: number for path, number in kept.items() if path != classes[7]}
    assert {path: path.stat().st_ino for path in moved} == moved
    fresh = tmp_path / "fresh"
    assert main([str(fresh), *words]) == 0
    assert contents(out) == contents(fresh)
    assert len(contents(out)) == 3000 + 2000


# What is no ImageNet


INNER = tar([("n01440764_1.JPEG", b"x")])


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([("n01440764.tar", INNER), ("../n01443537.tar", INNER)], r"\.\./n01443537.tar, which is no plain file name"),
        ([("/n01440764.tar", INNER)], r"/n01440764.tar, which is no plain file name"),
        ([("a/n01440764.tar", INNER)], "which is no plain file name"),
        ([(link("n01440764.tar", "/etc/passwd"), b"")], "which is a link, folder or device"),
        ([(link("n01440764.tar", "x", tarfile.LNKTYPE), b"")], "which is a link, folder or device"),
        ([(link("n01440764.tar", "", tarfile.FIFOTYPE), b"")], "which is a link, folder or device"),
        ([(link("n01440764", "", tarfile.DIRTYPE), b"")], "which is a link, folder or device"),
        ([("cats.tar", INNER)], r"cats\.tar, which is no class such as n01440764\.tar"),
        ([("n01440764.JPEG", b"x")], "which is no class"),
        ([("n01440764.tar", INNER), ("n01440764.tar", INNER)], "which is no class"),
        ([("n01440764.tar", b"no tar at all" * 99)], "no complete, uncompressed tar file"),
        ([("n01440764.tar", tar([("../../x.JPEG", b"x")]))], "which is no plain file name"),
        ([("n01440764.tar", tar([(link("x.JPEG", "/etc/passwd"), b"")]))], "which is a link"),
        ([("n01440764.tar", tar([("._x.JPEG", b"x")]))], "which is no plain file name"),
        ([("n01440764.tar", tar([("x.txt", b"x")]))], "which is no image"),
        ([("n01440764.tar", tar([("x.JPEG", b"x"), ("x.JPEG", b"y")]))], "an image of n01440764 twice"),
        ([("n01440764.tar", tar([]))], "twice, or none"),
    ],
)
def test_a_train_tar_of_another_structure_is_refused(tmp_path, entries, message):
    path = train_tar(tmp_path, entries)
    with pytest.raises(ValueError, match=message) as caught:
        main([str(tmp_path / "out"), f"--train_tar={path}", "--allow_other_counts"])
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.tar"]


def test_the_counts_are_checked_before_anything_is_written(tars, tmp_path):
    with pytest.raises(ValueError, match="the train tar holds 12 images in 3 classes instead of 1,281,167 in 1,000"):
        main([str(tmp_path / "out"), *tars[:-1]])
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_already_is_never_changed(tars, tmp_path):
    mine = tmp_path / "out" / "train" / SYNSETS[0] / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    for more in ([], ["--mindrecord"]):
        with pytest.raises(ValueError, match=f"{tmp_path / 'out' / 'train'} (is there already|holds {SYNSETS[0]})"):
            main([str(tmp_path / "out"), *tars, *more])
    assert contents(tmp_path) == {f"out/train/{SYNSETS[0]}/mine.txt": b"mine"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give --train_tar FILE"),
        (["--val_tar=x"], "--val_tar and --val_labels belong together"),
        (["--train_tar=missing.tar"], r"no file missing\.tar"),
        (["{train}", "--bad_images=skip"], "--bad_images=skip goes with --mindrecord"),
        (["{train}", "--workers=0"], "--workers must be at least 1"),
    ],
)
def test_options_that_do_not_fit_are_named(tars, tmp_path, words, message):
    with pytest.raises(ConfigError, match=message):
        main([str(tmp_path / "out"), *[word.format(train=tars[0]) for word in words]])


def test_both_splits_need_the_same_classes(tmp_path):
    words = write_tars(tmp_path)
    labels = tmp_path / "labels.txt"
    labels.write_text(labels.read_text().replace(SYNSETS[2], "n09999999"))
    with pytest.raises(ConfigError, match=f"class {SYNSETS[2]} is in only one of"):
        main([str(tmp_path / "out"), *words])
