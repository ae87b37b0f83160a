"""A trained network in any of its three file forms, as a function from images to logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor

from src.checkpoints.weights import load_network
from src.export.mindir_model import MindirModel, load_mindir
from src.export.onnx_model import OnnxModel, load_onnx
from src.model_utils.config import Config
from src.model_utils.derived_settings import to_evaluation_precision
from src.Xception import Xception

CHECKPOINT = ".ckpt"
Run = Callable[[np.ndarray], np.ndarray]

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

    run: Run
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
    num_classes = count_classes(model.run, (batch_size, 3, image_size, image_size), path)
    return Classifier(model.run, num_classes, image_size, batch_size)


def count_classes(run: Run, input_shape: tuple[int, ...], path: Path) -> int:
    """Run a model once on blank images and return its number of classes.

    Args:
        run: Maps images to logits, as far as the model is a classifier.
        input_shape: (batch, 3, height, width), where the model's own sizes must stay.
        path: Its file, for the messages.

    Raises:
        ValueError: If it fails, or gives anything but one row of float32 logits for each image.
    """
    try:
        logits = np.asarray(run(np.zeros(input_shape, np.float32)))
    except Exception as error:  # those of ONNX Runtime and MindSpore have no common type
        raise ValueError(f"{path} fails on images of shape {input_shape}: {error}") from error
    if logits.ndim != 2 or len(logits) != input_shape[0] or not logits.shape[1] or logits.dtype != np.float32:
        raise ValueError(
            f"{path} gives {logits.dtype} {list(logits.shape)} for {input_shape[0]} images instead of logits, "
            f"float32 [{input_shape[0]}, classes]"
        )
    return logits.shape[1]


def _load_checkpoint(path: Path, config: Config) -> Classifier:
    network = load_network(path).set_train(False)
    precise = to_evaluation_precision(config, network)

    def run(images: np.ndarray) -> np.ndarray:
        return precise(Tensor(images)).astype(ms.float32).asnumpy()

    return Classifier(run, network.num_classes, config.image_size, config.batch_size, network)
