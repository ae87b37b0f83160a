"""What Python hands to the network in C++, and what it makes of its answers, by a stand-in."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor

from src.cpu.classifier import CpuClassifier
from src.training.step import follow
from src.Xception import Xception, xception
from tests.helpers.project import ROOT
from tests.helpers.stand_in_classifier import PARAMETERS, make_stand_in

CLASSES = PARAMETERS + 3


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory) -> Path:
    return make_stand_in(tmp_path_factory.mktemp("stand-in"))


@pytest.fixture(scope="module")
def network() -> Xception:
    """Each parameter is full of its place in the list of the reference."""
    made = xception(CLASSES, "symmetric")
    names = [line.split("\t")[0] for line in (ROOT / "tests/golden/parameters.tsv").read_text().splitlines()[1:]]
    for place, name in enumerate(names):
        parameter = made.parameters_dict()[name]
        parameter.set_data(Tensor(np.full(parameter.shape, place, np.float32)))
    return made


def first_logits(classifier: CpuClassifier) -> np.ndarray:
    return classifier.run(np.zeros((1, 71, 71, 3), np.uint8))[0]


def test_the_parameters_are_handed_over_in_their_order_also_those_of_an_average(network, stand_in):
    expected = [*range(PARAMETERS), 0, 1, CLASSES]
    assert first_logits(CpuClassifier(stand_in, network)).tolist() == expected
    averaged = follow(xception(CLASSES, "symmetric"), network)
    assert first_logits(CpuClassifier(stand_in, averaged, is_half=True)).tolist() == [*range(PARAMETERS), 1, 1, CLASSES]


def test_without_classifier_the_features_are_its_logits(stand_in):
    found = first_logits(CpuClassifier(stand_in, xception(include_top=False, pooling="avg")))
    assert found.shape == (2048,)
    # Where the classifier's weight and bias stand are a one and a zero, and there are as many classes as features.
    assert found[PARAMETERS - 2 : PARAMETERS + 3].tolist() == [1, 0, 0, 0, 2048]
    for pooling in (None, "max"):
        with pytest.raises(ValueError, match=f"averages its features, but pooling is {pooling}: use avg"):
            CpuClassifier(stand_in, xception(include_top=False, pooling=pooling))


def test_bytes_and_floats_of_any_layout_in_memory_are_what_they_are(network, stand_in):
    classifier = CpuClassifier(stand_in, network)
    values = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((80, 71, 3), np.uint8)
    found = [classifier.run(values), classifier.run(values.astype(np.float32).transpose(0, 3, 1, 2))]
    found.append(classifier.run(np.repeat(values, 2, axis=0)[::2]))
    for logits in found:
        assert logits.dtype == np.float32 and logits.shape == (4, CLASSES)
        assert logits[:, 5].tolist() == [5, 1005, 2005, 3005]
    assert classifier.run(values[:0]).shape == (0, CLASSES)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((1, 3, 71, 71), np.uint8, r"takes uint8 \(N, H, W, 3\) or float32 \(N, 3, H, W\), not uint8 \(1, 3, 71, 71\)"),
        ((1, 71, 71, 3), np.float32, "takes uint8"),
        ((1, 3, 71, 71), np.float64, "takes uint8"),
        ((71, 71, 3), np.uint8, "takes uint8"),
        ((2, 70, 71, 3), np.uint8, r"fails on uint8 \(2, 70, 71, 3\): 70 x 71 is too small"),
    ],
)
def test_other_images_are_one_line(network, stand_in, shape, dtype, message):
    with pytest.raises(ValueError, match=message):
        CpuClassifier(stand_in, network).run(np.zeros(shape, dtype))


def test_later_weights_do_not_count_and_its_memory_is_given_back(network, stand_in):
    functions = ctypes.CDLL(str(stand_in))
    bias = network.fc.bias
    before = functions.AreOpen()
    classifier = CpuClassifier(stand_in, network)
    bias.set_data(Tensor(np.full(bias.shape, -7, np.float32)))
    another = CpuClassifier(stand_in, network)
    assert (first_logits(classifier)[PARAMETERS - 1], first_logits(another)[PARAMETERS - 1]) == (PARAMETERS - 1, -7)
    assert functions.AreOpen() == before + 2
    del another
    gc.collect()
    classifier.close()
    classifier.close()
    assert functions.AreOpen() == before
    with pytest.raises(ValueError, match="is closed"):
        first_logits(classifier)


def test_what_it_refuses_and_what_is_no_library_is_one_line(network, stand_in, tmp_path):
    large = xception(3)
    large.conv1.weight.set_data(Tensor(np.full((32, 3, 3, 3), 1e10, np.float32)))
    with pytest.raises(ValueError, match=r"^the network in C\+\+ cannot be made: the weights are too large$"):
        CpuClassifier(stand_in, large)
    text = tmp_path / "text.so"
    text.write_text("text")
    with pytest.raises(ValueError, match=r"text\.so cannot be used: .*remove it, and it is compiled anew$"):
        CpuClassifier(text, network)


def test_a_batch_norm_that_the_operators_do_not_have_is_refused(stand_in):
    made = xception(CLASSES)
    made.block3.skipbn.eps = 1e-3
    with pytest.raises(ValueError, match=r"epsilon 1e-05 .* but this one has 0\.001 .*--cpu_operators=none"):
        CpuClassifier(stand_in, made)
