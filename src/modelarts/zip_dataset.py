"""Data sets in a zip file: checked before anything is written, then extracted whole or not at all."""

from __future__ import annotations

import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from src.common.files import check_free_space, naming
from src.common.progress import Progress
from src.modelarts.filled_folder import filled_folder, is_complete

MAX_RATIO = 200  # of unpacked to packed size: photographs stay below 2, bombs made by deflate reach 1032
_FREE_RATIO_BYTES = 2**20  # below this size any ratio is harmless
_BLOCK_BYTES = 4096  # a file takes whole blocks of the disk
_CHUNK_BYTES = 2**20
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # flag bits: traditional and strong encryption, masked header
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
# The end of the file: signature and number of entries; and what stands before it in large files, with its locator.
_END = struct.Struct("<4s6xH10x")
_END_64 = struct.Struct("<4s28xQ16x20x")
# What zipfile raises for damaged files, beside BadZipFile. OSError is bzip2's.
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError, OSError,
    OverflowError, struct.error,
)  # fmt: skip


def unzip_dataset(archive: Path, folder: Path, owner: str) -> None:
    """Extract a zip file into a folder, unless it is there completely already.

    Args:
        archive: The zip file.
        folder: The folder to make; must be missing, empty, or made from this file before.
        owner: Name of the job, see filled_folder.

    Raises:
        ValueError: If the file is damaged, or an entry could write elsewhere, is no plain file or folder, or is
            absurdly compressed. Nothing is left then.
        OSError: If the file cannot be opened, or the disk has too little space or fails.
    """
    status = archive.stat()
    source = f"{archive} ({status.st_size} bytes, changed at {status.st_mtime_ns} ns)"
    if is_complete(folder, source):
        return
    with archive.open("rb") as stream:
        try:
            opened = zipfile.ZipFile(stream)
        except _DAMAGED as error:
            raise ValueError(f"{archive}: not a complete zip file: {error}; copy it again") from error
        with opened:
            _check_count(archive, stream, len(opened.infolist()), len(opened.comment))
            members = _check_members(archive, opened.infolist(), status.st_size)
            check_free_space(folder, sum(map(_disk_bytes, members.values())))
            with (
                filled_folder(folder, source, owner) as temporary,
                Progress(len(members), "unzip", "files") as progress,
            ):
                for path, member in members.items():
                    _extract(archive, opened, member, temporary / path)
                    progress.update()


def _check_count(archive: Path, stream: BinaryIO, found: int, comment_bytes: int) -> None:
    """Raise if the list of entries is shorter than its own end says: a wrong length in it hides all that follow."""
    stream.seek(-(_END.size + comment_bytes), os.SEEK_END)
    signature, count = _END.unpack(stream.read(_END.size))
    modulus = 2**16  # some programs count no further
    if count == modulus - 1 and stream.tell() >= _END.size + _END_64.size:
        stream.seek(-(_END.size + _END_64.size), os.SEEK_CUR)
        signature_64, count_64 = _END_64.unpack(stream.read(_END_64.size))
        if signature_64 == b"PK\x06\x06":
            count, modulus = count_64, 2**64
    if signature != b"PK\x05\x06" or found % modulus != count:
        raise ValueError(f"{archive}: not a complete zip file: {found} entries were found, not {count}; copy it again")


def _check_members(archive: Path, members: list[zipfile.ZipInfo], size: int) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """Return the members by their path in the folder; raise for those that should not be extracted."""
    checked: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for member in members:
        path = PurePosixPath(member.orig_filename)
        problem = _problem(member)
        if path in checked and not (_is_folder(member) and _is_folder(checked[path])):
            problem = "is there twice"
        if problem:
            raise ValueError(f"{archive}: entry {member.orig_filename!r} {problem}; nothing was extracted")
        checked[path] = member
    for path in checked:
        file = next((parent for parent in path.parents if parent in checked and not _is_folder(checked[parent])), None)
        if file:
            raise ValueError(f"{archive}: entry {str(file)!r} is both a file and a folder; nothing was extracted")
    total = sum(member.file_size for member in members)
    if total > max(MAX_RATIO * size, _FREE_RATIO_BYTES):
        raise ValueError(
            f"{archive}: its {size} bytes would become {total}, more than {MAX_RATIO} times; nothing was extracted"
        )
    return checked


def _problem(member: zipfile.ZipInfo) -> str:
    """Return why a member should not be extracted, empty if it may be."""
    # The name as it is in the file: zipfile itself cuts it at a NUL.
    name = member.orig_filename
    path = PurePosixPath(name)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or "\\" in name or name[1:2] == ":":
        return "leads out of the folder"
    if not name.isprintable() or (not path.parts and not _is_folder(member)):
        return "has no usable name"
    if kind not in (0, stat.S_IFDIR if _is_folder(member) else stat.S_IFREG):
        return "is neither a plain file nor a folder (a link or a device)"
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if member.compress_type not in _METHODS:
        return f"is compressed by method {member.compress_type}, which cannot be read"
    if member.file_size > max(MAX_RATIO * member.compress_size, _FREE_RATIO_BYTES):
        return f"would grow from {member.compress_size} to {member.file_size} bytes, more than {MAX_RATIO} times"
    return ""


def _is_folder(member: zipfile.ZipInfo) -> bool:
    """Tell whether a member is a folder; zipfile's own answer fails for an empty name."""
    return member.orig_filename.endswith("/")


def _disk_bytes(member: zipfile.ZipInfo) -> int:
    return -(-member.file_size // _BLOCK_BYTES) * _BLOCK_BYTES


def _extract(archive: Path, opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Write one member."""
    if _is_folder(member):
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with naming(target), target.open("xb") as stream:
        for chunk in _read(archive, opened, member):
            stream.write(chunk)


def _read(archive: Path, opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Return the content of a member by pieces; zipfile checks length and checksum on the way."""
    count = 0
    try:
        with naming(archive), opened.open(member) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                count += len(chunk)
                yield chunk
        if count != member.file_size:
            raise EOFError(f"{count} of {member.file_size} bytes")
    except _DAMAGED as error:
        raise ValueError(
            f"{archive}: entry {member.orig_filename!r} is damaged: {error}; copy the file again"
        ) from error
