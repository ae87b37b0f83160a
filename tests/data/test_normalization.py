"""Bytes that leave the pipeline are normalised on the device to the floats that the pipeline would have given."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.data.augmentation import Augmentation
from src.data.normalization import Normalization, WithNormalization
from tests.helpers.pipeline import batches
from tools.benchmarks.images import write_images


def normalised(images: np.ndarray) -> np.ndarray:
    return Normalization()(Tensor(images)).asnumpy()


def test_every_value_is_mapped_evenly_to_minus_one_to_one_and_channels_come_first():
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    found = normalised(images)
    assert found.dtype == np.float32
    assert np.array_equal(found, ((images.astype(np.float32) - 127.5) / 127.5).transpose(0, 3, 1, 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_floats_stay_as_they_are(dtype):
    images = np.random.default_rng(0).uniform(-1, 1, (2, 3, 5, 7)).astype(dtype)
    found = normalised(images)
    assert found.dtype == dtype
    assert np.array_equal(found, images)


def test_a_network_takes_either_form_and_keeps_the_names_of_its_parameters():
    network = nn.Dense(7, 2, weight_init="ones")
    names = [parameter.name for parameter in network.get_parameters()]
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    cell = WithNormalization(network)
    assert [parameter.name for parameter in cell.get_parameters()] == names
    assert np.array_equal(cell(Tensor(images)).asnumpy(), cell(Tensor(normalised(images))).asnumpy())


@pytest.fixture(scope="module")
def textures(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("textures")
    write_images(folder, 8)
    return str(folder)


@pytest.mark.parametrize("train", [True, False])
def test_bytes_become_exactly_the_floats_that_the_pipeline_gives(textures, train):
    ((floats, labels),) = batches(textures, train, 8, seed=3)
    ((images, same_labels),) = batches(textures, train, 8, seed=3, normalize=False)
    assert (images.dtype, images.shape) == (np.uint8, (8, 71, 71, 3))
    assert np.array_equal(normalised(images), floats)
    assert np.array_equal(labels, same_labels)


@pytest.mark.parametrize(
    ("augmentation", "dtype"),
    [
        (Augmentation(rand_augment=9), np.uint8),
        (Augmentation(mixup=0.2), np.float32),
        (Augmentation(random_erasing=0.5), np.float32),
    ],
)
def test_what_changes_batches_works_on_floats(textures, augmentation, dtype):
    ((images, _),) = batches(textures, True, 8, seed=3, augmentation=augmentation, normalize=False)
    ((floats, _),) = batches(textures, True, 8, seed=3, augmentation=augmentation)
    assert images.dtype == dtype
    assert np.array_equal(normalised(images), floats)


def test_stacked_batches_stay_bytes(textures):
    ((images, _),) = batches(textures, True, 4, seed=3, micro_batches=2, normalize=False)
    ((floats, _),) = batches(textures, True, 4, seed=3, micro_batches=2)
    assert (images.dtype, images.shape) == (np.uint8, (2, 4, 71, 71, 3))
    for number in range(2):
        assert np.array_equal(normalised(images[number]), floats[number])


def test_graph_mode_compiles_either_form():
    ms.set_context(mode=ms.GRAPH_MODE)
    images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    cell = Normalization()
    floats = cell(Tensor(images)).asnumpy()
    assert np.array_equal(cell(Tensor(floats)).asnumpy(), floats)
