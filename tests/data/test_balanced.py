"""An epoch with as many images of each class: exact counts, on any number of ranks, from records too, and again."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from src.data.balanced import balanced_order
from src.data.image_source import open_images
from tests.helpers.pipeline import batches, write_image

COUNTS = [1, 4, 11]


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Classes a, b and c of 1, 4 and 11 images."""
    out = tmp_path_factory.mktemp("uneven")
    for name, count in zip("abc", COUNTS, strict=True):
        for number in range(count):
            write_image(out / name / f"{number:02}.png", 10 * number)
    return out


def labels(source, **options) -> list[int]:
    options = {"balanced": True, "seed": 5, **options}
    return [int(label) for _, found in batches(source, True, **options) for label in found]


def test_every_class_is_as_frequent_and_no_image_comes_again_before_all_others_of_its_class():
    order = balanced_order(COUNTS, 1, 0)
    by_class = [order[order < 1], order[(order >= 1) & (order < 5)], order[order >= 5]]
    assert sorted(map(len, by_class)) == [5, 5, 6]
    for numbers, count in zip(by_class, COUNTS, strict=True):
        times = Counter(numbers.tolist())
        assert max(times.values()) - min(times.values()) <= 1 and len(times) == min(count, len(numbers))
    assert order.tolist() != sorted(order) and balanced_order(COUNTS, 1, 0).tolist() == order.tolist()
    assert balanced_order(COUNTS, 1, 1).tolist() != order.tolist()


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_ranks_take_turns_in_one_order_that_ends_evenly(ranks):
    assert len(balanced_order(COUNTS, ranks, 3)) == -(-16 // ranks) * ranks
    assert balanced_order([2, 1], 5, 3).max() <= 2  # more ranks than images


def test_steps_of_two_ranks_have_the_images_of_one(uneven):
    alone = labels(str(uneven), batch_size=4)
    shares = [labels(str(uneven), batch_size=2, device_num=2, rank=rank) for rank in (0, 1)]
    steps = [
        sorted([*first, *second]) for first, second in zip(*(np.reshape(each, (4, 2)) for each in shares), strict=True)
    ]
    assert steps == [sorted(step) for step in np.reshape(alone, (4, 4)).tolist()]
    assert sorted(Counter(alone).values()) == [5, 5, 6]


def test_an_epoch_goes_on_in_the_middle_with_the_same_images(uneven):
    whole = batches(str(uneven), True, 4, balanced=True, seed=5)
    rest = batches(str(uneven), True, 4, balanced=True, seed=5, skip_batches=2)
    for (_, expected), (_, found) in zip(whole[2:], rest, strict=True):
        assert (expected == found).all()
    assert labels(str(uneven), batch_size=4, seed=6) != labels(str(uneven), batch_size=4)


def test_images_that_are_left_out_never_come(uneven):
    source = open_images(str(uneven))
    left_out = [path for path in source.image_files() if "/b/" in path][1:]
    found = batches(source, True, 1, balanced=True, seed=1, excluded=left_out, crop_min_area=1.0, flip_probability=0.0)
    assert sorted(Counter(int(label[0]) for _, label in found).values()) == [4, 4, 5]


def test_evaluation_is_not_balanced(uneven):
    assert Counter(int(label[0]) for _, label in batches(str(uneven), False, 1, balanced=True)) == {0: 1, 1: 4, 2: 11}


def test_records_are_drawn_likewise_those_that_come_twice_too(records, few_digits):
    drawn = set()
    for seed in range(6):
        found = labels(str(records), batch_size=1, seed=seed)
        assert found == labels(str(few_digits / "val"), batch_size=1, seed=seed)
        drawn.add(tuple(map(found.count, range(3))))  # of 12, 12 and 13 images
    assert drawn == {(13, 12, 12), (12, 13, 12), (12, 12, 13)}
