"""The command that divides image folders: nothing lost, nothing overwritten, duplicates together, as training does."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from src.common.files import to_list
from src.data.held_out import hold_out
from src.data.image_source import open_images
from src.model_utils.command import run_command
from tests.helpers.image_files import photograph
from tools.data_formats.near_duplicates import difference_hash, find_near_duplicates
from tools.split_dataset import main


@pytest.fixture
def data(tmp_path):
    """Two classes of 30 files that differ."""
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(30):
            (tmp_path / "data" / name / f"{number}.jpg").write_bytes(f"{name} {number}".encode())
    return tmp_path / "data"


def names(folder) -> set[str]:
    return {
        os.path.relpath(os.path.join(parent, file), folder) for parent, _, files in os.walk(folder) for file in files
    }


@pytest.mark.parametrize("form", ["copy", "hardlink", "symlink"])
def test_the_parts_hold_all_images_and_are_those_of_validation_split(data, tmp_path, form, capsys):
    out = tmp_path / "new" / "parts"
    assert main([str(data), str(out), "--val=0.2", f"--form={form}"]) == 0
    assert names(out / "train") | names(out / "val") == names(data) and sorted(os.listdir(out)) == ["train", "val"]
    assert not names(out / "train") & names(out / "val")
    held_out = hold_out(open_images(str(data)), 0.2).validation
    assert {os.path.relpath(path, data) for path in held_out.image_files()} == names(out / "val")
    for name in names(out / "val"):
        new, old = out / "val" / name, data / name
        assert (new.read_bytes(), new.is_symlink()) == (old.read_bytes(), form == "symlink")
        assert os.path.samefile(new, old) == (form != "copy")
    printed = capsys.readouterr().out
    assert f"{out / 'val'}: {len(names(out / 'val'))} images, " in printed


def test_copies_of_an_image_are_in_one_part_whatever_their_names_and_classes(data, tmp_path, capsys):
    for number in range(20):
        shutil.copy(data / "cat" / "7.jpg", data / ("cat", "dog")[number % 2] / f"copy {number}.jpg")
    main([str(data), str(tmp_path / "out"), "--val=0.4", "--test=0.2"])
    holding = [
        part for part in ("train", "val", "test") if any("copy" in name for name in names(tmp_path / "out" / part))
    ]
    assert len(holding) == 1
    assert os.path.exists(tmp_path / "out" / holding[0] / "cat" / "7.jpg")
    output = capsys.readouterr()
    assert "21 images are equal to another one, and stay together with it" in output.out
    assert "warning: images that are alike have different classes: " in output.err and "more" not in output.err


def test_an_image_that_was_stored_smaller_or_again_looks_like_itself(tmp_path):
    picture, other = photograph(), Image.fromarray(np.random.RandomState(1).randint(0, 255, (64, 96, 3), np.uint8))
    picture.save(tmp_path / "a.png")
    picture.resize((48, 32)).save(tmp_path / "b.jpg", quality=60)
    other.save(tmp_path / "c.png")
    (tmp_path / "d.jpg").write_bytes(b"no image")
    paths = [str(tmp_path / name) for name in ("a.png", "b.jpg", "c.png", "d.jpg")]
    groups, undecoded = find_near_duplicates(paths, 4)
    assert ([sorted(map(os.path.basename, group)) for group in groups], undecoded) == ([["a.png", "b.jpg"]], 1)
    apart = bin(difference_hash(paths[0]) ^ difference_hash(paths[2])).count("1")
    assert (
        find_near_duplicates([paths[0], paths[2]], apart)[0]
        and not find_near_duplicates([paths[0], paths[2]], apart - 1)[0]
    )


def test_images_that_a_file_lists_are_in_no_part_and_are_counted(data, tmp_path, monkeypatch, capsys):
    (tmp_path / "bad.txt").write_bytes(to_list(["data/cat/7.jpg", tmp_path / "data" / "dog" / "8.jpg", "data/x.gif"]))
    monkeypatch.chdir(tmp_path)
    assert main(["data", "out", "--val=0.2", "--leave_out=bad.txt"]) == 0
    output = capsys.readouterr()
    assert "2 of them left out, as bad.txt lists them" in output.out and output.err.count("warning") == 0
    found = names(tmp_path / "out" / "train") | names(tmp_path / "out" / "val")
    assert found == names(data) - {os.path.join("cat", "7.jpg"), os.path.join("dog", "8.jpg")}


def test_a_list_whose_paths_lead_nowhere_from_here_is_told(data, tmp_path, monkeypatch, capsys):
    (tmp_path / "bad.txt").write_bytes(to_list(["data/cat/7.jpg"]))
    monkeypatch.chdir(data)
    assert main([str(data), str(tmp_path / "out"), "--val=0.2", "--leave_out=../bad.txt"]) == 0
    output = capsys.readouterr()
    assert "0 of them left out, as ../bad.txt lists them" in output.out
    assert "warning: nothing that ../bad.txt lists is there: its paths count from the folder where" in output.err


def test_a_class_of_which_nothing_is_left_is_named(data, tmp_path, capsys):
    (tmp_path / "bad.txt").write_bytes(to_list((data / "cat").iterdir()))
    words = [str(data), str(tmp_path / "out"), f"--leave_out={tmp_path / 'bad.txt'}"]
    assert run_command(main, words) == 1
    assert "bad.txt lists all images of class cat: mend or remove its folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{data}", "{data}/out"], "is inside"),
        (["{data}", "{data}/.."], "is there already: remove it or choose another folder"),
        (["{data}", "{out}", "--val=0.6", "--test=0.4"], "both together below 1, got 0.6 and 0.4"),
        (["{data}", "{out}", "--val=0"], "--val must be above 0"),
        (["{data}", "{out}", "--near_duplicates=64"], "--near_duplicates must be from 0 to 63, got 64"),
        (["{data}", "{out}", "--leave_out={data}/no.txt"], "data/no.txt"),
        (["{data}/absent", "{out}"], "cannot read the data set folder"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(data, tmp_path, capsys, *, words, message):
    before = names(tmp_path)
    assert run_command(main, [word.format(data=data, out=tmp_path / "out") for word in words]) != 0
    assert message in capsys.readouterr().err
    assert names(tmp_path) == before


def test_an_end_halfway_leaves_no_part_of_the_folder(data, tmp_path, monkeypatch, capsys):
    calls = iter([None] * 20)
    copy = shutil.copy2

    def full_disk(path, new):
        if next(calls, "full") == "full":
            raise OSError(28, "No space left on device", str(new))
        copy(path, new)

    monkeypatch.setitem(main.__globals__["_PUT"], "copy", full_disk)
    assert run_command(main, [str(data), str(tmp_path / "out")]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["data"]
