"""MINDIR files as functions from images to logits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from mindspore.train.mind_ir_pb2 import ModelProto

from src.common.mindspore_log import silenced_logging


@dataclass(frozen=True)
class MindirModel:
    """A model that was loaded from a file.

    Args:
        run: Maps images, float32 (batch, 3, height, width), to logits, float32 (batch, classes).
        input_shape: (batch, 3, height, width); None where any size will do.
    """

    run: Callable[[np.ndarray], np.ndarray]
    input_shape: tuple[int | None, ...]


def load_mindir(path: Path) -> MindirModel:
    """Load a MINDIR file of any version that MindSpore takes.

    Args:
        path: The file.

    Raises:
        ValueError: If MindSpore cannot load it.
        OSError: If it cannot be read.
    """
    model = ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
        (images,) = model.graph.input
        with silenced_logging():
            cell = nn.GraphCell(ms.load(str(path)))
    except OSError:
        raise
    except Exception as error:  # protobuf's and MindSpore's own have no common type
        raise ValueError(f"cannot load {path}: it is damaged, or no MINDIR with images as its one input") from error
    return MindirModel(lambda batch: cell(Tensor(batch)).asnumpy(), _sizes(images.tensor[0].dims))


def _sizes(dimensions: Iterable[int | str | None]) -> tuple[int | None, ...]:
    """Return sizes; formats write a dynamic one as a name, -1 or nothing."""
    return tuple(size if isinstance(size, int) and size > 0 else None for size in dimensions)
