"""Checkpoints of real trainings say what they mean, to this project and to the model zoo's own way of loading them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import eval as eval_door
import train as train_door
from src.checkpoints.file import DamagedCheckpoint, read_checkpoint
from src.checkpoints.weights import load_network, read_metadata, save_weights
from src.data.image_source import open_images
from src.metadata.metadata import Metadata
from src.model_utils.command import run_command
from src.Xception import xception
from tests.helpers import small_training
from tests.helpers.project import ROOT
from tests.helpers.small_training import train_small
from tests.helpers.training_run import BATCH, EPOCHS, RESULT, options, run

pytestmark = pytest.mark.slow

ZOO = """
import sys
import mindspore as ms
from src.Xception import xception
network = xception(int(sys.argv[2]))
parameters = ms.load_checkpoint(sys.argv[1])
missing, _ = ms.load_param_into_net(network, parameters)
print(missing)
ms.save_checkpoint(network, sys.argv[3])
"""


def state_of(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Return what all files of a folder hold, and when they were written."""
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def renamed(few_digits: Path, folder: Path, names: str) -> Path:
    """Copy the first class folders of the training images to other names; return the folder beside `val`."""
    for old, new in zip("012", names, strict=False):
        shutil.copytree(few_digits / "train" / old, folder / "train" / new)
    shutil.copytree(few_digits / "val", folder / "val")
    return folder


# What is written


def test_every_checkpoint_tells_all_that_its_weights_mean(trained, few_digits):
    paths = sorted(trained[0].glob("*.ckpt"))
    assert len(paths) == 3
    for path in paths:
        metadata = read_metadata(path)
        assert metadata.class_names == ("0", "1", "2")
        assert (metadata.image_size, metadata.crop_pct, metadata.interpolation) == (71, 0.934375, "bilinear")
        assert (metadata.amp_level, metadata.pool_padding) == ("O0", "same")
        provenance = metadata.provenance
        assert {"seed": 1, "batch_size": BATCH, "epoch_size": EPOCHS, "ranks": 1}.items() <= provenance.recipe.items()
        assert (provenance.source, provenance.images) == ("training", 21)
        assert provenance.training_list == open_images(str(few_digits / "train")).digest()


def test_so_do_those_with_averaged_weights_and_another_padding_which_evaluation_takes_as_validation_did(
    few_digits, tmp_path, capsys
):
    network = xception(3, "symmetric")
    save_weights(tmp_path / "a.ckpt", network, Metadata(tuple("xyz"), 71, 0.875, "bicubic", pool_padding="symmetric"))
    words = ["--ema_decay=0.9", "--epoch_size=1", "--eval_while_train", f"--pretrained={tmp_path}/a.ckpt"]
    words = options(few_digits, tmp_path / "out", *words)
    assert run_command(train_door.main, words) == 0
    best = tmp_path / "out" / "model_0" / "Xception-best.ckpt"
    assert run_command(eval_door.main, [*words, f"--checkpoint_path={best}"]) == 0
    validated, evaluated = RESULT.findall(capsys.readouterr().out)
    assert validated == evaluated
    for name in ("Xception-rank0-1_5.ckpt", "Xception-best.ckpt"):
        metadata = read_metadata(tmp_path / "out" / "model_0" / name)
        assert (metadata.class_names, metadata.pool_padding) == (("0", "1", "2"), "symmetric")
        assert (metadata.crop_pct, metadata.interpolation) == (0.875, "bicubic")
        assert metadata.provenance.recipe["pretrained"] == "a.ckpt"


@pytest.mark.parametrize("long_names", [False, True])
def test_the_model_zoos_own_way_reads_them(trained, tmp_path, long_names):
    path = trained[0] / "Xception-best.ckpt"
    if long_names:
        names = tuple(f"\u732b\U0001f408 {number:04d} " + "\u0436" * 150 for number in range(1000))
        path = tmp_path / "long.ckpt"
        save_weights(path, xception(1000), Metadata(names, 299))
        assert len(read_metadata(path).to_json()) > 900_000
        assert read_metadata(path) == Metadata(names, 299)
    network = load_network(path).network
    words = [sys.executable, "-c", ZOO, path, str(network.num_classes), tmp_path / "copy.ckpt"]
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "[]\n"
    assert "WARNING" not in result.stderr
    copy = read_checkpoint(tmp_path / "copy.ckpt")
    for parameter in network.get_parameters():
        assert np.array_equal(copy[parameter.name].asnumpy(), parameter.asnumpy()), parameter.name


def test_one_that_lost_its_end_but_not_its_metadata_is_refused(trained, tmp_path):
    network = xception(3)
    save_weights(tmp_path / "a.ckpt", network, read_metadata(trained[0] / "Xception-best.ckpt"))
    content = (tmp_path / "a.ckpt").read_bytes()
    (tmp_path / "a.ckpt").write_bytes(content[:-17])
    with pytest.raises(DamagedCheckpoint, match="has no checksum at its end: it is cut"):
        load_network(tmp_path / "a.ckpt")


# Going on


@pytest.mark.parametrize(
    ("names", "difference"),
    [("127", "class 0 is '0' there and '1' here"), ("01", "class 2 is '2' there and missing here")],
)
@pytest.mark.parametrize("how", ["auto", "file"])
def test_going_on_with_other_classes_is_one_line_and_changes_nothing(
    small_copy, few_digits, tmp_path, capsys, *, names, difference, how
):
    data = renamed(few_digits, tmp_path / "data", names)
    newest = small_copy / "Xception-rank0-2_5.ckpt"
    before = state_of(small_copy)
    words = [f"--resume={'auto' if how == 'auto' else newest}", "--epoch_size=3", f"--num_classes={len(names)}"]
    assert train_small(data, tmp_path / "out", *words) == 2
    captured = capsys.readouterr()
    *_, error = captured.err.splitlines()
    assert f"{newest} names other classes than {data}/train has: {difference}; go on with the same classes" in error
    assert "num_classes" not in error and "skipping" not in captured.out
    assert state_of(small_copy) == before


def test_what_differs_is_said_and_kept_and_names_stay_as_they_are(small_copy, few_digits, tmp_path, capsys):
    (small_copy / "class_names.txt").write_text("null\neins\nzwei\n")
    words = options(few_digits, tmp_path / "out", "--resume=auto", "--epoch_size=3", "--seed=2", "--batch_size=5")
    words = [word for word in words if not word.startswith(("--num_classes", "--image_size"))]
    assert run_command(small_training.main, words) == 0
    newest = small_copy / "Xception-rank0-2_5.ckpt"
    output = capsys.readouterr().err
    changed = "seed 1 -> 2, batch_size 4 -> 5, epoch_size 2 -> 3"
    assert f"\nthis is not the uninterrupted run of {newest}: {changed}\n" in output
    assert f"image_size 71, crop_pct 0.934375, interpolation bilinear, as {newest} tells" in output
    metadata = read_metadata(small_copy / "Xception-rank0-3_4.ckpt")
    assert metadata.provenance.recipe["changes"] == f"after epoch 2: {changed}"
    assert (metadata.class_names, metadata.image_size) == (("0", "1", "2"), 71)
    assert (small_copy / "class_names.txt").read_text() == "null\neins\nzwei\n"


def test_nothing_is_said_where_nothing_differs(small_copy, few_digits, tmp_path, capsys):
    (small_copy / "Xception-rank0-2_5.ckpt").unlink()
    assert train_small(few_digits, tmp_path / "out", "--resume=auto", "--eval_while_train=True") == 0
    output = capsys.readouterr().out
    assert "resuming" in output and "uninterrupted" not in output
    before = read_metadata(small_copy / "Xception-rank0-1_5.ckpt")
    assert read_metadata(small_copy / "Xception-rank0-2_5.ckpt") == before


# Pretrained weights


def test_pretrained_weights_need_no_sizes(trained, few_digits, tmp_path):
    path = trained[0] / "Xception-best.ckpt"
    outputs = []
    for names in ("012", "127"):
        data = renamed(few_digits, tmp_path / names, names)
        words = options(data, tmp_path / f"out {names}", f"--pretrained={path}", "--epoch_size=1")
        words = [word for word in words if not word.startswith(("--num_classes", "--image_size"))]
        result = run("train.py", words, tmp_path)
        assert result.returncode == 0, result.stderr
        metadata = read_metadata(tmp_path / f"out {names}" / "model_0" / "Xception-rank0-1_5.ckpt")
        assert (metadata.class_names, metadata.image_size) == (tuple(names), 71)
        outputs.append(result.stdout)
    assert re.findall(r"^pretrained weights from .*", outputs[0], re.MULTILINE) == [f"pretrained weights from {path}"]
    new = "all but the classifier, which is new with 3 classes: class 0 is '0' there and '1' here"
    assert f"pretrained weights from {path}, {new}" in outputs[1]
