"""Fine-tuning: the weights of another training are taken, what is frozen stays, the head learns at its own rate."""

from __future__ import annotations

import re

import numpy as np
import pytest
from mindspore import Tensor, nn

from src.checkpoints.position import Position
from src.checkpoints.training_state import save_training
from src.checkpoints.weights import load_pretrained, save_weights
from src.metadata.metadata import Metadata
from src.model_utils.config import ConfigError, parse_config
from src.model_utils.local_adapter import ALONE
from src.training.fine_tuning import freeze, prepare_fine_tuning
from src.training.model import build_optimizer
from src.training.origin import find_origin
from tests.helpers.small_network import Small, assert_same, build, build_state, values


def configuration(*words: str):
    return parse_config(["--weight_decay=0", *words], lambda _: "CPU")


def names_of(network: nn.Cell) -> set[str]:
    return {parameter.name for parameter in network.trainable_params()}


@pytest.mark.parametrize(("theirs", "dropped"), [(4, False), (9, True)])
def test_pretrained_weights_are_taken_without_a_classifier_of_another_size(tmp_path, theirs, dropped):
    source, _ = build(num_classes=theirs)
    save_weights(tmp_path / "body.ckpt", source)
    network, _ = build()
    before = values(network)
    assert load_pretrained(network, tmp_path / "body.ckpt", "fc.") is dropped
    taken = values(source)
    for name, value in values(network).items():
        assert np.array_equal(value, before[name] if dropped and name.startswith("fc.") else taken[name]), name


@pytest.mark.parametrize(
    ("theirs", "names", "is_kept", "said"),
    [
        ("abcd", "abcd", True, "pretrained weights from {}\n"),
        ("", "abcd", True, "pretrained weights from {}\n"),
        (("a", "caf\u00e9", "y", "z"), ("a", "cafe\u0301", "y", "z"), True, "pretrained weights from {}\n"),
        ("abcd", "abce", False, "is new with 4 classes: class 3 is 'd' there and 'e' here\n"),
        ("abcd", "badc", False, "is new with 4 classes: class 0 is 'a' there and 'b' here\n"),
        ("abcde", "abcd", False, "all but the classifier, which is new with 4 classes\n"),
        ("", "abc", False, "all but the classifier, which is new with 3 classes\n"),
    ],
)
def test_the_classifier_is_kept_where_its_classes_have_the_same_names_in_the_same_order(
    tmp_path, capsys, *, theirs, names, is_kept, said
):
    path = tmp_path / "body.ckpt"
    source, _ = build(num_classes=len(theirs) or 4)
    save_weights(path, source, Metadata(tuple(theirs)))
    network, _ = build(num_classes=len(names))
    before = values(network)
    config = configuration(f"--pretrained={path}")
    prepare_fine_tuning(config, network, find_origin(config, tmp_path, ALONE), names)
    assert capsys.readouterr().out.endswith(said.format(path))
    for name, value in values(network).items():
        is_theirs = is_kept or not name.startswith("fc.")
        assert np.array_equal(value, (values(source) if is_theirs else before)[name]), name


def test_a_checkpoint_to_resume_leaves_pretrained_weights_out(tmp_path, capsys):
    save_training(tmp_path / "Xception-rank0-1_4.ckpt", build_state(), Position(1, 0, 4))
    network, _ = build()
    before = values(network)
    config = configuration(f"--pretrained={tmp_path}/absent.ckpt", "--resume=auto")
    prepare_fine_tuning(config, network, find_origin(config, tmp_path, ALONE), "abcd")
    assert_same(before, values(network))
    assert capsys.readouterr().out == ""


def test_a_body_that_does_not_fit_is_an_error_that_changes_nothing(tmp_path):
    save_weights(tmp_path / "body.ckpt", build(num_classes=9, layers=2)[0])
    network, _ = build()
    before = values(network)
    with pytest.raises(ValueError, match=r"does not fit the network: unexpected: blocks\.1\.weight, blocks\.1\.bias$"):
        load_pretrained(network, tmp_path / "body.ckpt", "fc.")
    assert_same(before, values(network))


@pytest.mark.parametrize(
    ("names", "left"),
    [
        ("none", {"conv1.weight", "bn1.gamma", "bn1.beta", "blocks.0.weight", "blocks.0.bias", "fc.weight", "fc.bias"}),
        ("features", {"fc.weight", "fc.bias"}),
        (r"conv|bn", {"blocks.0.weight", "blocks.0.bias", "fc.weight", "fc.bias"}),
        (r".*weight", {"bn1.gamma", "bn1.beta", "blocks.0.bias", "fc.bias"}),
    ],
)
def test_what_is_frozen_is_not_trained(names, left):
    network, _ = build()
    freeze(network, names)
    assert names_of(network) == left


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_batch_norm_keeps_its_statistics_in_training(frozen):
    network, _ = build()
    if frozen:
        freeze(network, "features")
    network.bn1.set_train()
    before = network.bn1.moving_mean.asnumpy().copy()
    images = Tensor(np.random.default_rng(0).normal(5, 1, (2, 2, 4, 4)).astype(np.float32))
    network.bn1(images).asnumpy()
    assert np.array_equal(before, network.bn1.moving_mean.asnumpy()) is frozen


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--freeze=features"], "freeze is features, but the weights are random: add --pretrained"),
        (["--freeze=(", "--resume=auto"], "freeze is no regular expression: (: missing )"),
        (["--freeze=absent", "--resume=auto"], "freeze is absent, but no parameter's name begins so"),
        (["--freeze=.*", "--resume=auto"], "freeze is .*, which leaves nothing to train"),
        (["--pretrained=a.ckpt", "--resume=b.ckpt"], "both pretrained (a.ckpt) and resume (b.ckpt) are given"),
    ],
)
def test_options_that_do_not_fit_are_one_line(tmp_path, words, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        config = configuration(*words)
        prepare_fine_tuning(config, build()[0], find_origin(config, tmp_path, ALONE), "abcd")


@pytest.mark.parametrize("freeze_names", ["none", "features"])
@pytest.mark.parametrize("scale", [0.0, 1.0, 10.0])
def test_the_head_learns_at_a_multiple_of_the_rate(scale, freeze_names):
    network = Small()
    freeze(network, freeze_names)
    optimizer = build_optimizer(configuration(f"--head_lr_scale={scale}"), network, np.array([0.5, 0.25], np.float32))
    trained = network.trainable_params()
    # Checkpoints do not depend on the groups.
    assert [moment.name for moment in optimizer.moments] == [f"moments.{parameter.name}" for parameter in trained]
    for rate in (0.5, 0.25):
        before = values(network)
        for moment in optimizer.moments:
            moment.set_data(Tensor(np.zeros(moment.shape, np.float32)))
        optimizer(tuple(Tensor(np.ones(parameter.shape, np.float32)) for parameter in trained))
        for name, value in values(network).items():
            step = rate * (scale if name.startswith("fc.") else 1) if name in names_of(network) else 0
            assert np.allclose(before[name] - value, step, atol=1e-6), name
