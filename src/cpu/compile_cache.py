"""Compiled graphs kept from one start to the next: each under a name made of all it follows from, whole or not at all.

MindSpore has such a cache. It compares the program's first file and what that imports at once, and numbers the graphs
of a process in the order of their compilation: by itself it takes a graph of other options, or another one of the same
process, for the one that is asked for. So each process gives it a folder of its own, for one graph only, filled with
the files of an entry that has just been checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import stat
import sys
import time
import zipfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from src.common.files import naming, printable, replace_file, temporary_path
from src.common.system_errors import describe
from src.cpu.own_files import close_to_others, open_own_folder, read_own, remove_left
from src.model_utils.config import DEFAULT_FILE, Config

ENTRIES = 32  # a graph of training has 1 MB
_ENTRY = r"[0-9a-f]{64}\.graph"
_ENABLE, _PATH = "MS_COMPILER_CACHE_ENABLE", "MS_COMPILER_CACHE_PATH"

# Paths and messages; every other key, also one that is still to come, makes another entry.
_WITHOUT_EFFECT = {
    "train_data_dir", "test_data_dir", "save_checkpoint_path", "pretrained", "resume", "initial_checkpoint",
    "checkpoint_path", "onnx_path", "class_map", "eval_report", "ckpt_file", "file_name", "data_url", "train_url",
    "checkpoint_url", "data_path", "output_path", "load_path", "modelarts_dataset_unzip_name",
    "folder_name_under_zip_file", "compile_cache", "log_steps", "debug",
}  # fmt: skip


def graph_key(config: Config, facts: Iterable[object]) -> str:
    """Return a name for the graph of a run, which differs wherever anything that it follows from does.

    Args:
        config: The configuration.
        facts: What else the graph follows from, such as the steps of the schedule; their repr() counts.

    Returns:
        64 hexadecimal digits.
    """
    import mindspore as ms

    options = sorted((name, value) for name, value in config.to_dict().items() if name not in _WITHOUT_EFFECT)
    switches = sorted(item for item in os.environ.items() if item[0].startswith("MS_") and item[0] != _ENABLE)
    versions = (ms.__version__, platform.python_version(), platform.machine())
    everything = (options, switches, versions, source_digest(), list(facts))
    return hashlib.sha256(repr(everything).encode("utf-8", "surrogateescape")).hexdigest()


def source_digest() -> str:
    """Return the SHA-256 of the project's programs and of all their modules."""
    root = DEFAULT_FILE.parent
    digest = hashlib.sha256()
    for path in sorted([*root.glob("*.py"), *root.glob("src/**/*.py")]):
        digest.update(f"{path.relative_to(root)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


class CompileCache:
    """Lets MindSpore take one graph of this process from the cache, or put it there.

    Nothing that goes wrong with the cache stops a run: it compiles, and says why in one line.

    Args:
        folder: The cache, which several processes may use; created if missing.
        key: The graph, as graph_key names it.
    """

    def __init__(self, folder: Path, key: str):
        self._folder = folder
        self._entry = folder / f"{key}.graph"
        self._source = source_digest()
        self._own: Path | None = None
        self._found: dict[str, bytes] = {}

    def open(self) -> None:
        """Hand the graph to MindSpore if the cache has it; to be called before that graph alone is compiled."""
        if _ENABLE in os.environ or _PATH in os.environ:
            return  # a user's own cache; or an earlier graph of this process, whose folder MindSpore would keep to
        if not os.path.isfile(sys.argv[0]):
            return  # MindSpore reads the program's file, which `python -c` and notebooks do not have
        try:
            open_own_folder(self._folder)
            own = temporary_path(self._entry)
            own.mkdir(mode=0o700)
            self._own = own
            self._found = self._read()
            with naming(self._entry):
                _write_files(own, self._found)
        except OSError as error:
            self._give_up(error)
            return
        os.environ[_PATH] = str(own)
        os.environ[_ENABLE] = "1"
        if self._found:
            print(f"the compiled graph comes from {self._entry}; --compile_cache=none compiles it anew", flush=True)

    def close(self) -> None:
        """Keep the graph that was compiled since open(); to be called before another one is."""
        if self._own is None:
            return
        os.environ.pop(_ENABLE, None)  # the path stays, as the mark that this process has used it
        try:
            files = _read_files(self._own)
            # MindSpore reads the source while it compiles: of a changed one nobody knows which it has read.
            if files != self._found and _is_whole(files) and source_digest() == self._source:
                self._keep(_pack(files, self._entry.name))
            _remove_old(self._folder, self._entry)
        except OSError as error:
            self._give_up(error)
        self.discard()

    def discard(self) -> None:
        """Forget what was begun; to be called where compiling has failed, and harmless everywhere else."""
        if self._own is not None:
            os.environ.pop(_ENABLE, None)
            shutil.rmtree(self._own, ignore_errors=True)
            self._own = None

    def _read(self) -> dict[str, bytes]:
        """Return the files of the entry; none if it is missing or damaged."""
        try:
            data = read_own(self._entry)
            if data is None:
                return {}
            files = _unpack(data, self._entry.name)
        except ValueError as error:
            print(f"{printable(self._entry)} is of no use ({error}): compiling anew", flush=True)
            return {}
        os.utime(self._entry)  # the oldest are removed first
        return files

    def _keep(self, data: bytes) -> None:
        """Put an entry in its place, whole."""
        assert self._own is not None
        temporary = self._own / "entry"  # where nobody else can reach it before it is closed to them
        with naming(self._entry):
            temporary.write_bytes(data)
            close_to_others(temporary)
            replace_file(temporary, self._entry)

    def _give_up(self, error: OSError) -> None:
        print(
            f"compiling without a cache of graphs ({describe(error)}); choose another --compile_cache=FOLDER",
            flush=True,
        )
        self.discard()


def _pack(files: dict[str, bytes], name: str) -> bytes:
    """Return files as one, behind a checksum of them and of the entry's name."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, data in sorted(files.items()):
            archive.writestr(path, data)
    return _checksum(buffer.getvalue(), name) + buffer.getvalue()


def _unpack(data: bytes, name: str) -> dict[str, bytes]:
    """Return the files of _pack; raise ValueError if one bit has changed, or a name leads elsewhere."""
    size = hashlib.sha256().digest_size
    if data[:size] != _checksum(data[size:], name):
        raise ValueError("wrong checksum")
    try:
        with zipfile.ZipFile(BytesIO(data[size:])) as archive:
            for info in archive.infolist():
                if set(info.filename.split("/")) & {"", ".", ".."} or "\\" in info.filename or ":" in info.filename:
                    raise ValueError(f"it has a file named {info.filename!r}")
                if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                    raise ValueError(f"{info.filename!r} in it is compressed or encrypted")
            return {path: archive.read(path) for path in archive.namelist()}
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(str(error)) from error


def _checksum(data: bytes, name: str) -> bytes:
    return hashlib.sha256(name.encode() + b"\0" + data).digest()


def _read_files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _write_files(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with naming(path):
            path.write_bytes(data)


def _is_whole(files: dict[str, bytes]) -> bool:
    """Tell whether MindSpore has written one graph to its end: it goes on where the disk is full."""
    from mindspore.train.mind_ir_pb2 import ModelProto

    graphs = [data for name, data in files.items() if name.endswith(".mindir")]
    try:
        return len(graphs) == 1 and bool(ModelProto.FromString(graphs[0]).graph.node)
    except Exception:  # noqa: BLE001 - protobuf's error, which has no public name in MindSpore
        return False


def _remove_old(folder: Path, used: Path) -> None:
    """Remove all but the entries that were used last, and what killed processes have left; nothing of anyone else's.

    The one that has just been used stays, and comes first where a clock has been set back: no other may be later.
    """
    now = time.time()
    ages = {}
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process is removing it too
            status = path.lstat()
            if re.fullmatch(_ENTRY, path.name) and stat.S_ISREG(status.st_mode):
                ages[path] = -1.0 if path == used else abs(now - status.st_mtime)
    for path in sorted(ages, key=ages.__getitem__)[ENTRIES:]:
        with contextlib.suppress(OSError):
            path.unlink()
    remove_left(folder, _ENTRY)
