"""Dropout that a resumed training draws again exactly as the uninterrupted one would have."""

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from src.training.plan import TrainingPlan


class ReplayableDropout(nn.Cell):
    """Dropout whose mask is set from outside before each step, as a function of seed and step.

    nn.Dropout keeps its random numbers inside a kernel, whose state can be neither saved nor restored.

    Args:
        p (float): probability of an element to be dropped, in [0, 1).
        shape (tuple[int, int]): shape of the input, (batch size, features).
        seed (tuple[int, ...]): seeds of the masks, each at least 0, such as those of the run and of the process.
        micro_batches (int): batches of a step, at least 1; before each of them, `micro_batch` is to be set to its
            number. Default: 1.

    Inputs:
        - **x** (Tensor) - float, of the given shape while training.

    Outputs:
        Tensor like x; in training with dropped elements 0 and the others divided by 1 - p.
    """

    def __init__(self, p: float, shape: tuple[int, int], seed: tuple[int, ...], micro_batches: int = 1):
        super().__init__()
        self.p = p
        self.seed = seed
        self.mask = Parameter(Tensor(np.ones((micro_batches, *shape)), ms.float32), name="mask", requires_grad=False)
        self.micro_batch = Parameter(Tensor(0, ms.int32), name="micro_batch", requires_grad=False)

    def draw(self, step: int) -> None:
        """Set the masks of a step.

        Args:
            step (int): number of the training step from the very beginning, at least 0.
        """
        kept = np.random.default_rng((*self.seed, step)).random(self.mask.shape, dtype=np.float32) >= self.p
        # A graph with a loop in it never learns of set_data.
        ops.assign(self.mask, Tensor(kept / np.float32(1 - self.p), ms.float32))

    def construct(self, x: Tensor) -> Tensor:
        return x * ops.gather(self.mask, self.micro_batch, 0) if self.training else x


class DropoutMasks(ms.train.Callback):
    """Draws the dropout mask of each step.

    Args:
        dropout: The network's dropout.
        plan: The steps of the training.
    """

    def __init__(self, dropout: ReplayableDropout, plan: TrainingPlan):
        super().__init__()
        self._dropout = dropout
        self._plan = plan

    def on_train_step_begin(self, run_context: ms.train.RunContext) -> None:
        self._dropout.draw(self._plan.position(run_context).global_step - 1)
