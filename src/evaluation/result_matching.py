"""Which result file is that of a labelled image: by the image's path, or else by its base name, as in the model zoo."""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from src.common.files import from_cell, printable
from src.data.image_folders import IMAGE_SUFFIXES
from src.data.label_file import Labels

TABLE = "predictions.csv"
_SUFFIX = ".bin"
_ENDING = f"_0{_SUFFIX}"
_LONGEST_NAME = 255  # bytes


@dataclass(frozen=True)
class Matched:
    """Result files, and the labelled images that they belong to.

    Args:
        folder: Where the files are.
        labels: The true classes; where they have base names, by the path that the results tell of an image.
        names: The name of each labelled image's result file, which need not exist.
        sizes: Bytes of the result files that count.
        stale: Names of those that are there and do not count, as predictions.csv does not list them.
        note: What a person should know of how they were matched; may be empty.
    """

    folder: Path
    labels: Labels
    names: Mapping[str, str]
    sizes: Mapping[str, int]
    stale: tuple[str, ...]
    note: str = ""


def match_results(folder: Path, labels: Labels) -> Matched:
    """Find the result file of every labelled image.

    Args:
        folder: Where the result files are; other files than .bin are passed over. Where there is a predictions.csv, the
            results are those of the images that it lists: others were there before.
        labels: The true classes. Where the path of none of them has a result, base names are compared, as one side has
            nothing else if it comes from the model zoo's tools.

    Raises:
        ValueError: If no labelled image has a result, or base names are not unique, or predictions.csv is no table of
            images.
        OSError: If the folder or the table cannot be read.
    """
    sizes = {entry.name: entry.stat().st_size for entry in os.scandir(folder) if entry.name.endswith(_SUFFIX)}
    listed = _listed_images(folder)
    every = result_names(dict.fromkeys([*labels.by_path, *(listed or ())]))
    names = {path: every[path] for path in labels.by_path}
    stale = () if listed is None else tuple(sorted(sizes.keys() - {every[path] for path in listed}))
    sizes = {name: size for name, size in sizes.items() if name not in stale}
    matched = Matched(folder, labels, names, sizes, stale)
    if sizes.keys() & names.values():
        uses = Counter(names.values())
        if any(name in sizes and uses[name] == 1 for name in names.values()):
            return matched
        raise ValueError(_explain_no_result(matched))
    # What is known of the path of each result's image.
    paths = {name: name.removesuffix(_ENDING) for name in sizes}
    if listed is not None:
        paths = {every[path]: path for path in listed if every[path] in sizes}
    for shorten in (_without_suffix, _before_first_dot):
        found = _match_base_names(labels, paths, shorten, are_names=listed is None)
        if found:
            return _by_base_names(matched, paths, found)
    raise ValueError(_explain_no_result(matched))


def result_names(paths: Iterable[str]) -> dict[str, str]:
    """Return the names that the inference program of ascend310_infer gives to its result files.

    Args:
        paths: Paths of all images, relative to the data set's folder.

    Returns:
        By path: the path with / as __, without the image suffix, and `_0.bin`. Images that differ in nothing but the
        suffix keep it. A name that is too long for a file is cut at a letter, and ends in ~, 16 digits of the SHA-256
        of the path, and `_0.bin`.
    """
    stems = {path: _without_suffix(path) for path in paths}
    uses = Counter(stems.values())
    return {path: _to_name(stem if uses[stem] == 1 else path, path) for path, stem in stems.items()}


def _to_name(stem: str, path: str) -> str:
    name = stem.replace("/", "__") + _ENDING
    data = name.encode("utf-8", "surrogateescape")
    if len(data) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()
    ending = f"~{digest[:16]}{_ENDING}"
    kept = _LONGEST_NAME - len(ending)
    while kept > 0 and data[kept] & 0xC0 == 0x80:  # inside a letter of UTF-8
        kept -= 1
    return data[:kept].decode("utf-8", "surrogateescape") + ending


def _without_suffix(path: str) -> str:
    stem, suffix = os.path.splitext(path)
    return stem if suffix.lower() in IMAGE_SUFFIXES else path


def _before_first_dot(name: str) -> str:
    """Return a base name as the model zoo's tools cut it."""
    return name.partition(".")[0]


def _listed_images(folder: Path) -> list[str] | None:
    """Return the paths of the images that predictions.csv lists, None where there is none.

    Raises:
        ValueError: If it is no table of images, or an empty one.
    """
    path = folder / TABLE
    if not path.exists():
        return None
    # A file name need not be valid UTF-8.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        rows = csv.DictReader(stream)
        if "path" not in (rows.fieldnames or ()):
            raise ValueError(
                f"{path} is not the inference program's: it has no column path; without it, all result files count"
            )
        listed = list(dict.fromkeys(from_cell(row["path"]) for row in rows))
    if not listed:
        raise ValueError(f"{path} lists no image: the inference program has skipped them all")
    return listed


def _match_base_names(
    labels: Labels, paths: Mapping[str, str], shorten: Callable[[str], str], *, are_names: bool
) -> dict[str, str]:
    """Return the names of results by the paths of labels: of one base name, and one of the two without a folder.

    Args:
        labels: The true classes.
        paths: The path of the image by the name of its result.
        shorten: Cuts the suffix of a base name.
        are_names: Whether the paths are but the names of files, in which __ may stand for /.

    Raises:
        ValueError: If a base name is that of several images.
    """
    bare, all_names = defaultdict(set), defaultdict(set)  # names of results by base name: without a folder, and all
    for name, path in paths.items():
        _, slash, base = path.rpartition("/")
        for tail in [base, *_tails(base)] if are_names else [base]:
            all_names[shorten(tail)].add(name)
        if not slash:
            bare[shorten(base)].add(name)
    owners: dict[str, str] = {}
    for path in labels.by_path:
        _, slash, base = path.rpartition("/")
        names = sorted((bare if slash else all_names)[shorten(base)])
        if len(names) > 1:
            raise ValueError(
                f"the label file has base names, and {printable(path)} is that of {len(names)} results, such as "
                f"{printable(names[0])} and {printable(names[1])}: write it again by tools/imgid2label.py DATA_DIR "
                "OUT, which writes the folders too"
            )
        for name in names:
            if name in owners:
                raise ValueError(
                    f"the results have base names, and {printable(name)} is that of several labelled images, such as "
                    f"{printable(owners[name])} and {printable(path)}: one has replaced the other; let the program of "
                    "ascend310_infer make them again, and tools/imgid2label.py the labels"
                )
            owners[name] = path
    return {path: name for name, path in owners.items()}


def _tails(name: str) -> list[str]:
    """Return what follows each __ of a name."""
    parts = name.split("__")
    return ["__".join(parts[first:]) for first in range(1, len(parts))]


def _by_base_names(matched: Matched, paths: Mapping[str, str], found: Mapping[str, str]) -> Matched:
    """Return labels and results that belong together by their base names; paths with folders count before others."""
    told = {path: paths[name] if "/" not in path else path for path, name in found.items()}
    labels = {told.get(path, path): label for path, label in matched.labels.by_path.items()}
    names = {told.get(path, path): found.get(path, name) for path, name in matched.names.items()}
    note = (
        f"no result has the path of a labelled image: {len(found)} of {len(labels)} labels are taken by base names, "
        "which are unique"
    )
    return replace(matched, labels=replace(matched.labels, by_path=labels), names=names, note=note)


def _explain_no_result(matched: Matched) -> str:
    first = next(iter(matched.names.values()), "(there is no label)")
    reasons = [
        f"no file in {matched.folder} is the result of a labelled image: the first one's would be {first}",
        *matched.labels.malformed[:1],
        "tools/imgid2label.py writes label files",
    ]
    return "; ".join(reasons)
