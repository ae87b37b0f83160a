"""Tar files built like those of ImageNet, and others."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

SYNSETS = ["n01440764", "n01443537", "n02105855"]

PER_CLASS = 4


def jpeg(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (90, 80), (value, value, value)).save(buffer, "JPEG")
    return buffer.getvalue()


def tar(entries: Iterable[tuple[str | tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in entries:
            entry = tarfile.TarInfo(name) if isinstance(name, str) else name
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def write_tars(folder: Path, per_class: int = PER_CLASS, synsets: Iterable[str] = tuple(SYNSETS)) -> list[str]:
    """Write the three files, in no sorted order, and return the tool's options for them."""
    synsets = list(synsets)
    pictures = [jpeg(value) for value in range(0, 240, 8)]
    classes = [
        (f"{synset}.tar", [(f"{synset}_{n}.JPEG", pictures[(7 * label + n) % 30]) for n in range(per_class)])
        for label, synset in enumerate(synsets)
    ]
    (folder / "train.tar").write_bytes(tar((name, tar(images)) for name, images in reversed(classes)))
    order = [synset for _ in range(2) for synset in reversed(synsets)]
    (folder / "val.tar").write_bytes(
        tar((f"ILSVRC2012_val_{n:08d}.JPEG", pictures[-n % 30]) for n in range(1, len(order) + 1))
    )
    (folder / "labels.txt").write_text("".join(f"{synset}\n" for synset in order))
    return [
        f"--train_tar={folder / 'train.tar'}",
        f"--val_tar={folder / 'val.tar'}",
        f"--val_labels={folder / 'labels.txt'}",
        "--allow_other_counts",
    ]


def train_tar(folder: Path, entries: list[tuple[str | tarfile.TarInfo, bytes]]) -> Path:
    path = folder / "x.tar"
    path.write_bytes(tar(entries))
    return path
