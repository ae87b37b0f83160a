"""Evaluation of a checkpoint: by MindSpore, or converted by ONNX Runtime, with equal results."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from src.checkpoints.weights import load_weights
from src.data.image_source import open_images
from src.data.usable_images import usable_images
from src.evaluation.evaluator import Result, evaluation, write_report
from src.evaluation.onnx_evaluator import evaluate_model
from src.export.exporter import write_onnx
from src.export.onnx_model import OnnxModel, has_gpu, import_onnxruntime, load_onnx
from src.model_utils.config import Config
from src.model_utils.derived_settings import amp_level, to_evaluation_precision
from src.model_utils.local_adapter import Group
from src.Xception import Xception, xception


def evaluate_checkpoint(config: Config, group: Group) -> tuple[Result, list[Path]]:
    """Evaluate the configured checkpoint on the configured test images.

    Args:
        config: The configuration; the device is set already. `eval_engine` computes the logits.
        group: The processes that share the images.

    Returns:
        The result, and the files of the report, which the first process writes if there is an `eval_report`.

    Raises:
        ValueError: If the checkpoint or the images do not fit, or the engine is missing or cannot do what is asked.
        OSError: If the report cannot be written.
    """
    by_onnx = config.eval_engine == "onnx"
    if by_onnx:
        _check_onnx_possible(config)
    images = usable_images(config, open_images(config.test_data_dir), group)
    network = xception(config.num_classes)
    load_weights(network, config.checkpoint_path)
    if by_onnx:
        result = evaluate_model(config, _as_onnx(network, config), images, group)
    else:
        result = evaluation(config, to_evaluation_precision(config, network), images, group)()
    return result, [] if group.rank else write_report(config, result, images)


def _check_onnx_possible(config: Config) -> None:
    import_onnxruntime()
    if config.device_target == "Ascend":
        raise ValueError("ONNX Runtime evaluates on GPU or CPU: use --eval_engine=mindspore on Ascend")
    if config.device_target == "GPU" and not has_gpu():
        raise ValueError("onnxruntime finds no GPU: install onnxruntime-gpu, or use --device_target=CPU")
    if amp_level(config) != "O0":
        raise ValueError(
            f"ONNX Runtime evaluates in float32, but amp_level is {amp_level(config)}: use --amp_level=O0 or "
            "--eval_engine=mindspore"
        )


def _as_onnx(network: Xception, config: Config) -> OnnxModel:
    """Return the network as ONNX Runtime computes it, for the configured size of batches and images."""
    with TemporaryDirectory(prefix="xception-") as folder:
        path = Path(folder, "network.onnx")
        write_onnx(network.set_train(False), (config.batch_size, 3, config.image_size, config.image_size), path)
        return load_onnx(path, config.device_target == "GPU", config.device_id)
