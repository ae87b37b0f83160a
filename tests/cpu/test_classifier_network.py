"""The network in C++ is the network: the same logits, of images of any size and with both paddings."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from src.cpu.classifier import CpuClassifier
from src.Xception import xception

pytestmark = pytest.mark.slow

CLASSES = 7


def random_values(parameter: Parameter, random: np.random.Generator) -> np.ndarray:
    """Return values with which no layer makes all values large or small, and no batch norm is without effect."""
    shape = parameter.shape
    if "variance" in parameter.name or "gamma" in parameter.name:
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    spread = np.sqrt(1.5 / np.prod(shape[1:])) if len(shape) > 1 else 0.3
    return random.normal(0, spread, shape).astype(np.float32)


@pytest.mark.parametrize(("padding", "shape"), [("same", (2, 78, 85)), ("symmetric", (1, 94, 72))])
def test_its_logits_are_those_of_mindspores_layers(library, padding, shape):
    random = np.random.default_rng(3)
    network = xception(CLASSES, padding).set_train(False)
    values = [random_values(parameter, random) for parameter in network.get_parameters()]
    for parameter, value in zip(network.get_parameters(), values, strict=True):
        parameter.set_data(Tensor(value))
    images = random.integers(0, 256, (*shape, 3), dtype=np.uint8)
    normalised = (images.astype(np.float32) - 127.5) / 127.5
    expected = network(ms.Tensor(np.ascontiguousarray(normalised.transpose(0, 3, 1, 2)))).asnumpy()

    functions = ctypes.CDLL(str(library))
    functions.XceptionCreate.restype = ctypes.c_void_p
    pointers = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
    error = ctypes.create_string_buffer(1000)
    for is_half, tolerance in ((0, 1e-5), (1, 3e-2)):
        if is_half and not functions.XceptionHasHalf():
            continue
        made = functions.XceptionCreate(
            is_half, int(padding == "symmetric"), ctypes.c_int64(CLASSES), pointers, error, ctypes.c_int64(1000)
        )
        assert made, error.value
        logits = np.full((shape[0], CLASSES), np.nan, np.float32)
        sizes = [ctypes.c_int64(size) for size in shape]
        status = functions.XceptionRun(
            ctypes.c_void_p(made), ctypes.c_void_p(images.ctypes.data), 1, *sizes,
            ctypes.c_void_p(logits.ctypes.data), error, ctypes.c_int64(1000),
        )  # fmt: skip
        functions.XceptionDestroy(ctypes.c_void_p(made))
        assert status == 0, error.value
        assert abs(logits - expected).max() <= tolerance * abs(expected).max()


def test_two_libraries_in_a_process_do_not_share_what_they_keep(library, tmp_path):
    network = xception(CLASSES)
    other = Path(shutil.copy(library, tmp_path / "other.so"))
    images = np.random.default_rng(4).integers(0, 256, (1, 71, 71, 3), dtype=np.uint8)
    first, *others = (CpuClassifier(path, network).run(images) for path in (library, other, library, other))
    assert all((logits == first).all() for logits in others)
