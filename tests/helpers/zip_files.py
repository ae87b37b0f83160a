"""Zip files as tests write them, and what a folder holds."""

from __future__ import annotations

import zipfile
from pathlib import Path

from src.modelarts.filled_folder import MARK


def make_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def add_raw(path: Path, name: str, content: bytes = b"x", mode: int = 0) -> Path:
    """Write a zip file of a good entry and one whose name and mode zipfile's own checks do not touch."""
    info = zipfile.ZipInfo("placeholder")
    info.filename, info.external_attr = name, mode << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good/a.jpg", b"good")
        archive.writestr(info, content)
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MARK
    }
