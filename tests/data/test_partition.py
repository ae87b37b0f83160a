"""Images are divided by their names: near to the shares, the same again, and never between images that are alike."""

from __future__ import annotations

import os

import pytest

from src.data.duplicates import find_duplicates
from src.data.held_out import hold_out
from src.data.image_source import open_images
from src.data.partition import divide
from src.data.record_set import RecordSet
from src.data.record_source import RecordSource
from tests.helpers.image_files import make_tree
from tests.helpers.pipeline import batches


def images(*counts: int, start: int = 0) -> dict[str, list[str]]:
    return {
        f"class {label}": [f"{label}/{number:04}" for number in range(start, start + count)]
        for label, count in enumerate(counts)
    }


def part_of(parts) -> dict[str, int]:
    return {path: number for number, part in enumerate(parts) for paths in part.values() for path in paths}


def test_each_class_is_divided_near_to_the_shares_and_every_image_is_in_one_part():
    parts = divide(images(2000, 1000), str, [0.1, 0.2])
    assert [len(part_of(parts)), sum(len(paths) for part in parts for paths in part.values())] == [3000, 3000]
    for part, share in zip(parts, (0.7, 0.1, 0.2), strict=True):
        assert len(part["class 0"]) / 2000 == pytest.approx(share, abs=0.03)
        assert len(part["class 1"]) / 1000 == pytest.approx(share, abs=0.04)


def test_images_that_are_added_change_the_part_of_no_other_one():
    few, many = (part_of(divide(images(count, count), str, [0.1, 0.1])) for count in (300, 3000))
    assert few == {path: many[path] for path in few}


def test_the_form_that_unicode_gives_a_name_does_not_count():
    composed, decomposed = (
        divide({"a": [f"{letter}{n}" for n in range(99)]}, str, [0.3]) for letter in ("\xe9", "e\u0301")
    )
    assert [path[1:] for path in composed[1]["a"]] == [path[2:] for path in decomposed[1]["a"]]


@pytest.mark.parametrize("count", range(1, 6))
def test_small_classes_are_trained_on_first_and_then_in_every_part(count):
    for start in range(0, 500, 10):
        held = [len(part["class 0"]) for part in divide(images(count, start=start), str, [0.1, 0.1])]
        assert sum(held) == count
        assert (held[0] > 0, sum(number > 0 for number in held)) == (True, min(count, 3))


def test_images_that_are_alike_go_where_the_first_of_them_goes():
    wanted = part_of(divide(images(200, 200), str, [0.4]))
    alike = [["0/0001", "0/0002"], ["0/0003", "0/0002"], ["1/0005", "0/0009"]]  # the first two are one group
    found = part_of(divide(images(200, 200), str, [0.4], alike))
    assert found == wanted | {"0/0002": wanted["0/0001"], "0/0003": wanted["0/0001"], "1/0005": wanted["0/0009"]}
    assert found != wanted


def test_equal_files_are_found_by_their_bytes(tmp_path):
    long = b"x" * 5000
    contents = {"a": b"1" + long, "b": b"2" + long, "c": b"1" + long, "d": b"", "e": b"", "f": b"1" + long[:-1]}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe")
    found = find_duplicates([str(tmp_path / name) for name in [*contents, "pipe", "missing"]])
    assert [[os.path.basename(path) for path in group] for group in found] == [["a", "c"], ["d", "e"]]


def test_the_images_held_out_are_validated_on_and_the_others_trained_on_with_the_same_labels(numbered):
    held_out = hold_out(open_images(str(numbered)), 0.3)
    sources = held_out.training, held_out.validation
    read = [
        [(round((float(image.mean()) * 127.5 + 127.5) / 6), int(label[0])) for image, label in batches(part, False, 1)]
        for part in sources
    ]
    assert sorted(read[0] + read[1]) == [(number, number % 3) for number in range(40)]
    assert held_out.note.startswith(f"validation_split 0.3: {len(read[1])} of 40 images of {numbered} are held out")
    assert [len(part.image_files()) for part in sources] == list(map(len, read))
    assert len({part.digest() for part in sources}) == 2
    labels = [int(label[0]) for _, label in batches(held_out.training, True, 1)]
    assert sorted(labels) == sorted(label for _, label in read[0])


def test_a_class_of_one_image_is_trained_on_and_a_folder_of_such_classes_is_refused(tmp_path):
    make_tree(tmp_path, ["a/1.jpg"])
    with pytest.raises(ValueError, match=r"no class of .* has two images, one to train on and one to hold out"):
        hold_out(open_images(str(tmp_path)), 0.5)
    for n in range(9):
        (tmp_path / "b").mkdir(exist_ok=True)
        (tmp_path / "b" / f"{n}.jpg").write_bytes(bytes([n]))
    held_out = hold_out(open_images(str(tmp_path)), 0.5)
    assert held_out.validation.class_names == ["b"] and held_out.training.counts()["a"] == 1
    assert held_out.note.endswith("1 classes have none held out")


def test_mindrecord_files_are_not_divided():
    with pytest.raises(ValueError, match=r"validation_split divides image folders.*tools/split_dataset\.py"):
        hold_out(RecordSource("records", RecordSet({"a": 2}, {}, [])), 0.5)
