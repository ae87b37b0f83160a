"""A checkpoint is complete or absent, and one that does not fit is refused with the names that do not."""

from __future__ import annotations

import re
import stat
import subprocess
import sys

import mindspore as ms
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mindspore import Tensor, nn

from src.checkpoints.weights import (
    Position,
    checkpoint_name,
    load_training,
    load_weights,
    numbered_checkpoints,
    save_checkpoint,
    set_global_step,
)
from tests.helpers.project import ROOT
from tests.helpers.small_network import assert_same, build, values


@pytest.fixture
def saved(tmp_path):
    network, optimizer = build()
    path = tmp_path / "a.ckpt"
    save_checkpoint(path, network, optimizer, Position(3, 2, 45, 0.75))
    return path, network, optimizer


def test_training_state_comes_back_as_it_was(saved):
    path, network, optimizer = saved
    other_network, other_optimizer = build()
    assert load_training(other_network, other_optimizer, path) == (Position(3, 2, 45, 0.75), True)
    assert_same(values(network), values(other_network))
    for left, right in zip(optimizer.moments, other_optimizer.moments, strict=True):
        assert np.array_equal(left.asnumpy(), right.asnumpy())


def test_weights_come_back_without_the_training_state(saved):
    path, network, _ = saved
    other, _ = build()
    load_weights(other, path)
    assert_same(values(network), values(other))


def test_weights_alone_have_no_position_and_no_momentum(tmp_path):
    network, optimizer = build()
    save_checkpoint(tmp_path / "weights.ckpt", network)
    before = [moment.asnumpy().copy() for moment in optimizer.moments]
    assert load_training(network, optimizer, tmp_path / "weights.ckpt") == (None, False)
    assert all(np.array_equal(old, new.asnumpy()) for old, new in zip(before, optimizer.moments, strict=True))


def test_a_checkpoint_of_mindspores_own_callback_is_taken_with_its_momentum(tmp_path):
    network, optimizer = build()
    cell = nn.TrainOneStepCell(nn.WithLossCell(network, nn.MSELoss()), optimizer)
    ms.save_checkpoint(cell, str(tmp_path / "zoo.ckpt"), append_dict={"epoch_num": 3, "step_num": 7})
    other_network, other_optimizer = build()
    assert load_training(other_network, other_optimizer, tmp_path / "zoo.ckpt") == (None, True)
    assert_same(values(network), values(other_network))


def test_half_precision_weights_are_loaded_into_the_networks_own_type(tmp_path):
    network, _ = build()
    half = [{"name": p.name, "data": Tensor(p.asnumpy(), ms.float16)} for p in network.get_parameters()]
    ms.save_checkpoint(half, str(tmp_path / "half.ckpt"))
    other, _ = build()
    load_weights(other, tmp_path / "half.ckpt")
    assert other.fc.weight.dtype == ms.float32
    assert np.array_equal(other.fc.weight.asnumpy(), network.fc.weight.asnumpy().astype(np.float16))


def test_the_global_step_is_what_the_schedule_follows():
    _, optimizer = build()
    set_global_step(optimizer, 7)
    assert optimizer.global_step.asnumpy().tolist() == [7]


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
    save_checkpoint(path, *build(**theirs))
    network, optimizer = build()
    before = values(network, optimizer)
    for load in (lambda: load_weights(network, path), lambda: load_training(network, optimizer, path)):
        with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
            load()
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"does not fit the network") as caught:
        load_weights(network, path)
    assert all(part in str(caught.value) for part in parts), caught.value
    assert_same(before, values(network, optimizer))


@pytest.mark.parametrize("damage", ["empty", "text", "half", "flipped", "tail"])
def test_a_damaged_checkpoint_is_one_line_and_changes_nothing(saved, damage, capfd):
    path, _, _ = saved
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 3] ^= 0x40
    contents = {"empty": b"", "text": b"no checkpoint" * 99, "half": data[: len(data) // 2], "tail": data[:-30]}
    path.write_bytes(contents.get(damage, data))
    network, optimizer = build()
    before = values(network, optimizer)
    with pytest.raises(ValueError, match=rf"cannot read checkpoint {re.escape(str(path))}") as caught:
        load_training(network, optimizer, path)
    assert "\n" not in str(caught.value)
    assert_same(before, values(network, optimizer))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("name", "reason"), [("absent.ckpt", "no checkpoint file"), ("a.pth", "end in .ckpt")])
def test_a_wrong_path_is_one_line(tmp_path, name, reason):
    (tmp_path / "a.pth").touch()
    with pytest.raises(ValueError, match=reason):
        load_weights(build()[0], tmp_path / name)


def test_saving_creates_folders_and_an_ordinary_file(tmp_path):
    path = tmp_path / "a b" / "c" / "x.ckpt"
    save_checkpoint(path, build()[0])
    assert [entry.name for entry in path.parent.iterdir()] == ["x.ckpt"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_failed_save_keeps_the_old_checkpoint_and_leaves_no_other_file(tmp_path):
    network, _ = build()
    path = tmp_path / "x.ckpt"
    save_checkpoint(path, network)
    before = path.read_bytes()
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from src.checkpoints.weights import save_checkpoint\n"
        "from tests.helpers.small_network import build\n"
        "network, optimizer = build()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try: save_checkpoint(Path(sys.argv[1]), network, optimizer)\n"
        "except OSError as error: print('refused:', error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert result.stdout.startswith("refused: "), result.stderr
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.ckpt"]


def test_names_are_those_of_the_model_zoo():
    assert checkpoint_name(0, Position(2, 0, 45)) == "Xception-rank0-2_45.ckpt"
    assert checkpoint_name(3, Position(2, 7, 45)) == "Xception-rank3-3_7.ckpt"


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 9)), unique=True))
def test_numbered_checkpoints_are_sorted_by_position(tmp_path_factory, positions):
    folder = tmp_path_factory.mktemp("checkpoints")
    for epoch, step in positions:
        (folder / f"Xception-rank0-{epoch}_{step}.ckpt").touch()
    for other in ("Xception-rank1-1_1.ckpt", "Xception-best.ckpt", ".Xception-rank0-1_1.ckpt.0.tmp.ckpt", "x"):
        (folder / other).touch()
    expected = [f"Xception-rank0-{epoch}_{step}.ckpt" for epoch, step in sorted(positions)]
    assert [path.name for path in numbered_checkpoints(folder, 0)] == expected
    assert numbered_checkpoints(folder / "absent", 0) == []


@given(st.integers(0, 100), st.integers(0, 44))
def test_the_global_step_counts_whole_epochs_and_the_rest(epoch, step):
    assert Position(epoch, step, 45).global_step == 45 * epoch + step
