"""Configuration: default_config.yaml, then the user's own YAML file, then the command line, merged into one value."""

from __future__ import annotations

import argparse
import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from src.model_utils.config_file import read_documents, say_other_sections
from src.model_utils.config_values import ConfigError, Value, check, show_value
from src.model_utils.device_variable import device_of_environment
from src.model_utils.former import FORMER, drop_former
from src.model_utils.model_zoo_names import INSTEAD, rename_options, rename_places
from src.model_utils.settings import Settings

Place = tuple[str, str]  # (section, key); the section of a top-level key is ""
Allowed = Mapping[str, Any]  # key -> list of its values or bounds of a number; document 3 of default_config.yaml

DEFAULT_FILE = Path(__file__).parents[2] / "default_config.yaml"

_OLD_SIDES = (("width", 299), ("height", 299))
_SECTIONS = {"Ascend": "config_ascend", "GPU": "config_gpu", "CPU": "config_cpu"}


@dataclass(frozen=True, repr=False)
class Config(Settings):
    """Immutable settings of one run, read as attributes (`config.epoch_size`).

    Args:
        _values: Value of every name.
        _section_keys: The names that belong to the section of the device.
        _given: The names whose values a person has given, on the command line or in a file.
    """

    _values: dict[str, Value]
    _section_keys: frozenset[str]
    _given: frozenset[str] = field(default=frozenset(), compare=False)

    if not TYPE_CHECKING:  # for mypy, Settings has the keys and their types, and there are no others

        def __getattr__(self, name: str) -> Value:
            # Underscored names never reach _values: copy and pickle ask for some before it exists.
            if name.startswith("_") or name not in self._values:
                raise AttributeError(f"the configuration has no key {name}")
            return self._values[name]

    def __repr__(self) -> str:
        return f"Config({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"

    def replace(self, **changes: Value) -> Config:
        """Copy the configuration with some values changed.

        Args:
            changes: New values by name; they are taken as they are.

        Returns:
            The changed copy.

        Raises:
            ConfigError: A name is unknown.
        """
        for name in changes:
            if name not in self._values:
                raise ConfigError(f"unknown key {name}{_suggest(name, self._values)}")
        return Config({**self._values, **changes}, self._section_keys, self._given)

    def give(self, **changes: Value) -> Config:
        """Copy the configuration with values that a person has given in another way."""
        changed = self.replace(**changes)
        return Config(changed._values, self._section_keys, self._given | changes.keys())

    def is_given(self, name: str) -> bool:
        """Tell whether the value that a name had at first was given by a person, not by the defaults."""
        return name in self._given

    def to_dict(self) -> dict[str, Value]:
        """Return every name with its value, as a new dict."""
        return dict(self._values)

    def to_yaml(self) -> str:
        """Return the configuration as YAML text that --config_path reads back to an equal configuration."""
        document: dict[str, Any] = {}
        section: dict[str, Value] = {}
        for name, value in self._values.items():
            key = "batch_size" if name == "export_batch_size" else name
            (section if name in self._section_keys else document)[key] = value
        document[_SECTIONS[self.device_target]] = section
        # An unbounded width keeps each value on one line.
        return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=math.inf)


class _Dumper(yaml.SafeDumper):
    """Escapes what a plain scalar loses: reading folds line separators such as U+0085 into spaces."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if data.isprintable() else '"')


_Dumper.add_representer(str, _Dumper.represent_str)


def parse_config(argv: Sequence[str], resolve_device: Callable[[str], str], description: str = "") -> Config:
    """Merge default_config.yaml, the file given with --config_path and the command line, the later ones winning.

    The variable DEVICE_ID stands between the last two, for a process that runs alone.

    Args:
        argv: Command-line arguments without the program's name.
        resolve_device: Maps the requested device (auto, Ascend, GPU or CPU) to the one in use (not auto); may raise
            ValueError.
        description: First paragraph of --help.

    Returns:
        The top-level keys and the section of the device in use, flat. `batch_size` is the section's,
        `export_batch_size` the top-level one.

    Raises:
        ConfigError: A file, key, option or value is wrong, or the device is absent.
        SystemExit: With status 0, after --help.
    """
    defaults, groups, allowed = read_documents(DEFAULT_FILE)
    places = _flatten(defaults, DEFAULT_FILE)
    values = _check_places(places, places, allowed, DEFAULT_FILE)
    options = drop_former(_parse_options(rename_options(argv), values, groups, allowed, description), "option --")
    found: dict[Place, Value] = {}
    if "config_path" in options:
        path = Path(str(check(options.pop("config_path"), None, "option --config_path")))
        document = drop_former(read_documents(path)[0], f"{path}: key ")
        found = _check_places(rename_places(_flatten(document, path), path), values, allowed, path)
        # Files of the model zoo and of earlier versions hold them so for images of any size.
        found = {place: value for place, value in found.items() if (place[1], value) not in _OLD_SIDES}
        values |= found
    given = {key: check(text, allowed.get(key), f"option --{key}") for key, text in options.items()}

    try:
        device = resolve_device(str(given.get("device_target", values["", "device_target"])))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    section = _SECTIONS[device]
    say_other_sections([home for home, _ in found if home], section, device)
    if "device_id" not in given and not given.get("is_distributed", values["", "is_distributed"]):
        given |= device_of_environment(device, allowed["device_id"])
    # A key that stands in both places (batch_size) takes its option in both.
    values |= {(home, key): value for home in ("", section) for key, value in given.items() if (home, key) in values}
    values["", "device_target"] = device
    given_names = {key for home, key in found if home in ("", section)} | given.keys()
    top = {"export_batch_size" if key == "batch_size" else key: values["", key] for home, key in values if not home}
    own = {key: value for (home, key), value in values.items() if home == section}
    return Config({**top, **own}, frozenset(own), frozenset(given_names))


def _suggest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return the end of a message about an unknown name: what it is called here, or the nearest known one."""
    if name in INSTEAD:
        return f": {INSTEAD[name]}"
    nearest = difflib.get_close_matches(name.lower(), sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {prefix}{nearest[0]}?" if nearest else "; --help lists all that exist"


def _flatten(document: Mapping[Any, Any], path: Path) -> dict[Any, Any]:
    """Return the values of a document by place."""
    flat: dict[Any, Any] = {}
    for name, value in document.items():
        if name not in _SECTIONS.values():
            flat["", name] = value
        elif isinstance(value, dict):
            flat |= {(name, key): item for key, item in value.items()}
        elif value is not None:
            raise ConfigError(
                f"{path}: section {name}: expected lines of the form 'key: value', got {show_value(value)}"
            )
    return flat


def _check_places(found: Mapping[Any, Any], known: Iterable[Place], allowed: Allowed, path: Path) -> dict[Place, Value]:
    """Return the values of a file, checked; raise for a place that is not among the known ones."""
    sections_of: dict[str, list[str]] = {}
    for section, key in known:
        sections_of.setdefault(key, []).append(section)
    checked: dict[Place, Value] = {}
    for (section, key), value in found.items():
        name = key if isinstance(key, str) else show_value(key)
        where = f"in {section}" if section else "at the top level"
        if name not in sections_of:
            suggestion = _suggest(name, [*_SECTIONS.values(), *sections_of])
            raise ConfigError(f"{path}: unknown key {name} {where}{suggestion}")
        if section not in sections_of[name]:
            homes = " or ".join(home or "the top level" for home in sections_of[name])
            raise ConfigError(f"{path}: key {name} does not belong {where}; move it to {homes}")
        checked[section, key] = check(value, allowed.get(key), f"{path}: key {name} {where}")
    return checked


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; write --option=value (--help lists every option)")


def _parse_options(
    argv: Sequence[str], defaults: Mapping[Place, Value], groups: Mapping[str, Any], allowed: Allowed, description: str
) -> dict[str, str]:
    """Return the text of every option that the command line gives; --help prints them all and exits."""
    keys = {key for _, key in defaults}
    for key in sorted(keys ^ {key for entries in groups.values() for key in entries}):
        raise ConfigError(f"{DEFAULT_FILE}: key {key} needs both a value (document 1) and a help text (document 2)")
    parser = _Parser(
        usage="%(prog)s [--option value ...]",
        description=description,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--config_path", metavar="FILE", help="YAML file with the keys that differ from the defaults.")
    for title, entries in groups.items():
        group = parser.add_argument_group(title)
        for key, text in entries.items():
            help_text = f"{text} Default: {_describe_default(key, defaults)}".replace("%", "%%")
            choices = allowed.get(key)
            if choices == [True, False]:
                group.add_argument(f"--{key}", nargs="?", const="true", metavar="true|false", help=help_text)
            else:
                metavar = "|".join(choices) if isinstance(choices, list) else "VALUE"
                group.add_argument(f"--{key}", metavar=metavar, help=help_text)
    for key in FORMER:
        parser.add_argument(f"--{key}", nargs="?", help=argparse.SUPPRESS)
    options, rest = parser.parse_known_args(argv)
    if rest:
        name = next((word for word in rest if word.startswith("-")), rest[0]).partition("=")[0]
        if not name.startswith("-"):
            raise ConfigError(f"unexpected argument {show_value(name)}; a value follows its option: --option value")
        raise ConfigError(f"unknown option {name}{_suggest(name.strip('-'), keys | {'config_path'}, '--')}")
    return vars(options)


def _describe_default(key: str, defaults: Mapping[Place, Value]) -> str:
    """Return the default of a key for --help, by device where devices differ."""
    labels = {section: device for device, section in _SECTIONS.items()} | {"": "export"}
    found = {
        labels[section]: str(value).lower() if isinstance(value, bool) else str(value) or "empty"
        for (section, name), value in defaults.items()
        if name == key
    }
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return ", ".join(f"{label} {value}" for label, value in found.items())
