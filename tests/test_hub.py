"""MindSpore Hub's entry point builds the network, and names what it has."""

import pytest

from mindspore_hub_conf import create_network
from src.Xception import Xception


@pytest.mark.parametrize(("arguments", "options"), [((7,), {}), ((), {"num_classes": 7})])
def test_xception_is_built_with_its_arguments(arguments, options):
    network = create_network("xception", *arguments, **options)
    assert isinstance(network, Xception)
    assert network.fc.weight.shape == (7, 2048)


def test_the_default_is_imagenet():
    assert create_network("xception").num_classes == 1000


def test_another_name_is_an_error_that_names_what_exists():
    with pytest.raises(NotImplementedError, match="resnet is not in this repository, which has: xception"):
        create_network("resnet")
