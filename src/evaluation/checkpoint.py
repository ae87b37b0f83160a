"""Evaluation of a checkpoint: in C++, by MindSpore or converted by another runtime, with equal results."""

from __future__ import annotations

from pathlib import Path

from src.checkpoints.weights import load_network
from src.cpu.classifier import CpuClassifier
from src.data.image_source import open_images
from src.evaluation.counting import Engine, Result
from src.evaluation.engines import by_classifier, by_mindspore, by_onnx, image_loss
from src.evaluation.evaluation_set import classes_of, evaluate_test_images, open_evaluation_set
from src.evaluation.report import write_report
from src.model_utils.config import Config
from src.model_utils.derived_settings import is_bfloat16, to_evaluation_precision
from src.model_utils.eval_engine import check_engine, check_precision, convert_to_engine, is_converted
from src.model_utils.local_adapter import Group
from src.model_utils.weights_settings import say, settle
from src.Xception import Xception


def evaluate_checkpoint(config: Config, group: Group, library: Path | None = None) -> tuple[Result, list[Path]]:
    """Evaluate the configured checkpoint on the configured test images.

    Args:
        config: The configuration; the device is set already. `eval_engine` computes the logits. What is not given, the
            checkpoint decides.
        group: The processes that share the images.
        library: The operators in C++, as build_evaluation_library returns them; None where they do not compute.

    Returns:
        The result, and the files of the report, which the first process writes if there is an `eval_report`.

    Raises:
        ValueError: If the checkpoint or the images do not fit, or the engine is missing or cannot do what is asked.
        OSError: If the report cannot be written.
    """
    check_engine(config)
    weights = Path(config.checkpoint_path)
    source = open_images(config.test_data_dir, config.recursive)
    network, metadata = load_network(weights)
    settled = settle(config, weights, metadata).fit(network.num_classes)
    config = settled.config
    check_precision(config)
    evaluated = open_evaluation_set(config, source, classes_of(settled), group)
    if group.rank == 0:
        say(settled.notes)
    engine = _engine(config, network, library)
    result = evaluate_test_images(config, engine, evaluated, group)
    return result, [] if group.rank else write_report(config, weights, result, evaluated)


def _engine(config: Config, network: Xception, library: Path | None) -> Engine:
    loss = image_loss(config)
    if is_converted(config):
        return by_onnx(convert_to_engine(config, network), loss, config.batch_size)
    if library:
        return by_classifier(CpuClassifier(library, network, is_bfloat16(config)), loss, config.batch_size)
    return by_mindspore(to_evaluation_precision(config, network), loss, config.batch_size)
