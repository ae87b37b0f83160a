"""Evaluation of an ONNX file: the images, the loss and the counting are those of the network's own evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mindspore import Tensor

from src.data.image_source import ImageSource, open_images
from src.data.usable_images import UsableImages, usable_images
from src.dataset import readable_errors
from src.evaluation.evaluator import Result, Run, evaluate_batches, open_test_images, write_report
from src.export.onnx_model import OnnxModel, load_onnx
from src.loss import CrossEntropySmooth
from src.model_utils.config import Config
from src.model_utils.local_adapter import ALONE, Group
from src.prediction.classifier import count_classes
from src.training.model import build_loss


def evaluate_onnx(config: Config) -> tuple[Result, list[Path], str]:
    """Evaluate the configured ONNX file on the configured test images.

    Args:
        config: With `onnx_path`. Its `image_size` and `batch_size` count where the file leaves them open; the number of
            classes is the file's.

    Returns:
        The result, the files of the report if there is an `eval_report`, and ONNX Runtime's name of what ran the model.

    Raises:
        ValueError: If the file or the images do not fit, or ONNX Runtime is missing.
        OSError: If the report cannot be written.
    """
    path = Path(config.onnx_path)
    model = load_onnx(path, config.device_target == "GPU", config.device_id)
    source = open_images(config.test_data_dir)
    config = _fit_to_model(config, model, path, source)
    images = usable_images(config, source, ALONE)
    result = evaluate_model(config, model, images, ALONE)
    return result, write_report(config, result, images), model.provider


def evaluate_model(config: Config, model: OnnxModel, images: UsableImages, group: Group) -> Result:
    """Evaluate a model on the configured test images.

    Args:
        config: The configuration, with the sizes of the model.
        model: The model.
        images: The test images.
        group: The processes that share them.

    Returns:
        The result of all processes.

    Raises:
        ValueError: If an image cannot be read, or a logit is NaN or infinite.
    """
    with readable_errors(images.source):
        return evaluate_batches(
            with_loss(model, build_loss(config, "none")),
            open_test_images(config, images, group),
            images.count,
            config.num_classes,
            config.batch_size,
            group,
        )


def with_loss(model: OnnxModel, loss: CrossEntropySmooth) -> Run:
    """Return the function that evaluate_batches needs; `loss` has the reduction "none"."""

    def run(image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits = model.run(image)
        return logits, loss(Tensor(logits), Tensor(label)).asnumpy()

    return run


def _fit_to_model(config: Config, model: OnnxModel, path: Path, source: ImageSource) -> Config:
    """Return the configuration with the model's batch size, image size and number of classes, those of the images."""
    batch, _, height, width = model.input_shape
    if height != width:
        raise ValueError(
            f"{path} takes images of {height or 'any'} x {width or 'any'} pixels, height x width: evaluation needs "
            "square ones, export it with equal --height and --width"
        )
    size, batch = height or config.image_size, batch or config.batch_size
    classes = count_classes(model.run, (batch, 3, size, size), path)
    folders = len(source.class_names)
    if folders != classes:
        raise ValueError(
            f"{path} has {classes} classes, but {config.test_data_dir} has {folders} class folders: use another of both"
        )
    return config.replace(image_size=size, batch_size=batch, num_classes=classes)
