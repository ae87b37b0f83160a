"""A loss scale that follows the gradients: it grows while they are finite; a step in which one is not is skipped."""

from __future__ import annotations

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

_FACTOR, _WINDOW = 2, 2000  # MindSpore's and PyTorch's own
SMALLEST = 1.0


class DynamicLossScale(nn.Cell):
    """MindSpore's DynamicLossScaler as a cell, for one rank or several, with a count of what it had skipped.

    Args:
        value (float): where the scale begins, at least 1.
        ranks (int): number of processes that train together, which all skip the same steps. Default: 1.

    Inputs:
        - **loss** (Tensor) - float32 scalar, without the scale.
        - **gradients** (tuple[Tensor]) - their means over all ranks, without the scale too.

    Outputs:
        Tensor, bool scalar, whether the step overflows: a gradient is NaN or infinite, and the loss of no rank is. A
        smaller scale does not mend a loss, which is to end training.
    """

    def __init__(self, value: float, ranks: int = 1):
        super().__init__(auto_prefix=False)
        self.scaler = ms.amp.DynamicLossScaler(float(value), _FACTOR, _WINDOW)
        self.scaler.scale_value.name, self.scaler.counter.name = "loss_scale", "loss_scale_steps"
        self.value = self.scaler.scale_value
        self.steps = self.scaler.counter  # since the scale has last changed
        self.skipped = Parameter(Tensor(0, ms.int32), name="loss_scale_skipped", requires_grad=False)
        self.sum_over_ranks = ops.AllReduce() if ranks > 1 else nn.Identity()

    def construct(self, loss: Tensor, gradients: tuple[Tensor, ...]) -> Tensor:
        finite = ops.stack((ops.isfinite(loss).reshape(()), ms.amp.all_finite(gradients)))
        has_wrong = self.sum_over_ranks(1 - finite.astype(ms.float32)) > 0
        overflows = ops.logical_and(ops.logical_not(has_wrong[0]), has_wrong[1])
        self.scaler.adjust(ops.logical_not(overflows))
        ops.assign_add(self.skipped, overflows.astype(ms.int32))
        return overflows
