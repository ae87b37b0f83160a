"""A trained network in any of its three file forms, as a function from images to logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor

from src.builders import set_evaluation_precision
from src.checkpoint import count_classes, load_weights
from src.mindir_model import MindirModel, load_mindir
from src.model_utils.config import Config
from src.onnx_model import OnnxModel, load_onnx
from src.Xception import Xception, xception

CHECKPOINT = ".ckpt"
_LOADERS: dict[str, Callable[[Path], MindirModel | OnnxModel]] = {".mindir": load_mindir, ".onnx": load_onnx}


@dataclass(frozen=True)
class Classifier:
    """A network that is ready to run.

    Args:
        run: Maps images, float32 (batch_size, 3, image_size, image_size), to logits (batch_size, classes).
        num_classes: Number of classes.
        image_size: Height and width of the images in pixels.
        batch_size: Images in a batch.
        network: The network itself, of a checkpoint only.
    """

    run: Callable[[np.ndarray], np.ndarray]
    num_classes: int
    image_size: int
    batch_size: int
    network: Xception | None = None


def load_classifier(path: Path, config: Config) -> Classifier:
    """Load a checkpoint, MINDIR or ONNX file, as its suffix says.

    Args:
        path: The file.
        config: The precision of a checkpoint; image and batch size of one and of a model that takes any.

    Returns:
        The network. A model file decides its sizes itself.

    Raises:
        ValueError: If the file is missing, damaged, or no network for square RGB images.
    """
    if not path.is_file():
        raise ValueError(f"no file {path}: check the path")
    if path.suffix == CHECKPOINT:
        return _load_checkpoint(path, config)
    if path.suffix not in _LOADERS:
        raise ValueError(f"{path} does not end in one of {' '.join((CHECKPOINT, *_LOADERS))}")
    model = _LOADERS[path.suffix](path)
    shape = tuple(model.input_shape)
    if len(shape) != 4 or shape[1] not in (3, None) or shape[2] != shape[3]:
        raise ValueError(f"{path} takes input of shape {shape}: only (N, 3, H, W) with H = W will do")
    batch_size, image_size = shape[0] or config.batch_size, shape[2] or config.image_size
    logits = model.run(np.zeros((batch_size, 3, image_size, image_size), np.float32))
    if logits.ndim != 2 or len(logits) != batch_size:
        raise ValueError(f"{path} gives output of shape {logits.shape} for {batch_size} images: it is no classifier")
    return Classifier(model.run, logits.shape[1], image_size, batch_size)


def _load_checkpoint(path: Path, config: Config) -> Classifier:
    network = xception(count_classes(path))
    load_weights(network, path)
    network.set_train(False)
    precise = set_evaluation_precision(config, network)

    def run(images: np.ndarray) -> np.ndarray:
        return precise(Tensor(images)).astype(ms.float32).asnumpy()

    return Classifier(run, network.num_classes, config.image_size, config.batch_size, network)
