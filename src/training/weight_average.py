"""Exponential moving average of a network's weights, which often classifies better than the weights themselves."""

from mindspore import ParameterTuple, Tensor, nn, ops
from mindspore import dtype as mstype

PREFIX = "ema."  # of the names of averaged weights


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
        self.weights = ParameterTuple([weights[average.name.removeprefix(PREFIX)] for average in self.averages])
        self.share = Tensor(1 - decay, mstype.float32)
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
    averaged.update_parameters_name(PREFIX)
    copy_weights(network, averaged)
    return averaged


def copy_weights(network: nn.Cell, averaged: nn.Cell) -> None:
    """Set an averaged network to the weights and statistics that a network has now."""
    weights = {parameter.name: parameter for parameter in network.get_parameters()}
    for average in averaged.get_parameters():
        average.set_data(Tensor(weights[average.name.removeprefix(PREFIX)].asnumpy()))
