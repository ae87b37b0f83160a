"""How the tests build and run the C++ program, and small models for it."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from pathlib import Path
from unittest import mock

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.train.mind_ir_pb2 import AttributeProto, ModelProto, PrimitiveProto

from src.export import mindir_version
from tests.helpers.project import ROOT

SOURCE = ROOT / "ascend310_infer"
PROGRAM = SOURCE / "out" / "main"
SIDE = 8  # of the images that the small models take


def build(*options: str | Path, **environment: str) -> str:
    """Build the program; return what the build printed."""
    command = ["bash", SOURCE / "build.sh", *options]
    # A runtime of the machine that the tests run on is not the one that they are about.
    environment = {"LITE_HOME": "", "MS_LITE_HOME": "", **environment}
    result = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def run_program(
    model: Path, data: Path, folder: Path, *options: str, device: str = "CPU", **settings
) -> subprocess.CompletedProcess[str]:
    """Run the program, with the folders that it writes below `folder`."""
    command = [PROGRAM, "--model_path", model, "--dataset_path", data, "--device_type", device]
    command += ["--result_path", folder / "result_Files", "--time_path", folder / "time_Result", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, **settings)


def skipped(result: subprocess.CompletedProcess[str], folder: Path) -> dict[str, str]:
    """Return the reasons by the names of what was skipped."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("skipped ")]
    return dict(line.removeprefix(f"skipped {folder}/").split(": ", 1) for line in lines)


def written(folder: Path) -> set[str]:
    """Return the names of the result files."""
    return {path.name for path in (folder / "result_Files").glob("*.bin")}


class Doubled(nn.Cell):
    """Twice the sum of its inputs, of any shape and type."""

    def construct(self, *inputs: Tensor) -> Tensor:
        total = inputs[0]
        for each in inputs[1:]:
            total = total + each
        return total + total


class Flat(nn.Cell):
    """The pixels of one 8 x 8 image as its logits."""

    def __init__(self):
        super().__init__()
        self.reshape = ops.Reshape()

    def construct(self, image: Tensor) -> Tensor:
        return self.reshape(image, (1, 192))


class Linear(nn.Cell):
    """A layer with weights on the pixels of two 8 x 8 images, which gives the logits of some classes."""

    def __init__(self, classes: int):
        super().__init__()
        self.reshape = ops.Reshape()
        self.fc = nn.Dense(192, classes)

    def construct(self, images: Tensor) -> Tensor:
        return self.fc(self.reshape(images, (2, 192)))


class Overflowing(nn.Cell):
    """The pixels of one 8 x 8 image times 2 ** 130 as its logits: infinite for all but the grey in the middle."""

    def __init__(self):
        super().__init__()
        self.reshape = ops.Reshape()

    def construct(self, image: Tensor) -> Tensor:
        logits = self.reshape(image, (1, 192))
        for _ in range(130):
            logits = logits + logits
        return logits


class Softmax(nn.Cell):
    """The softmax of the pixels of one 8 x 8 image, and more than that for a bright one if it is not to be `pure`."""

    def __init__(self, pure: bool = True):
        super().__init__()
        self.reshape = ops.Reshape()
        self.softmax = ops.Softmax()
        self.mean = ops.ReduceMean(keep_dims=True)
        self.relu = ops.ReLU()
        self.bias = Parameter(Tensor(np.full((1, 1), -0.5, np.float32)), "bias")
        self.pure = pure

    def construct(self, image: Tensor) -> Tensor:
        pixels = self.reshape(image, (1, 192))
        twice = pixels + pixels
        probabilities = self.softmax(twice + twice)
        return probabilities if self.pure else probabilities + self.relu(self.mean(pixels, 1) + self.bias)


class Sigmoid(nn.Cell):
    """The sigmoid of the pixels of one 8 x 8 image."""

    def __init__(self):
        super().__init__()
        self.reshape = ops.Reshape()
        self.sigmoid = ops.Sigmoid()

    def construct(self, image: Tensor) -> Tensor:
        return self.sigmoid(self.reshape(image, (1, 192)))


class Huge(nn.Cell):
    """Needs 5 GB for an 8 x 8 image, and no weights."""

    def __init__(self):
        super().__init__()
        self.reshape = ops.Reshape()
        self.matmul = ops.MatMul()
        self.mean = ops.ReduceMean(keep_dims=True)

    def construct(self, image: Tensor) -> Tensor:
        pairs = self.matmul(self.reshape(image, (192, 1)), self.reshape(image, (1, 192)))
        pairs = self.matmul(self.reshape(pairs, (192 * 192, 1)), self.reshape(pairs, (1, 192 * 192)))
        return self.mean(pairs, 0)


def write_model(
    path: Path, network: nn.Cell, *shapes: tuple[int, ...], dtype: type = np.float32, version: int = 1
) -> Path:
    """Export a network for inputs of these shapes to a MINDIR of this version."""
    inputs = [Tensor(np.zeros(shape, dtype)) for shape in shapes]
    rewrite = partial(_rewrite, version=version)
    ms.export(network, *inputs, file_name=str(path), file_format="MINDIR", custom_func=rewrite)
    return path


def _rewrite(model: ModelProto, version: int) -> None:
    """Rewrite a model that may have one softmax, or a sigmoid, too: the project's own networks have none."""
    constants = {node.name: node.attribute[0] for node in model.graph.node if node.op_type == "Constant"}
    for primitive in model.primitives:
        if primitive.op_type == "Softmax":
            (node,) = [node for node in model.graph.node if node.op_type == f"REF::{primitive.name}"]
            axis = AttributeProto()
            axis.CopyFrom(constants[node.input.pop()])
            axis.name = "axis"
            primitive.attribute.append(axis)
            primitive.prim_type = PrimitiveProto.PRIMITIVE
    with mock.patch.dict(mindir_version._OPS, Softmax=(), Sigmoid=()):
        mindir_version.rewrite_version(model, version)
