"""Runs a compiler, but for a file of the C++ program that was compiled by the same words in this run of the tests.

object_cache.py COMPILER WORD...: what it made is kept in the folder OBJECTS_OF_THE_RUN, under all that it follows from:
the words, the file and the program's headers. CMake starts this by CMAKE_CXX_COMPILER_LAUNCHER.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = b"@PROGRAM@"  # stands for the program's folder, of which a test may have a copy


def place(words: list[str], program: Path, source: Path) -> str:
    """Return the name that the results of a call are kept under."""
    digest = hashlib.sha256(os.fsencode("\0".join(words)).replace(os.fsencode(program), PROGRAM))
    for path in (source, *sorted(program.rglob("*.h"))):
        digest.update(os.fsencode(path.relative_to(program)) + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def copy(source: Path, target: Path, old: bytes = b"", new: bytes = b"") -> None:
    """Write a copy, with another folder in it where one is given, whole or not at all."""
    part = target.with_name(f"{target.name}.{os.getpid()}")
    content = source.read_bytes()
    part.write_bytes(content.replace(old, new) if old else content)
    part.replace(target)


def main(words: list[str]) -> int:
    kept = os.environ.get("OBJECTS_OF_THE_RUN")
    source = Path(words[words.index("-c") + 1]) if "-c" in words else Path()
    program = next((folder for folder in source.parents if folder.name == "ascend310_infer"), None)
    if not kept or program is None or "-MF" not in words:
        return subprocess.run(words, check=False).returncode
    made, depends = (Path(words[words.index(option) + 1]) for option in ("-o", "-MF"))
    folder = os.fsencode(program)
    found = Path(kept) / place(words, program, source)
    if not found.with_suffix(".o").exists():
        status = subprocess.run(words, check=False).returncode
        if status:
            return status
        copy(depends, found.with_suffix(".d"), folder, PROGRAM)
        copy(made, found.with_suffix(".o"))  # the last of the two: it stands for both
        return 0
    copy(found.with_suffix(".d"), depends, PROGRAM, folder)
    copy(found.with_suffix(".o"), made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
