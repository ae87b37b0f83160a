"""The Xception network (F. Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", CVPR 2017)."""

import warnings

from mindspore import Tensor, nn, ops

MIN_IMAGE_SIZE = 71
FEATURES = 2048
BATCH_NORM_EPSILON = 1e-5
BATCH_NORM_MOMENTUM = 0.9  # share of the moving statistics that a step keeps

# More lines than other files have: the whole network of the paper stands in this one.
# Figure 5 of the paper, one row a block: (input channels, channels after each separable convolution, stride).
# Block 1 follows an activation of the stem and so begins without one.
ENTRY_FLOW = (
    (64, (128, 128), 2),
    (128, (256, 256), 2),
    (256, (728, 728), 2),
)
MIDDLE_FLOW = ((728, (728, 728, 728), 1),) * 8
EXIT_FLOW = ((728, (728, 1024), 2),)
BLOCKS = ENTRY_FLOW + MIDDLE_FLOW + EXIT_FLOW
POOL_PADDINGS = ("same", "symmetric")
POOLINGS = ("avg", "max")


def _conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, **kwargs) -> nn.Conv2d:
    """A convolution without bias, xavier-uniform initialised, unpadded unless `pad_mode` says otherwise."""
    pad_mode = kwargs.pop("pad_mode", "valid")
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride,
        pad_mode=pad_mode,
        has_bias=False,
        weight_init="xavier_uniform",
        **kwargs,
    )


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)


def _max_pool(stride: int, padding: str) -> nn.Cell:
    """A 3 x 3 max pooling; the paddings differ for even heights and widths, where "same" pads one side only."""
    if padding == "same":
        return nn.MaxPool2d(3, stride, pad_mode="same")
    return nn.SequentialCell(RepeatEdges(), nn.MaxPool2d(3, stride, pad_mode="valid"))


class RepeatEdges(nn.Cell):
    """Pads all four sides by one pixel, which repeats the edge and so is never a new maximum: (N, C, H + 2, W + 2)."""

    def construct(self, x: Tensor) -> Tensor:
        # Not an operator for padding: MindSpore cannot write those to ONNX.
        x = ops.cat((x[:, :, :1], x, x[:, :, -1:]), 2)
        return ops.cat((x[:, :, :, :1], x, x[:, :, :, -1:]), 3)


class SeparableConv2d(nn.Cell):
    """A 3 x 3 depthwise convolution followed by a 1 x 1 convolution, with no activation between (section 4.7).

    Args:
        in_channels (int): channels of the input.
        out_channels (int): channels of the output.

    Inputs and outputs are (N, C, H, W) tensors of the same height and width.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv1 = _conv(in_channels, in_channels, 3, pad_mode="pad", padding=1, group=in_channels)
        self.pointwise = _conv(in_channels, out_channels, 1)

    def construct(self, x: Tensor) -> Tensor:
        return self.pointwise(self.conv1(x))


class Block(nn.Cell):
    """A residual block: (ReLU, separable convolution, batch norm) repeated, then max pooling if it is strided.

    Args:
        in_channels (int): channels of the input.
        widths (tuple[int, ...]): channels after each separable convolution.
        stride (int): 1 or 2; 2 halves height and width (rounded up).
        start_with_relu (bool): whether the first separable convolution is preceded by an activation.
        pool_padding (str): "same" or "symmetric", as in Xception.

    The shortcut is a strided 1 x 1 convolution with batch norm where the shape changes, else the identity.
    """

    def __init__(
        self,
        in_channels: int,
        widths: tuple[int, ...],
        stride: int,
        start_with_relu: bool = True,
        pool_padding: str = "same",
    ):
        super().__init__()
        self.has_skip = stride != 1 or widths[-1] != in_channels
        if self.has_skip:
            self.skip = _conv(in_channels, widths[-1], 1, stride)
            self.skipbn = _batch_norm(widths[-1])
        layers: list[nn.Cell] = []
        channels = in_channels
        for width in widths:
            layers += [nn.ReLU(), SeparableConv2d(channels, width), _batch_norm(width)]
            channels = width
        if not start_with_relu:
            layers = layers[1:]
        self.stride = stride
        if stride != 1:
            layers.append(_max_pool(stride, pool_padding))
        self.rep = nn.SequentialCell(layers)

    def construct(self, x: Tensor) -> Tensor:
        shortcut = self.skipbn(self.skip(x)) if self.has_skip else x
        return self.rep(x) + shortcut

    def set_pool_padding(self, pool_padding: str) -> None:
        """Replace the max pooling, if there is one, by one with this padding."""
        if self.stride != 1:
            self.rep[-1] = _max_pool(self.stride, pool_padding)


class Xception(nn.Cell):
    """Xception as in figure 5 of the paper, for images of any size from 71 x 71 (the paper's is 299 x 299).

    Args:
        num_classes (int): number of classes, at least 1. Default: 1000.
        pool_padding (str): how max pooling pads. "same", as TensorFlow does: at the right and bottom alone where height
            and width are even. "symmetric", as PyTorch does: on all sides. Default: "same".
        include_top (bool): Whether the network ends in its classifier. Without it there are neither dropout nor
            classifier nor their parameters, and `num_classes` does not count: it is 0. Default: True.
        pooling (str): what a network without classifier gives: the mean ("avg") or the largest value ("max") of each
            feature map, or None for the maps. Default: None.
        dropout_rate (float): share of the features that training drops before the classifier, in [0, 1). Default: 0.5.

    Inputs:
        - **x** (Tensor) - float images (N, 3, H, W), RGB, (value - 127.5) / 127.5, so in [-1, 1]; H and W at least 71.

    Outputs:
        Tensor, float logits (N, num_classes); without the classifier features (N, 2048), or the maps (N, 2048, h, w).

    Raises:
        ValueError: If `num_classes` is below 1, or `pool_padding` or `pooling` is another word, or there are both
            `pooling` and the classifier, or `dropout_rate` is not in [0, 1), or the input is not (N, 3, H, W) with H
            and W of at least 71.

    Note:
        Call `forward_features` and `forward_head` from the `construct` of a Cell to switch between training and
        evaluation. Called by themselves in graph mode, their layers stay in the mode of the first call.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        pool_padding: str = "same",
        include_top: bool = True,
        pooling: str | None = None,
        *,
        dropout_rate: float = 0.5,
    ):
        super().__init__()
        if include_top and num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, but got {num_classes}")
        _check_pool_padding(pool_padding)
        _check_pooling(include_top, pooling)
        if not 0 <= dropout_rate < 1:
            raise ValueError(f"dropout_rate must be from 0 to below 1, but got {dropout_rate}")
        self.num_classes = num_classes if include_top else 0
        self.pool_padding = pool_padding
        self.include_top = include_top
        self.pooling = pooling
        self.conv1 = _conv(3, 32, 3, 2)
        self.bn1 = _batch_norm(32)
        self.conv2 = _conv(32, 64, 3)
        self.bn2 = _batch_norm(64)
        for number, (in_channels, widths, stride) in enumerate(BLOCKS, start=1):
            setattr(self, f"block{number}", Block(in_channels, widths, stride, number > 1, pool_padding))
        self.conv3 = SeparableConv2d(1024, 1536)
        self.bn3 = _batch_norm(1536)
        self.conv4 = SeparableConv2d(1536, FEATURES)
        self.bn4 = _batch_norm(FEATURES)
        self.relu = nn.ReLU()
        if include_top:
            self.dropout = nn.Dropout(p=dropout_rate)
            self.fc = nn.Dense(FEATURES, num_classes)
        # A plain tuple, so that the loop over the blocks adds no second name to their parameters.
        self.blocks = tuple(getattr(self, f"block{number}") for number in range(1, len(BLOCKS) + 1))

    def set_pool_padding(self, pool_padding: str) -> None:
        """Change how max pooling pads, before the network, or a cell with it inside, is called for the first time.

        Args:
            pool_padding (str): "same" or "symmetric", as in the constructor.

        Raises:
            ValueError: If it is another word, or the network has been compiled with another one already.
        """
        _check_pool_padding(pool_padding)
        if pool_padding == self.pool_padding:
            return
        if self.compile_cache:
            raise ValueError(
                f"the network is compiled with {self.pool_padding} pool padding already: build another one"
            )
        self.pool_padding = pool_padding
        for block in self.blocks:
            block.set_pool_padding(pool_padding)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the feature maps before pooling: (N, 2048, 10, 10) for 299 x 299, (N, 2048, 3, 3) for 71 x 71."""
        check_images(x.shape)
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 32, 149, 149)
        x = self.relu(self.bn2(self.conv2(x)))  # (N, 64, 147, 147)
        for block in self.blocks:  # 74, 37, 19 x 19 after the entry flow; 10 x 10 after block 12
            x = block(x)
        x = self.relu(self.bn3(self.conv3(x)))  # (N, 1536, 10, 10)
        return self.relu(self.bn4(self.conv4(x)))  # (N, 2048, 10, 10)

    def forward_head(self, features: Tensor) -> Tensor:
        """Return what the network gives of feature maps (N, 2048, H, W).

        That is the logits (N, num_classes): global average, dropout, classifier; without the classifier the pooled
        features (N, 2048), or the maps as they are.
        """
        if self.include_top:
            return self.fc(self.dropout(ops.mean(features, (2, 3))))
        if self.pooling == "avg":
            return ops.mean(features, (2, 3))
        return ops.amax(features, (2, 3)) if self.pooling == "max" else features

    def construct(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


def _check_pool_padding(pool_padding: str) -> None:
    if pool_padding not in POOL_PADDINGS:
        raise ValueError(f"pool_padding must be one of {', '.join(POOL_PADDINGS)}, but got {pool_padding}")


def _check_pooling(include_top: bool, pooling: str | None) -> None:
    if pooling is None:
        return
    if pooling not in POOLINGS:
        raise ValueError(f"pooling must be None or one of {', '.join(POOLINGS)}, but got {pooling}")
    if include_top:
        raise ValueError(f"pooling is {pooling}, but the classifier has its own: add include_top=False")


def check_images(shape: tuple[int, ...]) -> None:
    # Also runs while a graph is compiled, so only on what is known then.
    if len(shape) != 4 or shape[1] != 3:
        raise ValueError(f"Xception takes images of shape (N, 3, H, W), but got {shape}")
    if shape[2] < MIN_IMAGE_SIZE or shape[3] < MIN_IMAGE_SIZE:
        raise ValueError(f"Xception takes images of at least 71 x 71, but got shape {shape}")


def xception(
    num_classes: int = 1000,
    pool_padding: str = "same",
    include_top: bool = True,
    pooling: str | None = None,
    *,
    dropout_rate: float = 0.5,
    class_num: int | None = None,
) -> Xception:
    """Build Xception with freshly initialised weights.

    Args:
        num_classes (int): number of classes, at least 1. Default: 1000.
        pool_padding (str): "same", or "symmetric" for weights that come from PyTorch. Default: "same".
        include_top (bool): Whether the network ends in its classifier. Default: True.
        pooling (str): "avg", "max" or None, as in Xception; only without the classifier. Default: None.
        dropout_rate (float): share of the features that training drops before the classifier, in [0, 1). Default: 0.5.
        class_num (int): the model zoo's name of `num_classes`, taken with a warning.

    Returns:
        Xception, the network, in evaluation mode; `set_train()` switches dropout and batch statistics on.

    Raises:
        ValueError: If `num_classes` is there under both names, and not the same.

    Examples:
        >>> net = xception(1000)
        >>> features = xception(include_top=False, pooling="avg")
    """
    if class_num is not None:
        if num_classes not in (1000, class_num):
            raise ValueError(
                f"num_classes is {num_classes}, and class_num, its old name, {class_num}: give one of them"
            )
        warnings.warn("class_num is the model zoo's name of num_classes", FutureWarning, stacklevel=2)
        num_classes = class_num
    return Xception(num_classes, pool_padding, include_top, pooling, dropout_rate=dropout_rate)
