"""What a user has got wrong is one line of the commands before any work, and changes nothing."""

from __future__ import annotations

import re

import mindspore as ms
import numpy as np
import pytest

import eval as eval_door
import train as train_door
from src.model_utils.command import run_command
from tests.helpers.training_run import options, run

pytestmark = pytest.mark.slow


def test_a_class_map_without_validation_is_said_to_have_no_effect(few_digits, tmp_path):
    words = options(few_digits, tmp_path / "out", "--class_map=map.csv", "--freeze=features")  # ends before it trains
    first, *_ = run("train.py", words, tmp_path).stderr.splitlines()
    assert first == "class_map map.csv has no effect: it is for validation, and eval_while_train is false"


@pytest.mark.parametrize(
    ("script", "words", "message"),
    [
        ("train.py", ["--num_classes=4"], r"has 3 classes, but num_classes is 4"),
        ("train.py", ["--train_data_dir={tmp}/empty"], r"no class folders in .*empty"),
        ("train.py", ["--train_data_dir={tmp}/no images"], r"no images in .*no images/0"),
        ("train.py", ["--resume={tmp}/absent.ckpt"], r"no checkpoint file .*absent.ckpt"),
        ("eval.py", ["--checkpoint_path={tmp}/text.ckpt"], r"cannot read checkpoint .*text.ckpt: the file is damaged"),
        ("eval.py", ["--checkpoint_path={tmp}/other.ckpt"], r"other.ckpt is none of Xception: it has no fc.bias"),
        ("train.py", ["--config_path={tmp}/tag.yaml"], r"tag.yaml, line 1: not valid YAML: could not determine"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_readable_line(few_digits, tmp_path, capsys, script, words, message):
    for name in ("empty", "no images/0", "no images/1", "no images/2"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    (tmp_path / "tag.yaml").write_text("!!python/object/apply:os.system ['touch harm']\n")
    ms.save_checkpoint(
        [{"name": "dense.weight", "data": ms.Tensor(np.zeros(3, np.float32))}], str(tmp_path / "other.ckpt")
    )
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    words = options(few_digits, tmp_path / "out", *(word.format(tmp=tmp_path) for word in words))
    door = {"train.py": train_door, "eval.py": eval_door}[script]
    assert run_command(door.main, words) in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(rf"^error: .*{message}", line), line
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    ("script", "word"), [("train.py", "--num_classes=4"), ("eval.py", "--checkpoint_path=absent.ckpt")]
)
def test_a_process_says_nothing_else_of_a_mistake(few_digits, tmp_path, script, word):
    result = run(script, options(few_digits, tmp_path / "out", word), tmp_path)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")


def test_debug_shows_the_traceback(tmp_path):
    result = run("train.py", ["--device_target=CPU", "--train_data_dir=absent", "--debug"], tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("Traceback")
    assert result.stderr.splitlines()[-1].startswith("error: cannot read the data set folder absent")
