"""What training draws for each image by itself: flips, colours, policies, the same again and on each rank anew."""

from __future__ import annotations

import mindspore.dataset as ds
import numpy as np
import pytest
from mindspore.dataset import vision
from PIL import Image

from src.data.augmentation import AUTO_AUGMENTS, Augmentation
from tests.helpers.pipeline import SIZE, batches, write_image

GREY = 128
POLICIES = [Augmentation(auto_augment=word) for word in AUTO_AUGMENTS if word != "none"]
WHOLE = {"crop_min_area": 1.0, "flip_probability": 0.0, "normalize": False, "seed": 1}


@pytest.fixture(scope="module")
def greys(tmp_path_factory) -> str:
    """200 images of one grey, which moving them on a grey ground leaves alone."""
    out = tmp_path_factory.mktemp("greys")
    for number in range(200):
        write_image(out / "a" / f"{number:03}.png", GREY, (8, 8))
    return str(out)


@pytest.fixture(scope="module")
def corners(tmp_path_factory) -> str:
    """400 times the same picture, of which each corner has a grey of its own."""
    out = tmp_path_factory.mktemp("corners")
    quarters = np.array([[0, 80], [160, 240]], np.uint8).repeat(40, 0).repeat(40, 1)
    for number in range(400):
        write_image(out / "a" / f"{number:03}.png", np.stack([quarters] * 3, -1))
    return str(out)


def means(folder: str, augmentation: Augmentation) -> np.ndarray:
    """Return the mean of each image."""
    ((images, _),) = batches(folder, True, 200, augmentation=augmentation, **WHOLE)
    return images.mean((1, 2, 3))


def same(left: list, right: list) -> bool:
    return len(left) == len(right) and all(np.array_equal(a[0], b[0]) for a, b in zip(left, right, strict=True))


def test_by_default_the_pixels_are_the_recipes(few_digits):
    folder = str(few_digits / "train")
    found = batches(folder, True, 4, seed=3)
    ds.config.set_seed(3)
    recipe = [
        vision.RandomCropDecodeResize(SIZE, (0.08, 1), (3 / 4, 4 / 3)), vision.RandomHorizontalFlip(0.5),
        vision.RandomColorAdjust(0.4, 0.4, 0.4), vision.Normalize((127.5,) * 3, (127.5,) * 3), vision.HWC2CHW(),
    ]  # fmt: skip
    expected = ds.ImageFolderDataset(folder, num_parallel_workers=1, shuffle=True)
    expected = expected.map(recipe, "image", num_parallel_workers=1).batch(4, drop_remainder=True)
    assert same(found, list(expected.create_tuple_iterator(num_epochs=1, output_numpy=True)))


@pytest.mark.parametrize("strength", [0.0, 0.1, 1.0])
def test_colours_change_up_to_the_given_strength(greys, strength):
    change = means(greys, Augmentation(color_jitter=strength)) / GREY - 1  # by brightness alone
    low, high = change.min(), change.max()
    assert -strength - 0.01 <= low <= -0.8 * strength
    assert 0.8 * strength <= high <= min(strength + 0.01, 255 / GREY - 1)
    assert strength or not change.any()


@pytest.mark.parametrize(("across", "down"), [(0.5, 0.5), (0.2, 0.7), (0.0, 0.5), (1.0, 0.5), (0.5, 1.0)])
def test_an_image_is_turned_upside_down_whether_it_is_mirrored_or_not(corners, across, down):
    augmentation = Augmentation(vertical_flip=down, color_jitter=0.0)
    ((images, _),) = batches(corners, True, 400, augmentation=augmentation, **{**WHOLE, "flip_probability": across})
    corner = images[:, 0, 0, 0]
    mirrored, turned = np.isin(corner, (80, 240)), np.isin(corner, (160, 240))
    # The share of 400 images is further away than 0.12 once in 100,000 times (Hoeffding 1963).
    assert abs((mirrored & turned).mean() - across * down) < 0.12
    assert abs(mirrored.mean() - across) < 0.12
    assert abs(turned.mean() - down) < 0.12


def test_autoaugment_applies_its_policy_for_imagenet_and_trivialaugment_any_magnitude(greys):
    by_policy, by_any = (np.unique(means(greys, policy)) for policy in POLICIES)
    assert by_policy.tolist() == [255 - GREY, GREY]  # it inverts, and never changes the brightness alone
    assert {GREY, 255 - GREY} < set(by_any)
    assert len(by_any) > 5


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.auto_augment)
def test_a_policy_takes_the_place_of_the_changes_of_colour(few_digits, policy):
    folder = str(few_digits / "train")
    found = batches(folder, True, 4, seed=3, augmentation=policy)
    stronger = Augmentation(auto_augment=policy.auto_augment, color_jitter=1.0)
    assert same(found, batches(folder, True, 4, seed=3, augmentation=stronger))
    assert not same(found, batches(folder, True, 4, seed=3))
    assert not same(found, batches(folder, True, 4, seed=3, augmentation=Augmentation(color_jitter=0.0)))


@pytest.mark.parametrize("form", ["folders", "records", "sub-folders"])
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.auto_augment)
def test_an_epoch_is_a_function_of_its_seed_also_from_its_middle(few_digits, records, policy, form):
    augmentation = Augmentation(auto_augment=policy.auto_augment, vertical_flip=0.5)
    folder = str(records if form == "records" else few_digits / "val")
    options = {"num_parallel_workers": 2, "augmentation": augmentation, "recursive": form == "sub-folders"}
    whole = batches(folder, True, 8, seed=3, **options)
    assert same(whole, batches(folder, True, 8, seed=3, **options))
    assert same(whole[2:], batches(folder, True, 8, seed=3, skip_batches=2, **options))
    assert not same(whole, batches(folder, True, 8, seed=4, **options))


@pytest.mark.parametrize("augmentation", [Augmentation(), *POLICIES], ids=lambda each: each.auto_augment)
def test_each_rank_draws_for_itself_and_the_first_as_one_process_does(corners, augmentation):
    def drawn(ranks: int, rank: int) -> np.ndarray:
        return batches(corners, True, 50, ranks, rank, seed=3, augmentation=augmentation)[0][0]

    first, second = drawn(2, 0), drawn(2, 1)
    assert np.array_equal(first, drawn(1, 0))  # the same picture everywhere, so the order does not matter
    assert (first == second).all((1, 2, 3)).mean() < 0.1


@pytest.mark.parametrize("mode", ["L", "I;16", "RGBA", "P", "1", "LA"])
def test_images_of_every_kind_and_shape_are_taken(tmp_path, mode):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 130), dtype=np.uint8)
    image = Image.fromarray(pixels.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(pixels).convert(mode)
    assert image.mode == mode
    for number, each in enumerate((image, image.transpose(Image.Transpose.ROTATE_90))):
        each.save(tmp_path / f"{number}.png")
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / f"{number}.png").rename(tmp_path / "a" / f"{number}.png")
    for policy in POLICIES:
        augmentation = Augmentation(auto_augment=policy.auto_augment, vertical_flip=0.5)
        ((images, _),) = batches(str(tmp_path), True, 2, seed=3, augmentation=augmentation)
        assert (images.shape, images.dtype) == ((2, 3, SIZE, SIZE), np.float32)
        assert -1 <= images.min() < images.max() <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"auto_augment": "trivialaugment", "rand_augment": 9},
            "auto_augment is trivialaugment and rand_augment 9: each takes the place of the changes of colour, so "
            "leave one of them out",
        ),
        (
            {"auto_augment": "randaugment"},
            "auto_augment must be one of none, autoaugment, trivialaugment, got randaugment",
        ),
    ],
)
def test_what_cannot_be_is_told(options, message):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - compared below
        Augmentation(**options)
    assert str(refusal.value) == message
