"""MindSpore Hub's entry point builds the network, with the weights of a checkpoint, and names what it has."""

import numpy as np
import pytest

from mindspore_hub_conf import create_network, xceptionnet
from src.checkpoints.weights import load_weights, save_weights
from src.metadata.metadata import Metadata
from src.Xception import Xception, xception


@pytest.mark.parametrize(("arguments", "options"), [((7,), {}), ((), {"num_classes": 7})])
def test_xception_is_built_with_its_arguments(arguments, options):
    network = create_network("xception", *arguments, **options)
    assert isinstance(network, Xception)
    assert network.fc.weight.shape == (7, 2048)


def test_the_model_zoos_names_build_the_same():
    with pytest.warns(FutureWarning, match="class_num is the model zoo's name of num_classes"):
        networks = [create_network("xception", class_num=7), xceptionnet(class_num=7), xception(class_num=7)]
    assert [network.num_classes for network in networks] == [7, 7, 7]
    assert create_network("xceptionnet", 7).num_classes == 7
    with pytest.raises(ValueError, match="num_classes is 8, and class_num, its old name, 7: give one of them"):
        xception(8, class_num=7)


def test_the_default_is_imagenet():
    assert create_network("xception").num_classes == 1000


def test_another_name_is_an_error_that_names_what_exists():
    with pytest.raises(NotImplementedError, match="resnet is not in this repository, which has: xception, xceptionnet"):
        create_network("resnet")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("hub") / "a.ckpt"
    network = xception(3, "symmetric")
    save_weights(path, network, Metadata(tuple("abc"), 71))
    return path, network


@pytest.mark.parametrize("options", [{}, {"num_classes": 3}, {"pool_padding": "symmetric"}])
def test_a_checkpoint_gives_weights_classes_and_padding(checkpoint, options):
    path, expected = checkpoint
    network = create_network("xception", checkpoint_path=path, **options)
    assert (network.num_classes, network.pool_padding) == (3, "symmetric")
    for left, right in zip(network.get_parameters(), expected.get_parameters(), strict=True):
        assert left.name == right.name and np.array_equal(left.asnumpy(), right.asnumpy()), left.name


def test_a_checkpoint_gives_its_weights_without_the_classifier(checkpoint):
    path, expected = checkpoint
    body = create_network("xception", 1000, checkpoint_path=path, include_top=False, pooling="avg")
    assert (body.include_top, body.pooling, body.pool_padding) == (False, "avg", "symmetric")
    other = xception(include_top=False)
    load_weights(other, path)
    for network in (body, other):
        for parameter in network.get_parameters():
            theirs = expected.parameters_dict()[parameter.name].asnumpy()
            assert np.array_equal(parameter.asnumpy(), theirs), parameter.name


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((1000,), {}, r"num_classes is 1000, but .*a\.ckpt has 3: leave it out"),
        ((), {"num_classes": 4}, r"num_classes is 4, but .*a\.ckpt has 3: leave it out"),
        ((), {"class_num": 4}, r"class_num is 4, but .*a\.ckpt has 3: leave it out"),
        ((), {"pool_padding": "same"}, r"pool_padding is same, but .*a\.ckpt has symmetric: leave it out"),
    ],
)
def test_a_checkpoint_of_another_network_is_an_error(checkpoint, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        create_network("xception", *arguments, checkpoint_path=checkpoint[0], **options)


def test_an_option_that_does_not_exist_is_an_error_with_a_checkpoint_too(checkpoint):
    with pytest.raises(TypeError, match="in_channels"):
        create_network("xception", checkpoint_path=checkpoint[0], in_channels=3)
