"""Evaluation of an ONNX file by ONNX Runtime or OpenVINO; all but the logits is as for a checkpoint."""

from __future__ import annotations

from pathlib import Path

from src.data.image_source import open_images
from src.evaluation.counting import Result
from src.evaluation.engines import by_onnx, image_loss
from src.evaluation.evaluation_set import classes_of, evaluate_test_images, open_evaluation_set
from src.evaluation.report import write_report
from src.export.classifier import Sizes, fit_classifier
from src.export.model_file import ModelFile
from src.metadata.model_entries import read_model_metadata
from src.model_utils.config import Config
from src.model_utils.eval_engine import check_model_file, load_by_engine
from src.model_utils.local_adapter import ALONE
from src.model_utils.weights_settings import say, settle


def evaluate_onnx(config: Config) -> tuple[Result, list[Path], str]:
    """Evaluate the configured ONNX file on the configured test images.

    Args:
        config: With `onnx_path` and `eval_engine`. Its `image_size` and `batch_size` count where the file leaves
            them open; the number of classes is the file's.

    Returns:
        The result, the files of the report if there is an `eval_report`, and the runtime's name of what ran the model.

    Raises:
        ValueError: If the file or the images do not fit, or the runtime is missing or does not compute
            such files.
        OSError: If the report cannot be written.
    """
    path = Path(config.onnx_path)
    check_model_file(config, path)
    metadata = read_model_metadata(path) if path.is_file() else None
    model = load_by_engine(config, path)
    settled = settle(config, path, metadata, only_size=model.only_size)
    model, sizes = _fit_square(settled.config, model)
    settled = settled.fit(sizes.num_classes)
    config = settled.config.replace(batch_size=sizes.batch_size)
    evaluated = open_evaluation_set(
        config, open_images(config.test_data_dir, config.recursive), classes_of(settled), ALONE
    )
    say(settled.notes)
    engine = by_onnx(model, image_loss(config), config.batch_size)
    result = evaluate_test_images(config, engine, evaluated, ALONE)
    return result, write_report(config, path, result, evaluated), model.provider


def _fit_square(config: Config, model: ModelFile) -> tuple[ModelFile, Sizes]:
    """Return the classifier with its sizes, those of the configuration where the file leaves them open."""
    height, width = model.input_shape[2:]
    if height != width:
        raise ValueError(
            f"{model.path} takes images of {height or 'any'} x {width or 'any'} pixels, height x width: evaluation "
            "needs square ones, export it with equal --height and --width"
        )
    return fit_classifier(model, config.batch_size, config.image_size)
