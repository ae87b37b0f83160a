"""Softmax cross-entropy with label smoothing (Szegedy et al., "Rethinking the Inception Architecture", section 7)."""

from collections.abc import Sequence

from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

REDUCTIONS = ("mean", "sum", "none")


class CrossEntropySmooth(nn.Cell):
    """Cross-entropy against labels that keep 1 - smooth_factor and share smooth_factor among the other classes.

    Args:
        sparse (bool): True: labels are class indices (N,); False: labels are rows of probabilities (N, num_classes),
            taken as they are. Default: True.
        reduction (str): "mean" or "sum" over the images, or "none" for a loss per image. Default: "mean".
        smooth_factor (float): probability taken from the true class, 0 <= smooth_factor < 1. Each other class gets
            smooth_factor / (num_classes - 1). Default: 0.
        num_classes (int): number of classes, at least 1. Default: 1000.
        class_weights (Sequence[float]): factor of each class's term of the cross-entropy, which the labels, smoothed
            ones too, choose; "mean" divides by the number of images. Default: None, all 1.

    Inputs:
        - **logits** (Tensor) - float (N, num_classes); half precision is computed in float32.
        - **label** (Tensor) - int (N,) or float (N, num_classes), see `sparse`.

    Outputs:
        Tensor, float32, a scalar, or (N,) with reduction "none".

    Raises:
        ValueError: If an argument is outside its range, or labels and logits differ in images or classes.
    """

    def __init__(
        self,
        sparse: bool = True,
        reduction: str = "mean",
        smooth_factor: float = 0.0,
        num_classes: int = 1000,
        *,
        class_weights: Sequence[float] | None = None,
    ):
        super().__init__()
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}, but got {reduction!r}")
        if not 0.0 <= smooth_factor < 1.0:
            raise ValueError(f"smooth_factor must be in [0, 1), but got {smooth_factor}")
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, but got {num_classes}")
        if class_weights is not None and len(class_weights) != num_classes:
            raise ValueError(
                f"class_weights must be one for each of {num_classes} classes, but got {len(class_weights)}"
            )
        self.class_weights = None if class_weights is None else Tensor(list(map(float, class_weights)), mstype.float32)
        self.sparse = sparse
        self.reduction = reduction
        self.num_classes = num_classes
        self.on_value = Tensor(1.0 - smooth_factor, mstype.float32)
        # A single class has no other one to share with; its log-probability and so its loss are 0.
        self.off_value = Tensor(smooth_factor / max(num_classes - 1, 1), mstype.float32)

    def construct(self, logits: Tensor, label: Tensor) -> Tensor:
        log_probabilities = ops.log_softmax(ops.cast(logits, mstype.float32), -1)
        if self.sparse:
            target = ops.one_hot(label, self.num_classes, self.on_value, self.off_value)
        else:
            target = ops.cast(label, mstype.float32)
        # Broadcasting would turn some of these mistakes into a wrong loss.
        if target.shape != log_probabilities.shape:
            raise ValueError(f"labels of shape {target.shape} (images, classes) do not fit logits of {logits.shape}")
        if self.class_weights is not None:
            target = target * self.class_weights
        loss = -ops.sum(target * log_probabilities, -1)
        if self.reduction == "mean":
            return ops.mean(loss)
        if self.reduction == "sum":
            return ops.sum(loss)
        return loss
