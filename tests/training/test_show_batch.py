"""The picture of the first batch shows the very images and labels that training is fed, and training does not begin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from src.common.contact_sheet import contact_sheet
from src.data.normalization import to_pixels
from src.training import first_batch
from src.training.log import TrainingLog
from tests.helpers.image_files import read_pixels
from tests.helpers.small_training import train_small

MIXED = ("--mixup=0.2", "--cutmix=1", "--random_erasing=0.5")
CLASSES = ("0", "1", "2")


@pytest.fixture
def drawn(monkeypatch) -> list[tuple[np.ndarray, list[list[str]]]]:
    """The images and captions of every picture that is drawn."""
    found = []

    def draw(images, captions):
        found.append((images, captions))
        return contact_sheet(images, captions)

    monkeypatch.setattr(first_batch, "contact_sheet", draw)
    return found


def fed(monkeypatch, data: Path, out: Path, *words: str) -> tuple[np.ndarray, np.ndarray]:
    """Train a step; return the images and labels that the network was given."""
    found = []

    def note(_, run_context):
        parameters = run_context.original_args()
        found.append([column.asnumpy().copy() for column in parameters.train_dataset_element])

    monkeypatch.setattr(TrainingLog, "on_train_step_end", note)
    assert train_small(data, out, *words) == 0
    return tuple(found[0])


def names_of(labels: np.ndarray) -> list[list[str]]:
    """Return the captions of labels, of which the smoothing gives 0.05 to each wrong class."""
    if labels.ndim == 1:
        return [[CLASSES[label]] for label in labels]
    shares = [{name: 100 * (value - 0.05) / 0.85 for name, value in zip(CLASSES, row, strict=True)} for row in labels]
    best = [sorted((-share, name) for name, share in row.items() if share > 0.5) for row in shares]
    return [[name for _, name in row] if len(row) == 1 else [f"{-s:.0f} % {n}" for s, n in row] for row in best]


@pytest.mark.parametrize("words", [(), MIXED, ("--gradient_accumulation=2", *MIXED)], ids=["plain", "mixed", "stacked"])
def test_it_shows_the_first_batch_of_the_training_with_its_labels(words, few_digits, tmp_path, monkeypatch, drawn):
    picture = tmp_path / "new" / "batch.png"
    assert train_small(few_digits, tmp_path / "out", *words, f"--show_batch={picture}") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    (images, captions), *_ = drawn
    given, labels = fed(monkeypatch, few_digits, tmp_path / "out", *words, "--max_steps=1")
    if "--gradient_accumulation=2" in words:
        given, labels = given.reshape(8, *given.shape[2:]), labels.reshape(8, 3)
    assert np.array_equal(images, to_pixels(given))
    assert captions == names_of(labels)
    assert ({len(lines) for lines in captions} == {1}) == (not words)
    assert read_pixels(picture)[8:150, 8:150].std() > 1


def test_a_training_that_goes_on_shows_what_comes_next_and_an_old_picture_moves_aside(
    few_digits, trained_small, tmp_path, drawn, capsys
):
    picture = tmp_path / "batch.png"
    for resume in ((), (f"--resume={trained_small / 'Xception-rank0-1_5.ckpt'}",)):
        assert train_small(few_digits, tmp_path / "out", f"--show_batch={picture}", *resume) == 0
    said = capsys.readouterr().out
    assert f"{picture}: 4 of the 4 images that step 1 of epoch 1 is fed; nothing was trained\n" in said
    assert f"{picture}: 4 of the 4 images that step 1 of epoch 2 is fed; nothing was trained\n" in said
    assert f"the picture that was there is in {tmp_path / 'earlier-1'} now\n" in said
    assert not np.array_equal(drawn[0][0], drawn[1][0])
    assert (tmp_path / "earlier-1" / "batch.png").read_bytes() != picture.read_bytes()


def test_a_bad_image_is_named(few_digits, tmp_path, capsys):
    for label in CLASSES:
        (tmp_path / "data" / "train" / label).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "data" / "train" / label / f"{number}.jpg").write_bytes(b"no image")
    assert train_small(tmp_path / "data", tmp_path / "out", f"--show_batch={tmp_path / 'a.png'}") == 1
    assert ".jpg" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()
