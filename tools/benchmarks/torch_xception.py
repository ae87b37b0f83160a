"""The same network in PyTorch, to be compared with: its modules have the names of ours, and it imports no MindSpore."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d
from torch.nn.utils.fusion import fuse_conv_bn_eval

_BLOCKS = 12
_OF_BATCH_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


class SeparableConvolution(nn.Module):
    """A 3 x 3 depthwise convolution followed by a 1 x 1 convolution."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.conv1(x))


class SamePooling(nn.Module):
    """A 3 x 3 max pooling of stride 2 with padding "same": at the right and bottom alone where a side is even."""

    def forward(self, x: Tensor) -> Tensor:
        odd = (x.shape[2] % 2, x.shape[3] % 2)
        return max_pool2d(x, 3, 2, padding=odd, ceil_mode=True)


class Block(nn.Module):
    """A residual block, which halves height and width where it has a convolution as its shortcut."""

    def __init__(self, channels: int, widths: Sequence[int], has_skip: bool, starts_with_relu: bool):
        super().__init__()
        self.has_skip = has_skip
        if has_skip:
            self.skip = nn.Conv2d(channels, widths[-1], 1, 2, bias=False)
            self.skipbn = _batch_norm(widths[-1])
        layers: list[nn.Module] = []
        for number, width in enumerate(widths):
            # The block's own input is the shortcut's too.
            layers += [nn.ReLU(inplace=number > 0), SeparableConvolution(channels, width), _batch_norm(width)]
            channels = width
        layers = layers[not starts_with_relu :]
        self.rep = nn.Sequential(*layers, *([SamePooling()] if has_skip else []))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.skipbn(self.skip(x)) if self.has_skip else x
        return self.rep(x) + shortcut


class TorchXception(nn.Module):
    """Xception with "same" padding and without dropout.

    Args:
        weights: The parameters by our names.
    """

    def __init__(self, weights: Mapping[str, np.ndarray]):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 32, 3, 2, bias=False), _batch_norm(32)
        self.conv2, self.bn2 = nn.Conv2d(32, 64, 3, bias=False), _batch_norm(64)
        self.blocks = [_block(weights, f"block{number}.") for number in range(1, _BLOCKS + 1)]
        for number, block in enumerate(self.blocks, start=1):
            self.add_module(f"block{number}", block)
        self.conv3, self.bn3 = SeparableConvolution(1024, 1536), _batch_norm(1536)
        self.conv4, self.bn4 = SeparableConvolution(1536, 2048), _batch_norm(2048)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(2048, len(weights["fc.bias"]))
        values = {torch_name(name): torch.from_numpy(value) for name, value in weights.items()}
        counts = {name: count for name, count in self.state_dict().items() if name.endswith("num_batches_tracked")}
        self.load_state_dict({**values, **counts})

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        for block in self.blocks:
            x = block(x)
        x = self.relu(self.bn3(self.conv3(x)))
        x = self.relu(self.bn4(self.conv4(x)))
        return self.fc(x.mean((2, 3)))

    def fold(self) -> TorchXception:
        """Put batch norm into the weights of the convolutions before it, for evaluation."""
        self.eval()
        for convolution, norm in (("conv1", "bn1"), ("conv2", "bn2")):
            _fold(self, convolution, self, norm)
        for convolution, norm in (("conv3", "bn3"), ("conv4", "bn4")):
            _fold(getattr(self, convolution), "pointwise", self, norm)
        for block in self.blocks:
            if block.has_skip:
                _fold(block, "skip", block, "skipbn")
            for number, layer in enumerate(block.rep):
                if isinstance(layer, SeparableConvolution):
                    _fold(layer, "pointwise", block.rep, str(number + 1))
        return self


def _block(weights: Mapping[str, np.ndarray], prefix: str) -> Block:
    """Return a block of the sizes that its weights have."""
    shapes = [
        value.shape for name, value in weights.items() if re.fullmatch(rf"{prefix}rep\.\d+\.pointwise.weight", name)
    ]
    starts_with_relu = f"{prefix}rep.0.conv1.weight" not in weights
    return Block(shapes[0][1], [shape[0] for shape in shapes], f"{prefix}skip.weight" in weights, starts_with_relu)


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)  # PyTorch's is the share that the new ones get


def _fold(owner: nn.Module, convolution: str, norm_owner: nn.Module, norm: str) -> None:
    fused = fuse_conv_bn_eval(getattr(owner, convolution), getattr(norm_owner, norm))
    setattr(owner, convolution, fused)
    setattr(norm_owner, norm, nn.Identity())


def torch_name(name: str) -> str:
    """Return the name that one of our parameters has here."""
    owner, _, last = name.rpartition(".")
    return f"{owner}.{_OF_BATCH_NORM.get(last, last)}"
