"""A trained network in any of its three file forms, as a function from images to logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor

from src.checkpoints.weights import load_network, without_top
from src.cpu.classifier import CpuClassifier
from src.export.classifier import fit_classifier
from src.export.model_file import MODEL_SUFFIXES, ToLogits, load_mindir
from src.metadata.model_entries import read_model_metadata
from src.model_utils.config import Config
from src.model_utils.derived_settings import is_bfloat16, to_evaluation_precision
from src.model_utils.eval_engine import (
    check_engine,
    check_model_file,
    check_precision,
    convert_to_engine,
    is_converted,
    load_by_engine,
)
from src.model_utils.weights_settings import Settled, average_note, settle
from src.Xception import Xception

CHECKPOINT = ".ckpt"
# Maps images to features, float32 (batch, 2048), and logits, float32 (batch, classes).
ToFeatures = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Classifier:
    """A network that is ready to run.

    Args:
        run: Maps images, float32 (batch_size, 3, image_size, image_size), to logits (batch_size, classes).
        batch_size: Images in a batch.
        settled: What its weights mean, and the configuration that fits them.
        notes: What a person should know of all that, one line each.
        network: The network itself, of a checkpoint only.
        to_features: Maps images to what the classifier sees, float32 (batch_size, 2048), and to logits, where that is
            wanted.
    """

    run: ToLogits
    batch_size: int
    settled: Settled
    notes: tuple[str, ...]
    network: Xception | None = None
    to_features: ToFeatures | None = None

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self.settled.config.num_classes

    @property
    def image_size(self) -> int:
        """Height and width of the images in pixels."""
        return self.settled.config.image_size


def load_classifier(
    path: Path,
    config: Config,
    class_names: Path | None = None,
    library: Path | None = None,
    *,
    features: bool = False,
) -> Classifier:
    """Load a checkpoint, MINDIR or ONNX file, as its suffix says.

    Args:
        path: The file.
        config: What a person has given counts; a model file decides its sizes itself, unless it takes any. A checkpoint
            gives the moving average of its weights only with `use_average`.
        class_names: File of class names in the place of those that the weights tell; None for these.
        library: The operators in C++, as build_evaluation_library returns them; None where they do not compute.
        features: Whether features are wanted too, which a checkpoint alone gives.

    Raises:
        ValueError: If the file is missing, damaged, or no network for square RGB images, the class names are not as
            many as its classes, the engine is missing or cannot do what is asked, or a model file should give features.
    """
    if not path.is_file():
        raise ValueError(f"no file {path}: check the path")
    if path.suffix == CHECKPOINT:
        check_engine(config)
        network, metadata, has_average = load_network(path, use_average=config.use_average)
        settled = settle(config, path, metadata, class_names).fit(network.num_classes)
        notes = (*settled.notes, *average_note(config, path, has_average))
        size = settled.config.batch_size
        if not features:
            return Classifier(_to_logits(settled.config, network, library), size, settled, notes, network)
        to_features = _to_features(settled.config, network, library)
        return Classifier(
            lambda images: to_features(images)[1], size, settled, notes, network=network, to_features=to_features
        )
    if path.suffix not in MODEL_SUFFIXES:
        raise ValueError(f"{path} does not end in one of {' '.join((CHECKPOINT, *MODEL_SUFFIXES))}")
    if features:
        raise ValueError(f"features are inside the network: give its checkpoint, not {path}")
    metadata = read_model_metadata(path)
    check_model_file(config, path)
    model = load_by_engine(config, path) if path.suffix == ".onnx" else load_mindir(path)
    settled = settle(config, path, metadata, class_names, model.only_size)
    model, sizes = fit_classifier(model, config.batch_size, settled.config.image_size)
    notes = (*settled.notes, *average_note(config, path, has_average=False))
    return Classifier(model.run, sizes.batch_size, settled.fit(sizes.num_classes), notes)


def _to_features(config: Config, network: Xception, library: Path | None) -> ToFeatures:
    """Return what computes the features once, and the logits from these."""
    weight, bias = network.fc.weight.asnumpy(), network.fc.bias.asnumpy()
    to_features = _to_logits(config, without_top(network), library)

    def run(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features = to_features(images)
        return features, features @ weight.T + bias

    return run


def _to_logits(config: Config, network: Xception, library: Path | None) -> ToLogits:
    check_precision(config)
    if is_converted(config):
        return convert_to_engine(config, network).run
    if library:
        return CpuClassifier(library, network, is_bfloat16(config)).run
    precise = to_evaluation_precision(config, network.set_train(False))

    def run(images: np.ndarray) -> np.ndarray:
        return precise(Tensor(images)).astype(ms.float32).asnumpy()

    return run
