"""What the system says against a file names it, and the space that is left."""

from __future__ import annotations

import errno
import mmap
import re

import pytest

from src.common.files import atomic_write, move_aside
from src.common.system_errors import describe
from tests.helpers.mounts import mounted


def test_a_full_disk_leaves_nothing_half_and_is_told_with_the_file_and_the_space(tmp_path):
    disk = tmp_path / "disk"
    with mounted(disk, f"-osize={4 * mmap.PAGESIZE}"):
        (disk / "big").write_bytes(bytes(2 * mmap.PAGESIZE))
        (disk / "later").write_text("x")
        with pytest.raises(OSError, match="No space left") as caught:
            atomic_write(disk / "new", bytes(2 * mmap.PAGESIZE))
        place = re.escape(str(disk / "new"))
        told = describe(caught.value)
        assert re.fullmatch(
            rf"No space left on device: {place}: 0\.0 MB are left there; make room and run it again", told
        )
        with pytest.raises(OSError, match="No space left"):
            move_aside([disk / "later"], disk, copied=[disk / "big"])
        assert {path.name for path in disk.iterdir()} == {"big", "later"}


def test_other_errors_are_told_with_their_files_or_their_own_words():
    assert describe(OSError(errno.EXDEV, "Invalid link", "a", None, "b")) == "Invalid link: a: b"
    assert describe(OSError("the network is down")) == "the network is down"
    assert describe(OSError(errno.ENOSPC, "No space left on device")) == "No space left on device"
