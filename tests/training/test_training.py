"""Training as users run it: real processes on real images, their logs, files, and an exact resume."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from PIL import Image

from src.checkpoints.weights import load_weights, read_metadata, save_weights
from src.model_utils.config import parse_config
from src.training.metrics import read_metrics
from src.training.model import build_model, build_optimizer
from src.Xception import xception
from tests.helpers.small_training import Small, load_small, train_small
from tests.helpers.training_run import BATCH, EPOCHS, RESULT, SMALL, STEPS, losses, options, run

pytestmark = pytest.mark.slow

TIME = re.compile(r"epoch time: \d+\.\d{3} ms, per step time: \d+\.\d{3} ms")


# What a training leaves


def test_a_training_prints_no_warning_and_loses_no_update_of_the_moving_statistics(trained):
    folder, result = trained
    assert "WARNING" not in result.stderr + result.stdout
    initial = {"moving_mean": 0.0, "moving_variance": 1.0}
    one, two = (ms.load_checkpoint(str(path)) for path in sorted(folder.glob("Xception-rank0-*.ckpt")))
    statistics = [parameter for parameter in one if parameter.rpartition(".")[2] in initial]
    assert len(statistics) == 80
    for parameter in statistics:
        after_one, after_two = one[parameter].asnumpy(), two[parameter].asnumpy()
        assert (after_one != initial[parameter.rpartition(".")[2]]).any(), parameter
        assert (after_two != after_one).any(), parameter


def test_log_lines_are_those_of_the_model_zoo(trained):
    output = trained[1].stdout
    assert sorted(losses(output)) == [(epoch, step) for epoch in (1, 2) for step in (2, 4, 5)]
    lines = output.splitlines()
    assert sum(TIME.fullmatch(line) is not None for line in lines) == EPOCHS
    assert sum(re.fullmatch(r"\d+\.\d images/s, ETA \d+:\d\d:\d\d", line) is not None for line in lines) == EPOCHS
    assert sum(RESULT.fullmatch(line) is not None for line in lines) == EPOCHS
    first, last = lines.index("begin train"), lines.index("train success")
    assert first < lines.index(next(line for line in lines if TIME.fullmatch(line))) < last == len(lines) - 2


def test_progress_counts_every_image_on_stderr(trained):
    assert f"train: {EPOCHS * STEPS * BATCH}/{EPOCHS * STEPS * BATCH} images (100%)" in trained[1].stderr
    assert trained[1].stderr.count("evaluate: 37/37 images (100%)") == EPOCHS
    assert "Traceback" not in trained[1].stderr


def test_the_folder_holds_checkpoints_metrics_classes_and_configuration(trained):
    folder = trained[0]
    assert {path.name for path in folder.iterdir()} == {
        "Xception-rank0-1_5.ckpt", "Xception-rank0-2_5.ckpt", "Xception-best.ckpt", "class_names.txt", "config.yaml",
        "metrics.csv", "curves.png",
    }  # fmt: skip
    assert (folder / "class_names.txt").read_text() == "0\n1\n2\n"
    config = parse_config(["--config_path", str(folder / "config.yaml")], lambda device: device)
    assert (config.epoch_size, config.batch_size, config.image_size, config.lr_max) == (EPOCHS, BATCH, 71, 0.01)
    lines = trained[1].stdout.splitlines()
    assert "configuration: out/model_0/config.yaml" in lines
    summary = lines[: lines.index("begin train")]
    for line in (
        "batch: 4 images a step",
        "learning rate: 4e-05 at first, at most 0.01, 0.00203 at last (linear, momentum)",
        "steps: 10 in 2 epochs of 5; 1 image is left out of each, others each time",
    ):
        assert line in summary, summary
    assert len(summary) < 12


def test_metrics_hold_the_logged_losses_and_validations(trained):
    rows = read_metrics(trained[0] / "metrics.csv")
    assert [(row.epoch, row.step) for row in rows] == [(1, 2), (1, 4), (1, 5), (2, 7), (2, 9), (2, 10)]
    printed = [float(loss) for loss in losses(trained[1].stdout).values()]
    assert [row.loss for row in rows] == pytest.approx(printed, abs=1e-6)  # both are rounded
    accuracies = re.findall(r"'Top_1_Acc': ([\d.]+)", trained[1].stdout)
    assert [str(row.val_top_1) for row in rows] == ["None", "None", accuracies[0], "None", "None", accuracies[1]]
    assert all(row.images_per_second > 0 for row in rows)
    assert rows[-1].lr == pytest.approx(4e-5 + (0.01 - 4e-5) / 5, rel=1e-4)


def test_the_best_checkpoint_is_the_first_of_the_best_epochs(trained):
    rows = [row for row in read_metrics(trained[0] / "metrics.csv") if row.val_top_1 is not None]
    best = max(rows, key=lambda row: (row.val_top_1, -row.epoch))
    numbered = trained[0] / f"Xception-rank0-{best.epoch}_5.ckpt"
    assert (trained[0] / "Xception-best.ckpt").read_bytes() == numbered.read_bytes()


def test_curves_can_be_looked_at(trained):
    with Image.open(trained[0] / "curves.png") as image:
        image.load()
        assert image.size[0] >= 600


# Going on


def test_a_training_resumed_before_a_damaged_checkpoint_repeats_the_uninterrupted_one_exactly(
    trained, own_copy, few_digits, tmp_path
):
    newest = own_copy / "Xception-rank0-2_5.ckpt"
    damaged = bytearray(newest.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    newest.write_bytes(damaged)
    result = run(
        "train.py", options(few_digits, tmp_path / "out", "--eval_while_train=True", "--resume=auto"), tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert f"skipping {newest}: cannot read checkpoint {newest}: the file is damaged" in result.stdout
    assert f"resuming {own_copy}/Xception-rank0-1_5.ckpt after epoch 1, step 0" in result.stdout
    assert (own_copy / "earlier-1" / newest.name).read_bytes() == damaged
    whole = losses(trained[1].stdout)
    assert losses(result.stdout) == {place: loss for place, loss in whole.items() if place[0] == 2}
    resumed, uninterrupted = xception(3), xception(3)
    load_weights(resumed, own_copy / "Xception-rank0-2_5.ckpt")
    load_weights(uninterrupted, trained[0] / "Xception-rank0-2_5.ckpt")
    for left, right in zip(resumed.get_parameters(), uninterrupted.get_parameters(), strict=True):
        assert np.array_equal(left.asnumpy(), right.asnumpy()), left.name
    strip = [(row.step, row.loss, row.val_top_1) for row in read_metrics(trained[0] / "metrics.csv")]
    assert [(row.step, row.loss, row.val_top_1) for row in read_metrics(own_copy / "metrics.csv")] == strip


def test_weights_alone_warm_start_a_new_training_and_the_old_files_move_aside(small_copy, few_digits, tmp_path, capsys):
    save_weights(tmp_path / "weights.ckpt", load_small(small_copy / "Xception-rank0-1_5.ckpt"))
    words = [f"--resume={tmp_path}/weights.ckpt", "--epoch_size=1", "--save_checkpoint=False"]
    assert train_small(few_digits, tmp_path / "out", *words) == 0
    output = capsys.readouterr().out
    assert "it holds weights only and no position; training starts after epoch 0" in output
    aside = small_copy / "earlier-1"
    assert f"files of an earlier run are in {aside} now" in output
    assert {path.name for path in small_copy.iterdir()} == {
        "earlier-1", "class_names.txt", "config.yaml", "metrics.csv", "curves.png",
    }  # fmt: skip
    assert (aside / "Xception-rank0-2_5.ckpt").exists()


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (
            ["--resume={folder}/Xception-rank0-2_5.ckpt"],
            2,
            "nothing to train: 2 of 2 epochs are done; raise --epoch_size",
        ),
        (["--finish_epoch=1"], 2, "finish_epoch is 1, but no checkpoint is given: add --resume CKPT"),
        (["--resume={folder}/absent.ckpt"], 1, "no checkpoint file"),
        (["--num_classes=4"], 1, "has 3 classes, but num_classes is 4: use --num_classes=3"),
        (["--train_data_dir="], 1, "cannot read the data set folder (none given)"),
        (["--batch_size=99"], 1, "has 21 images, less than one batch of 99"),
        (["--warmup_epochs=3"], 1, "warmup_epochs must be in [0, 2] (total_epochs), but got 3"),
        (["--test_data_dir={other}", "--eval_while_train"], 2, "train has no class x, a class folder of"),
        (["--save_checkpoint_path={file}"], 1, "Not a directory"),
    ],
)
def test_a_mistake_is_one_line_before_training_and_changes_nothing(
    small_copy, few_digits, tmp_path, capsys, *, words, status, message
):
    other = Path(shutil.copytree(few_digits / "val", tmp_path / "other"))
    (other / "2").rename(other / "x")
    (tmp_path / "file").touch()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    places = {"folder": small_copy, "other": other, "file": tmp_path / "file"}
    assert train_small(few_digits, tmp_path / "out", *(word.format(**places) for word in words)) == status
    *notes, error = capsys.readouterr().err.splitlines()
    assert message in error
    assert not [note for note in notes if note.startswith("error")]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_loss_that_diverges_stops_with_step_and_rate_and_keeps_the_checkpoints(
    small_copy, few_digits, tmp_path, capsys
):
    words = [f"--resume={small_copy}/Xception-rank0-1_5.ckpt", "--lr_max=1e38", "--lr_init=1e38"]
    assert train_small(few_digits, tmp_path / "out", *words) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.match(
        r"error: the loss is (nan|inf) at epoch 2, step 2, learning rate 8e\+37: training has diverged", error
    )
    load_small(small_copy / "Xception-rank0-1_5.ckpt")


def test_bfloat16_trains_with_a_loss_scale_writes_ordinary_checkpoints_and_goes_on_exactly(
    few_digits, tmp_path, monkeypatch
):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")  # the tests' own choice, which has no bfloat16
    scale = 2.0**126  # gradients overflow with it, but not for long
    words = [
        "--amp_level=O2", "--loss_scale_mode=dynamic", f"--loss_scale={scale}", "--epoch_size=1", "--log_steps=1",
        "--save_checkpoint_steps=2",
    ]  # fmt: skip
    whole = run("train.py", options(few_digits, tmp_path / "whole", *words, "--eval_while_train=True"), tmp_path)
    assert whole.returncode == 0, whole.stderr
    has_bfloat16 = "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    assert ("has no avx512_bf16: computing in float32\n" in whole.stderr) != has_bfloat16
    # Where there is no bfloat16 it trains in float32, without a loss scale.
    skipped = re.findall(r"^loss scale .*: 1 of the last 1 steps overflowed", whole.stdout, re.MULTILINE)
    assert (0 < len(skipped) < 5) == has_bfloat16
    expected = losses(whole.stdout)
    assert len(expected) == 5
    assert all(0 < float(loss) < 20 for loss in expected.values())
    assert len(RESULT.findall(whole.stdout)) == 1
    checkpoint = tmp_path / "whole" / "model_0" / "Xception-rank0-1_5.ckpt"
    load_weights(xception(3), checkpoint)
    assert read_metadata(checkpoint).amp_level == ("O2" if has_bfloat16 else "O0")
    inside = f"--resume={checkpoint.with_stem('Xception-rank0-1_2')}"
    resumed = run("train.py", options(few_digits, tmp_path / "parts", *words, inside), tmp_path)
    assert losses(resumed.stdout) == {place: loss for place, loss in expected.items() if place > (1, 2)}, resumed.stderr


@pytest.mark.parametrize("level", ["O2", "O3"])
def test_float16_on_other_devices_trains_float32_weights(level):
    config = parse_config(["--num_classes=3", f"--amp_level={level}"], lambda _: "GPU")
    network = Small(3)
    optimizer = build_optimizer(config, network, np.full(1, 0.01, np.float32))
    before = network.fc.weight.asnumpy().copy()
    step = build_model(config, network, optimizer).train_network
    images = Tensor(np.random.default_rng(0).uniform(-1, 1, (2, 3, 71, 71)).astype(np.float32))
    assert 0 < float(step(images, Tensor([0, 1], ms.int32)).asnumpy()) < 20
    assert {parameter.dtype for parameter in network.trainable_params()} == {ms.float32}
    assert not np.array_equal(network.fc.weight.asnumpy(), before)


def test_only_the_newest_checkpoints_are_kept(small_copy, few_digits, tmp_path):
    words = [f"--resume={small_copy}/Xception-rank0-2_5.ckpt", "--epoch_size=3", "--keep_checkpoint_max=2"]
    assert train_small(few_digits, tmp_path / "out", *words) == 0
    names = {path.name for path in small_copy.glob("*.ckpt")}
    assert names == {"Xception-rank0-2_5.ckpt", "Xception-rank0-3_5.ckpt", "Xception-best.ckpt"}


def test_profiling_writes_a_trace_beside_the_metrics(few_digits, tmp_path):
    words = options(few_digits, Path("out"), "--enable_profiling=True", "--epoch_size=1", "--save_checkpoint=False")
    result = run(SMALL, words, tmp_path)
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "out" / "model_0" / "profile").rglob("trace_view.json"))) == 1
    assert not list(tmp_path.rglob("*.ckpt"))
