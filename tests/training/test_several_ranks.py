"""Several processes train and evaluate like one: real processes on CPU, started by msrun."""

from __future__ import annotations

import ctypes
import re

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from src.common.workers import available_workers
from src.cpu.cells import Operators
from src.cpu.operators import CpuXception
from src.model_utils.local_adapter import Group
from src.training.model import build_loss, build_optimizer, build_schedule
from tests.helpers.ranks import run_ranks
from tests.helpers.two_ranks import (
    AVERAGED,
    IMAGES,
    OPTIMIZERS,
    OPTIONS_STEPS,
    STEPS,
    batches,
    build_network,
    build_small,
    configuration,
    evaluate,
    evaluate_classes,
    values_of,
    with_options,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def both(few_digits, library, tmp_path_factory) -> list[dict[str, np.ndarray]]:
    """What two ranks found, by name."""
    folder = tmp_path_factory.mktemp("ranks")
    run_ranks("tests/helpers/two_ranks.py", [few_digits / "train", folder, library], folder)
    return [dict(np.load(folder / f"rank{rank}.npz")) for rank in range(2)]


def test_sums_over_ranks_are_exact_and_the_same_everywhere(both):
    for name, values in values_of(0).items():
        expected = values + values_of(1)[name]
        for found in both:
            assert found[name].dtype == expected.dtype
            assert np.array_equal(found[name], expected)


def test_the_ranks_of_a_machine_divide_its_processors_among_the_threads_that_read_images(both):
    available = available_workers()
    assert [int(found["loader threads"]) for found in both] == [max(available // 2, 1)] * 2
    assert [int(found["given threads"]) for found in both] == [1] * 2


def test_averaged_parameters_have_the_mean_of_both_ranks(both):
    for found in both:
        for number, value in enumerate(AVERAGED):
            assert np.array_equal(found[f"averaged {number}"], 1.5 * value)


def test_both_ranks_skip_the_step_that_overflows_on_one_of_them_and_none_whose_loss_is_wrong(both):
    for found in both:
        assert found["overflows"].tolist() == [0, 1024, 1, 512, 0, 512]


@pytest.mark.parametrize("images", IMAGES)
def test_an_evaluation_on_two_ranks_equals_one_process_for_any_number_of_images(both, images):
    expected = evaluate(images, Group())
    for found in both:
        figures = found[f"evaluation {images}"]
        assert figures[0] == images
        assert np.array_equal(np.delete(figures, 1), np.delete(expected, 1))
        assert figures[1] == pytest.approx(expected[1], rel=1e-12)


def test_two_ranks_count_real_images_for_the_models_classes_like_one(both, few_digits):
    expected = evaluate_classes(str(few_digits / "train"), Group())
    confusion = expected[2:].reshape(4, 4)
    assert confusion.sum(1).tolist() == [13, 0, 12, 12]
    for found in both:
        assert np.array_equal(found["classes"][1:], expected[1:])
        assert found["classes"][0] == pytest.approx(expected[0], rel=1e-6)


def test_ranks_that_know_other_names_of_the_classes_are_refused_on_both(both, few_digits):
    for found in both:
        message = str(found["refused classes"])
        assert message.startswith(f"rank 1 sees other classes in {few_digits / 'train'} than rank 0: copy the images")


def test_bad_images_are_not_looked_for_in_folders_that_differ_between_ranks(both):
    for found in both:
        assert "the processes see different images" in str(found["refusal"])
        assert "by rank 21, 37" in str(found["refusal"])


def test_two_ranks_on_the_same_cores_share_them(both, library):
    expected = max(ctypes.CDLL(str(library)).XceptionUsableThreads() // 2, 1)
    assert [int(found["threads"]) for found in both] == [expected] * 2


def test_ranks_of_one_machine_share_memory_and_average_to_the_bit_as_mindspore_does(both):
    name = f"all options {OPTIMIZERS[0]} "
    for found in both:
        assert found["shares"]
        weights = [key.removeprefix(name) for key in found if key.startswith(name)]
        assert len(weights) > 8
        assert [key for key in weights if not np.array_equal(found[f"by memory {key}"], found[name + key])] == []


@pytest.mark.parametrize(
    ("way", "rank", "reason"),
    [
        ("other operators", None, ""),
        ("no memory", 0, "[Errno 28] No space left on device"),
        ("other processes", 1, "/proc/PATH is not what rank 0 has made: do all see the same processes?"),
        ("no right", 1, "it is not allowed"),
    ],
)
def test_where_one_rank_cannot_share_memory_none_does_and_one_says_why(both, way, rank, reason):
    for number, found in enumerate(both):
        assert not found[f"{way}: shares"]
        said = re.sub(r"/proc/\d+/fd/\d+", "/proc/PATH", str(found[f"{way}: said"]))
        begin = "the ranks share no memory, so they average their gradients by sockets: "
        assert said == (f"{begin}{reason}\n" if number == rank else "")


def test_two_ranks_get_the_weights_of_averaged_gradients(both, few_digits, library):
    config = configuration()
    network = build_network()
    computed = CpuXception(network, Operators(library, False)).set_train()
    network_and_loss = nn.WithLossCell(computed, build_loss(config))
    optimizer = build_optimizer(config, network, build_schedule(config, STEPS))
    gradients_of = ms.value_and_grad(network_and_loss, None, network.trainable_params())
    shards = [
        list(batches(str(few_digits / "train"), rank, 2).create_tuple_iterator(num_epochs=1)) for rank in range(2)
    ]
    for first, second in zip(*shards, strict=True):
        (_, left), (_, right) = gradients_of(*first), gradients_of(*second)
        optimizer(tuple((a + b) / 2 for a, b in zip(left, right, strict=True)))
    before = {p.name: p.asnumpy() for p in build_network().trainable_params()}
    differences, moves = [], []
    for parameter in network.trainable_params():
        expected = parameter.asnumpy()
        scale = np.abs(expected).max()
        differences += [np.abs(found[parameter.name] - expected).max() / scale for found in both]
        moves.append(np.abs(before[parameter.name] - expected).max() / scale)
    assert max(differences) < 1e-5
    assert max(moves) > 1e-3, "the weights did not change"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_with_all_options_two_ranks_clip_the_mean_of_all_gradients_and_average_the_weights_alike(
    both, few_digits, optimizer
):
    config = with_options(optimizer)
    network = build_small()
    before = {p.name: p.asnumpy().copy() for p in network.trainable_params()}
    gradients_of = ms.value_and_grad(
        nn.WithLossCell(network, build_loss(config, sparse=False)), None, network.trainable_params()
    )
    found_labels, found = [], []
    for rank in range(2):
        dataset = batches(str(few_digits / "train"), rank, 2, config)
        for images, labels in dataset.create_tuple_iterator(num_epochs=1):
            found_labels.append(labels.asnumpy())
            found += [gradients_of(image, label)[1] for image, label in zip(images, labels, strict=True)]
    assert len(found) == 2 * config.gradient_accumulation
    assert not np.array_equal(*found_labels)
    means = [np.mean([gradient.asnumpy() for gradient in each], 0) for each in zip(*found, strict=True)]
    norm = np.sqrt(sum((mean.astype(np.float64) ** 2).sum() for mean in means))
    assert norm > 2 * config.clip_grad_norm
    clipped = tuple(ms.Tensor((mean * config.clip_grad_norm / norm).astype(np.float32)) for mean in means)
    build_optimizer(config, network, build_schedule(config, OPTIONS_STEPS))(clipped)
    for parameter in network.trainable_params():
        expected, start = parameter.asnumpy(), before[parameter.name]
        for rank in both:
            weight, average = (rank[f"all options {optimizer} {prefix}{parameter.name}"] for prefix in ("", "ema."))
            assert np.allclose(weight, expected, rtol=1e-5, atol=1e-6), parameter.name
            assert np.allclose(average, (start + expected) / 2, rtol=1e-5, atol=1e-6), parameter.name
        same = [rank[f"all options {optimizer} {parameter.name}"] for rank in both]
        assert np.array_equal(*same)
    assert np.abs(network.fc.bias.asnumpy() - before["fc.bias"]).max() > 1e-5
