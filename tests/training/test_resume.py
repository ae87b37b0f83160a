"""Where training starts again: at the newest checkpoint that is whole, whatever happened to the others."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.checkpoints.names import checkpoint_name
from src.checkpoints.position import Position
from src.checkpoints.training_state import save_training
from src.metadata.metadata import Metadata, Provenance
from src.model_utils.config import ConfigError, parse_config
from src.model_utils.local_adapter import ALONE
from src.training.origin import find_origin
from src.training.resume import Start, restore, say_done
from tests.helpers.small_network import assert_same, build_state, values

STEPS = 4


def resume(folder, *words):
    """Resume a small network; return it and its start."""
    config = parse_config(["--epoch_size=9", *words], lambda _: "CPU")
    state = build_state()
    origin = find_origin(config, folder, ALONE)
    return state.network, state.optimizer, restore(config, state, STEPS, origin, ALONE)


@pytest.fixture(scope="module")
def three_checkpoints(tmp_path_factory):
    """A folder with the checkpoints of three positions, the last of them inside an epoch, and their networks."""
    folder = tmp_path_factory.mktemp("three")
    networks = []
    for position in (Position(1, 0, STEPS), Position(2, 0, STEPS, 0.5), Position(2, 3, STEPS, 0.5)):
        state = build_state()
        save_training(folder / checkpoint_name(position), state, position)
        networks.append(state.network)
    return folder, networks


@pytest.fixture
def own_three(three_checkpoints, tmp_path):
    return shutil.copytree(three_checkpoints[0], tmp_path / "own"), three_checkpoints[1]


def test_auto_takes_the_newest_position(three_checkpoints):
    folder, networks = three_checkpoints
    network, optimizer, start = resume(folder, "--resume=auto")
    assert start == Start(Position(2, 3, STEPS, 0.5), folder / "Xception-rank0-3_3.ckpt")
    assert optimizer.global_step.asnumpy().tolist() == [11]
    assert_same(values(network), values(networks[2]))


def test_auto_without_checkpoints_starts_at_the_beginning(tmp_path, capsys):
    assert resume(tmp_path / "none", "--resume=auto")[2] == Start(Position(0, 0, STEPS))
    assert "no checkpoint in" in capsys.readouterr().out


@given(cut=st.floats(0, 1, exclude_max=True), flip=st.booleans(), bit=st.integers(0, 7))
def test_a_cut_or_changed_checkpoint_is_named_and_the_one_before_is_taken(
    three_checkpoints, tmp_path_factory, cut, flip, bit
):
    original, networks = three_checkpoints
    folder = shutil.copytree(original, tmp_path_factory.mktemp("damaged") / "x")
    newest = folder / "Xception-rank0-3_3.ckpt"
    data = bytearray(newest.read_bytes())
    place = int(cut * len(data))
    if flip:
        data[place] ^= 1 << bit
    newest.write_bytes(data if flip else data[:place])
    network, _, start = resume(folder, "--resume=auto")
    assert start.checkpoint == folder / "Xception-rank0-2_4.ckpt"
    assert_same(values(network), values(networks[1]))


def test_every_cut_near_the_end_is_found(own_three, capsys):
    folder, _ = own_three
    newest = folder / "Xception-rank0-3_3.ckpt"
    data = newest.read_bytes()
    for length in range(len(data) - 100, len(data)):
        newest.write_bytes(data[:length])
        assert resume(folder, "--resume=auto")[2].checkpoint == folder / "Xception-rank0-2_4.ckpt", length
        assert f"skipping {newest}: " in capsys.readouterr().out


def test_the_best_checkpoint_is_the_last_resort(own_three):
    folder, _ = own_three
    shutil.copy(folder / "Xception-rank0-1_4.ckpt", folder / "Xception-best.ckpt")
    for path in folder.glob("Xception-rank0-*"):
        path.write_bytes(b"damaged")
    assert resume(folder, "--resume=auto")[2].checkpoint == folder / "Xception-best.ckpt"


def test_nothing_but_damaged_checkpoints_is_an_error_not_a_new_training(own_three):
    folder, _ = own_three
    for path in folder.iterdir():
        path.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"none of the 3 checkpoints in .* can be read: remove them"):
        resume(folder, "--resume=auto")


def test_a_checkpoint_of_another_network_is_an_error_not_skipped(own_three):
    folder, _ = own_three
    position = Position(3, 0, STEPS)
    save_training(folder / checkpoint_name(position), build_state(num_classes=7), position)
    with pytest.raises(ValueError, match=r"does not fit the network: .*use --num_classes=7"):
        resume(folder, "--resume=auto")


def test_a_finished_training_is_no_error_for_auto_only(three_checkpoints):
    folder, _ = three_checkpoints
    start = resume(folder, "--resume=auto", "--epoch_size=2")[2]
    assert start.position.epoch == 2
    say_done(parse_config(["--resume=auto", "--epoch_size=2"], lambda _: "CPU"), start, owes=False)
    named = parse_config(["--resume=a.ckpt", "--epoch_size=2"], lambda _: "CPU")
    with pytest.raises(ValueError, match=r"nothing to train: 2 of 2 epochs are done; raise --epoch_size to go on$"):
        say_done(named, start, owes=False)
    with pytest.raises(ValueError, match=rf"go on, or validate it with eval.py --checkpoint_path={start.checkpoint}$"):
        say_done(named, start, owes=True)


@pytest.mark.parametrize(
    ("recipe", "before"), [({"optimizer": "nesterov"}, "nesterov"), ({"momentum": 0.9}, "momentum")]
)
def test_another_optimizer_that_keeps_the_same_of_each_weight_is_refused(recipe, before, tmp_path):
    path = tmp_path / "Xception-rank0-1_4.ckpt"
    metadata = Metadata(provenance=Provenance("training", recipe=recipe))
    save_training(path, replace(build_state(), metadata=metadata), Position(1, 0, STEPS))
    assert resume(tmp_path, "--resume=auto", f"--optimizer={before}")[2].position.epoch == 1
    other = "nesterov" if before == "momentum" else "momentum"
    with pytest.raises(ConfigError) as caught:
        resume(tmp_path, "--resume=auto", f"--optimizer={other}")
    assert str(caught.value) == (
        f"optimizer is {other}, but {path} was trained with the optimizer {before}: go on with that, or start a new "
        f"training from its weights by --pretrained={path}"
    )
