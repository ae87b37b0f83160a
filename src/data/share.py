"""How ranks share the images of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import mindspore.dataset as ds
import numpy as np


@dataclass(frozen=True)
class Share:
    """The part of a data set's images that one of several ranks gets.

    Args:
        device_num: Number of ranks that share the images, 1 or more.
        rank: Number of this one, 0 to device_num - 1.
        order: Int64, which images training takes and in which order, over all ranks, as positions among those that are
            not left out; None for all of them, shuffled.

    Raises:
        ValueError: If there is no such rank.
    """

    device_num: int = 1
    rank: int = 0
    order: np.ndarray | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.device_num:
            raise ValueError(f"rank must be from 0 to {self.device_num - 1} (device_num - 1), got {self.rank}")

    def needs_numbers(self, do_train: bool) -> bool:
        """Tell whether this rank's images are chosen by number: MindSpore fills its shards up to equal size."""
        return self.order is not None if do_train else self.device_num > 1

    def sampling(self, dataset_path: str, do_train: bool, kept: Sequence[int] | None) -> dict[str, object]:
        """Return the arguments of a MindSpore data set that choose this rank's images and their order.

        Args:
            dataset_path: Folder of the images, for the message.
            do_train: Whether for training, shuffled and the same number on every rank, or for evaluation, in order and
                over all ranks each once.
            kept: Numbers of the images to choose from; None for all of them, where needs_numbers is false.

        Raises:
            ValueError: If the rank gets no image.
        """
        if kept is None:
            shard = {"num_shards": self.device_num, "shard_id": self.rank} if self.device_num > 1 else {}
            return {"shuffle": do_train, **shard}
        if do_train and self.order is not None:
            return {
                "sampler": ds.SubsetSampler([int(kept[number]) for number in self.order[self.rank :: self.device_num]])
            }
        if do_train:
            sampler = ds.DistributedSampler(self.device_num, self.rank)
            sampler.add_child(ds.SubsetSampler(list(kept)))
            return {"sampler": sampler}
        if self.rank >= len(kept):
            raise ValueError(
                f"{dataset_path} has {len(kept)} images, fewer than the {self.device_num} devices that share them"
            )
        return {"sampler": ds.SubsetSampler(list(kept[self.rank :: self.device_num]))}
