"""Evaluation of a checkpoint: by MindSpore, or converted by ONNX Runtime, with equal results."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from src.checkpoints.weights import load_network
from src.data.image_source import open_images
from src.evaluation.counting import Result
from src.evaluation.engines import by_mindspore, by_onnx, image_loss
from src.evaluation.evaluation_set import classes_of, evaluate_test_images, open_evaluation_set
from src.evaluation.report import write_report
from src.export.exporter import ExportForm, write_unchecked
from src.export.model_file import ModelFile, has_gpu, import_onnxruntime, load_onnx
from src.model_utils.config import Config
from src.model_utils.derived_settings import amp_level, to_evaluation_precision
from src.model_utils.local_adapter import Group
from src.model_utils.weights_settings import say, settle
from src.Xception import Xception


def evaluate_checkpoint(config: Config, group: Group) -> tuple[Result, list[Path]]:
    """Evaluate the configured checkpoint on the configured test images.

    Args:
        config: The configuration; the device is set already. `eval_engine` computes the logits. What is not given, the
            checkpoint decides.
        group: The processes that share the images.

    Returns:
        The result, and the files of the report, which the first process writes if there is an `eval_report`.

    Raises:
        ValueError: If the checkpoint or the images do not fit, or the engine is missing or cannot do what is asked.
        OSError: If the report cannot be written.
    """
    is_onnx = config.eval_engine == "onnx"
    if is_onnx:
        _check_onnx_possible(config)
    weights = Path(config.checkpoint_path)
    source = open_images(config.test_data_dir, config.recursive)
    network, metadata = load_network(weights)
    settled = settle(config, weights, metadata).fit(network.num_classes)
    config = settled.config
    if is_onnx:
        _check_float32(config)
    evaluated = open_evaluation_set(config, source, classes_of(settled), group)
    if group.rank == 0:
        say(settled.notes)
    loss = image_loss(config)
    if is_onnx:
        engine = by_onnx(_as_onnx(network, config), loss, config.batch_size)
    else:
        engine = by_mindspore(to_evaluation_precision(config, network), loss, config.batch_size)
    result = evaluate_test_images(config, engine, evaluated, group)
    return result, [] if group.rank else write_report(config, weights, result, evaluated)


def _check_onnx_possible(config: Config) -> None:
    import_onnxruntime()
    if config.device_target == "Ascend":
        raise ValueError("ONNX Runtime evaluates on GPU or CPU: use --eval_engine=mindspore on Ascend")
    if config.device_target == "GPU" and not has_gpu():
        raise ValueError("onnxruntime finds no GPU: install onnxruntime-gpu, or use --device_target=CPU")
    if config.amp_level != "auto":  # else the checkpoint may decide
        _check_float32(config)


def _check_float32(config: Config) -> None:
    if amp_level(config) != "O0":
        raise ValueError(
            f"ONNX Runtime evaluates in float32, but amp_level is {amp_level(config)}: use --amp_level=O0 or "
            "--eval_engine=mindspore"
        )


def _as_onnx(network: Xception, config: Config) -> ModelFile:
    """Return the network as ONNX Runtime computes it, for the configured size of batches and images."""
    with TemporaryDirectory(prefix="xception-") as folder:
        path = Path(folder, "network.onnx")
        form = ExportForm("ONNX", config.batch_size, config.image_size, config.image_size)
        write_unchecked(network.set_train(False), form, path)
        return load_onnx(path, config.device_target, config.device_id)
