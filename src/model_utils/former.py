"""Keys that earlier versions had: who gives them still is told that they do nothing, and goes on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

FORMER = {"compile_cache": "graphs are compiled at each start, which is short since most of the network is in C++"}


def drop_former(values: Mapping[Any, Any], where: str) -> dict[Any, Any]:
    """Return the values without those of such keys, with a line on stderr for each.

    Args:
        values: By the names of keys.
        where: What stands before the name of a key in the line.
    """
    for name in FORMER.keys() & values.keys():
        print(f"{where}{name} has no effect any more: {FORMER[name]}", file=sys.stderr, flush=True)
    return {name: value for name, value in values.items() if name not in FORMER}
