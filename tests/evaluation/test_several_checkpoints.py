"""eval.py evaluates several checkpoints in one call, and on request the weights beside their moving average."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import eval as eval_door
import export
from src.checkpoints.file import read_checkpoint, write_checkpoint
from src.checkpoints.parameters import AVERAGE
from src.export import exporter
from src.model_utils.command import run_command
from src.model_utils.config import parse_config
from src.prediction.classifier import load_classifier
from tests.helpers.training_run import RESULT, options

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkpoints(trained, tmp_path_factory) -> Path:
    """A folder of two trained checkpoints, and of one whose average is the first and whose own weights the second."""
    folder = tmp_path_factory.mktemp("several")
    names = [f"Xception-rank0-{epoch}_5.ckpt" for epoch in (1, 2)]
    for name in names:
        shutil.copy(trained[0] / name, folder)
    first, second = (read_checkpoint(folder / name) for name in names)
    weights = {name: value for name, value in second.items() if name.startswith(("conv", "bn", "block", "fc"))}
    averages = {f"{AVERAGE}{name}": first[name] for name in weights}
    for name, value in averages.items():
        value.name = name
    text = {name: value for name, value in second.items() if isinstance(value, str)}
    write_checkpoint(folder / "both.ckpt", [*weights.values(), *averages.values()], text)
    return folder


def evaluate(capsys, data: Path, *words: str) -> tuple[list[str], str]:
    status = run_command(eval_door.main, options(data, Path("unused"), *words))
    captured = capsys.readouterr()
    assert status == 0, captured.err
    return captured.out.splitlines(), captured.err


def test_a_folder_of_checkpoints_gives_a_table_of_their_results(checkpoints, few_digits, capsys):
    lines, _ = evaluate(capsys, few_digits, f"--checkpoint_path={checkpoints}")
    results = [RESULT.match(line)[1] for line in lines if line.startswith("result:")]
    assert len(results) == 3
    assert results[2] == results[0] != results[1]  # of both.ckpt the average counts
    header, *rows, best = lines[-5:]
    assert header.split() == ["checkpoint", "weights", "loss", "top-1", "top-5"]
    names = [checkpoints / f"Xception-rank0-{epoch}_5.ckpt" for epoch in (1, 2)] + [checkpoints / "both.ckpt"]
    for row, name, kind, result in zip(rows, names, ("own", "own", "average"), results, strict=True):
        loss, top_1 = re.findall(r"(?:Loss|Top_1_Acc)': ([\d.]+)", result)
        assert row.split() == [str(name), kind, f"{float(loss):.4f}", f"{float(top_1):.3%}", "100.000%"]
    winner = max(range(3), key=lambda place: float(re.findall(r"Top_1_Acc': ([\d.]+)", results[place])[0]))
    assert best == f"best top-1: {names[winner]}"
    (line,) = [line for line in evaluate(capsys, few_digits, f"--checkpoint_path={names[1]}")[0] if "result:" in line]
    assert RESULT.match(line)[1] == results[1]  # alone it has the same result, and no table


def test_the_weights_themselves_are_evaluated_on_request(checkpoints, few_digits, capsys):
    own, _ = evaluate(capsys, few_digits, f"--checkpoint_path={checkpoints / 'both.ckpt'}", "--use_average=False")
    other = checkpoints / "Xception-rank0-2_5.ckpt"
    expected, said = evaluate(capsys, few_digits, f"--checkpoint_path={other}", "--use_average=False")
    assert [line.partition(" ckpt= ")[0] for line in own] == [line.partition(" ckpt= ")[0] for line in expected]
    assert f"{other} holds no moving average of its weights: use_average changes nothing\n" in said


def test_a_report_is_of_one_checkpoint(checkpoints, few_digits, capsys):
    words = options(few_digits, Path("unused"), f"--checkpoint_path={checkpoints}", "--eval_report=out")
    assert run_command(eval_door.main, words) == 2
    assert "eval_report is of one checkpoint, and" in capsys.readouterr().err


def test_prediction_and_export_take_the_same_weights(checkpoints, few_digits, monkeypatch):
    own = read_checkpoint(checkpoints / "both.ckpt")
    taken = []

    def take(network, *_):
        taken.append(network)
        raise KeyboardInterrupt

    monkeypatch.setattr(exporter, "export_network", take)
    for words, prefix in (([], AVERAGE), (["--use_average=False"], "")):
        path = checkpoints / "both.ckpt"
        words = [*options(few_digits, Path("unused"), f"--ckpt_file={path}"), *words]
        with pytest.raises(KeyboardInterrupt):
            export.main(words)
        config = parse_config(words, lambda device: device)
        taken.append(load_classifier(path, config).network)
        for network in taken[-2:]:
            assert np.array_equal(network.fc.bias.asnumpy(), own[f"{prefix}fc.bias"].asnumpy())
    assert not np.array_equal(own["fc.bias"].asnumpy(), own[f"{AVERAGE}fc.bias"].asnumpy())
