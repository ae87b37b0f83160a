"""Saved weights are complete or absent, and a checkpoint that does not fit is refused with the names that do not."""

from __future__ import annotations

import re
import stat
import subprocess
import sys

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.checkpoints.training_state import TrainingState, load_training, save_training
from src.checkpoints.weights import load_weights, save_weights
from tests.helpers.project import ROOT
from tests.helpers.small_network import assert_same, build, build_state, values


def test_weights_come_back_without_the_training_state(tmp_path):
    state = build_state()
    save_training(tmp_path / "a.ckpt", state)
    other, _ = build()
    load_weights(other, tmp_path / "a.ckpt")
    assert_same(values(state.network), values(other))


def test_half_precision_weights_are_loaded_into_the_networks_own_type(tmp_path):
    network, _ = build()
    half = [{"name": p.name, "data": Tensor(p.asnumpy(), ms.float16)} for p in network.get_parameters()]
    ms.save_checkpoint(half, str(tmp_path / "half.ckpt"))
    other, _ = build()
    load_weights(other, tmp_path / "half.ckpt")
    assert other.fc.weight.dtype == ms.float32
    assert np.array_equal(other.fc.weight.asnumpy(), network.fc.weight.asnumpy().astype(np.float16))


@pytest.mark.parametrize(
    ("theirs", "parts"),
    [
        ({"num_classes": 9}, ["wrong shape: fc.weight (9, 2) instead of (4, 2), fc.bias", "use --num_classes=9"]),
        ({"layers": 0}, ["missing: blocks.0.weight, blocks.0.bias"]),
        ({"layers": 2}, ["unexpected: blocks.1.weight, blocks.1.bias"]),
        ({"layers": 9, "num_classes": 9}, ["blocks.5.bias and 6 more", "wrong shape: fc.weight"]),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_with_the_names(tmp_path, theirs, parts):
    path = tmp_path / "other.ckpt"
    save_training(path, build_state(**theirs))
    network, optimizer = build()
    state = TrainingState(network, optimizer)
    before = values(network, optimizer)
    for load in (lambda: load_weights(network, path), lambda: load_training(state, path)):
        with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
            load()
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"does not fit the network") as caught:
        load_weights(network, path)
    assert all(part in str(caught.value) for part in parts), caught.value
    assert_same(before, values(network, optimizer))


@pytest.mark.parametrize(("name", "reason"), [("absent.ckpt", "no checkpoint file"), ("a.pth", "end in .ckpt")])
def test_a_wrong_path_is_one_line(tmp_path, name, reason):
    (tmp_path / "a.pth").touch()
    with pytest.raises(ValueError, match=reason):
        load_weights(build()[0], tmp_path / name)


def test_saving_creates_folders_and_an_ordinary_file(tmp_path):
    path = tmp_path / "a b" / "c" / "x.ckpt"
    save_weights(path, build()[0])
    assert [entry.name for entry in path.parent.iterdir()] == ["x.ckpt"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_failed_save_keeps_the_old_checkpoint_and_leaves_no_other_file(tmp_path):
    network, _ = build()
    path = tmp_path / "x.ckpt"
    save_weights(path, network)
    before = path.read_bytes()
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from src.checkpoints.weights import save_weights\n"
        "from tests.helpers.small_network import build\n"
        "network, _ = build()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try: save_weights(Path(sys.argv[1]), network)\n"
        "except OSError as error: print('refused:', error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert re.fullmatch(rf"refused: .*{re.escape(str(path))}'?\n", result.stdout), result.stdout + result.stderr
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.ckpt"]
