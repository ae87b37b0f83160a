"""A part of the training images that is held out for validation: --validation_split."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from src.common.files import printable
from src.data.duplicates import find_duplicates
from src.data.folder_source import FolderSource
from src.data.image_source import ImageSource
from src.data.partition import divide


@dataclass(frozen=True)
class HeldOut:
    """Images of one folder in two parts.

    Args:
        training: Those to train on.
        validation: The others; classes of a single image are absent.
        note: What a person should know, in a line.
    """

    training: ImageSource
    validation: ImageSource
    note: str


def hold_out(source: ImageSource, share: float) -> HeldOut:
    """Divide the images of a folder, as tools/split_dataset.py does.

    Args:
        source: The images.
        share: Share of the images that are held out, above 0 and below 1.

    Returns:
        The parts; images that are equal byte for byte are in one.

    Raises:
        ValueError: If the images are in MindRecord files, or no class has two of them.
        OSError: If an image cannot be read.
    """
    if not isinstance(source, FolderSource):
        raise ValueError(
            f"validation_split divides image folders, but {source.path} holds MindRecord files: divide the folder that "
            "they were made from by tools/split_dataset.py, and make MindRecord files of each part"
        )
    listing = source.listing
    duplicates = find_duplicates(listing.paths)
    kept, held = divide(listing.images, source.name_of, [share], duplicates)
    held = {name: paths for name, paths in held.items() if paths}
    if not held:
        raise ValueError(
            f"validation_split: no class of {printable(source.path)} has two images, one to train on and one to "
            "hold out"
        )
    count = sum(map(len, held.values()))
    note = f"validation_split {share:g}: {count:,} of {len(listing.paths):,} images of {printable(source.path)} "
    note += "are held out for validation"
    equal = sum(map(len, duplicates)) - len(duplicates)
    note += f"; {equal:,} are copies of others and in their part" if equal else ""
    without = len(listing.images) - len(held)
    note += f"; {without:,} classes have none held out" if without else ""
    return HeldOut(
        replace(source, listing=listing.part(kept, listing.unread)),
        replace(source, listing=listing.part(held, Counter())),
        note,
    )
