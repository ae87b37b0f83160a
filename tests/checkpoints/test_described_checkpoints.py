"""A checkpoint tells what its weights mean; earlier files still read, and what cannot be right is refused."""

from __future__ import annotations

from dataclasses import replace

import mindspore as ms
import pytest

from src.checkpoints.file import DamagedCheckpoint
from src.checkpoints.training_state import TrainingState, load_training, save_training
from src.checkpoints.weights import load_network, load_weights, read_metadata, read_weights, save_weights
from src.metadata.metadata import FORMAT, Metadata, Provenance
from src.Xception import xception
from tests.helpers.small_network import assert_same, build, build_state, values

TOLD = Metadata(
    class_names=("Katze", "犬", "c", "d"),
    image_size=71,
    crop_pct=0.9,
    interpolation="bicubic",
    amp_level="O0",
    provenance=Provenance("training", {"mindspore": "2.10.0"}, {"seed": 1, "lr_max": 0.4}, 30, "folders:0"),
)


def rewrite(path, **entries: str) -> None:
    """Write a checkpoint anew with other texts in it, as another program would."""
    stored = ms.load_checkpoint(str(path))
    ms.save_checkpoint({**stored, **entries}, str(path), crc_check=True)


def test_metadata_comes_back_from_weights_and_from_a_training(tmp_path):
    network, _ = build()
    save_weights(tmp_path / "a.ckpt", network, TOLD)
    save_training(tmp_path / "b.ckpt", replace(build_state(average=True), metadata=TOLD))
    for name in ("a.ckpt", "b.ckpt"):
        assert read_metadata(tmp_path / name) == read_weights(tmp_path / name).metadata == TOLD
        load_weights(network, tmp_path / name)
    assert "metadata" not in read_weights(tmp_path / "b.ckpt").values
    other = build_state(average=True)
    load_training(other, tmp_path / "b.ckpt")
    average = {name.removeprefix("ema."): value for name, value in values(other.averaged).items()}
    assert_same(values(network), average)


def test_weights_without_metadata_say_nothing(tmp_path):
    save_weights(tmp_path / "a.ckpt", build()[0])
    assert read_metadata(tmp_path / "a.ckpt") is None


def test_the_padding_of_earlier_files_still_counts(tmp_path):
    save_weights(tmp_path / "a.ckpt", xception(4))
    rewrite(tmp_path / "a.ckpt", pool_padding="symmetric")
    network, metadata, _ = load_network(tmp_path / "a.ckpt")
    assert (network.pool_padding, metadata) == ("symmetric", Metadata(pool_padding="symmetric"))
    other = xception(4)
    load_training(TrainingState(other, ms.nn.Momentum(other.trainable_params(), 0.1, 0.9)), tmp_path / "a.ckpt")
    assert other.pool_padding == "symmetric"


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("no json", "the metadata in .*a.ckpt is damaged"),
        (f'{{"format": {FORMAT + 1}}}', r"a\.ckpt has format 2, and this version reads up to 1"),
        ('{"format": 1, "class_names": ["one"]}', r"a\.ckpt names 1 classes, but its weights have 4: use another"),
    ],
)
def test_metadata_that_cannot_be_right_is_refused_by_every_reader_and_changes_nothing(tmp_path, metadata, message):
    path = tmp_path / "a.ckpt"
    save_weights(path, build()[0])
    rewrite(path, metadata=metadata)
    state = build_state()
    before = values(state.network)
    for read in (read_metadata, read_weights, lambda path: load_weights(state.network, path)):
        with pytest.raises(ValueError, match=message):
            read(path)
    with pytest.raises(ValueError, match=message):
        load_training(state, path)
    assert_same(before, values(state.network))


def test_a_described_file_that_lost_its_end_is_not_taken_for_one_without_a_checksum(tmp_path):
    path = tmp_path / "a.ckpt"
    save_weights(path, build()[0], TOLD)
    path.write_bytes(path.read_bytes()[:-17])  # the checksum alone: what is left is a whole protobuf
    with pytest.raises(DamagedCheckpoint, match=r"a\.ckpt has no checksum at its end: it is cut"):
        read_weights(path)
