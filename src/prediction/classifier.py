"""A trained network in any of its three file forms, as a function from images to logits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor

from src.checkpoints.weights import load_network
from src.export.classifier import fit_classifier
from src.export.model_file import MODEL_SUFFIXES, ToLogits, load_model_file
from src.model_utils.config import Config
from src.model_utils.derived_settings import to_evaluation_precision
from src.Xception import Xception

CHECKPOINT = ".ckpt"


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

    run: ToLogits
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
    if path.suffix not in MODEL_SUFFIXES:
        raise ValueError(f"{path} does not end in one of {' '.join((CHECKPOINT, *MODEL_SUFFIXES))}")
    model = load_model_file(path, config.device_target, config.device_id)
    model, sizes = fit_classifier(model, config.batch_size, config.image_size)
    return Classifier(model.run, sizes.num_classes, sizes.image_size, sizes.batch_size)


def _load_checkpoint(path: Path, config: Config) -> Classifier:
    network = load_network(path).set_train(False)
    precise = to_evaluation_precision(config, network)

    def run(images: np.ndarray) -> np.ndarray:
        return precise(Tensor(images)).astype(ms.float32).asnumpy()

    return Classifier(run, network.num_classes, config.image_size, config.batch_size, network)
