"""The engine that computes logits in evaluation and prediction: what is asked for, whether it can, and its loading.

`auto` is not among what is loaded here: that is the network in C++ of src.cpu.classifier on CPU, else MindSpore.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from src.export.model_file import ModelFile, has_gpu, import_onnxruntime, load_onnx
from src.export.openvino_file import import_openvino, load_openvino
from src.model_utils.config import Config, ConfigError
from src.model_utils.derived_settings import amp_level

if TYPE_CHECKING:
    from mindspore import nn

AUTO, MINDSPORE, ONNX, OPENVINO = "auto", "mindspore", "onnx", "openvino"


def is_converted(config: Config) -> bool:
    """Tell whether a checkpoint is computed by another runtime, as an ONNX model."""
    return config.eval_engine in (ONNX, OPENVINO)


def check_engine(config: Config) -> None:
    """Raise a ValueError, before anything is read, if a checkpoint cannot be computed by the engine that is asked for.

    Args:
        config: With `eval_engine`, `device_target` and `amp_level`, which a checkpoint may still decide.
    """
    if not is_converted(config):
        return
    if config.eval_engine == OPENVINO:
        import_openvino()
        if config.device_target != "CPU":
            raise ValueError(
                f"OpenVINO computes on CPU here, but device_target is {config.device_target}: use --device_target=CPU, "
                "or --eval_engine=auto"
            )
        return
    import_onnxruntime()
    if config.device_target == "Ascend":
        raise ValueError("ONNX Runtime evaluates on GPU or CPU: use --eval_engine=mindspore on Ascend")
    if config.device_target == "GPU" and not has_gpu():
        raise ValueError("onnxruntime finds no GPU: install onnxruntime-gpu, or use --device_target=CPU")
    if config.amp_level != "auto":
        check_precision(config)


def check_precision(config: Config) -> None:
    """Raise a ValueError if the engine cannot compute in the precision that counts."""
    if config.eval_engine == ONNX and amp_level(config) != "O0":
        raise ValueError(
            f"ONNX Runtime evaluates in float32, but amp_level is {amp_level(config)}: use --amp_level=O0 or "
            "--eval_engine=auto"
        )


def check_model_file(config: Config, path: Path) -> None:
    """Raise a ConfigError if a MINDIR or ONNX file cannot be computed by the engine that is asked for."""
    able = (AUTO, ONNX, OPENVINO) if path.suffix == ".onnx" else (AUTO, MINDSPORE)
    if config.eval_engine not in able:
        raise ConfigError(
            f"eval_engine is {config.eval_engine}, which does not compute {path.suffix} files: use --eval_engine="
            f"{' or '.join(able)} for {path}"
        )


def load_by_engine(config: Config, path: Path) -> ModelFile:
    """Load an ONNX file by OpenVINO if that is asked for, else by ONNX Runtime; errors as load_onnx has them."""
    if config.eval_engine == OPENVINO:
        return load_openvino(path, amp_level(config) != "O0")
    return load_onnx(path, config.device_target, config.device_id)


def convert_to_engine(config: Config, network: nn.Cell) -> ModelFile:
    """Return a network as the engine computes it, for the configured size of batches and images.

    Raises:
        ValueError: If the engine or the precision does not fit, or MindSpore cannot export.
    """
    from src.export.exporter import ExportForm, write_unchecked

    check_precision(config)
    with TemporaryDirectory(prefix="xception-") as folder:
        path = Path(folder, "network.onnx")
        form = ExportForm("ONNX", config.batch_size, config.image_size, config.image_size)
        write_unchecked(network.set_train(False), form, path)
        return load_by_engine(config, path)
