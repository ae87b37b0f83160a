"""Write docs/parameters.md, the tables of all options, as default_config.yaml has them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from src.common.packages import check_packages

    check_packages()

from src.common.files import atomic_write, user_path
from src.model_utils.command import run_command
from src.model_utils.config import DEFAULT_FILE
from src.model_utils.config_file import read_documents

PAGE = Path(__file__).resolve().parents[1] / "docs" / "parameters.md"
_BEGINNING = """\
# Parameters

[中文](parameters_CN.md)

Every parameter has a default in `default_config.yaml`, where a section for each device holds what differs between them.
`--config_path my.yaml` overrides them with a file that holds only what differs, and `--name value` or `--name=value`
overrides both. `python train.py --help` prints this list. A path may begin with `~/`. Names of files and classes are
UTF-8; where the locale is not, a command says so in its first line and reads them as UTF-8 all the same.

The configuration in effect is saved as `config.yaml` beside the checkpoints; `--config_path` reads it back.

This page is made from `default_config.yaml` by `python tools/make_parameters_page.py`.
"""
_SECTIONS = {"config_ascend": "Ascend", "config_gpu": "GPU", "config_cpu": "CPU"}


def main(argv: Sequence[str]) -> None:
    """Run the command.

    Args:
        argv: Command-line arguments without the program's name.

    Raises:
        OSError: If the page cannot be written.
    """
    parser = argparse.ArgumentParser(prog="make_parameters_page.py", description=__doc__)
    parser.add_argument("out", type=user_path, metavar="OUT", nargs="?", default=PAGE, help="the page to write")
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    args = parser.parse_args(argv)
    atomic_write(args.out, parameters_page().encode())
    print(f"wrote {args.out}")


def parameters_page() -> str:
    """Return the page in Markdown: a table for each group of options, in the order of --help."""
    values, groups, allowed = read_documents(DEFAULT_FILE)
    return "\n".join([_BEGINNING, *_tables(values, groups, allowed)])


def _tables(values: Mapping[str, Any], groups: Mapping[str, Any], allowed: Mapping[str, Any]) -> Iterator[str]:
    for title, entries in groups.items():
        yield f"## {title[0].upper()}{title[1:]}\n\n| parameter | default | meaning |\n|---|---|---|"
        for key, help_text in entries.items():
            meaning = f"{help_text}{_choices(allowed.get(key))}".replace("|", "\\|")
            yield f"| `{key}` | {_default(key, values)} | {meaning} |"
        yield ""


def _default(key: str, values: Mapping[str, Any]) -> str:
    """Return the default of a key; by device where devices differ, with that of the exported model."""
    found = {device: values[section][key] for section, device in _SECTIONS.items() if key in values[section]}
    if key in values:
        found["export"] = values[key]
    shown = {device: f"`{_text(value)}`" if value != "" else "" for device, value in found.items()}
    if len(set(shown.values())) == 1:
        return next(iter(shown.values()))
    return ", ".join(f"{device} {text}" for device, text in shown.items())


def _choices(allowed: Any) -> str:
    if not isinstance(allowed, list) or allowed == [True, False]:
        return ""
    return f" One of {', '.join(f'`{_text(value)}`' for value in allowed)}."


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    sys.exit(run_command(main))
