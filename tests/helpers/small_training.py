"""A training as train.py does it, but of a network that is compiled in a moment and saved in a few kilobytes.

small_training.py OPTION...: the same as a process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import mindspore as ms
from mindspore import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import train
from src.checkpoints.names import CURVES
from src.launch.leaving import leave
from src.model_utils.command import run_command
from src.training import epoch_end, model, trainer
from tests.helpers.training_run import options

_FEATURES = 8


class Small(nn.Cell):
    """A network with the beginning and the end of Xception, and what training asks of it."""

    def __init__(self, num_classes: int, pool_padding: str = "same", dropout_rate: float = 0.5):
        super().__init__()
        self.num_classes = num_classes
        self.pool_padding = pool_padding
        self.conv1 = nn.Conv2d(3, _FEATURES, 3, 8, pad_mode="valid", weight_init="xavier_uniform")
        self.bn1 = nn.BatchNorm2d(_FEATURES)
        self.dropout = nn.Dropout(p=dropout_rate)
        self.fc = nn.Dense(_FEATURES, num_classes)

    def set_pool_padding(self, pool_padding: str) -> None:
        self.pool_padding = pool_padding

    def construct(self, x: Tensor) -> Tensor:
        return self.fc(self.dropout(self.bn1(self.conv1(x)).mean((2, 3))))


def _leave_out_curves(metrics: Path) -> Path:
    """Write an empty picture: drawing one takes longer than an epoch."""
    picture = metrics.with_name(CURVES)
    picture.touch()
    return picture


@contextmanager
def _in_place_of_xception() -> Iterator[None]:
    with (
        mock.patch.object(trainer, "xception", Small),
        mock.patch.object(model, "xception", Small),
        mock.patch.object(trainer, "FEATURES", _FEATURES),
        mock.patch.object(epoch_end, "write_curves", _leave_out_curves),
    ):
        yield


def main(argv: Sequence[str]) -> None:
    """Train as train.py does; `argv` is without the program's name."""
    with _in_place_of_xception():
        train.main([*argv, "--cpu_operators=none"])


def train_small(data: Path, out: Path, *more: str) -> int:
    """Train with the options of training_run and further ones; return the exit status."""
    return run_command(main, options(data, out, *more), prints_results=False)


def load_small(checkpoint: Path, num_classes: int = 3) -> Small:
    """Return the network of a checkpoint, for evaluation."""
    network = Small(num_classes)
    missing, _ = ms.load_param_into_net(network, ms.load_checkpoint(str(checkpoint)))
    assert missing == []
    return network.set_train(False)


if __name__ == "__main__":
    sys.exit(leave(run_command(main, prints_results=False)))
