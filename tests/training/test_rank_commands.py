"""Commands on two ranks: real processes on CPU, started as users start them."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from mindspore import nn

from src.checkpoints.weights import read_metadata
from src.data.class_matching import ModelClasses
from src.data.image_source import open_images
from src.evaluation.engines import by_mindspore, image_loss
from src.evaluation.evaluation_set import evaluate_test_images, open_evaluation_set
from src.model_utils.local_adapter import Group
from tests.helpers.launching import Launch
from tests.helpers.project import ROOT
from tests.helpers.ranks import msrun, run_ranks
from tests.helpers.small_training import load_small, train_small
from tests.helpers.training_run import RESULT, SMALL, losses, options, run
from tests.helpers.two_ranks import CLASSES, configuration

pytestmark = pytest.mark.slow


def test_the_evaluation_script_on_two_devices_reports_what_one_process_does(trained, few_digits, tmp_path):
    checkpoint = trained[0] / "Xception-rank0-2_5.ckpt"
    words = options(few_digits, tmp_path, "--batch_size=8", f"--checkpoint_path={checkpoint}")
    script = ["bash", str(ROOT / "scripts" / "run_eval.sh"), "0", str(few_digits / "val"), str(checkpoint)]
    launch = Launch([*script, *words, f"--eval_report={tmp_path / 'two'}"], tmp_path, {**os.environ, "DEVICE_NUM": "2"})
    assert launch.wait()[::2] == (0, "")
    logs = [(tmp_path / f"eval_parallel{rank}" / "eval.log").read_text() for rank in range(2)]
    alone = run("eval.py", [*words, f"--eval_report={tmp_path / 'one'}"], tmp_path)
    figures = [re.search(r"result: .*'Loss': (\S+), (.*)", text).groups() for text in (logs[0], alone.stdout)]
    assert figures[0][1] == figures[1][1]
    assert float(figures[0][0]) == pytest.approx(float(figures[1][0]), rel=1e-5)
    assert "evaluated 37 images, each once" in logs[0]
    assert "result:" not in logs[1]
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == names
    for name in ("per_class.csv", "confusion_matrix.csv", "confused.csv", "mistakes.csv"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes(), name


def rank_processes(log: Path) -> list[int]:
    """Return the process numbers of the ranks whose logs are in a folder, by rank."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "environ").read_bytes().split(b"\0")
            command = (entry / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        values = dict(word.split(b"=", 1) for word in words if b"=" in word)
        if str(log).encode() in command and SMALL.encode() in command and values.get(b"MS_ROLE") == b"MS_WORKER":
            found[int(values[b"MS_NODE_ID"])] = int(entry.name)
    return [found[rank] for rank in sorted(found)]


def test_a_signal_to_one_rank_stops_both_after_the_same_step_and_both_resume(few_digits, tmp_path):
    epochs = 10  # so that the signal comes before the end
    more = ["--is_distributed=True", "--batch_size=2", "--log_steps=1", "--resume=auto", f"--epoch_size={epochs}"]
    words = options(few_digits, tmp_path / "out", *more)
    with subprocess.Popen(msrun(SMALL, words, tmp_path), cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        log = tmp_path / "log" / "worker_1.log"
        while not (log.exists() and "epoch: 1 step: 2," in log.read_text()):
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(rank_processes(tmp_path / "out")[1], signal.SIGTERM)
        assert process.wait(timeout=60) != 0
    before = [(tmp_path / "log" / f"worker_{rank}.log").read_text() for rank in range(2)]
    stops = [re.search(r"stopped by SIGTERM after (epoch \d+(?:, step \d+)?)", text) for text in before]
    assert stops[0], before[0]
    assert losses(before[0]).keys() == losses(before[1]).keys()
    assert "wrote" in before[0]
    after = run_ranks(SMALL, [*words, "--eval_while_train=True"], tmp_path)
    for rank in range(2):
        assert "resuming" in after[rank]
        steps = sorted([*losses(before[rank]), *losses(after[rank])])
        assert steps == [(epoch, step) for epoch in range(1, epochs + 1) for step in range(1, 6)]
    network = load_small(tmp_path / "out" / "model_0" / f"Xception-rank0-{epochs}_5.ckpt")
    assert ast.literal_eval(RESULT.findall(after[0])[-1]) == pytest.approx(
        evaluate_alone(network, few_digits / "val"), rel=1e-5
    )


def evaluate_alone(network: nn.Cell, folder: Path) -> dict[str, float]:
    """Return the result of an evaluation on one process."""
    config = configuration("--image_size=71", f"--test_data_dir={folder}")
    evaluated = open_evaluation_set(config, open_images(str(folder)), ModelClasses("the network", CLASSES), Group())
    engine = by_mindspore(network, image_loss(config), config.batch_size)
    return ast.literal_eval(evaluate_test_images(config, engine, evaluated, Group()).to_line().removeprefix("result: "))


def test_two_ranks_go_on_with_the_training_of_one_and_the_first_says_what_differs(few_digits, tmp_path):
    assert train_small(few_digits, tmp_path / "out") == 0
    folder = tmp_path / "out" / "model_0"
    words = ["--is_distributed=True", "--batch_size=2", "--resume=auto", "--epoch_size=3"]
    words = [*options(few_digits, tmp_path / "out"), *words]
    logs = run_ranks(SMALL, [word for word in words if not word.startswith("--num_classes")], tmp_path)
    newest = folder / "Xception-rank0-2_5.ckpt"
    said = f"this is not the uninterrupted run of {newest}: batch_size 4 -> 2, epoch_size 2 -> 3, "
    assert said in logs[0] and "ranks 1 -> 2" in logs[0]
    assert "uninterrupted" not in logs[1] and "as given" not in logs[1]
    metadata = read_metadata(folder / "Xception-rank0-3_5.ckpt")
    assert metadata.class_names == ("0", "1", "2")
    assert metadata.provenance.recipe["ranks"] == 2
