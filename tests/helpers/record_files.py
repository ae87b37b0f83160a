"""The files of a record set."""

from __future__ import annotations

from pathlib import Path

SHARDS = 5  # of the fixture `records`


def record_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.mindrecord"))


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
