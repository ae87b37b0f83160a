"""The optimizer: MindSpore's momentum with less memory for weight decay."""

from mindspore import Tensor, nn, ops


class Momentum(nn.Momentum):
    """nn.Momentum, with the same numbers: each weight is decayed when its gradient is there.

    MindSpore's own decay needs nothing but the weights, so on CPU it is computed first of all, and kept for all of them
    through forward and backward.
    """

    def decay_weight(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if not self.exec_weight_decay:
            return gradients
        decay = self.get_weight_decay()
        if self.is_group:
            return self.map_(_decayed, decay, self.decay_flags, self._parameters, gradients)
        return self.map_(ops.partial(_decayed, decay), self.decay_flags, self._parameters, gradients)


def _decayed(decay: Tensor, is_decayed: bool, weight: Tensor, gradient: Tensor) -> Tensor:
    if is_decayed:
        return weight * ops.depend(decay, gradient) + gradient
    return gradient
