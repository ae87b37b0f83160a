"""Grad-CAM: which parts of an image speak for a class (Selvaraju et al., ICCV 2017, section 3)."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.Xception import Xception


class GradCam:
    """Maps images to logits and to heat maps of a class; compiles the network once for each shape of the images.

    Args:
        network: The network; is set to evaluation mode.
    """

    def __init__(self, network: Xception):
        self._network = _FeaturesAndLogits(network).set_train(False)
        self._gradient = ms.grad(_ClassLogits(network).set_train(False))

    def __call__(self, images: np.ndarray, label: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Explain a batch.

        Args:
            images: Float32 (N, 3, H, W), normalised as for the network.
            label: The class to explain, 0 to num_classes - 1; None takes for each image the one with the largest logit.

        Returns:
            Logits, float32 (N, num_classes), and heat maps, float32 (N, h, w) in the resolution of the last feature
            maps, 0 or more: the feature maps' sum, weighted by the mean gradient of the class's logit with respect to
            each of them, where it is positive (equations 1 and 2).
        """
        features, logits = self._network(Tensor(images))
        scores = logits.asnumpy()
        labels = scores.argmax(1) if label is None else np.full(len(scores), label)
        gradient = self._gradient(features, Tensor(labels.astype(np.int32))).asnumpy().astype(np.float32)
        weights = gradient.mean((2, 3), keepdims=True)
        return scores, np.maximum((weights * features.asnumpy().astype(np.float32)).sum(1), 0)


class _FeaturesAndLogits(nn.Cell):
    def __init__(self, network: Xception):
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.forward_features(images)
        return features, ops.cast(self.network.forward_head(features), ms.float32)


class _ClassLogits(nn.Cell):
    """The sum over a batch of one logit an image: its gradient holds that of each image's own logit."""

    def __init__(self, network: Xception):
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, features: Tensor, label: Tensor) -> Tensor:
        logits = ops.cast(self.network.forward_head(features), ms.float32)
        return ops.gather_elements(logits, 1, ops.expand_dims(label, 1)).sum()
