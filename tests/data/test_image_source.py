"""The images of a data set: opened once, shared by ranks, without those that are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mindspore import nn

from src.data import image_source
from src.data.class_matching import ModelClasses
from src.data.image_list import list_data
from src.data.image_source import open_images
from src.data.record_set import find_records
from src.dataset import create_dataset
from src.evaluation.engines import by_mindspore, image_loss
from src.evaluation.evaluation_set import evaluate_test_images, open_evaluation_set
from src.evaluation.report import write_report
from src.model_utils.config import parse_config
from src.model_utils.local_adapter import ALONE
from tests.helpers.numbered_images import first_images, numbers
from tests.helpers.pipeline import SIZE, batches, write_image

FAST = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("form", ["folders", "records"])
def test_a_set_is_opened_once_for_all_epochs_and_evaluations(few_digits, records, tmp_path, monkeypatch, form):
    folder = str({"folders": few_digits / "val", "records": records}[form])
    asked = []

    def counted(question: Callable) -> Callable:
        return lambda *place: asked.append(question.__name__) or question(*place)

    for question in (find_records, list_data):
        monkeypatch.setattr(image_source, question.__name__, counted(question))
    words = ["--num_classes=3", f"--image_size={SIZE}", "--batch_size=8", "--checkpoint_path=x.ckpt"]
    config = parse_config([*words, f"--test_data_dir={folder}", f"--eval_report={tmp_path}"], lambda _: "CPU")
    network = nn.SequentialCell(nn.Flatten(), nn.Dense(3 * SIZE * SIZE, 3))

    evaluated = open_evaluation_set(config, open_images(folder), ModelClasses("x.ckpt", 3), ALONE)
    engine = by_mindspore(network, image_loss(config), config.batch_size)
    for seed in range(2):
        assert len(batches(evaluated.images.source, True, 8, seed=seed)) == 4
        result = evaluate_test_images(config, engine, evaluated, ALONE)
    assert result.images == 37
    assert write_report(config, Path("x.ckpt"), result, evaluated)
    assert asked == {"folders": ["find_records", "list_data"], "records": ["find_records"]}[form]


# Shares of ranks


@FAST
@given(st.data(), st.integers(1, 40), st.integers(1, 12))
def test_evaluation_counts_every_image_once_over_any_ranks(numbered, data, images, batch_size):
    ranks = data.draw(st.integers(1, min(images, 9)))
    folder = first_images(numbered, images)
    found = [number for rank in range(ranks) for number in numbers(batches(folder, False, batch_size, ranks, rank))]
    assert sorted(found) == list(range(images))


@FAST
@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 5))
def test_every_rank_trains_the_same_number_of_steps(numbered, images, ranks, batch_size):
    folder = first_images(numbered, images)
    options = {"image_size": SIZE, "num_parallel_workers": 1}
    sizes = {
        create_dataset(folder, True, batch_size, ranks, rank, **options).get_dataset_size() for rank in range(ranks)
    }
    assert sizes == {-(-images // ranks) // batch_size}


def test_ranks_train_on_different_images_of_the_same_shuffle(tmp_path):
    for label in range(12):
        write_image(tmp_path / f"{label:02d}" / "x.png", label)
    labels = [
        [label for _, batch in batches(str(tmp_path), True, 3, 2, rank, seed=4) for label in batch] for rank in (0, 1)
    ]
    assert sorted(labels[0] + labels[1]) == list(range(12))


# Images that are left out


@pytest.fixture(scope="module")
def classes_of_one(tmp_path_factory) -> list[str]:
    """12 images in classes of their own, so that a label tells the image."""
    out = tmp_path_factory.mktemp("classes of one")
    for label in range(12):
        write_image(out / f"{label:02d}" / "x.png", label)
    return [str(out / f"{label:02d}" / "x.png") for label in range(12)]


@FAST
@given(st.data(), st.sets(st.integers(0, 39), min_size=1, max_size=38), st.integers(1, 12))
def test_evaluation_counts_every_image_that_is_not_left_out_once(numbered, data, left_out, batch_size):
    ranks = data.draw(st.integers(1, min(40 - len(left_out), 5)))
    excluded = [str(numbered / "abc"[n % 3] / f"{n:02d}.png") for n in left_out]
    found = [
        numbers(batches(str(numbered), False, batch_size, ranks, rank, excluded=excluded)) for rank in range(ranks)
    ]
    in_folder_order = sorted(set(range(40)) - left_out, key=lambda n: (n % 3, n))
    assert found == [in_folder_order[rank::ranks] for rank in range(ranks)]


@FAST
@given(st.sets(st.integers(0, 11), min_size=1, max_size=10), st.integers(1, 5), st.integers(0, 9))
def test_ranks_train_on_different_images_that_are_not_left_out(classes_of_one, left_out, ranks, seed):
    folder = str(Path(classes_of_one[0]).parents[1])
    excluded = [classes_of_one[n] for n in left_out]
    found = [
        [int(label) for _, (label,) in batches(folder, True, 1, ranks, rank, seed=seed, excluded=excluded)]
        for rank in range(ranks)
    ]
    good = 12 - len(left_out)
    assert [len(labels) for labels in found] == [-(-good // ranks)] * ranks
    counts = Counter(label for labels in found for label in labels)
    assert counts.keys() == set(range(12)) - left_out
    # Only what fills the last shards up comes twice.
    if ranks <= good:
        assert sum(count - 1 for count in counts.values()) == -good % ranks
        assert max(counts.values()) <= 2


def test_a_seed_decides_the_order_without_the_images_that_are_left_out(classes_of_one):
    folder = str(Path(classes_of_one[0]).parents[1])

    def epoch(seed: int, **options) -> list[tuple[np.ndarray, np.ndarray]]:
        return batches(folder, True, 2, seed=seed, excluded=classes_of_one[3:5], **options)

    first, again, rest, other = epoch(1), epoch(1), epoch(1, skip_batches=2), epoch(2)
    for left, right in [*zip(first, again, strict=True), *zip(first[2:], rest, strict=True)]:
        assert np.array_equal(left[0], right[0])
        assert np.array_equal(left[1], right[1])
    assert [label.tolist() for _, label in first] != [label.tolist() for _, label in other]


def test_an_image_that_is_left_out_is_never_opened(tmp_path):
    for number in range(6):
        write_image(tmp_path / "a" / f"{number}.jpg", number)
    (tmp_path / "a" / "2.jpg").unlink()
    (tmp_path / "a" / "2.jpg").mkdir()
    (tmp_path / "a" / "4.jpg").write_bytes(b"")
    for train in (True, False):
        excluded = [str(tmp_path / "a" / "2.jpg"), str(tmp_path / "a" / "4.jpg")]
        assert sum(len(label) for _, label in batches(str(tmp_path), train, 1, excluded=excluded)) == 4


def test_what_is_left_out_must_be_there(numbered):
    with pytest.raises(ValueError, match=r"absent\.png, to be left out, is no image of .*: has the folder changed\?"):
        create_dataset(str(numbered), True, 1, excluded=[str(numbered / "a" / "absent.png")])


@pytest.mark.parametrize("rank", [-1, 2])
def test_an_impossible_rank_is_an_error(numbered, rank):
    with pytest.raises(ValueError, match=f"from 0 to 1 .* got {rank}"):
        create_dataset(str(numbered), True, 1, 2, rank)


def test_more_ranks_than_images_is_an_error_in_evaluation(tmp_path):
    write_image(tmp_path / "a" / "x.png", 1)
    with pytest.raises(ValueError, match="has 1 images, fewer than the 2 devices"):
        create_dataset(str(tmp_path), False, 1, 2, 1)
