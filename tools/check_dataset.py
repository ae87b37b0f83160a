"""Find the images of a data set that training cannot read: empty, truncated, of another format, absurdly large."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import stat
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NoReturn

from PIL import Image, UnidentifiedImageError

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.files import atomic_write
from src.image_folders import IMAGE_SUFFIXES
from src.model_utils.config import ConfigError
from src.progress import Progress

Check = Callable[[Path], str]
Results = list[tuple[Path, str]]  # (image, reason), an empty reason for a good image

_READ_SUFFIXES = set(IMAGE_SUFFIXES)
_SKIPPED_SUFFIXES = {".gif", ".webp"}
_FORMATS = {"JPEG", "MPO", "PNG", "BMP", "TIFF"}  # MPO is a camera's JPEG with a second picture behind it
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_CHUNK = 16  # files per task: large enough to keep hand-over cheap, small enough for a smooth bar


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: Command-line arguments without the program's name.

    Returns:
        The exit status: 0 if every image is good, 1 if one is bad.

    Raises:
        ConfigError: If the folder is missing or holds no images, or the number of workers is below 1.
    """
    parser = argparse.ArgumentParser(prog="check_dataset.py", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="image folders, with or without train/ and val/ above")
    parser.add_argument("--workers", type=int, default=_cores(), help="processes (default: the cores, %(default)s)")
    parser.add_argument("--list", type=Path, metavar="FILE", help="write the paths of the bad images here, one a line")
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    args = parser.parse_args(argv)
    if args.workers < 1:
        raise ConfigError(f"--workers must be at least 1, got {args.workers}")
    if not args.folder.is_dir():
        raise ConfigError(f"no folder {args.folder}: give the data set's folder, with one sub-folder per class")
    paths = find_images(args.folder)
    if not paths:
        raise ConfigError(f"no images in {args.folder}: it needs files with one of {' '.join(sorted(_READ_SUFFIXES))}")
    with Progress(len(paths), "check") as progress:
        bad = find_bad_images(paths, args.workers, progress)
    for path, reason in bad:
        # A file name need not be valid UTF-8.
        print(f"{os.fsencode(path).decode(errors='backslashreplace')}: {reason}")
    if args.list:
        atomic_write(args.list, b"".join(os.fsencode(path) + b"\n" for path, _ in bad))
    classes = {path.parent.name for path in paths}
    print(f"checked {len(paths)} images in {len(classes)} classes: {len(bad)} bad")
    return 1 if bad else 0


def find_images(folder: Path) -> list[Path]:
    """List the files below a folder that are images by their suffix, in any case.

    Args:
        folder: Where to start. Hidden files and folders are passed over, a linked folder is visited once.

    Returns:
        The files, sorted; .gif and .webp files too, as people expect them to count.

    Raises:
        OSError: If a folder cannot be read.
    """
    paths = []
    seen = set()
    for parent, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        status = os.stat(parent)
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            folders.clear()
            continue
        seen.add(identity)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths += [Path(parent, name) for name in files if not name.startswith(".")]
    return sorted(path for path in paths if path.suffix.lower() in _READ_SUFFIXES | _SKIPPED_SUFFIXES)


def find_bad_images(
    paths: Sequence[Path], workers: int, progress: Progress | None = None, check: Check | None = None
) -> Results:
    """Decode every image, in several processes, and tell which ones are bad.

    Args:
        paths: The files.
        workers: Number of processes, >= 1.
        progress: Is told about every finished file.
        check: Returns the reason why a file is bad, or an empty text; None takes check_image.

    Returns:
        The bad files with their reasons, sorted by path.
    """
    bad: Results = []
    for results in _check_all(paths, workers, check or check_image):
        bad += [(path, reason) for path, reason in results if reason]
        if progress:
            progress.update(len(results), f"{len(bad)} bad")
    return sorted(bad)


def check_image(path: Path) -> str:
    """Tell why an image is of no use for training.

    Args:
        path: The file; it is decoded completely.

    Returns:
        The reason, or an empty text for a good image.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return "not a file"
        if status.st_size == 0:
            return "empty file (0 bytes)"
        if path.suffix.lower() in _SKIPPED_SUFFIXES:
            return f"training does not read {path.suffix} files: convert it to JPEG or PNG"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decode(path)
    except UnidentifiedImageError:
        return "not an image"
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return f"absurd size: more than {Image.MAX_IMAGE_PIXELS} pixels"
    except OSError as error:
        return error.strerror or " ".join(str(error).split())
    except Exception as error:  # noqa: BLE001 - Pillow raises errors of any type when a file is damaged
        return " ".join(f"cannot be decoded: {type(error).__name__}: {error}".split())


def _decode(path: Path) -> str:
    """Decode the image; return a reason where Pillow accepts what the training decoder refuses."""
    with Image.open(path) as image:
        if image.format not in _FORMATS:
            return f"{image.format} data, which the training decoder does not take: convert it to JPEG or PNG"
        image.load()
    if image.format == "PNG" and _PNG_END not in path.read_bytes():
        return "image file is truncated (the end of the PNG is missing)"
    return ""


def _check_all(paths: Sequence[Path], workers: int, check: Check) -> Iterator[Results]:
    """Yield the results of all files in groups; a file that kills its process is one more bad file."""
    chunks = deque(list(paths[start : start + _CHUNK]) for start in range(0, len(paths), _CHUNK))
    while chunks:
        lost = yield from _check_in_pool(chunks, workers, check)
        yield from _check_one_by_one(deque(lost), check)


def _check_in_pool(chunks: deque[list[Path]], workers: int, check: Check) -> Generator[Results, None, list[Path]]:
    """Take chunks and yield their results; return the files that were under way when a worker was killed."""
    running: dict[Future[Results], list[Path]] = {}
    with _new_pool(workers) as pool:
        try:
            while chunks or running:
                # Few at a time: a large data set does not fill the memory, and a crash loses little.
                while chunks and len(running) < 2 * workers:
                    future = pool.submit(_check_chunk, check, chunks[0])
                    running[future] = chunks.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    results = future.result()
                    del running[future]
                    yield results
        except BrokenProcessPool:
            pass
    return [path for chunk in running.values() for path in chunk]


def _check_one_by_one(paths: deque[Path], check: Check) -> Iterator[Results]:
    """Yield the results of files one of which kills its process."""
    while paths:
        with _new_pool(1) as pool:
            pool.submit(os.getpid).result()  # processes that cannot even start are no file's fault
            try:
                while paths:
                    reason = pool.submit(check, paths[0]).result()
                    yield [(paths.popleft(), reason)]
            except BrokenProcessPool:
                yield [(paths.popleft(), "the decoder's process was killed while reading it")]


def _new_pool(workers: int) -> ProcessPoolExecutor:
    # Spawned, not forked: the caller may have threads, whose locks a fork would copy in any state.
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_prepare_worker)


def _prepare_worker() -> None:
    """Keep a worker quiet: the parent handles Ctrl-C, and libtiff writes its complaints straight to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when the parent is killed; a pool's worker would wait for its next task for ever."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _check_chunk(check: Check, paths: Sequence[Path]) -> Results:
    return [(path, check(path)) for path in paths]


def _cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _raise(error: OSError) -> NoReturn:
    raise error


if __name__ == "__main__":
    from src.model_utils.command import run_command

    sys.exit(run_command(main))
