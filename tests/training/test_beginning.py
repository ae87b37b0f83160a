"""A checkpoint that says itself whether its training goes on or a new one begins with its weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.checkpoints.names import checkpoint_name
from src.checkpoints.position import Position
from src.checkpoints.training_state import save_training
from src.model_utils.config import ConfigError, parse_config
from src.training.beginning import choose_beginning
from tests.helpers.small_network import build_state
from tests.helpers.small_training import train_small

STEPS = 4


def choose(path: Path, *words: str, folder: Path = Path("none"), classes: str = "abcd") -> tuple[str, str, str]:
    """Return resume, pretrained and the note."""
    config = parse_config(["--epoch_size=9", f"--initial_checkpoint={path}", *words], lambda _: "CPU")
    config, note = choose_beginning(config, folder, classes)
    return config.resume, config.pretrained, note


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    """A checkpoint of the third epoch, and one without a position."""
    folder = tmp_path_factory.mktemp("files")
    state = build_state()
    position = Position(3, 0, STEPS)
    save_training(folder / checkpoint_name(position), state, position)
    save_training(folder / "foreign.ckpt", state)
    return folder / checkpoint_name(position), folder / "foreign.ckpt"


def test_an_unfinished_training_goes_on(files):
    resume, pretrained, note = choose(files[0])
    assert (resume, pretrained) == (str(files[0]), "")
    assert note == (
        f"{files[0]} is of an unfinished training, which goes on after epoch 3 of 9; --pretrained={files[0]} would "
        "begin a new one"
    )


def test_the_weights_of_a_finished_training_start_a_new_one(files):
    resume, pretrained, note = choose(files[0], "--epoch_size=3")
    assert (resume, pretrained) == ("", str(files[0]))
    assert note == f"{files[0]} is of a finished training, 3 of 3 epochs: a new training begins with its weights"


def test_foreign_weights_start_a_new_training_unless_finish_epoch_tells_where_they_are(files):
    assert choose(files[1])[:2] == ("", str(files[1]))
    assert "records no position in a training: a new training begins" in choose(files[1])[2]
    assert choose(files[1], "--finish_epoch=2")[:2] == (str(files[1]), "")


def test_a_checkpoint_of_the_runs_folder_comes_first(files, tmp_path):
    assert choose(files[1], "--resume=auto", folder=files[0].parent)[:2] == ("auto", "")
    assert choose(files[1], "--resume=auto", folder=tmp_path)[:2] == ("auto", str(files[1]))
    assert choose(files[0], "--resume=auto", folder=tmp_path)[:2] == (str(files[0]), "")


@pytest.mark.parametrize("word", ["--resume=other.ckpt", "--pretrained=other.ckpt"])
def test_two_checkpoints_to_begin_with_are_refused(files, word):
    with pytest.raises(ConfigError, match=r"and other\.ckpt are to begin with: leave one of them out"):
        choose(files[0], word)


def test_a_training_says_which_of_both_it_is(few_digits, tmp_path, capsys):
    assert train_small(few_digits, tmp_path / "first", "--epoch_size=1") == 0
    first = tmp_path / "first" / "model_0" / "Xception-rank0-1_5.ckpt"
    capsys.readouterr()
    assert train_small(few_digits, tmp_path / "on", "--epoch_size=2", f"--initial_checkpoint={first}") == 0
    output = capsys.readouterr().out
    assert f"{first} is of an unfinished training, which goes on after epoch 1 of 2" in output
    assert f"resuming {first} after epoch 1, step 0" in output
    assert train_small(few_digits, tmp_path / "new", "--epoch_size=1", f"--initial_checkpoint={first}") == 0
    output = capsys.readouterr().out
    assert f"{first} is of a finished training, 1 of 1 epochs: a new training begins with its weights" in output
    assert "epoch: 1 step: 5, loss is" in output
    # Unfinished, but of other classes: what is named 0, 1 and 2 there cannot go on as x, y and z.
    assert choose(first, classes="xyz")[:2] == ("", str(first))
    assert choose(first, classes="012")[:2] == (str(first), "")
