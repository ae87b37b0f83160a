"""The operators in C++ for training on CPU, compiled once by the machine that runs them.

Without a compiler MindSpore's own operators do the work.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

from src.common.files import replace_file, temporary_path
from src.cpu.compile_cache import cache_folder
from src.model_utils.config import Config
from src.model_utils.derived_settings import amp_level

_SOURCES = Path(__file__).with_name("kernels")
_FLAGS = ("-std=c++17", "-O3", "-march=native", "-fopenmp-simd", "-fPIC", "-shared", "-pthread")


def build_cpu_library(config: Config) -> Path | None:
    """Return the compiled operators for a run, None where it uses MindSpore's: only float32 on CPU has others.

    Args:
        config: With `cpu_operators`: a folder for the library, "auto" for one in the user's cache folder, or "none".
    """
    folder = cache_folder(config.cpu_operators)
    if folder is None or config.device_target != "CPU" or amp_level(config) != "O0" or platform.system() != "Linux":
        return None  # MindSpore takes operators of others on Linux only
    compiler = shutil.which(os.environ.get("CXX") or "c++")
    if compiler is None:
        print("without a C++ compiler (on Debian and Ubuntu the package g++) training on CPU is slower", flush=True)
        return None
    library = folder / f"cpu-operators-{_digest(compiler)}.so"
    try:
        if ":" in str(library.absolute()):
            raise OSError("MindSpore takes no operators from a path with a colon")
        if not library.is_file():
            _compile(compiler, library)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip() or "it says nothing"
        print(f"{compiler} cannot make {library}, so training on CPU is slower: {said.splitlines()[0]}", flush=True)
        return None
    return library.absolute()


def _digest(compiler: str) -> str:
    """Return what the library follows from, as 16 hexadecimal digits: a home folder may serve different machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    processor = sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
    sources = [path.read_bytes() for path in sorted(_SOURCES.iterdir())]
    everything = (sources, _FLAGS, os.path.realpath(compiler), platform.machine(), processor)
    return hashlib.sha256(repr(everything).encode()).hexdigest()[:16]


def _compile(compiler: str, library: Path) -> None:
    library.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(library.absolute())
    try:
        command = [compiler, *_FLAGS, str(_SOURCES / "operators.cc"), "-o", str(temporary)]
        subprocess.run(command, capture_output=True, text=True, check=True)
        replace_file(temporary, library)
    finally:
        temporary.unlink(missing_ok=True)
