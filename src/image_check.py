"""Find the images that training cannot read by decoding them in processes of their own, which a file may crash."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from src.image_folders import UNREAD_SUFFIXES
from src.progress import Progress

Check = Callable[[Path], str]
Results = list[tuple[Path, str]]  # (image, reason), an empty reason for a good image

_FORMATS = {"JPEG", "MPO", "PNG", "BMP", "TIFF"}  # MPO is a camera's JPEG with a second picture behind it
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_CHUNK = 16  # files per task: large enough to keep hand-over cheap, small enough for a smooth bar


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
        if path.suffix.lower() in UNREAD_SUFFIXES:
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


def printable(path: str | os.PathLike[str]) -> str:
    """Return a path for a line of output: a file name need not be valid UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def to_list(paths: Iterable[str | os.PathLike[str]]) -> bytes:
    """Return the content of a file that lists paths, one a line, each byte as it is in the name."""
    return b"".join(os.fsencode(path) + b"\n" for path in paths)


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
