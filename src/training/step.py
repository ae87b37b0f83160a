"""A step of training with what MindSpore's own lacks: accumulated and clipped gradients, averaged weights."""

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from src.checkpoints.parameters import AVERAGE, copy_weights
from src.training.loss_scale import DynamicLossScale


class WeightAverage(nn.Cell):
    """Moves averaged weights and batch-norm statistics towards those of a network: average * decay + new * (1 - decay).

    Args:
        averaged (nn.Cell): receives the averages; as `follow` has made it.
        network (nn.Cell): the network that is trained, of the same structure.
        decay (float): share of the average that a call keeps, in [0, 1).
    """

    def __init__(self, averaged: nn.Cell, network: nn.Cell, decay: float):
        super().__init__(auto_prefix=False)
        weights = {parameter.name: parameter for parameter in network.get_parameters()}
        self.averages = ParameterTuple(averaged.get_parameters())
        self.weights = ParameterTuple([weights[average.name.removeprefix(AVERAGE)] for average in self.averages])
        self.share = Tensor(1 - decay, ms.float32)
        self.for_all = ops.HyperMap()

    def _update(self, average: Tensor, weight: Tensor) -> Tensor:
        return ops.assign_add(average, self.share * (ops.cast(weight, average.dtype) - average))

    def construct(self) -> tuple[Tensor, ...]:
        return self.for_all(self._update, self.averages, self.weights)


def follow(averaged: nn.Cell, network: nn.Cell) -> nn.Cell:
    """Make a second network the average of a first one: named `ema.`, and equal to it until that is trained.

    Args:
        averaged (nn.Cell): a network of the same structure, with fresh names.
        network (nn.Cell): the network.

    Returns:
        The averaged network.
    """
    averaged.update_parameters_name(AVERAGE)
    copy_weights(network, averaged)
    return averaged


class TrainingStep(nn.TrainOneStepCell):
    """One step of the optimizer, in this order: gradients of all micro-batches, their mean, over all ranks too,
    clipping, the optimizer, the average of the weights.

    Args:
        network (nn.Cell): the network with its loss.
        optimizer (nn.Optimizer): the optimizer, which divides the gradients by its own loss scale: the fixed one, or 1.
        loss_scale (float | DynamicLossScale): factor on the loss that keeps small float16 gradients from vanishing.
            With a dynamic one, a step that overflows moves nothing but the schedule and the statistics of batch norm,
            as its forward pass was right. Default: 1.
        micro_batches (int): batches of a step, at least 1. Default: 1.
        clip_norm (float): largest norm of all gradients together, those of the unscaled loss; 0 leaves them as they
            are. Default: 0.
        average (WeightAverage): follows the weights. Default: None.
        micro_batch (Parameter): int32 scalar, is set to the number of each micro-batch before it. Default: None.

    Inputs:
        - **image** (Tensor) - what the network takes; with several micro-batches, these on a new first axis.
        - **label** (Tensor) - what its loss takes, likewise.

    Outputs:
        Tensor, float32 scalar, the mean loss of the micro-batches.
    """

    def __init__(
        self,
        network: nn.Cell,
        optimizer: nn.Optimizer,
        loss_scale: float | DynamicLossScale = 1.0,
        *,
        micro_batches: int = 1,
        clip_norm: float = 0.0,
        average: WeightAverage | None = None,
        micro_batch: Parameter | None = None,
    ):
        scaling = loss_scale if isinstance(loss_scale, DynamicLossScale) else None
        super().__init__(network, optimizer, None if scaling else loss_scale)
        self.scaling = scaling
        self.micro_batches = micro_batches
        self.clip_norm = Tensor(clip_norm * optimizer.loss_scale, ms.float32) if clip_norm else None
        self.left_to_scale = optimizer.loss_scale / self.sens  # of the fixed scale, what the optimizer leaves
        self.average = average
        self.micro_batch = micro_batch
        self.sums = self.weights.clone("accumulated", "zeros") if micro_batches > 1 else ()
        self.loss_and_gradients = ms.value_and_grad(self._scaled_loss, None, self.weights, has_aux=True)
        self.for_all = ops.HyperMap()

    def _scaled_loss(self, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss that is differentiated, and the loss itself."""
        loss = self.network(image, label)
        return loss * (self.sens if self.scaling is None else self.scaling.value), loss

    def _mean_over_micro_batches(self, image: Tensor, label: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return loss and gradients, by a loop of the graph, which so holds the network once."""
        self.for_all(_clear, self.sums)
        loss = ms.Tensor(0.0, ms.float32)
        number = ms.Tensor(0, ms.int32)
        while number < self.micro_batches:
            if self.micro_batch is not None:
                ops.assign(self.micro_batch, number)
            losses, gradients = self.loss_and_gradients(image[number], label[number])
            self.for_all(ops.assign_add, self.sums, gradients)
            loss = loss + losses[1]
            number = number + 1
        return loss / self.micro_batches, self.for_all(ops.partial(_multiply, 1 / self.micro_batches), self.sums)

    def _clip(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Shrink all gradients by the same factor, so that their norm is at most clip_norm (Pascanu et al. 2013)."""
        norm = ops.sqrt(ops.addn(self.for_all(_sum_of_squares, gradients)))
        factor = self.clip_norm / ops.maximum(norm, self.clip_norm)
        return self.for_all(ops.partial(_multiply, factor), gradients)

    def construct(self, image: Tensor, label: Tensor) -> Tensor:
        if self.micro_batches > 1:
            loss, gradients = self._mean_over_micro_batches(image, label)
        else:
            losses, gradients = self.loss_and_gradients(image, label)
            loss = losses[1]
        gradients = self.grad_reducer(gradients)
        if self.scaling is None:
            if self.left_to_scale != 1:
                gradients = self.for_all(ops.partial(_multiply, self.left_to_scale), gradients)
            return self._update(loss, gradients)
        unscaled = self.for_all(ops.partial(_divide, self.scaling.value), gradients)
        if self.scaling(loss, unscaled):
            counted = ops.assign_add(self.optimizer.global_step, self.optimizer.global_step_increase_tensor)
            return ops.depend(loss, counted)
        return self._update(loss, unscaled)

    def _update(self, loss: Tensor, gradients: tuple[Tensor, ...]) -> Tensor:
        """Let the optimizer make its step of gradients without a loss scale that it does not know."""
        if self.clip_norm is not None:
            gradients = self._clip(gradients)
        loss = ops.depend(loss, self.optimizer(gradients))
        if self.average is not None:
            loss = ops.depend(loss, self.average())
        return loss


def _clear(value: Tensor) -> Tensor:
    return ops.assign(value, ops.zeros_like(value))


def _multiply(factor: Tensor | float, value: Tensor) -> Tensor:
    return factor * value


def _divide(divisor: Tensor, value: Tensor) -> Tensor:
    return value / divisor


def _sum_of_squares(value: Tensor) -> Tensor:
    return ops.sum(ops.square(ops.cast(value, ms.float32)))
