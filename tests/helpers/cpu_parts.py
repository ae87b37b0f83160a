"""Parts of the network by operators in C++ beside MindSpore's own layers, whose values and gradients they must have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.cpu.cells import Operators, Part, block, stem, tail
from src.training.fine_tuning import freeze
from src.Xception import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, Block, SeparableConv2d


class Stem(nn.Cell):
    """The network's layers before its blocks, of any width."""

    def __init__(self, middle: int, width: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, middle, 3, 2, pad_mode="valid")
        self.bn1 = _norm(middle)
        self.conv2 = nn.Conv2d(middle, width, 3, pad_mode="valid")
        self.bn2 = _norm(width)

    def construct(self, x: Tensor) -> Tensor:
        return ops.relu(self.bn2(self.conv2(ops.relu(self.bn1(self.conv1(x))))))


class Tail(nn.Cell):
    """The network's layers behind its blocks, of any width, with the average."""

    def __init__(self, channels: int, middle: int, width: int):
        super().__init__()
        self.conv3 = SeparableConv2d(channels, middle)
        self.bn3 = _norm(middle)
        self.conv4 = SeparableConv2d(middle, width)
        self.bn4 = _norm(width)

    def construct(self, x: Tensor) -> Tensor:
        x = ops.relu(self.bn3(self.conv3(x)))
        return ops.mean(ops.relu(self.bn4(self.conv4(x))), (2, 3))


class _Gradients(nn.Cell):
    """The output of a network and the gradients of its input and weights, weighted by `sens`."""

    def __init__(self, network: nn.Cell):
        super().__init__(auto_prefix=False)
        self.network = network
        self.gradient = ops.GradOperation(get_all=True, get_by_list=True, sens_param=True)
        self.weights = ms.ParameterTuple(network.trainable_params())

    def construct(self, x, sens):
        return self.network(x), self.gradient(self.network, self.weights)(x, sens)


@dataclass(frozen=True)
class Case:
    """A part to be compared.

    Args:
        layers: Makes MindSpore's own layers, with fresh weights.
        part: Makes the part of such layers.
        sizes: Of the input, (N, C, H, W).
        frozen: Regular expression of what is frozen, as --freeze takes it.
    """

    layers: Callable[[], nn.Cell]
    part: Callable[[Operators, nn.Cell], Part]
    sizes: tuple[int, int, int, int]
    frozen: str = "none"


def stem_case(widths: tuple[int, int], sizes: tuple[int, int, int], **options) -> Case:
    return Case(lambda: Stem(*widths), stem, (sizes[0], 3, *sizes[1:]), **options)


def tail_case(widths: tuple[int, int, int], sizes: tuple[int, int, int], **options) -> Case:
    return Case(lambda: Tail(*widths), tail, (sizes[0], widths[0], *sizes[1:]), **options)


def block_case(
    channels: int,
    widths: tuple[int, ...],
    sizes: tuple[int, int, int],
    *,
    stride: int = 1,
    with_relu: bool = True,
    padding: str = "same",
    **options,
) -> Case:
    return Case(
        lambda: Block(channels, widths, stride, with_relu, padding),
        lambda operators, which: block(operators, which, padding == "symmetric"),
        (sizes[0], channels, *sizes[1:]),
        **options,
    )


CASES = {
    "stem": stem_case((8, 16), (2, 31, 24)),
    "stem with frozen parts, one image": stem_case((32, 64), (1, 71, 72), frozen="conv1|bn1"),
    "first block": block_case(16, (24, 40), (2, 13, 18), stride=2, with_relu=False),
    "strided block": block_case(24, (24, 16), (3, 14, 9), stride=2),
    "strided block, symmetric padding": block_case(16, (24, 40), (1, 14, 18), stride=2, padding="symmetric"),
    "strided block of a row": block_case(16, (24, 40), (2, 1, 18), stride=2),
    "strided block with frozen parts": block_case(16, (24, 40), (2, 13, 18), stride=2, frozen="rep|skipbn.gamma"),
    "middle block": block_case(24, (24, 24, 24), (2, 9, 7)),
    "middle block with frozen parts, one image": block_case(24, (24, 24, 24), (1, 9, 7), frozen="rep.[0-3]"),
    "block of 728": block_case(728, (728, 728, 728), (2, 5, 4)),
    "tail": tail_case((24, 32, 48), (3, 5, 4)),
    "tail with frozen parts": tail_case((24, 32, 48), (3, 5, 4), frozen="bn4"),
}


def compute(
    case: Case, seed: int, operators: Operators | None = None, *, beta: float = 0.0, x: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Compute a part on random weights and images, forward and backward.

    Args:
        case: The part.
        seed: Of the weights and the images.
        operators: The library; None for MindSpore's own layers.
        beta: Mean of the norms' beta; far from 0, rounding turns no ReLU, and no gradient with it.
        x: The images, float32 of the case's sizes, in the place of random ones.

    Returns:
        By name the output "y" and the gradient "dx" of the input, channels behind the images; the gradients of all
        weights that are trained, and the moving statistics after it.
    """
    random = np.random.default_rng(seed)
    layers = case.layers()
    _set_random(layers, random, beta)
    freeze(layers, case.frozen)
    x = random.standard_normal(case.sizes).astype(np.float32) if x is None else x
    computed = case.part(operators, layers) if operators else layers
    computed.set_train()
    is_last_in = operators is not None and case.sizes[1] != 3  # where the channels are last
    is_last_out = operators is not None and not isinstance(layers, Tail)
    sizes = _output_sizes(layers, case.sizes)
    sens = random.standard_normal(sizes).astype(np.float32)
    names = [parameter.name for parameter in computed.trainable_params()]
    y, ((dx, *_), gradients) = _Gradients(computed)(
        _to_tensor(x, is_last_in, operators), _to_tensor(sens, is_last_out, operators)
    )
    results = {"y": _to_array(y, is_last_out)}
    if case.sizes[1] != 3:
        results["dx"] = _to_array(dx, is_last_in)
    results |= {name: _to_array(value) for name, value in zip(names, gradients, strict=True)}
    moving = [value for value in layers.get_parameters() if ".moving_" in f".{value.name}"]
    return results | {value.name: value.asnumpy().copy() for value in moving}


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the distance of two arrays, relative to the length of the expected one."""
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM)


def _set_random(cell: nn.Cell, random: np.random.Generator, beta: float) -> None:
    for parameter in cell.get_parameters():
        value = random.standard_normal(parameter.shape)
        if parameter.name.endswith(".gamma"):
            value = 1 + 0.3 * value
        elif parameter.name.endswith(".beta"):
            value += beta
        elif parameter.name.endswith(".moving_variance"):
            value = 0.5 + np.abs(value)
        elif parameter.name.endswith("weight"):
            value /= np.sqrt(np.prod(parameter.shape[1:]))
        parameter.set_data(Tensor(value.astype(np.float32)))


def _output_sizes(layers: nn.Cell, sizes: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(layers, Tail):
        return sizes[0], layers.bn4.num_features
    if isinstance(layers, Stem):
        return sizes[0], layers.bn2.num_features, *((size - 1) // 2 - 2 for size in sizes[2:])
    norm = [cell for cell in layers.rep if isinstance(cell, nn.BatchNorm2d)][-1]
    return sizes[0], norm.num_features, *((size + layers.stride - 1) // layers.stride for size in sizes[2:])


def _to_tensor(value: np.ndarray, is_last: bool, operators: Operators | None) -> Tensor:
    tensor = Tensor(np.ascontiguousarray(value.transpose(0, 2, 3, 1)) if is_last else value)
    return tensor.astype(operators.dtype) if operators and is_last else tensor


def _to_array(value: Tensor, is_last: bool = False) -> np.ndarray:
    array = value.astype(ms.float32).asnumpy()
    return array.transpose(0, 3, 1, 2) if is_last else array
