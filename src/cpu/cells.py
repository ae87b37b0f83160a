"""Layers of Xception that compute by the operators in C++, each in the place of one or more of MindSpore's."""

from __future__ import annotations

from pathlib import Path

from mindspore import Tensor, nn, ops

from src.Xception import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM


class BatchNormParameters(nn.Cell):
    """The parameters of a batch norm under their names, for a cell that computes it; this one does nothing.

    Args:
        batch_norm (nn.BatchNorm2d): the one to replace, whose parameters this one takes.

    Raises:
        ValueError: If it has another epsilon or momentum than the operators.
    """

    def __init__(self, batch_norm: nn.BatchNorm2d):
        super().__init__()
        _check_batch_norm(batch_norm)
        self.moving_mean = batch_norm.moving_mean
        self.moving_variance = batch_norm.moving_variance
        self.gamma = batch_norm.gamma
        self.beta = batch_norm.beta
        self.infer = batch_norm.bn_infer

    def construct(self, x: Tensor) -> Tensor:
        return x

    def evaluate(self, x: Tensor) -> Tensor:
        """Return float32 (N, C, H, W) normalised by the moving statistics."""
        return self.infer(x, self.gamma, self.beta, self.moving_mean, self.moving_variance)[0]

    def update(self, results: tuple[Tensor, ...]) -> None:
        """Replace the moving statistics by the last two results of an operator, (C,) each."""
        # Not unpacked: of each name without a use MindSpore says that a node with an effect was eliminated by mistake.
        ops.assign(self.moving_mean, results[3])
        ops.assign(self.moving_variance, results[4])


class BatchNorm(BatchNormParameters):
    """Batch norm, by the operators in training.

    Args:
        library (Path): the compiled operators.
        batch_norm (nn.BatchNorm2d): the one to replace, whose parameters this one takes.

    Inputs and outputs are float32 (N, C, H, W) tensors of the same shape.
    """

    def __init__(self, library: Path, batch_norm: nn.BatchNorm2d):
        super().__init__(batch_norm)
        backward = _custom(library, "BatchNormBackward", lambda x, gamma, mean, variance, dy: (x, gamma, gamma))

        def bprop(x, gamma, beta, mean, variance, out, dout):
            dx, dgamma, dbeta = backward(x, gamma, out[1], out[2], dout[0])
            return dx, dgamma, dbeta, ops.zeros_like(mean), ops.zeros_like(variance)

        self.forward = _custom(
            library, "BatchNormForward", lambda x, gamma, beta, mean, variance: (x, gamma, gamma, gamma, gamma), bprop
        )

    def construct(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.evaluate(x)
        results = self.forward(x, self.gamma, self.beta, self.moving_mean, self.moving_variance)
        self.update(results)
        return results[0]


class Depthwise(nn.Cell):
    """The depthwise 3 x 3 convolution of a separable one, of its input or of the ReLU of its input.

    Args:
        library (Path): the compiled operators.
        convolution (nn.Conv2d): the one to replace, whose weight this one takes.
        after_relu (bool): whether a ReLU comes first.

    Inputs and outputs are float32 (N, C, H, W) tensors of the same shape.
    """

    def __init__(self, library: Path, convolution: nn.Conv2d, after_relu: bool):
        super().__init__()
        self.weight = convolution.weight
        name = "ReluDepthwise" if after_relu else "Depthwise"
        backward = _custom(library, f"{name}Backward", lambda x, weight, dy: (x, weight))

        def bprop(x, weight, out, dout):
            return backward(x, weight, dout)

        self.forward = _custom(library, f"{name}Forward", lambda x, weight: x, bprop)

    def construct(self, x: Tensor) -> Tensor:
        return self.forward(x, self.weight)


class BatchNormReluDepthwise(Depthwise):
    """Batch norm, ReLU and the depthwise 3 x 3 convolution of a separable one, without a tensor between them.

    Args:
        library (Path): the compiled operators.
        batch_norm (BatchNormParameters): what stays in the place of the batch norm.
        convolution (nn.Conv2d): the one to replace, whose weight this one takes.

    Inputs and outputs are float32 (N, C, H, W) tensors of the same shape.
    """

    def __init__(self, library: Path, batch_norm: BatchNormParameters, convolution: nn.Conv2d):
        super().__init__(library, convolution, True)
        self.batch_norm = (batch_norm,)  # a plain tuple, which adds no second name to its parameters
        backward = _custom(
            library,
            "BatchNormReluDepthwiseBackward",
            lambda x, gamma, beta, weight, mean, variance, dy: (x, gamma, gamma, weight),
        )

        def bprop(x, gamma, beta, weight, mean, variance, out, dout):
            dx, dgamma, dbeta, dweight = backward(x, gamma, beta, weight, out[1], out[2], dout[0])
            return dx, dgamma, dbeta, dweight, ops.zeros_like(mean), ops.zeros_like(variance)

        self.forward_all = _custom(
            library,
            "BatchNormReluDepthwiseForward",
            lambda x, gamma, beta, weight, mean, variance: (x, gamma, gamma, gamma, gamma),
            bprop,
        )

    def construct(self, x: Tensor) -> Tensor:
        norm = self.batch_norm[0]
        if not self.training:
            return self.forward(norm.evaluate(x), self.weight)
        results = self.forward_all(x, norm.gamma, norm.beta, self.weight, norm.moving_mean, norm.moving_variance)
        norm.update(results)
        return results[0]


class Convolution(nn.Cell):
    """A convolution without padding, as MindSpore's of 1 x 1 on what each window holds.

    Args:
        library (Path): the compiled operators.
        convolution (nn.Conv2d): the one to replace, whose weight this one takes: of 3 x 3, or of stride 2.

    Inputs and outputs are the replaced one's, float32.
    """

    def __init__(self, library: Path, convolution: nn.Conv2d):
        super().__init__()
        self.weight = convolution.weight
        self.forward = _Unfolded(library, convolution)

    def construct(self, x: Tensor) -> Tensor:
        return self.forward(x, self.weight)


class _Unfolded(nn.Cell):
    """What Convolution computes; unfolds again for the gradient, as nine times the input is too much to keep."""

    def __init__(self, library: Path, convolution: nn.Conv2d):
        super().__init__()
        kernel, stride = convolution.kernel_size[0], convolution.stride[0]
        values = convolution.in_channels * kernel**2

        def unfolded(shape):
            return [shape[0], values, *((size - kernel) // stride + 1 for size in shape[2:])]

        self.unfold = _custom(library, f"Unfold{kernel}By{stride}", lambda x: x, None, unfolded)
        # Takes what it does not need for not being done in the forward pass already, and kept since.
        self.unfold_again = _custom(
            library, f"Unfold{kernel}By{stride}", lambda x, dout: x, None, lambda shape, _: unfolded(shape)
        )
        self.fold = _custom(library, f"Fold{kernel}By{stride}", lambda x, dy: x)
        self.convolution = ops.Conv2D(convolution.out_channels, 1)
        self.gradient = ops.GradOperation(get_all=True, sens_param=True)
        self.shape = (convolution.out_channels, values, 1, 1)

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.multiply(self.unfold(x), weight)

    def bprop(self, x: Tensor, weight: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
        unfolded = self.unfold_again(x, dout)
        dunfolded, dweight = self.gradient(self.multiply)(unfolded, weight, dout)
        return self.fold(x, dunfolded), dweight

    def multiply(self, unfolded: Tensor, weight: Tensor) -> Tensor:
        """Return the sums over the windows, (N, output channels, H, W)."""
        return self.convolution(unfolded, weight.reshape(self.shape))


class MaxPool(nn.Cell):
    """The 3 x 3 max pooling of stride 2 with padding "same": float32 (N, C, H, W), H and W halved and rounded up.

    Args:
        library (Path): the compiled operators.
    """

    def __init__(self, library: Path):
        super().__init__()
        backward = _custom(library, "MaxPoolBackward", lambda x, dy: x)

        def bprop(x, out, dout):
            return (backward(x, dout),)

        self.forward = _custom(library, "MaxPoolForward", lambda x: x, bprop, _halved)

    def construct(self, x: Tensor) -> Tensor:
        return self.forward(x)


def _check_batch_norm(batch_norm: nn.BatchNorm2d) -> None:
    # MindSpore's cells keep one minus the momentum that they are given.
    if (batch_norm.eps, batch_norm.momentum) != (BATCH_NORM_EPSILON, 1.0 - BATCH_NORM_MOMENTUM):
        raise ValueError(
            f"the operators in C++ have batch norm of epsilon {BATCH_NORM_EPSILON} and momentum {BATCH_NORM_MOMENTUM}, "
            f"but this one has {batch_norm.eps} and {1.0 - batch_norm.momentum:g}: set --cpu_operators=none"
        )


def _custom(library: Path, name: str, infer, bprop=None, infer_shape=None) -> ops.Custom:
    return ops.Custom(f"{library}:{name}", infer_shape or infer, infer, func_type="aot", bprop=bprop)


def _halved(shape: list[int]) -> list[int]:
    return [shape[0], shape[1], (shape[2] + 1) // 2, (shape[3] + 1) // 2]
