"""Configuration files: up to three YAML documents, each a mapping that names no key twice."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from src.model_utils.config_values import ConfigError, show_value

# PyYAML lets errors of int(), datetime() and the like through when a scalar is malformed, as in "!!int x".
_MALFORMED = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def read_documents(path: Path) -> list[dict[Any, Any]]:
    """Read the three documents of a configuration file.

    Args:
        path: The file, UTF-8 with or without a byte order mark.

    Returns:
        Values, help and choices, as PyYAML reads them; the missing ones are empty.

    Raises:
        ConfigError: It cannot be read, is no YAML of mappings, or has a key twice or a fourth document.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
        documents = [{} if document is None else document for document in yaml.safe_load_all(text)]
    except OSError as error:
        raise ConfigError(f"{path}: cannot read this configuration file: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}); save the file as UTF-8") from error
    except _MALFORMED as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise ConfigError(f"{path}{line}: not valid YAML: {problem}") from error
    _refuse_duplicates(nodes, path)
    if len(documents) > 3:
        raise ConfigError(f"{path}: expected at most 3 YAML documents (values, help, choices), got {len(documents)}")
    for document in documents:
        if not isinstance(document, dict):
            raise ConfigError(f"{path}: expected lines of the form 'key: value', got {show_value(document)}")
    return documents + [{}] * (3 - len(documents))


def say_other_sections(found: Iterable[str], own: str, device: str) -> None:
    """Say on stderr if the sections of a file are all those of other devices.

    Args:
        found: The section of each of its keys that has one.
        own: The section of the device in use.
        device: Its name.
    """
    sections = list(dict.fromkeys(found))
    if sections and own not in sections:
        what = f"{' and '.join(sections)} of the file given with --config_path"
        print(f"{what}: no effect on {device}, whose section is {own}", file=sys.stderr, flush=True)


def _refuse_duplicates(nodes: Iterable[yaml.Node], path: Path) -> None:
    """Raise for a key that a mapping holds twice, which the loader would let pass."""
    pending = list(nodes)
    seen: set[int] = set()
    while pending:
        node = pending.pop()
        if id(node) in seen:  # an alias may lead back to a node that holds it
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            pending += node.value
        elif isinstance(node, yaml.MappingNode):
            names: set[str] = set()
            for key, value in node.value:
                pending.append(value)
                if isinstance(key, yaml.ScalarNode):
                    if key.value in names:
                        line = key.start_mark.line + 1
                        raise ConfigError(f"{path}, line {line}: key {key.value} is there twice; keep one of them")
                    names.add(key.value)
