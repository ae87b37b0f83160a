"""The mean of the gradients of ranks that share memory, by an operator in C++ instead of MindSpore's all-reduce."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops


class SharedMemoryReducer(nn.Cell):
    """nn.DistributedGradReducer for ranks that share memory, as share_memory of src.cpu.shared_memory tells.

    All gradients are one exchange, and the mean is the same on all ranks to the bit.

    Args:
        library (Path): the operators.
        weights (Sequence[Parameter]): float32 parameters, in the order of their gradients.

    Inputs:
        - **gradients** (tuple[Tensor]) - those of this rank.

    Outputs:
        tuple[Tensor], their means over all ranks.
    """

    def __init__(self, library: Path, weights: Sequence[Parameter]):
        super().__init__(auto_prefix=False)
        sizes = [list(weight.shape) for weight in weights]
        self.is_one = len(sizes) == 1
        self.mean = ops.Custom(
            f"{library}:MeanOverRanks",
            lambda *_: sizes[0] if len(sizes) == 1 else tuple(sizes),
            lambda *_: ms.float32 if len(sizes) == 1 else (ms.float32,) * len(sizes),
            func_type="aot",
        )

    def construct(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        means = self.mean(*gradients)
        return (means,) if self.is_one else means
