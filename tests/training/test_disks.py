"""Disks that fill up or go away under a training: one line, nothing half, and the same losses once it goes on."""

from __future__ import annotations

import mmap
import re
import shutil
import threading
import time
from pathlib import Path

import pytest

from src.checkpoints.file import read_checkpoint
from src.training.metrics import read_metrics
from tests.helpers.mounts import mounted, take_away
from tests.helpers.small_training import train_small
from tests.helpers.training_run import losses

EPOCHS = 20
WORDS = (f"--epoch_size={EPOCHS}", "--save_checkpoint_epochs=10", "--log_steps=1", "--resume=auto")


def whole_checkpoints(folder: Path) -> set[str]:
    """Return the names of the checkpoints, all of which can be read."""
    names = {path.name for path in folder.glob("*.ckpt")}
    for name in names:
        read_checkpoint(folder / name, whole=True)
    return names


def temporary_files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


@pytest.fixture(scope="module")
def undisturbed(few_digits, tmp_path_factory) -> dict[int, float]:
    """The loss of every step of the training that nothing disturbs."""
    out = tmp_path_factory.mktemp("undisturbed")
    assert train_small(few_digits, out, *WORDS) == 0
    return {row.step: row.loss for row in read_metrics(out / "model_0" / "metrics.csv")}


@pytest.mark.parametrize(
    ("pages", "name", "left"),
    [
        (0, "config.yaml", set()),
        (1, "metrics.csv", set()),
        (3, "Xception-rank0-10_5.ckpt", set()),
        (6, "metrics.csv", {"Xception-rank0-10_5.ckpt"}),
    ],
)
def test_a_full_disk_is_one_line_and_training_goes_on_where_it_was(
    few_digits, undisturbed, tmp_path, capsys, pages, name, left
):
    folder = tmp_path / "disk" / "model_0"
    with mounted(tmp_path / "disk", f"-osize={64 * mmap.PAGESIZE}"):
        (tmp_path / "disk" / "other").write_bytes(bytes((64 - pages) * mmap.PAGESIZE))
        assert train_small(few_digits, tmp_path / "disk", *WORDS) == 1
        *_, last = capsys.readouterr().err.splitlines()
        assert re.fullmatch(
            rf"error: No space left on device: {re.escape(str(folder / name))}: 0\.\d MB are left there; make room "
            r"and run it again",
            last,
        ), last
        assert whole_checkpoints(folder) == left
        assert temporary_files(folder) == []
        (tmp_path / "disk" / "other").unlink()
        assert train_small(few_digits, tmp_path / "disk", *WORDS) == 0
        rows = read_metrics(folder / "metrics.csv")
        assert {row.step: row.loss for row in rows} == undisturbed
        assert len(rows) == len(undisturbed)
        assert not list(folder.glob("earlier-*"))


@pytest.fixture
def many_digits(few_digits, tmp_path) -> Path:
    """More images than wait in the pipeline at any time, on a disk of their own."""
    with mounted(tmp_path / "net"):
        for path in few_digits.rglob("*.jpg"):
            for copy in range(1 if path.parts[-3] == "val" else 40):
                target = tmp_path / "net" / path.relative_to(few_digits).with_stem(f"{path.stem}-{copy}")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
        yield tmp_path / "net"


def test_a_disk_of_images_that_goes_is_one_line_and_no_step_is_lost(many_digits, tmp_path, capsys):
    kept = shutil.copytree(many_digits, tmp_path / "kept")
    words = ("--epoch_size=1", "--log_steps=1", "--resume=auto")
    metrics = tmp_path / "out" / "model_0" / "metrics.csv"

    def go() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end and not (metrics.exists() and metrics.read_bytes().count(b"\n") > 3):
            time.sleep(0.001)
        take_away(many_digits)

    thread = threading.Thread(target=go)
    thread.start()
    status = train_small(many_digits, tmp_path / "out", *words)
    thread.join()
    first = capsys.readouterr()
    assert status == 1
    assert re.fullmatch(
        rf"error: cannot read image {re.escape(str(many_digits))}/train/\d/.*\.jpg: all of {many_digits}/train has "
        r"gone, as if its disk had been unmounted or its network cut: once it is back, the same command goes on, a "
        r"training with --resume=auto",
        first.err.splitlines()[-1],
    ), first.err
    (step,) = (step for _, step in [max(losses(first.out))])
    assert whole_checkpoints(metrics.parent) == {f"Xception-rank0-1_{step}.ckpt"}
    assert f"what has been trained so far is in {metrics.parent}/Xception-rank0-1_{step}.ckpt" in first.out
    shutil.copytree(kept, many_digits, dirs_exist_ok=True)
    assert train_small(many_digits, tmp_path / "out", *words) == 0
    second = capsys.readouterr()
    assert train_small(kept, tmp_path / "whole", *words) == 0
    assert {**losses(first.out), **losses(second.out)} == losses(capsys.readouterr().out)
