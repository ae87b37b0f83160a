"""A validation is computed with the weights of its moment, by the operators in C++ where training has them."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor, nn

from src.checkpoints.training_state import TrainingState
from src.model_utils.config import Config, parse_config
from src.training.step import follow
from src.training.validation import settle_validation, validation_engine
from src.Xception import Xception, xception
from tests.helpers.stand_in_classifier import PARAMETERS, make_stand_in

CLASSES = PARAMETERS + 3
IMAGE, LABEL = np.zeros((1, 71, 71, 3), np.uint8), np.zeros(1, np.int32)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory) -> Path:
    return make_stand_in(tmp_path_factory.mktemp("stand-in"))


@pytest.fixture(scope="module")
def network() -> Xception:
    return xception(CLASSES)


def configure(*words: str) -> Config:
    given = [f"--num_classes={CLASSES}", "--eval_while_train=True", "--test_data_dir=val", *words]
    return parse_config(given, lambda _: "CPU")


def fill_bias(network: nn.Cell, value: float) -> None:
    network.fc.bias.set_data(Tensor(np.full(CLASSES, value, np.float32)))


def validated(opening) -> np.ndarray:
    """Return the logits of a validation, in which the weights stay."""
    with opening() as engine:
        return engine.run(IMAGE, LABEL)[0][0]


def test_each_validation_takes_the_weights_of_its_moment_and_gives_its_memory_back(network, stand_in):
    opening = validation_engine(configure(), TrainingState(network, None), stand_in)
    open_before = ctypes.CDLL(str(stand_in)).AreOpen()
    for value in (3, 5):
        fill_bias(network, value)
        assert validated(opening)[PARAMETERS - 1] == value
        assert ctypes.CDLL(str(stand_in)).AreOpen() == open_before


@pytest.mark.parametrize("level", ["O0", "O2"])
def test_the_average_is_validated_where_there_is_one_in_the_precision_of_training(network, stand_in, level):
    fill_bias(network, 1)
    averaged = follow(xception(CLASSES), network)
    fill_bias(averaged, 2)
    opening = validation_engine(configure(f"--amp_level={level}"), TrainingState(network, None, averaged), stand_in)
    assert validated(opening)[PARAMETERS - 1 : PARAMETERS + 1].tolist() == [2, level == "O2"]


class Small(nn.Cell):
    """Logits from the first pixel and a bias."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Dense(3, CLASSES)

    def construct(self, images: Tensor) -> Tensor:
        return self.fc(images[:, :, 0, 0])


def test_mindspore_validates_without_operators_or_where_it_is_asked_for(stand_in):
    network = Small().set_train()
    for library, engine in ((None, "auto"), (stand_in, "mindspore")):
        opening = validation_engine(configure(f"--eval_engine={engine}"), TrainingState(network, None), library)
        for value in (3, 5):
            fill_bias(network, value)
            weights = network.fc.weight.asnumpy()
            assert np.allclose(validated(opening), value - weights.sum(1), atol=1e-5)
        assert network.training


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_other_runtimes_do_not_follow_a_training(engine):
    with pytest.raises(ValueError, match=f"^eval_engine is {engine}, but training validates by the operators in C"):
        settle_validation(configure(f"--eval_engine={engine}"))
    settle_validation(configure(f"--eval_engine={engine}").replace(eval_while_train=False))


def test_a_validation_needs_images_and_takes_one_set_of_them():
    with pytest.raises(ValueError, match=r"^eval_while_train needs images to validate on: .* --validation_split=0.1$"):
        settle_validation(configure("--test_data_dir="))
    with pytest.raises(ValueError, match=r"^both test_data_dir \(val\) and validation_split \(0.1\) are given"):
        settle_validation(configure("--validation_split=0.1"))
    held_out = settle_validation(configure("--test_data_dir=", "--validation_split=0.1", "--eval_while_train=False"))
    assert held_out.eval_while_train
