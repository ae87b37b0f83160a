"""Operators of Xception in C++ for training on CPU, where MindSpore's own are many times slower than the memory allows.

They are compiled on the machine that runs them, once. Names, shapes and values of the network stay as they are, so
checkpoints do too; without a compiler MindSpore's own operators do the work.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

from mindspore import Tensor, nn, ops

from src.builders import amp_level
from src.files import replace_file, temporary_path
from src.model_utils.compile_cache import cache_folder
from src.model_utils.config import Config
from src.Xception import SeparableConv2d, Xception

_SOURCE = Path(__file__).with_suffix(".cc")
_FLAGS = ("-std=c++17", "-O3", "-march=native", "-fopenmp-simd", "-fPIC", "-shared", "-pthread")


class Depthwise(nn.Cell):
    """The depthwise 3 x 3 convolution of a separable one, of its input or of the ReLU of its input.

    Args:
        library (Path): the compiled operators.
        convolution (nn.Conv2d): the one to replace, whose weight this one takes.
        after_relu (bool): whether a ReLU comes first.

    Inputs and outputs are float32 (N, C, H, W) tensors of the same shape.
    """

    def __init__(self, library: Path, convolution: nn.Conv2d, after_relu: bool):
        super().__init__()
        self.weight = convolution.weight
        name = "ReluDepthwise" if after_relu else "Depthwise"
        backward = _custom(library, f"{name}Backward", lambda x, weight, dy: (x, weight))

        def bprop(x, weight, out, dout):
            return backward(x, weight, dout)

        self.forward = _custom(library, f"{name}Forward", lambda x, weight: x, bprop)

    def construct(self, x: Tensor) -> Tensor:
        return self.forward(x, self.weight)


class MaxPool(nn.Cell):
    """The 3 x 3 max pooling of stride 2 with padding "same": float32 (N, C, H, W), H and W halved and rounded up.

    Args:
        library (Path): the compiled operators.
    """

    def __init__(self, library: Path):
        super().__init__()
        backward = _custom(library, "MaxPoolBackward", lambda x, dy: x)

        def bprop(x, out, dout):
            return (backward(x, dout),)

        self.forward = _custom(library, "MaxPoolForward", lambda x: x, bprop, _halved)

    def construct(self, x: Tensor) -> Tensor:
        return self.forward(x)


def use_cpu_operators(network: Xception, library: Path) -> None:
    """Let a network compute with the operators, before it is called for the first time; its parameters stay its own.

    Args:
        network: Float32.
        library: As build_cpu_operators returns it.
    """
    _replace(network.conv3, library, False)
    _replace(network.conv4, library, False)
    for block in network.blocks:
        for index, layer in enumerate(block.rep):
            if isinstance(layer, SeparableConv2d):
                _replace(layer, library, index > 0)
                if index:
                    block.rep[index - 1] = nn.Identity()
            elif isinstance(layer, nn.MaxPool2d):
                block.rep[index] = MaxPool(library)


def _replace(separable: SeparableConv2d, library: Path, after_relu: bool) -> None:
    weight, name = separable.conv1.weight, separable.conv1.weight.name
    separable.conv1 = Depthwise(library, separable.conv1, after_relu)
    weight.name = name  # MindSpore has put another prefix before it


def build_cpu_operators(config: Config) -> Path | None:
    """Return the compiled operators for a run, None where it uses MindSpore's: only float32 on CPU has others.

    Args:
        config: With `cpu_operators`: a folder for the library, "auto" for one in the user's cache folder, or "none".
    """
    folder = cache_folder(config.cpu_operators)
    if folder is None or config.device_target != "CPU" or amp_level(config) != "O0" or platform.system() != "Linux":
        return None  # MindSpore takes operators of others on Linux only
    compiler = shutil.which(os.environ.get("CXX") or "c++")
    if compiler is None:
        print("without a C++ compiler (on Debian and Ubuntu the package g++) training on CPU is slower", flush=True)
        return None
    library = folder / f"cpu-operators-{_digest(compiler)}.so"
    try:
        if ":" in str(library.absolute()):
            raise OSError("MindSpore takes no operators from a path with a colon")
        if not library.is_file():
            _compile(compiler, library)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip() or "it says nothing"
        print(f"{compiler} cannot make {library}, so training on CPU is slower: {said.splitlines()[0]}", flush=True)
        return None
    return library.absolute()


def _digest(compiler: str) -> str:
    """Return what the library follows from, as 16 hexadecimal digits: a home folder may serve different machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    processor = sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
    everything = (_SOURCE.read_bytes(), _FLAGS, os.path.realpath(compiler), platform.machine(), processor)
    return hashlib.sha256(repr(everything).encode()).hexdigest()[:16]


def _compile(compiler: str, library: Path) -> None:
    library.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(library.absolute())
    try:
        command = [compiler, *_FLAGS, str(_SOURCE), "-o", str(temporary)]
        subprocess.run(command, capture_output=True, text=True, check=True)
        replace_file(temporary, library)
    finally:
        temporary.unlink(missing_ok=True)


def _custom(library: Path, name: str, infer, bprop=None, infer_shape=None) -> ops.Custom:
    return ops.Custom(f"{library}:{name}", infer_shape or infer, infer, func_type="aot", bprop=bprop)


def _halved(shape: list[int]) -> list[int]:
    return [shape[0], shape[1], (shape[2] + 1) // 2, (shape[3] + 1) // 2]
