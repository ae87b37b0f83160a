"""Shards of a record set: odd names in them, and how images are divided."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.record_files import visible
from tools.data_formats.record_shard import Shard, read_shard, write_shard
from tools.data_formats.record_writer import plan_shards
from tools.data_formats.stored_image import StoredImage

# Any file name that a system allows: bytes that are no UTF-8, quotes, spaces, line ends.
FILE_NAMES = st.binary(min_size=1, max_size=40).filter(lambda name: not set(b"/\0") & set(name)).map(os.fsdecode)


@settings(max_examples=20)
@given(
    st.dictionaries(
        FILE_NAMES, st.tuples(st.sets(FILE_NAMES, min_size=1, max_size=4), st.booleans()), min_size=1, max_size=3
    )
)
def test_odd_names_come_back_also_equal_ones_of_two_classes(tmp_path_factory, classes):
    folder = tmp_path_factory.mktemp("odd")
    content = folder / "content"
    content.write_bytes(os.urandom(3000))
    names = [
        (f"{name}/{each}", label) for label, name in enumerate(sorted(classes)) for each in ("same", *classes[name][0])
    ]
    images = tuple(StoredImage(str(content), 7 * n, 1 + 100 * n, name) for n, (name, _) in enumerate(names))
    left_out = frozenset(image for image in images[1:] if len(image.name) % 3 == 0)
    shard = Shard(str(folder / "x.mindrecord"), images, tuple(label for _, label in names))
    written = write_shard(shard, left_out)
    assert read_shard(shard) == written
    assert written.missing == tuple(image.name for image in images if image in left_out)
    assert sum(written.counts.values()) == len(images) - len(left_out)
    assert visible(folder) == ["content", "x.mindrecord", "x.mindrecord.db"]
    swapped = Shard(shard.path, shard.images, tuple(label + 1 for label in shard.labels))
    with pytest.raises(ValueError, match="does not belong there"):
        read_shard(swapped)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.data())
def test_shards_divide_the_images_in_their_order(counts, data):
    images = {
        f"{label:02d}": [StoredImage("x", n, 1, f"{label:02d}/{n}") for n in range(count)]
        for label, count in enumerate(counts)
    }
    number = data.draw(st.integers(0, sum(counts)))
    plan = plan_shards(images, Path("out"), number)
    assert len(plan) == max(number, 1)
    rows = [row for shard in plan for row in zip(shard.images, shard.labels, strict=True)]
    assert rows == [(image, label) for label, each in enumerate(images.values()) for image in each]
    assert max(len(shard.images) for shard in plan) - min(len(shard.images) for shard in plan) <= 1
    assert [shard.path for shard in plan] == sorted({shard.path for shard in plan})


def test_a_shard_is_planned_for_each_256_mib():
    images = [StoredImage("x", 0, 100 * 2**20, f"a/{n}") for n in range(4000)]
    assert [len(plan_shards({"a": images[:count]}, Path("out"))) for count in (1, 3, 10)] == [1, 2, 4]
    assert len(plan_shards({"a": images}, Path("out"))) == 1000
