"""Augmentations beyond the recipe: what they do to pixels and labels, and that they are drawn again alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from src.data.augmentation import ERASED_AREA, Augmentation, BatchAugmentation, class_shares, cutmix, erase, mixup
from tests.helpers.labels import smoothed
from tests.helpers.pipeline import batches, write_image

CLASSES = 5
ALL = Augmentation(rand_augment=9, mixup=0.2, cutmix=1.0, random_erasing=0.5)


@dataclass(frozen=True)
class Number:
    """The number of a batch, as MindSpore tells it."""

    batch: int = 0
    epoch: int = 0

    def get_batch_num(self) -> int:
        return self.batch

    def get_epoch_num(self) -> int:
        return self.epoch


def plain_images(count: int, size: int = 32) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return images of one colour, class / 10, and their classes."""
    labels = [np.array(number % CLASSES, np.int32) for number in range(count)]
    return [np.full((3, size, size), label / 10, np.float32) for label in labels], labels


def augment(augmentation: Augmentation, number: Number, seed: tuple[int, ...] = (1, 0), count: int = 8):
    return BatchAugmentation(augmentation, CLASSES, seed)(*plain_images(count), number)


# One batch


def test_mixup_blends_each_image_with_its_partner():
    before = np.random.default_rng(0).random((4, 3, 6, 5), dtype=np.float32)
    images, partner = before.copy(), np.array([2, 3, 1, 0])
    assert mixup(images, partner, 0.3) == 0.3
    assert np.allclose(images, 0.3 * before + 0.7 * before[partner], atol=1e-6)


@given(st.integers(1, 9), st.floats(0, 0.99), st.floats(0, 1))
def test_shares_of_mixed_labels_are_found_again_whatever_the_smoothing(classes, smoothing, share):
    assume(classes == 1 or abs(1 - smoothing - smoothing / (classes - 1)) > 0.01)  # else classes are as good as alike
    first, last = smoothed(np.array([0, classes - 1]), classes, smoothing)
    found = class_shares(np.array([share * first + (1 - share) * last], np.float32), smoothing)
    identity = np.eye(classes)
    np.testing.assert_allclose(found[0], share * identity[0] + (1 - share) * identity[-1], atol=1e-4)


def test_labels_that_smoothing_makes_alike_stay_as_they_are():
    targets = np.full((1, 2), 0.5, np.float32)
    assert class_shares(targets, 0.5) is targets


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_cutmix_pastes_one_rectangle_and_returns_the_share_that_stays(height, width, share, seed):
    images = np.stack([np.full((3, height, width), number, np.float32) for number in range(3)])
    partner = np.array([1, 2, 0])
    kept = cutmix(images, partner, share, np.random.default_rng(seed))
    pasted = images[0, 0] == 1
    for number in range(3):
        assert np.array_equal(images[number] == partner[number], np.stack([pasted] * 3))
        assert np.array_equal(images[number] == number, np.stack([~pasted] * 3))
    assert kept == pytest.approx(1 - pasted.mean())
    rows, columns = pasted.any(1), pasted.any(0)
    assert np.array_equal(pasted, np.outer(rows, columns))
    assert np.abs(np.diff(rows.astype(int))).sum() <= 2
    assert pasted.mean() <= (np.sqrt(1 - share) + 0.5 / height) * (np.sqrt(1 - share) + 0.5 / width) + 1e-9


@given(st.integers(8, 60), st.integers(8, 60), st.integers(0, 2**32 - 1))
def test_erasing_fills_a_rectangle_of_the_papers_area_with_noise_and_leaves_the_rest(height, width, seed):
    image = np.full((3, height, width), 7, np.float32)
    erase(image, np.random.default_rng(seed))
    erased = (image != 7).all(0)
    assert np.array_equal(erased, (image != 7).any(0))
    rows, columns = erased.any(1), erased.any(0)
    assert np.array_equal(erased, np.outer(rows, columns))
    # Rounded to whole pixels.
    low, high = (share * height * width for share in ERASED_AREA)
    assert low <= (rows.sum() + 0.5) * (columns.sum() + 0.5)
    assert (rows.sum() - 0.5) * (columns.sum() - 0.5) <= high
    assert np.abs(image[:, erased]).max() <= 1
    assert len(np.unique(image[:, erased])) > erased.sum()


@pytest.mark.parametrize("augmentation", [Augmentation(mixup=0.4), Augmentation(cutmix=1.0)])
def test_labels_have_the_shares_of_the_pixels(augmentation):
    for number in range(20):
        images, labels = augment(augmentation, Number(number))
        assert (images.dtype, labels.dtype, labels.shape) == (np.float32, np.float32, (8, CLASSES))
        assert np.allclose(labels.sum(1), 1, atol=1e-6)
        assert np.allclose(images.mean((1, 2, 3)), labels @ np.arange(CLASSES) / 10, atol=1e-5)


def test_the_parameter_of_mixup_decides_how_much_is_mixed():
    def largest(alpha: float) -> float:
        return np.mean([augment(Augmentation(mixup=alpha), Number(n))[1].max(1).mean() for n in range(100)])

    assert largest(0.05) > 0.95
    assert largest(50.0) < 0.7


def test_mixup_and_cutmix_together_take_turns():
    both = replace(ALL, random_erasing=0.0)
    # A blended image has one colour still, an image with a rectangle has two.
    is_mixup = [np.ptp(augment(both, Number(number))[0], axis=(1, 2, 3)).max() == 0 for number in range(60)]
    assert 15 <= sum(is_mixup) <= 45


def test_erasing_meets_the_given_share_of_the_images_and_no_label():
    images, labels = augment(Augmentation(random_erasing=0.3), Number(), count=1000)
    assert np.array_equal(labels, np.arange(1000) % CLASSES)
    assert labels.dtype == np.int32
    assert 0.25 < (np.ptp(images, axis=(1, 2, 3)) > 0).mean() < 0.35


@given(st.floats(0, 0.99), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_mixed_labels_are_smoothed_as_the_loss_smooths_others(smoothing, classes, seed):
    labels = list(np.random.default_rng(seed).integers(0, classes, 6).astype(np.int32))
    images = list(np.zeros((6, 3, 8, 8), np.float32))
    (_, shares), (_, found) = (
        BatchAugmentation(Augmentation(mixup=0.2, label_smoothing=each), classes, (seed,))(images, labels, Number())
        for each in (0.0, smoothing)
    )
    assert np.allclose(found, shares @ smoothed(np.arange(classes), classes, smoothing), atol=1e-6)


def test_random_numbers_follow_from_seed_epoch_and_batch():
    def images(number: Number, seed: tuple[int, ...] = (1, 0)) -> np.ndarray:
        return augment(ALL, number, seed)[0]

    reference = images(Number(3, 1))
    assert np.array_equal(reference, images(Number(3, 1)))
    for other in (
        images(Number(4, 1)),
        images(Number(3, 2)),
        images(Number(3, 1), (2, 0)),
        images(Number(3, 1), (1, 1)),
    ):
        assert not np.array_equal(reference, other)


# The pipeline


def same(left: list, right: list) -> bool:
    return len(left) == len(right) and all(
        np.array_equal(a, b)
        for first, second in zip(left, right, strict=True)
        for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_an_epoch_is_a_function_of_its_seed_also_from_its_middle(few_digits, workers):
    options = {"num_parallel_workers": workers, "augmentation": ALL}
    folder = str(few_digits / "train")
    whole = batches(folder, True, 4, seed=3, **options)
    assert whole[0][1].shape == (4, 3)
    assert same(whole, batches(folder, True, 4, seed=3, **options))
    assert same(whole[2:], batches(folder, True, 4, seed=3, skip_batches=2, **options))
    assert not same(whole, batches(folder, True, 4, seed=4, **options))


def test_ranks_mix_differently(numbered_like):
    ranks = [
        batches(numbered_like, True, 4, 2, rank, seed=3, augmentation=Augmentation(mixup=1.0)) for rank in range(2)
    ]
    shares = [
        {round(float(label.max()), 5) for _, labels in found for label in labels if label.max() < 1} for found in ranks
    ]
    assert shares[0]
    assert not shares[0] & shares[1]


@pytest.fixture(scope="module")
def numbered_like(tmp_path_factory) -> str:
    """32 images of one grey in 4 classes."""
    out = tmp_path_factory.mktemp("grey")
    for number in range(32):
        write_image(out / "abcd"[number % 4] / f"{number:02d}.png", 128)
    return str(out)


def test_evaluation_is_never_augmented(few_digits):
    folder = str(few_digits / "val")
    assert same(batches(folder, False, 8), batches(folder, False, 8, augmentation=ALL))


def test_rand_augment_takes_the_place_of_the_changes_of_colour(numbered_like):
    ((recipe, _),) = batches(numbered_like, True, 32, seed=1)
    ((found, _),) = batches(numbered_like, True, 32, seed=1, augmentation=Augmentation(rand_augment=15))
    grey = (128 - 127.5) / 127.5
    unchanged = [np.isclose(images, grey, atol=1e-6).all((1, 2, 3)).sum() for images in (recipe, found)]
    assert unchanged[0] <= 1
    assert 8 <= unchanged[1] <= 31  # moving a grey picture on a grey ground changes nothing


def test_magnitude_and_layers_decide_how_far_rand_augment_goes(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (10, 10, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    for number in range(60):
        write_image(tmp_path / "a" / f"{number}.png", picture)

    def change(magnitude: int, layers: int) -> float:
        augmentation = Augmentation(rand_augment=magnitude, rand_augment_layers=layers)
        ((images, _),) = batches(
            str(tmp_path), True, 60, seed=1, image_size=80, crop_min_area=1.0, flip_probability=0.0,
            augmentation=augmentation,
        )  # fmt: skip
        original = picture.transpose(2, 0, 1) / 127.5 - 1
        return float(np.median(np.abs(images - original).mean((1, 2, 3))))

    assert change(1, 1) < change(25, 1) < change(25, 4)


def test_micro_batches_are_stacked_and_an_incomplete_stack_is_dropped(few_digits):
    folder = str(few_digits / "train")
    single = batches(folder, True, 4, seed=3, augmentation=ALL)
    stacked = batches(folder, True, 4, seed=3, augmentation=ALL, micro_batches=2)
    assert (len(single), len(stacked)) == (5, 2)
    for number, (images, labels) in enumerate(stacked):
        assert same([(images[0], labels[0]), (images[1], labels[1])], single[2 * number : 2 * number + 2])
    assert same(stacked[1:], batches(folder, True, 4, seed=3, augmentation=ALL, micro_batches=2, skip_batches=1))
