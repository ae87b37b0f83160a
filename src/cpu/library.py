"""The operators in C++ for CPU, compiled once by the machine that runs them.

What MindSpore loads can crash or take over the process. So it is in a folder of the user's own, has the checksum of
what was compiled at its end, where loaders do not look, and has been loaded by another process before. Where anything
of this fails, MindSpore's own operators do the work.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from src.common.files import check_free_space, naming, printable, replace_file, temporary_path
from src.common.programs import run_program
from src.cpu.own_files import cache_folder, close_to_others, is_none, open_own_folder, read_own, remove_left
from src.model_utils.command import Interrupted
from src.model_utils.config import Config
from src.model_utils.eval_engine import AUTO

_SOURCES = Path(__file__).with_name("native")
_TRIAL = Path(__file__).with_name("trial.py")
# Hidden: the loader has all libraries of a process share the variables that templates show to it.
_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-pthread", "-Wno-psabi")
_COMPILE_BYTES = 32 << 20  # several times what its files take
_PROCESSORS = Path("/proc/cpuinfo")
_PROCESSOR_LINES = ("model name", "flags", "Features", "CPU implementer", "CPU part")  # two of x86, three of ARM
_COMPILE_SECONDS, _LOAD_SECONDS = 600, 60  # where nothing else runs, they are 10 and 0.2


def build_cpu_library(config: Config) -> Path | None:
    """Return the compiled operators for a run, None where it uses MindSpore's.

    Args:
        config: With `cpu_operators`: a folder for the library, "auto" for one in the user's cache folder, or "none".

    Raises:
        Interrupted: After SIGTERM or SIGHUP before they are ready; nothing is left of what was begun.
    """
    if config.device_target != "CPU" or platform.system() != "Linux":
        return None  # MindSpore takes operators of others on Linux only
    if is_none(config.cpu_operators):
        return None
    try:
        compiler = _compiler()
        if not shutil.which(compiler[0]):
            print(
                f"without a C++ compiler ({printable(compiler[0])} is not there; on Debian and Ubuntu the package g++ "
                "has one) work on CPU is slower",
                file=sys.stderr,
                flush=True,
            )
            return None
        words = _link_words()
        library = _folder(config.cpu_operators) / f"cpu-operators-{_digest(compiler, words)}.so"
        with _signals_raise():
            return _whole_library(compiler, library, words)
    except (OSError, ValueError) as error:
        print(f"no operators in C++, so work on CPU is slower: {_text(error)}", file=sys.stderr, flush=True)
        return None


def build_evaluation_library(config: Config) -> Path | None:
    """Return the same for an evaluation or a prediction, None where another engine is asked for."""
    return build_cpu_library(config) if config.eval_engine == AUTO else None


def _link_words() -> tuple[str, ...]:
    """Return the linker's words for MindSpore's oneDNN, which stays where it is; raise OSError if there is none."""
    found = importlib.util.find_spec("mindspore")  # without importing it, which takes seconds
    if found is None or found.origin is None:
        raise OSError("MindSpore is not installed")
    onednn = Path(found.origin).absolute().with_name("lib") / "libdnnl.so.3"
    if not onednn.is_file():
        raise OSError(f"MindSpore's oneDNN is missing: {printable(onednn)}")
    if any(letter in str(onednn) for letter in ":;$") or printable(onednn) != str(onednn):
        raise OSError(f"libraries cannot be found in such a folder: {printable(onednn.parent)}")
    # Old tags have it found there whatever LD_LIBRARY_PATH is.
    words = ("--disable-new-dtags", "-rpath", str(onednn.parent))
    return (str(onednn), *(word for each in words for word in ("-Xlinker", each)))


def _compiler() -> list[str]:
    """Return the compiler's command: CXX may hold options, and another program before the compiler."""
    try:
        return shlex.split(os.environ.get("CXX", "")) or ["c++"]
    except ValueError as error:
        raise ValueError(f"CXX is {os.environ['CXX']!r}: {error}") from error


def _folder(setting: str) -> Path:
    """Return the library's folder; raise OSError if it is not this user's own or no place for a library."""
    folder = cache_folder(setting)
    if folder is None:
        raise OSError("this user has no home to keep them in; choose a --cpu_operators=FOLDER")
    try:
        if ":" in str(folder) or printable(folder) != str(folder):
            raise OSError("MindSpore takes no operators from a path with a colon, or one that is not UTF-8")
        open_own_folder(folder)
        if os.statvfs(folder).f_flag & os.ST_NOEXEC:
            raise OSError("nothing can be run from there, as its file system is mounted noexec")
    except OSError as error:
        raise OSError(
            f"{printable(folder)} cannot hold them ({_text(error)}); choose another --cpu_operators=FOLDER"
        ) from error
    return folder


def own_instructions() -> str:
    """Return the compiler's option for all instructions of this processor; on ARM not each takes -march=native."""
    return "-mcpu=native" if platform.machine() == "aarch64" else "-march=native"


def _digest(compiler: Sequence[str], words: Sequence[str]) -> str:
    """Return what the library follows from, as 16 hexadecimal digits: a home folder may serve different machines."""
    try:
        lines = _PROCESSORS.read_text().splitlines()
    except OSError:
        lines = []
    processor = sorted({line for line in lines if line.startswith(_PROCESSOR_LINES)})
    sources = [path.read_bytes() for path in sorted(_SOURCES.iterdir())]
    programs = [os.path.realpath(shutil.which(word) or word) for word in compiler]
    everything = (sources, _FLAGS, own_instructions(), words, programs, platform.machine(), processor)
    return hashlib.sha256(repr(everything).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _whole_library(compiler: Sequence[str], library: Path, words: Sequence[str]) -> Path:
    """Return the library, compiled if it is missing and once more if it is of no use; raise OSError if it stays so."""
    problem = _problem_of(library)
    if not problem:
        return library
    if os.path.lexists(library):
        print(f"{printable(library)} is of no use ({problem}): compiling it anew", file=sys.stderr, flush=True)
    try:
        with naming(library):
            _compile(compiler, library, words)
    except OSError as error:
        raise OSError(f"{printable(shlex.join(compiler))} cannot make {printable(library)}: {_text(error)}") from error
    problem = _problem_of(library)
    if problem:
        with suppress(OSError):
            library.unlink()
        raise OSError(f"what {printable(shlex.join(compiler))} makes is of no use: {problem}")
    return library


def _problem_of(library: Path) -> str:
    """Tell why a library cannot be loaded or computes something else; nothing if it can be used."""
    try:
        data = read_own(library)
        if data is None:
            return "it is missing"
        size = hashlib.sha256().digest_size
        if hashlib.sha256(data[:-size]).digest() != data[-size:]:
            return "it has changed since it was compiled"
        run_program([sys.executable, "-I", "-S", str(_TRIAL), str(library)], _LOAD_SECONDS)
    except (OSError, ValueError) as error:
        return _text(error)
    return ""


def _compile(compiler: Sequence[str], library: Path, words: Sequence[str]) -> None:
    remove_left(library.parent, r"cpu-operators-[0-9a-f]{16}\.so")
    check_free_space(library.parent, _COMPILE_BYTES)  # a compiler tells it after a minute, and in other words
    temporary = temporary_path(library)
    temporary.mkdir(mode=0o700)
    flags = (*_FLAGS, own_instructions())
    try:
        made, whole = temporary / "made.so", temporary / "whole.so"
        parts = {source: temporary / f"{source.stem}.o" for source in sorted(_SOURCES.glob("*.cc"))}
        commands = [[*compiler, *flags, "-c", str(source), "-o", str(part)] for source, part in parts.items()]
        link = [*compiler, *flags, "-shared", *map(str, parts.values()), *words, "-o", str(made)]
        # By a shell, so that all compile at once, in one group of processes that can be killed.
        script = " & ".join(map(shlex.join, commands)) + " & wait; exec " + shlex.join(link)
        run_program(["sh", "-c", script], _COMPILE_SECONDS, {**os.environ, "TMPDIR": str(temporary)})
        if not made.exists():
            raise OSError("it ends as if all were well, but has made nothing")
        data = made.read_bytes()
        # Not what was made, which ccache may keep a link to.
        whole.write_bytes(data + hashlib.sha256(data).digest())
        close_to_others(whole)
        replace_file(whole, library)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Let the signals that end a process at once raise Interrupted instead, so that it cleans up."""
    numbers = (signal.SIGTERM, signal.SIGHUP)

    def stop(number: int, _: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)  # a second one must not end the cleaning
        raise Interrupted(f"stopped by {signal.Signals(number).name} before the operators in C++ were ready", number)

    is_main = threading.current_thread() is threading.main_thread()
    before = [number for number in numbers if is_main and signal.getsignal(number) == signal.SIG_DFL]
    try:
        for number in before:
            signal.signal(number, stop)
        yield
    finally:
        for number in before:
            signal.signal(number, signal.SIG_DFL)


def _text(error: OSError | ValueError) -> str:
    """Return what an error says, and of what, in one line."""
    said = getattr(error, "strerror", None)
    name = getattr(error, "filename", None)
    return f"{said}: {printable(name)}" if said and name else str(said or error)
