"""Evaluation as users run it: eval.py on real images, and what it prints and writes."""

from __future__ import annotations

import re
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

import eval as eval_door
from src.checkpoints.weights import load_weights, save_weights
from src.dataset import create_dataset
from src.model_utils.command import run_command
from src.Xception import xception
from tests.helpers.training_run import RESULT, options, run

pytestmark = pytest.mark.slow


def test_evaluation_prints_the_result_of_every_image_and_writes_the_report(trained, few_digits, tmp_path):
    checkpoint = trained[0] / "Xception-rank0-2_5.ckpt"
    words = ["--batch_size=8", f"--checkpoint_path={checkpoint}", "--eval_report=a report"]
    result = run("eval.py", [word for word in options(few_digits, tmp_path) if "batch" not in word] + words, tmp_path)
    assert result.returncode == 0, result.stderr
    assert "evaluated 37 images, each once" in result.stdout
    (figures,) = RESULT.findall(result.stdout)
    # Training's own validation, with another batch size, found the same.
    last = RESULT.findall(trained[1].stdout)[-1]
    assert re.findall(r"Acc': ([\d.]+)", figures) == re.findall(r"Acc': ([\d.]+)", last)
    assert float(figures.split()[1].strip(",")) == pytest.approx(float(last.split()[1].strip(",")), rel=1e-5)
    rows = (tmp_path / "a report" / "per_class.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[1:]] == [["0", "12"], ["1", "12"], ["2", "13"]]
    correct = sum(int(row.split(",")[2]) for row in rows[1:])
    assert f"'Top_1_Acc': {correct / 37}" in figures
    assert (tmp_path / "a report" / "confusion_matrix.png").exists()


def test_evaluation_equals_the_network_called_by_hand(trained, few_digits, capsys):
    network = xception(3).set_train(False)
    load_weights(network, trained[0] / "Xception-rank0-2_5.ckpt")
    images = create_dataset(str(few_digits / "val"), False, 37, image_size=71)
    ((image, label),) = list(images.create_tuple_iterator(num_epochs=1, output_numpy=True))
    accuracy = (network(ms.Tensor(image)).asnumpy().argmax(1) == label).mean()
    words = options(few_digits, Path("unused"), f"--checkpoint_path={trained[0] / 'Xception-rank0-2_5.ckpt'}")
    assert run_command(eval_door.main, words) == 0
    assert f"'Top_1_Acc': {accuracy}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ([], 2, "no checkpoint given: add --checkpoint_path=FILE.ckpt"),
        (["--checkpoint_path={folder}/class_names.txt"], 1, "is not named like a checkpoint"),
        (["--checkpoint_path={folder}/x.ckpt", "--test_data_dir=absent"], 1, "cannot read the data set folder absent"),
    ],
)
def test_a_mistake_in_evaluation_is_one_line(trained, few_digits, tmp_path, capsys, *, words, status, message):
    words = options(few_digits, tmp_path, *(word.format(folder=trained[0]) for word in words))
    assert run_command(eval_door.main, words) == status
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1
    assert message in error[0]


def test_a_network_without_good_weights_is_an_error_in_evaluation(few_digits, tmp_path, capsys):
    network = xception(3)
    network.fc.bias.set_data(ms.Tensor([np.nan] * 3, ms.float32))
    save_weights(tmp_path / "nan.ckpt", network)
    words = options(few_digits, tmp_path, f"--checkpoint_path={tmp_path / 'nan.ckpt'}")
    assert run_command(eval_door.main, words) == 1
    assert "NaN or infinite" in capsys.readouterr().err.splitlines()[-1]
