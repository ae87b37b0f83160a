"""MindRecord files give training and evaluation what the folders give that they were made of."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mindspore import nn

from src.data.class_matching import MatchedClasses
from src.data.image_source import open_images
from src.data.share import Share
from src.data.usable_images import UsableImages, check_folder, usable_images
from src.dataset import create_dataset
from src.evaluation.counting import Result, evaluate
from src.evaluation.engines import by_mindspore
from src.evaluation.evaluation_set import EvaluationSet
from src.evaluation.mistakes import Mistake
from src.evaluation.report import write_report
from src.loss import CrossEntropySmooth
from src.model_utils.config import parse_config
from src.model_utils.local_adapter import Group
from tests.helpers.pipeline import SIZE, batches
from tests.helpers.record_files import record_files
from tests.helpers.training_run import options, run
from tools.data_formats.stored_image import images_of_folders

pytestmark = pytest.mark.slow

SOME = settings(max_examples=20)


@pytest.fixture(scope="module")
def folders(few_digits) -> Path:
    """The 37 images of `records` in 3 classes; only to be read."""
    return few_digits / "val"


# The same data set in both forms


def test_records_hold_every_file_byte_for_byte(folders, records):
    images = images_of_folders(str(folders))
    stored = ds.MindDataset(list(map(str, record_files(records))), shuffle=False)
    rows = list(stored.create_dict_iterator(num_epochs=1, output_numpy=True))
    expected = [(image, label) for label, each in enumerate(images.values()) for image in each]
    assert [(bytes(row["name"]).decode(), int(row["label"])) for row in rows] == [(i.name, n) for i, n in expected]
    assert [bytes(row["image"]) for row in rows] == [image.read() for image, _ in expected]


def test_classes_counts_and_checks_are_those_of_the_folders(folders, records):
    left, right = (open_images(str(folder)) for folder in (folders, records))
    assert right.class_names == left.class_names
    assert right.counts() == left.counts()
    assert check_folder(right, 3, 8, 2) == check_folder(left, 3, 8, 2)
    with pytest.raises(ValueError, match="has 3 classes, but num_classes is 4: use --num_classes=3"):
        check_folder(right, 4)
    with pytest.raises(ValueError, match="less than one batch of 64"):
        check_folder(right, 3, 64)


@SOME
@given(st.integers(1, 9), st.integers(1, 12))
def test_evaluation_gives_every_rank_the_same_batches_of_both_forms(folders, records, ranks, batch_size):
    total = 0
    for rank in range(ranks):
        left, right = (batches(folder, False, batch_size, ranks, rank) for folder in (folders, records))
        assert len(left) == len(right)
        for pair in zip(left, right, strict=True):
            assert all(np.array_equal(*columns) for columns in zip(*pair, strict=True))
        assert all((image.dtype, label.dtype) == (np.float32, np.int32) for image, label in right)
        total += sum(len(label) for _, label in right)
    assert total == 37


def test_a_rank_without_an_image_is_an_error(records):
    with pytest.raises(ValueError, match="has 37 images, fewer than the 38 devices"):
        batches(records, False, 1, 38, 37)
    with pytest.raises(ValueError, match="rank must be from 0 to 1"):
        batches(records, True, 1, 2, 2)


def test_both_forms_evaluate_to_equal_results(folders, records):
    ms.set_seed(1)
    network = nn.SequentialCell(nn.Flatten(), nn.Dense(3 * SIZE * SIZE, 3))
    engine = by_mindspore(network, CrossEntropySmooth(reduction="none", num_classes=3), 8)
    left, right = (
        evaluate(engine, create_dataset(str(folder), False, 8, image_size=SIZE), 37) for folder in (folders, records)
    )
    assert (left.images, left.loss, left.top_1) == (right.images, right.loss, right.top_1)
    assert np.array_equal(left.confusion, right.confusion)
    assert len(np.unique(left.confusion)) > 1


def test_reports_of_both_forms_show_the_same_pictures(folders, records, tmp_path):
    mistakes = tuple(Mistake(image, 0, 1, 0.9) for image in (36, 0, 20))
    evaluated = Result(37, 1.0, 34 / 37, 1.0, np.diag([12, 12, 13]), mistakes=mistakes)
    written = []
    for form, folder in (("folders", folders), ("records", records)):
        words = ["--checkpoint_path=x.ckpt", f"--test_data_dir={folder}", f"--eval_report={tmp_path / form}"]
        config = parse_config(words, lambda _: "CPU")
        images = UsableImages(open_images(str(folder)), 37)
        classes = MatchedClasses((0, 1, 2), ("0", "1", "2"))
        written.append(write_report(config, Path("x.ckpt"), evaluated, EvaluationSet(images, classes)))
    assert [path.name for path in written[0]] == [path.name for path in written[1]]
    left, right = (tmp_path / "folders", tmp_path / "records")
    assert (left / "mistakes.png").read_bytes() == (right / "mistakes.png").read_bytes()
    assert (left / "mistakes.csv").read_text() == (right / "mistakes.csv").read_text().replace("\n", f"\n{folders}/", 3)


def test_the_evaluation_command_takes_records(trained, records, few_digits, tmp_path):
    checkpoint = trained[0] / "Xception-rank0-2_5.ckpt"
    words = options(few_digits, tmp_path, f"--checkpoint_path={checkpoint}", f"--test_data_dir={records}")
    result = run("eval.py", [word for word in words if "lr_max" not in word], tmp_path)
    assert result.returncode == 0, result.stderr
    # The loss to rounding alone: training on CPU has operators of its own.
    results = [re.findall(r"result: \{.*?\}", text)[-1] for text in (trained[1].stdout, result.stdout)]
    figures = [re.findall(r"\d+\.\d+", line) for line in results]
    assert len(figures[0]) == 3
    assert figures[0][1:] == figures[1][1:]
    assert np.allclose(float(figures[0][0]), float(figures[1][0]), rtol=1e-6, atol=0)


# Training


def epoch(folder: Path, seed: int, ranks: int = 1, rank: int = 0, **more) -> list[tuple[np.ndarray, np.ndarray]]:
    return batches(folder, True, 4, ranks, rank, seed=seed, **more)


def test_a_seed_decides_order_and_augmentation_of_records(records):
    first, again, rest, other = (
        epoch(records, 1),
        epoch(records, 1),
        epoch(records, 1, skip_batches=3),
        epoch(records, 2),
    )
    assert len(first) == len(again) == 9
    for left, right in zip(first + first[3:], again + rest, strict=True):
        assert all(np.array_equal(*columns) for columns in zip(left, right, strict=True))
    assert not np.array_equal(first[0][0], other[0][0])
    labels = np.concatenate([label for _, label in first])
    assert labels.tolist() != sorted(labels)


@SOME
@given(st.integers(1, 9), st.integers(0, 99))
def test_ranks_train_on_different_records_in_equal_numbers_of_batches(records, ranks, seed):
    source = open_images(str(records))

    def images(rank: int) -> list[bytes]:
        ds.config.set_seed(seed)
        found = source.open(Share(ranks, rank), True, 1)
        return [bytes(image) for image, _ in found.create_tuple_iterator(num_epochs=1, output_numpy=True)]

    found = [images(rank) for rank in range(ranks)]
    assert {len(each) for each in found} == {-(-37 // ranks)}
    counts = Counter(image for each in found for image in each)
    assert len(counts) == 37  # all of them, and only what fills the last shards up twice
    assert sum(counts.values()) - 37 == -37 % ranks
    assert len({len(epoch(records, seed, ranks, rank)) for rank in (0, ranks - 1)}) == 1


def test_a_second_epoch_of_one_data_set_has_another_order(records):
    dataset = create_dataset(str(records), True, 37, image_size=SIZE, num_parallel_workers=1, seed=3)
    iterator = dataset.create_tuple_iterator(num_epochs=2, output_numpy=True)
    (first,), (second,) = ([label for _, label in iterator] for _ in range(2))
    assert not np.array_equal(first, second)
    assert sorted(first) == sorted(second)


def test_records_have_nothing_to_skip_and_say_so(records, capsys):
    config = parse_config(["--num_classes=3", "--bad_images=skip"], lambda _: "CPU")
    used = usable_images(config, open_images(str(records)), Group())
    assert (used.class_names, used.count, used.excluded) == (["0", "1", "2"], 37, ())
    assert f"nothing to skip in {records}: " in capsys.readouterr().out


def test_images_of_records_cannot_be_excluded(records):
    with pytest.raises(ValueError, match=r"0/x\.jpg cannot be left out"):
        batches(records, False, 8, excluded=["0/x.jpg"])
