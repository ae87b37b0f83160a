"""Image files read in Python, where MindSpore's own reader takes only some, and which of them is unreadable."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from src.common.regular_file import read_regular
from src.common.workers import available_workers
from src.data.image_check import find_bad_images
from src.data.image_limits import ImageLimits

_IN_FLIGHT = 4096  # more images than MindSpore's queues hold between reading and decoding

_FEW = 100  # images that one process has checked before a second one has started


class RecentReads:
    """The images that were read last: MindSpore's errors do not name the files that Python has read."""

    def __init__(self) -> None:
        self._paths: deque[str] = deque(maxlen=_IN_FLIGHT)

    def add(self, path: str) -> None:
        """Note that an image is being read."""
        self._paths.append(path)

    def first_bad(self, limits: ImageLimits) -> tuple[str, str] | None:
        """Decode the images again, in processes of their own; return the first bad one and its reason."""
        paths = list(map(Path, dict.fromkeys(self._paths)))
        workers = available_workers() if len(paths) > _FEW else 1
        reasons = dict(find_bad_images(paths, workers, limits=limits))
        return next(((str(path), reasons[path]) for path in paths if path in reasons), None)


class FileReader:
    """A source of MindSpore's GeneratorDataset.

    Args:
        images: Path and label of each image.
        reads: Is told about every file.
    """

    def __init__(self, images: Sequence[tuple[str, int]], reads: RecentReads):
        self._images = images
        self._reads = reads

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        path, label = self._images[int(number)]
        self._reads.add(path)
        return np.frombuffer(read_regular(path), np.uint8), np.array(label, np.int32)
