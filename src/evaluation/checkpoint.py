"""Evaluation of a checkpoint: in C++, by MindSpore or converted by another runtime, with equal results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from src.checkpoints.weights import load_network
from src.common.files import printable
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
from src.model_utils.weights_settings import average_note, say, settle
from src.Xception import Xception


class Evaluated(NamedTuple):
    """What the evaluation of a checkpoint gave.

    Args:
        checkpoint: Its file.
        result: The result.
        written: The files of the report.
        is_average: Whether it is that of the moving average of the weights.
    """

    checkpoint: Path
    result: Result
    written: list[Path]
    is_average: bool


def evaluate_checkpoint(config: Config, group: Group, library: Path | None = None) -> Evaluated:
    """Evaluate the configured checkpoint on the configured test images.

    Args:
        config: The configuration; the device is set already. `eval_engine` computes the logits. What is not given, the
            checkpoint decides.
        group: The processes that share the images.
        library: The operators in C++, as build_evaluation_library returns them; None where they do not compute.

    Returns:
        The result, with the files of the report, which the first process writes if there is an `eval_report`.

    Raises:
        ValueError: If the checkpoint or the images do not fit, or the engine is missing or cannot do what is asked.
        OSError: If the report cannot be written.
    """
    check_engine(config)
    weights = Path(config.checkpoint_path)
    source = open_images(config.test_data_dir, config.recursive)
    network, metadata, has_average = load_network(weights, use_average=config.use_average)
    settled = settle(config, weights, metadata).fit(network.num_classes)
    config = settled.config
    check_precision(config)
    evaluated = open_evaluation_set(config, source, classes_of(settled), group)
    if group.rank == 0:
        say((*settled.notes, *average_note(config, weights, has_average)))
    engine = _engine(config, network, library)
    result = evaluate_test_images(config, engine, evaluated, group)
    written = [] if group.rank else write_report(config, weights, result, evaluated)
    return Evaluated(weights, result, written, has_average and config.use_average)


def comparison(evaluated: Sequence[Evaluated]) -> str:
    """Return a table of evaluated checkpoints, and a line with the one of the best top-1, the first of equals.

    Args:
        evaluated: One or more of them.
    """
    header = ("checkpoint", "weights", "loss", "top-1", "top-5")
    rows = [
        (
            printable(each.checkpoint),
            "average" if each.is_average else "own",
            f"{each.result.loss:.4f}",
            f"{each.result.top_1:.3%}",
            f"{each.result.top_5:.3%}",
        )
        for each in evaluated
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        f"{name:<{widths[0]}}  {kind:<{widths[1]}}  "
        + "  ".join(f"{figure:>{width}}" for figure, width in zip(figures, widths[2:], strict=True))
        for name, kind, *figures in (header, *rows)
    ]
    best = max(evaluated, key=lambda each: each.result.top_1)
    return "\n".join((*lines, f"best top-1: {printable(best.checkpoint)}"))


def _engine(config: Config, network: Xception, library: Path | None) -> Engine:
    loss = image_loss(config)
    if is_converted(config):
        return by_onnx(convert_to_engine(config, network), loss, config.batch_size)
    if library:
        return by_classifier(CpuClassifier(library, network, is_bfloat16(config)), loss, config.batch_size)
    return by_mindspore(to_evaluation_precision(config, network), loss, config.batch_size)
