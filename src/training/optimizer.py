"""The optimizers: MindSpore's own, with less memory for weight decay, and what its kernels for CPU lack."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, nn, ops

_LARGEST_RATIO = 10.0  # of MindSpore's kernels for LAMB


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


class CpuNesterov(Momentum):
    """nn.Momentum with `use_nesterov` by small operators: MindSpore's kernel for CPU passes over that in silence."""

    def construct(self, gradients: tuple[Tensor, ...]) -> Tensor:
        gradients = self.scale_grad(self.decay_weight(gradients))
        rate = self.get_lr()
        done = self.assignadd(self.global_step, self.global_step_increase_tensor)
        for number, gradient in enumerate(gradients):
            moment = self.moments[number]
            ops.assign(moment, self.momentum * moment + gradient)
            step = (rate[number] if self.is_group_lr else rate) * (gradient + self.momentum * moment)
            done = ops.depend(done, ops.assign_sub(self.params[number], step))
        return done


class CpuLamb(nn.Lamb):
    """nn.Lamb by small operators, as MindSpore has no kernel for CPU; the formula is that of its kernels.

    These divide the norm of the weights by that of an update which is damped inside the root, and go to ten at most.
    """

    def construct(self, gradients: tuple[Tensor, ...]) -> Tensor:
        decay, rate = self.get_weight_decay(), self.get_lr()
        done = self.assignadd(self.global_step, self.global_step_increase_tensor)
        step = ops.cast(self.global_step, ms.float32)
        for number, gradient in enumerate(gradients):
            own = (rate[number] if self.is_group_lr else rate, decay[number] if self.is_group else decay)
            done = ops.depend(done, self._update(number, gradient, *own, step))
        return done

    def _update(self, number: int, gradient: Tensor, rate: Tensor, decay: Tensor, step: Tensor) -> Tensor:
        weight, first, second = self.params[number], self.moments1[number], self.moments2[number]
        ops.assign(first, self.beta1 * first + (1 - self.beta1) * gradient)
        ops.assign(second, self.beta2 * second + (1 - self.beta2) * ops.square(gradient))
        mean, square = first / (1 - self.beta1**step), second / (1 - self.beta2**step)
        decayed = decay * weight if self.decay_flags[number] else ops.zeros_like(weight)
        update = mean / (ops.sqrt(square) + self.eps) + decayed
        damped = _norm(mean / ops.sqrt(square + self.eps) + decayed)
        norm = _norm(weight)
        ratio = ops.select(ops.logical_and(norm > 0, damped > 0), norm / damped, ops.ones_like(norm))
        return ops.assign_sub(weight, ops.minimum(ratio, _LARGEST_RATIO) * rate * update)


def _norm(value: Tensor) -> Tensor:
    return ops.sqrt(ops.sum(ops.square(value)))
