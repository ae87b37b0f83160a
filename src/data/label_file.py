"""Label files: the true class of every image of a data set, one image a line."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from src.common.files import printable

# The path may hold white space and colons, but does not end in them.
_LINE = re.compile(r"(.*[^\s:])(?:\s*:\s*|\s+)([0-9]{1,9})\s*")

_CLASH = ", with another label: tools/imgid2label.py writes the folders too, by which images of one name differ"


@dataclass(frozen=True)
class Labels:
    """What a label file says.

    Args:
        by_path: True class by the image's path, relative to the data set's folder.
        malformed: What is wrong with the other lines, a message for each.
    """

    by_path: Mapping[str, int]
    malformed: tuple[str, ...]

    def class_names(self, num_classes: int) -> list[str]:
        """Return a name for every class: its folder if each class has one of its own, else its number."""
        pairs = {(label, path.rpartition("/")[0]) for path, label in self.by_path.items()}
        folders = dict(pairs)
        if "" in folders.values() or not len(pairs) == len(folders) == len(set(folders.values())):
            folders = {}
        return [folders.get(label, str(label)) for label in range(num_classes)]

    def absent_classes(self, num_classes: int) -> list[int]:
        """Return the classes that no image has."""
        return sorted(set(range(num_classes)) - set(self.by_path.values()))


def read_labels(path: Path) -> Labels:
    """Read a label file.

    Args:
        path: UTF-8 text; the file names in it need not be valid UTF-8. A byte-order mark is passed over.

    Returns:
        One label or more, and what is wrong with the other lines.

    Raises:
        ValueError: If there is no label in it.
        OSError: If it cannot be read.
    """
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and b"\0" in content:
        lines = content.decode("utf-16", "replace").split("\n")
        reason = f"it is UTF-16 text, not UTF-8: line 1 is {lines[0].strip()[:100]}"
    else:
        labels = parse_labels(content.decode("utf-8-sig", "surrogateescape"))
        if labels.by_path:
            return labels
        reason = next(iter(labels.malformed), "the label file is empty")
    reason = printable(reason).replace("\0", "\\x00")
    raise ValueError(f"no label in {path}: {reason}; tools/imgid2label.py writes label files")


def parse_labels(text: str) -> Labels:
    """Read the lines of a label file: `path:label`, or path and label separated by white space.

    Args:
        text: The file's content. Empty lines are passed over.

    Returns:
        The labels. Of lines that name one image the first counts, the others are malformed.
    """
    by_path: dict[str, int] = {}
    malformed = []
    for number, line in enumerate(text.split("\n"), start=1):
        found = _LINE.fullmatch(line)
        if found and found[1] not in by_path:
            by_path[found[1]] = int(found[2])
        elif found:
            hint = "" if "/" in found[1] or by_path[found[1]] == int(found[2]) else _CLASH
            malformed.append(f"line {number} of the label file names {found[1]} again{hint}")
        elif line.strip():
            malformed.append(f"line {number} of the label file is not 'path:label': {line.strip()[:100]}")
    return Labels(by_path, tuple(malformed))


def format_labels(by_path: Mapping[str, int]) -> str:
    """Return the text of a label file, a line `path:label` for each image.

    Args:
        by_path: Class by path; a path ends neither in white space nor in a colon.

    Raises:
        ValueError: If a path has a line break in it.
    """
    for path in by_path:
        if "\n" in path or "\r" in path:
            raise ValueError(
                f"the path {path!r} has a line break in it, which a label file cannot hold: rename the file"
            )
    return "".join(f"{path}:{label}\n" for path, label in by_path.items())
