"""Parts of Xception that compute in training by operators in C++: each by one forward and one backward.

Between the parts the channels are last, (N, H, W, C), and activations are float32 or bfloat16. MindSpore cannot add
bfloat16, so each has one user: sums are inside the operators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from src.Xception import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, Block, SeparableConv2d, Xception

Sizes = list[int]
IMAGES = "Stem"


@dataclass(frozen=True)
class Operators:
    """The compiled operators, and how they keep activations.

    Args:
        library: As build_cpu_library of src.cpu.library returns it.
        is_half: Whether in bfloat16, else in float32.
    """

    library: Path
    is_half: bool

    @property
    def dtype(self) -> ms.dtype.Type:
        return ms.bfloat16 if self.is_half else ms.float32


@dataclass(frozen=True)
class Normed:
    """Convolutions with the batch norm behind them.

    Args:
        weights: Those of the convolutions.
        norm: The batch norm; frozen, it uses the moving statistics in training, too.
    """

    weights: tuple[Parameter, ...]
    norm: nn.BatchNorm2d

    @property
    def trained(self) -> tuple[Parameter, ...]:
        return (*self.weights, self.norm.gamma, self.norm.beta)

    @property
    def moving(self) -> tuple[Parameter, Parameter]:
        return self.norm.moving_mean, self.norm.moving_variance

    @property
    def is_frozen(self) -> bool:
        return self.norm.use_batch_statistics is False


@dataclass(frozen=True)
class Result:
    """What a forward operator gives: its type, and its sizes by those of its input."""

    dtype: ms.dtype.Type
    sizes: Callable[[Sizes], Sizes]


class Part(nn.Cell):
    """A part of the network, by two operators.

    Args:
        operators (Operators): the library.
        name (str): that of the operators, without Forward and Backward.
        layers (Sequence[Normed]): its layers, in the order of the operators.
        switches (Sequence[bool]): what tells the variants of the part apart.
        results (Sequence[Result]): its output, and what forward keeps for backward without the layers' statistics.
        spaces (Sequence[Result]): what backward works in. MindSpore has room for it by then, as later parts are done.
    """

    def __init__(
        self,
        operators: Operators,
        name: str,
        *,
        layers: Sequence[Normed],
        switches: Sequence[bool],
        results: Sequence[Result],
        spaces: Sequence[Result],
    ):
        super().__init__(auto_prefix=False)
        for layer in layers:
            check_batch_norm(layer.norm)
        self.operator = _Operator(operators.library, name, layers, results=results, spaces=spaces)
        self.switches = Tensor([*switches, *(layer.is_frozen for layer in layers)], ms.int32)
        self.trained = ParameterTuple([parameter for layer in layers for parameter in layer.trained])
        self.moving = ParameterTuple([parameter for layer in layers for parameter in layer.moving])
        # The moving statistics that move, and where the results have what they become.
        moves = [2 * i + j for i, layer in enumerate(layers) for j in (0, 1) if not layer.is_frozen]
        self.moves = tuple((number, self.operator.kept + number) for number in moves)

    def construct(self, x: Tensor) -> Tensor:
        results = self.operator(x, self.switches, self.trained, self.moving)
        for moving, moved in self.moves:
            ops.assign(self.moving[moving], results[moved])
        return results[0]


class _Operator(nn.Cell):
    """A forward operator whose gradient is a backward one.

    Their tensors, in this order: x, switches, weights with gamma and beta of each layer, and then
    forward: moving mean and variance of each -> results, mean and variance of each, what the moving ones become;
    backward: all but the first of the results, mean and variance of each, dy -> dx, gradients of the weights, spaces.
    """

    def __init__(
        self,
        library: Path,
        name: str,
        layers: Sequence[Normed],
        *,
        results: Sequence[Result],
        spaces: Sequence[Result],
    ):
        super().__init__(auto_prefix=False)
        channels = [layer.norm.num_features for layer in layers]
        statistics = [*([2, size] for size in channels), *([size] for size in channels for _ in range(2))]
        weights = sum(len(layer.trained) for layer in layers)
        skipped = 1 if name == IMAGES else 0  # images need no gradient
        self.forward = ops.Custom(
            f"{library}:{name}Forward",
            lambda x, *_: (*(result.sizes(x) for result in results), *statistics),
            lambda *_: (*(result.dtype for result in results), *[ms.float32] * len(statistics)),
            func_type="aot",
        )

        self.backward = ops.Custom(
            f"{library}:{name}Backward",
            lambda x, _, *others: (*(x, *others[:weights])[skipped:], *(space.sizes(x) for space in spaces)),
            lambda x, _, *others: (*(x, *others[:weights])[skipped:], *(space.dtype for space in spaces)),
            func_type="aot",
        )
        self.kept = len(results) + len(layers)
        self.first, self.last = 1 - skipped, 1 - skipped + weights
        self.for_all = ops.HyperMap()

    def construct(self, x, switches, trained, moving):
        return self.forward(x, switches, *trained, *moving)

    def bprop(self, x, switches, trained, moving, out, dout):
        results = self.backward(x, switches, *trained, *out[1 : self.kept], dout[0])
        dx = results[0] if self.first else ops.zeros_like(x)
        gradients = results[self.first : self.last]
        return dx, ops.zeros_like(switches), gradients, self.for_all(ops.zeros_like, moving)


def stem(operators: Operators, network: Xception) -> Part:
    """Return what precedes the blocks: float32 images (N, 3, H, W) -> (N, H', W', 64), after its ReLU."""

    def sizes_after(norm: nn.BatchNorm2d, border: int) -> Callable[[Sizes], Sizes]:
        return lambda x: [x[0], *((size - 1) // 2 - border for size in x[2:]), norm.num_features]

    first, second = sizes_after(network.bn1, 0), sizes_after(network.bn2, 2)
    layers = [Normed((network.conv1.weight,), network.bn1), Normed((network.conv2.weight,), network.bn2)]
    results = [Result(operators.dtype, sizes) for sizes in (second, first, second)]
    return Part(operators, IMAGES, layers=layers, switches=[], results=results, spaces=results[2:0:-1])


def block(operators: Operators, which: Block, is_symmetric: bool) -> Part:
    """Return a residual block: (N, H, W, C) -> (N, H', W', C')."""
    cells = [cell for cell in which.rep if isinstance(cell, SeparableConv2d | nn.BatchNorm2d)]
    separables = list(zip(cells[::2], cells[1::2], strict=True))
    width = separables[-1][1].num_features

    def output(x: Sizes) -> Sizes:
        sides = [(size + 1) // 2 for size in x[1:3]] if which.has_skip else x[1:3]
        return [x[0], *sides, width]

    results = [Result(operators.dtype, output), *_kept(operators, separables)]
    most = max(convolution.conv1.in_channels for convolution, _ in separables)
    spaces = [_of_channels(operators, channels) for channels in (max(most, width), most)]
    layers = [_separable(*pair) for pair in separables]
    if which.has_skip:
        layers.append(Normed((which.skip.weight,), which.skipbn))
        # What the shortcut's convolution gives, the maxima of the windows, and their places.
        results += [Result(dtype, output) for dtype in (operators.dtype, operators.dtype, ms.uint8)]
    switches = [isinstance(which.rep[0], nn.ReLU), which.has_skip, is_symmetric]
    return Part(operators, "Block", layers=layers, switches=switches, results=results, spaces=spaces)


def tail(operators: Operators, network: Xception) -> Part:
    """Return what follows the blocks: (N, H, W, 1024) -> float32 (N, 2048), the averages of the feature maps."""
    separables = [(network.conv3, network.bn3), (network.conv4, network.bn4)]
    features = network.bn4.num_features
    results = [Result(ms.float32, lambda x: [x[0], features]), *_kept(operators, separables)]
    layers = [_separable(*pair) for pair in separables]
    return Part(operators, "Tail", layers=layers, switches=[], results=results, spaces=[])


def _separable(convolution: SeparableConv2d, norm: nn.BatchNorm2d) -> Normed:
    return Normed((convolution.conv1.weight, convolution.pointwise.weight), norm)


def _kept(operators: Operators, separables: Sequence[tuple[SeparableConv2d, nn.BatchNorm2d]]) -> list[Result]:
    """Return what forward keeps of separable convolutions: of each the depthwise convolution's output, and its own."""
    return [
        _of_channels(operators, channels)
        for convolution, norm in separables
        for channels in (convolution.conv1.in_channels, norm.num_features)
    ]


def _of_channels(operators: Operators, channels: int) -> Result:
    return Result(operators.dtype, lambda x: [*x[:3], channels])


def check_batch_norm(batch_norm: nn.BatchNorm2d) -> None:
    """Raise a ValueError if a batch norm has another epsilon or momentum than what is computed in C++."""
    # MindSpore's cells keep one minus the momentum that they are given.
    if (batch_norm.eps, batch_norm.momentum) != (BATCH_NORM_EPSILON, 1.0 - BATCH_NORM_MOMENTUM):
        raise ValueError(
            f"the operators in C++ have batch norm of epsilon {BATCH_NORM_EPSILON} and momentum {BATCH_NORM_MOMENTUM}, "
            f"but this one has {batch_norm.eps} and {1.0 - batch_norm.momentum:g}: set --cpu_operators=none"
        )
