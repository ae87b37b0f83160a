"""Evaluate an ONNX file of Xception on image folders by another runtime: --test_data_dir holds one folder a class."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found with PYTHONSAFEPATH too
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from src.common.packages import check_packages

    check_packages()

from src.common.mindspore_log import silence_mindspore
from src.export.model_file import has_gpu
from src.model_utils.command import run_command
from src.model_utils.config import ConfigError, parse_config
from src.model_utils.device_adapter import use_device
from src.model_utils.eval_engine import OPENVINO, check_engine
from src.model_utils.unused import say_unused


def main(argv: Sequence[str]) -> None:
    """Run the command; `argv` is without the program's name."""
    silence_mindspore()
    config = parse_config(argv, _resolve_device, __doc__)
    # OpenVINO computes in the precision that is asked for.
    say_unused(Path(__file__).name, argv, used=("amp_level",) if config.eval_engine == OPENVINO else ())
    if not config.onnx_path:
        raise ConfigError("no ONNX file given: add --onnx_path=FILE.onnx")
    if config.is_distributed:
        raise ConfigError("is_distributed is true, but an ONNX file is evaluated by one process: set it false")
    if config.eval_engine == OPENVINO:
        check_engine(config)
    # MindSpore reads the images and computes the loss: it has no convolution to compute.
    use_device(config.replace(device_target="CPU"), has_own_convolutions=True)

    from src.evaluation.onnx_file import evaluate_onnx  # MindSpore takes seconds to import: --help does without

    result, written, provider = evaluate_onnx(config)
    print(f"{'OpenVINO' if config.eval_engine == OPENVINO else 'ONNX Runtime'} used {provider}")
    print(result.to_line())
    print(f"evaluated {result.images} images, each once")
    for path in written:
        print(f"wrote {path}")


def _resolve_device(requested: str) -> str:
    """Return the device of ONNX Runtime, which need not be one of MindSpore's."""
    if requested == "Ascend":
        raise ConfigError("ONNX files are evaluated on GPU or CPU: use --device_target=auto")
    if requested == "GPU" and not has_gpu():
        print("onnxruntime finds no GPU: the CPU is used (onnxruntime-gpu can use one)", file=sys.stderr)
    return "GPU" if requested != "CPU" and has_gpu() else "CPU"


if __name__ == "__main__":
    sys.exit(run_command(main))
