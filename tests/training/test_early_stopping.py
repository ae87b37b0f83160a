"""Training ends where validations do not improve any more, and a resumed one counts on."""

from __future__ import annotations

import numpy as np
import pytest

from src.model_utils.config import parse_config
from src.model_utils.local_adapter import ALONE, Group
from src.training import early_stopping
from src.training.early_stopping import EarlyStopping
from src.training.metrics import Row, read_metrics
from src.training.options import say_notes
from tests.helpers.small_training import train_small


def row(epoch: int, top_1: float | None, loss: float | None = None) -> Row:
    return Row(epoch, 5 * epoch, 0.1, 1.0, 9.0, top_1, None if top_1 is None else 1.0, loss)


@pytest.mark.parametrize(
    ("metric", "figures", "over"),
    [
        ("top_1", (0.5, 0.4, 0.5), True),
        ("top_1", (0.5, 0.4, 0.6), False),
        ("top_1", (0.5, 0.4), False),
        ("loss", (0.5, 0.6, 0.7), True),
        ("loss", (0.5, 0.4, 0.3), False),
    ],
)
def test_validations_since_the_best_one_are_counted(metric, figures, over):
    rows = []
    for epoch, figure in enumerate(figures, 1):
        rows += [row(epoch, None), row(epoch, figure, figure)]
    stopping = EarlyStopping(2, metric, rows, ALONE)
    assert stopping.is_over() is over
    assert not EarlyStopping(0, metric, rows).is_over()
    if over:
        best = f"has not improved in 2 validations; the best was {figures[0]:.4f} after epoch 1"
        assert stopping.reason() == f"validation {metric} {best}"


def validated(folder) -> list[int]:
    return [row.epoch for row in read_metrics(folder / "metrics.csv") if row.val_loss is not None]


def test_a_training_ends_early_with_a_checkpoint_and_a_resumed_one_counts_on(few_digits, tmp_path, capsys):
    folder = tmp_path / "model_0"
    words = [
        "--eval_while_train", "--eval_interval=2", "--best_metric=top_5", "--early_stopping=2", "--resume=auto",
        "--save_checkpoint_epochs=4",
    ]  # fmt: skip
    # Top-5 is 1 with three classes: every validation after the first is one without a better one.
    assert train_small(few_digits, tmp_path, *words, "--epoch_size=5") == 0
    output, error = capsys.readouterr()
    assert validated(folder) == [2, 4, 5]
    said = "validation top_5 has not improved in 2 validations; the best was 1.0000 after epoch 2"
    assert "early stopping" not in output  # it was the last epoch anyway
    assert "best_metric is top_5, which is always 1 with 3 classes" in error
    assert train_small(few_digits, tmp_path, *words, "--epoch_size=9") == 0
    assert (
        f"the training ended early after epoch 5: {said}; a higher --early_stopping than 2" in capsys.readouterr().out
    )
    assert train_small(few_digits, tmp_path, *words, "--epoch_size=9", "--early_stopping=3") == 0
    said = said.replace("2 validations", "3 validations")
    output = capsys.readouterr().out
    assert f"early stopping after epoch 6: {said}\n" in output
    assert "train success" in output
    newest = folder / "Xception-rank0-6_5.ckpt"
    named = [f"--resume={newest}", "--epoch_size=9", "--early_stopping=3"]
    assert train_small(few_digits, tmp_path, *words, *named) == 2
    assert f"error: nothing to train: the training ended early after epoch 6: {said}" in capsys.readouterr().err


def test_another_best_metric_moves_the_best_checkpoint_aside(small_copy, few_digits, tmp_path, capsys):
    words = ["--eval_while_train", "--best_metric=loss", "--resume=auto", "--epoch_size=3"]
    assert train_small(few_digits, tmp_path / "out", *words) == 0
    output = capsys.readouterr().out
    assert f"the best checkpoint by top_1 is in {small_copy / 'earlier-1'} now: that by loss is looked for" in output
    assert "epoch 2 has no validation here: it is validated first" in output
    losses = {
        row.epoch: row.val_loss for row in read_metrics(small_copy / "metrics.csv") if row.epoch > 1 and row.val_loss
    }
    assert f"best validation loss so far: {min(losses.values()):.4f}" in output
    assert (small_copy / "earlier-1" / "Xception-best.ckpt").exists()


def test_what_has_no_effect_without_validation_is_said(capsys):
    say_notes(parse_config(["--early_stopping=2"], lambda _: "CPU"), ALONE)
    assert "early_stopping has no effect: nothing is validated, eval_while_train is false" in capsys.readouterr().err


def test_other_ranks_end_where_the_first_one_says_so(monkeypatch):
    monkeypatch.setattr(early_stopping, "gather_from_ranks", lambda values, _: np.array([1, int(values)]))
    second = EarlyStopping(2, "top_1", (), Group(1, 2))
    assert second.is_over()
    assert second.reason() == "validation top_1 has not improved"  # its metrics are those of the first
