"""Which class of a model a class folder is: by its name, by a class map, or by its position where nothing is known."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from src.data.class_map import ClassMap, MappedFolder
from src.data.imagenet import imagenet_names
from src.metadata.class_list import same_name
from src.model_utils.config import ConfigError

_SHOWN = 5  # names in a message
_DIGITS = 9  # of a number of a class
_WAY_OUT = "say which class a folder is by --class_map FILE, CSV lines of folder,class"


@dataclass(frozen=True)
class ModelClasses:
    """The classes of a model.

    Args:
        source: What the model is, for messages: its file, or the folder that it is trained on.
        count: Number of classes, 1 or more.
        names: Name of each class; none where they are not known.

    Raises:
        ValueError: If there is another number of names.
    """

    source: str
    count: int
    names: tuple[str, ...] = ()
    _labels: Mapping[str, Sequence[int]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.names and len(self.names) != self.count:
            raise ValueError(f"{self.source} has {self.count} classes, but {len(self.names)} names of classes")
        labels: dict[str, list[int]] = defaultdict(list)
        for label, name in enumerate(self.names):
            labels[same_name(name)].append(label)
        object.__setattr__(self, "_labels", dict(labels))

    def labels_of(self, name: str) -> Sequence[int]:
        """Return the numbers of the classes that have a name, in whatever form Unicode writes it."""
        return self._labels.get(same_name(name), ())

    def describe_nearest(self, name: str) -> str:
        """Return what a message says of the names there are: the one nearest to another name, else the first ones."""
        if not self.names:
            return f"its classes have no names here, only the numbers 0 to {self.count - 1}"
        by_form = {same_name(known).casefold(): known for known in self.names}
        nearest = difflib.get_close_matches(same_name(name).casefold(), by_form, n=1, cutoff=0.5)
        return f"the nearest is {by_form[nearest[0]]}" if nearest else f"its classes are {first_of(self.names)}"


@dataclass(frozen=True)
class MatchedClasses:
    """Which class of a model each class folder of a data set is.

    Args:
        labels: Number of the class, by the position of the folder in sorted order.
        names: Name of each class of the model, its number where it has none.
        notes: What a person should know of how the folders were matched; nothing where all were found by name.
    """

    labels: tuple[int, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def absent(self) -> list[str]:
        """The names of the classes that no folder is of."""
        present = set(self.labels)
        return [name for label, name in enumerate(self.names) if label not in present]


def match_classes(
    folders: Sequence[str], where: str, model: ModelClasses, class_map: ClassMap | None = None
) -> MatchedClasses:
    """Match the class folders of a data set to the classes of a model.

    A class map comes first, then names. A model of 1000 classes without names is taken for ImageNet-1k where all
    folders are WordNet ids of it. Else positions count where nothing is known: no names, and no class map.

    Args:
        folders: Names of the class folders, sorted.
        where: The folder that they are in, for messages.
        model: The model.
        class_map: What is known of folders that have other names.

    Returns:
        The classes. Not all of the model's need a folder.

    Raises:
        ConfigError: If a folder is of no class or of several, two are of one class by their names, or the class map
            names what is not there.
        ValueError: If positions count, and there are not as many folders as classes.
    """
    class_map = class_map or ClassMap("", {})
    lines = class_map.folders
    listed = [name for name in folders if same_name(name) in lines]
    if lines and not listed:
        wanted = first_of([each.folder for each in lines.values()])
        raise ConfigError(
            f"{where} has none of the folders of class map {class_map.path}: the map lists {wanted}, the class folders "
            f"are {first_of(folders)}"
        )
    model, notes = _recognised(folders, where, model, class_map)
    if not (listed or model.names):
        return _by_position(folders, where, model)
    numbers = {key: _class_of(each, class_map.path, model) for key, each in lines.items()}
    labels = {name: numbers[same_name(name)] for name in listed}
    names = model.names or tuple(map(str, range(model.count)))
    if listed:
        notes.append(_describe_map(class_map.path, labels, model.names))
    labels |= _by_name([name for name in folders if name not in labels], where, model, class_map)
    return MatchedClasses(tuple(labels[name] for name in folders), names, tuple(notes))


def match_labels(labels: Sequence[str], where: str, model: ModelClasses) -> MatchedClasses:
    """Take the labels of a list for the numbers of a model's classes.

    Args:
        labels: The labels, sorted.
        where: The list, for messages.
        model: The model.

    Raises:
        ConfigError: If the model has no class of such a number.
    """
    numbers = tuple(map(int, labels))
    if numbers[-1] >= model.count:
        raise ConfigError(
            f"{where} has label {numbers[-1]}, but {model.source} has {model.count} classes, 0 to {model.count - 1}"
        )
    names = model.names or tuple(map(str, range(model.count)))
    note = f"the labels of {where} are taken for the numbers of the classes of {model.source}"
    if model.names:
        note += f": {first_of([f'{number} is {names[number]}' for number in numbers])}"
    return MatchedClasses(numbers, names, (note,))


def first_of(names: Sequence[str]) -> str:
    """Return names for a message: the first ones of many, and the number of the rest."""
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest


def _recognised(
    folders: Sequence[str], where: str, model: ModelClasses, class_map: ClassMap
) -> tuple[ModelClasses, list[str]]:
    """Return the model, with ImageNet's WordNet ids as names where it has none and they are what is asked for."""
    asked = [name for name in folders if same_name(name) not in class_map.folders]
    asked += [each.name for each in class_map.folders.values() if _number(each.name) is None]
    ids = () if model.names or not asked else tuple(imagenet_names())
    if len(ids) != model.count or not set(asked) <= set(ids):
        return model, []
    note = (
        f"{model.source} has {model.count} classes without names, and {where} has WordNet ids of ImageNet-1k: these "
        "are taken for the names"
    )
    return replace(model, names=ids), [note]


def _by_position(folders: Sequence[str], where: str, model: ModelClasses) -> MatchedClasses:
    if len(folders) != model.count:
        raise ValueError(
            f"{model.source} has {model.count} classes, but {where} has {len(folders)} class folders, and it is not "
            f"known how the classes are called: use another of both, or {_WAY_OUT}"
        )
    note = (
        f"it is not known how the classes of {model.source} are called: the class folders of {where} are taken by "
        f"their position in sorted order, from {folders[0]} for class 0 to {folders[-1]} for class {model.count - 1}"
    )
    return MatchedClasses(tuple(range(model.count)), tuple(folders), (note,))


def _by_name(folders: Sequence[str], where: str, model: ModelClasses, class_map: ClassMap) -> dict[str, int]:
    """Return the class of each folder by its name."""
    unknown = [name for name in folders if not model.labels_of(name)]
    if unknown:
        others = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        way_out = f"add it to {class_map.path}" if class_map.path else _WAY_OUT
        raise ConfigError(
            f"{model.source} has no class {unknown[0]}, a class folder{others} of {where}; "
            f"{model.describe_nearest(unknown[0])}: {way_out}"
        )
    found: dict[int, str] = {}
    for name in folders:
        label = _only(name, model, f"class folder {name} of {where}", _WAY_OUT)
        if found.setdefault(label, name) != name:
            raise ConfigError(
                f"{where} has two class folders of one name, {name}, in two forms of Unicode (NFC and NFD): merge them"
            )
    return {name: label for label, name in found.items()}


def _class_of(line: MappedFolder, path: str, model: ModelClasses) -> int:
    """Return the class that a line of a class map names."""
    if model.labels_of(line.name):
        return _only(line.name, model, f"class map {path}, line {line.line}", "give the number")
    number = _number(line.name)
    if number is None or number >= model.count:
        raise ConfigError(
            f"class map {path}, line {line.line}: {model.source} has no class {line.name}; "
            f"{model.describe_nearest(line.name)}: give the name of a class, or a number from 0 to {model.count - 1}"
        )
    return number


def _only(name: str, model: ModelClasses, where: str, way_out: str) -> int:
    """Return the one class of a name; raise if there are more."""
    labels = model.labels_of(name)
    if len(labels) > 1:
        raise ConfigError(
            f"{where}: {model.source} has {len(labels)} classes of the name {name}, "
            f"{first_of([str(label) for label in labels])}: {way_out}"
        )
    return labels[0]


def _number(name: str) -> int | None:
    return int(name) if re.fullmatch(f"[0-9]{{1,{_DIGITS}}}", name) else None


def _describe_map(path: str, labels: Mapping[str, int], names: Sequence[str]) -> str:
    """Return what a class map was taken to say."""
    named = {folder: f" ({names[label]})" if names else "" for folder, label in labels.items()}
    described = [f"{folder} is class {label}{named[folder]}" for folder, label in labels.items()]
    return f"class map {path}: {first_of(described)}"
