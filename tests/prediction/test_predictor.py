"""Predictions are those of evaluation: the same pixels, the same logits."""

from __future__ import annotations

import numpy as np
import pytest

from src.dataset import create_dataset, read_image
from src.evaluation.accuracy import Accuracy
from src.evaluation.checkpoint import evaluate_checkpoint
from src.model_utils.local_adapter import Group
from tests.helpers.image_files import GOOD
from tests.helpers.prediction import configuration

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("size", [71, 299])
def test_an_image_is_read_as_the_evaluation_pipeline_reads_it(tmp_path, size):
    folder = tmp_path / "class"
    folder.mkdir()
    for name, data in GOOD.items():
        (folder / name).write_bytes(data)
    names = sorted(GOOD)
    ((images, _),) = create_dataset(str(tmp_path), False, len(names), image_size=size).create_tuple_iterator(
        num_epochs=1, output_numpy=True
    )
    assert len(images) == len(GOOD)
    for name, image in zip(names, images, strict=True):
        assert np.array_equal(read_image(folder / name, size), image), name


def test_what_mindspore_cannot_decode_is_a_readable_error(tmp_path):
    (tmp_path / "a.jpg").write_text("no image")
    with pytest.raises(ValueError, match=r"^cannot read image .*a\.jpg: not a JPEG, PNG"):
        read_image(tmp_path / "a.jpg", 71)


def test_logits_and_accuracy_are_those_of_evaluation(few_digits, checkpoint, predicted, monkeypatch):
    logits = []
    count = Accuracy.add
    monkeypatch.setattr(Accuracy, "add", lambda self, batch, label: (logits.append(batch), count(self, batch, label)))
    result = evaluate_checkpoint(configuration(few_digits, checkpoint), Group()).result
    powers = np.exp(np.concatenate(logits).astype(np.float64))
    expected = powers / powers.sum(1, keepdims=True)
    found = [image.probabilities for image in predicted.images]
    assert len(found) == 37  # the last batch is no whole one
    assert np.allclose(found, -np.sort(-expected, 1), rtol=0, atol=1e-6)
    confusion = np.zeros((3, 3), int)
    for image in predicted.images:
        confusion[int(image.path.parent.name), image.classes[0]] += 1
    assert np.array_equal(confusion, result.confusion)
    assert predicted.skipped == {} and predicted.class_names == ["0", "1", "2"]
