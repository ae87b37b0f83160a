"""The order of the listed images is MindSpore's own: a position in the list is the number of that image."""

from __future__ import annotations

import os
import tempfile

import mindspore.dataset as ds
from hypothesis import given, settings
from hypothesis import strategies as st

from src.data.image_folders import SUFFIX_FORMS, class_names
from src.data.listing import list_images

CLASSES = ["a", "B", "b", "a b", "a.b", "a-b", "a.jpg", "10", "9", "é", "中", "\U0001f600", "\uffee"]
STEMS = [*CLASSES, os.fsdecode(b"\xe9\xff")]  # the last is not UTF-8
SUFFIXES = [".jpg", ".JPEG", ".jPg", ".Jfif", ".pNG", ".bmp", ".TIF", ".tiff", ".weBp", ".txt", ".gif", ""]
FILES = st.sets(st.tuples(st.sampled_from(STEMS), st.sampled_from(SUFFIXES)).map("".join), min_size=1, max_size=9)


def mindspore_images(root: str, workers: int = 1) -> ds.ImageFolderDataset:
    """Return the files as create_dataset opens them, not decoded."""
    labels = {name: label for label, name in enumerate(class_names(root))}
    return ds.ImageFolderDataset(root, None, workers, False, extensions=list(SUFFIX_FORMS), class_indexing=labels)


def write(path: str) -> None:
    """Write a file that holds its own path."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as stream:
        stream.write(os.fsencode(path))


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(CLASSES), FILES, min_size=1, max_size=5), st.booleans(), st.integers(1, 2))
def test_listed_images_have_the_order_in_which_mindspore_delivers_them(layout, nested, workers):
    layout["a"] = {*layout.get("a", ()), "one.jpg"}  # MindSpore refuses a data set without any image
    with tempfile.TemporaryDirectory() as root:
        for name, files in layout.items():
            for file in [*files, *["folder/inside.jpg"] * nested]:
                write(os.path.join(root, name, file))
        write(os.path.join(root, "beside.jpg"))
        listed = list_images(root)
        images = mindspore_images(root, workers)
        delivered = [
            (bytes(content), int(label))
            for content, label in images.create_tuple_iterator(num_epochs=1, output_numpy=True)
        ]
        found = listed.images
        assert delivered == [(os.fsencode(p), label) for label, paths in enumerate(found.values()) for p in paths]
        assert list(found) == sorted(layout)
        assert list(listed.numbers) == list(range(len(delivered)))


def test_folders_and_broken_links_with_the_name_of_an_image_are_numbered_too(tmp_path):
    write(str(tmp_path / "a" / "2.jpg"))
    (tmp_path / "a" / "1.jpg").mkdir()
    (tmp_path / "a" / "3.jpg").symlink_to("nowhere")
    listed = list_images(str(tmp_path))
    assert listed.images == {"a": [str(tmp_path / "a" / f"{n}.jpg") for n in (1, 2, 3)]}
    assert listed.not_regular == (str(tmp_path / "a" / "1.jpg"),)
    assert mindspore_images(str(tmp_path)).get_dataset_size() == 3
