"""Zip data sets: extracted whole or not at all, and never to anywhere else."""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.modelarts.filled_folder import MARK
from src.modelarts.zip_dataset import MAX_RATIO, unzip_dataset
from tests.helpers.project import ROOT

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
names = st.text("abcXYZ019 ._-é猫", min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))
trees = st.recursive(
    st.binary(max_size=300), lambda inner: st.dictionaries(names, inner, max_size=4), max_leaves=12
).map(lambda tree: tree if isinstance(tree, dict) else {"file": tree})


def files_of(tree: dict, above: str = "") -> dict[str, bytes]:
    found = {}
    for name, inner in tree.items():
        found |= files_of(inner, f"{above}{name}/") if isinstance(inner, dict) else {f"{above}{name}": inner}
    return found


def make_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def add_raw(path: Path, name: str, content: bytes = b"x", mode: int = 0) -> Path:
    """Write a zip file of a good entry and one whose name and mode zipfile's own checks do not touch."""
    info = zipfile.ZipInfo("placeholder")
    info.filename, info.external_attr = name, mode << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good/a.jpg", b"good")
        archive.writestr(info, content)
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MARK
    }


def refusal(archive: Path) -> str:
    """Return the message of an archive that is refused, having checked that nothing is left."""
    before = sorted(os.listdir(archive.parent))
    with pytest.raises(ValueError, match=re.escape(str(archive))) as caught:
        unzip_dataset(archive, archive.parent / "out", "job")
    assert sorted(os.listdir(archive.parent)) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(trees, st.sampled_from(METHODS))
def test_any_tree_of_files_comes_back_as_it_was(tree, method):
    with tempfile.TemporaryDirectory() as folder:
        archive = make_zip(Path(folder) / "data.zip", files_of(tree), method)
        unzip_dataset(archive, Path(folder) / "out", "job")
        assert content(Path(folder) / "out") == files_of(tree)
        assert sorted(os.listdir(folder)) == ["data.zip", "out"]


@given(st.data(), st.sampled_from(METHODS))
def test_a_damaged_file_gives_the_right_content_or_one_line_and_nothing(data, method):
    members = {"train/0/a.jpg": b"abc" * 40, "train/1/b.jpg": bytes(range(200)), "c": b""}
    with tempfile.TemporaryDirectory() as folder:
        archive = make_zip(Path(folder) / "data.zip", members, method)
        good = bytearray(archive.read_bytes())
        at = data.draw(st.integers(0, len(good) - 1))
        if data.draw(st.booleans()):
            del good[at:]
        else:
            good[at] ^= data.draw(st.integers(1, 255))
        archive.write_bytes(good)
        try:
            unzip_dataset(archive, Path(folder) / "out", "job")
        except ValueError as error:
            assert "\n" not in str(error) and str(archive) in str(error)
            assert os.listdir(folder) == ["data.zip"]
        else:
            assert sorted(content(Path(folder) / "out").values()) == sorted(members.values())


@pytest.mark.parametrize("cut", [0, 1, 30, 200, -1, -22])
def test_a_truncated_file_says_so(tmp_path, cut):
    archive = make_zip(tmp_path / "data.zip", {"a": os.urandom(300)})
    archive.write_bytes(archive.read_bytes()[:cut])
    assert "not a complete zip file" in refusal(archive)


@pytest.mark.parametrize(("count", "comment"), [(3, b""), (3, b"made by hand"), (65540, b"made by hand")])
def test_an_entry_whose_length_hides_the_others_is_seen(tmp_path, count, comment):
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.comment = comment
        for number in range(count):
            opened.writestr(str(number), b"")
    data = bytearray(archive.read_bytes())
    last = data.rindex(b"PK\x01\x02")
    before = data.rindex(b"PK\x01\x02", 0, last)
    data[before + 32] = last - before  # the comment of the last but one entry takes the last one in
    archive.write_bytes(data)
    assert f"{count - 1} entries were found, not {count}" in refusal(archive)


def test_a_large_data_set_is_read_to_its_last_entry(tmp_path):
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for number in range(65535):
            opened.writestr(f"{number}.jpg", b"")
        opened.writestr("../last", b"")
    assert "entry '../last' leads out of the folder" in refusal(archive)


def test_a_wrong_checksum_names_the_entry(tmp_path):
    archive = make_zip(tmp_path / "data.zip", {"a": b"first", "b": b"second"}, zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes().replace(b"second", b"secand", 1))
    assert "entry 'b' is damaged: Bad CRC-32" in refusal(archive)


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "a/..", "/etc/x", "//host/x", "C:/x", "c:x", "a\\b", "..\\x", "\\\\host\\x", "/", "../"],
)
def test_entries_that_leave_the_folder_are_refused_by_name(tmp_path, name):
    message = refusal(add_raw(tmp_path / "data.zip", name))
    assert f"entry {name!r} leads out of the folder; nothing was extracted" in message


@given(st.text(st.sampled_from("ab./\\:\0\n"), min_size=1, max_size=9))
def test_no_name_writes_outside(name):
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / "1" / "2" / "3"
        inner.mkdir(parents=True)
        archive = add_raw(inner / "data.zip", name)
        try:
            unzip_dataset(archive, inner / "out", "job")
        except ValueError:
            assert os.listdir(inner) == ["data.zip"]
        else:
            assert sorted(os.listdir(inner)) == ["data.zip", "out"]
        assert [os.listdir(Path(folder)), os.listdir(inner.parents[1]), os.listdir(inner.parent)] == [
            ["1"],
            ["2"],
            ["3"],
        ]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR])
def test_links_and_devices_are_refused_by_name(tmp_path, kind):
    message = refusal(add_raw(tmp_path / "data.zip", "train/evil", b"/etc/passwd", kind | 0o777))
    assert "entry 'train/evil' is neither a plain file nor a folder" in message


@pytest.mark.parametrize("name", ["a\0b", "a\nb", ".", "\x1b[2J"])
def test_names_that_no_file_should_have_are_refused(tmp_path, name):
    assert f"entry {name!r} has no usable name" in refusal(add_raw(tmp_path / "data.zip", name))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["good/a.jpg", "./good/a.jpg", "good//a.jpg"])
def test_an_entry_that_is_there_twice_is_refused(tmp_path, name):
    assert f"entry {name!r} is there twice" in refusal(add_raw(tmp_path / "data.zip", name))


def test_a_name_that_is_file_and_folder_is_refused(tmp_path):
    archive = make_zip(tmp_path / "data.zip", {"a": b"x", "a/b": b"y"})
    assert "entry 'a' is both a file and a folder" in refusal(archive)


def test_encrypted_entries_are_refused_by_name(tmp_path):
    archive = make_zip(tmp_path / "data.zip", {"secret": b"x"})
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    data[6] |= 1
    archive.write_bytes(data)
    assert "entry 'secret' is encrypted" in refusal(archive)


def test_an_unknown_compression_is_refused_by_name(tmp_path):
    archive = make_zip(tmp_path / "data.zip", {"odd": b"x"})
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 10] = 99
    archive.write_bytes(data)
    assert "entry 'odd' is compressed by method 99" in refusal(archive)


def test_a_bomb_is_refused_before_anything_is_written(tmp_path):
    message = refusal(make_zip(tmp_path / "data.zip", {"good": b"x", "bomb": bytes(2**24)}))
    assert "entry 'bomb' would grow from" in message and f"16777216 bytes, more than {MAX_RATIO} times" in message


def test_many_small_bombs_are_refused_together(tmp_path):
    archive = make_zip(tmp_path / "data.zip", {str(number): bytes(2**20) for number in range(20)})
    assert f"would become {20 * 2**20}, more than {MAX_RATIO} times" in refusal(archive)


def test_too_little_space_is_seen_before_anything_is_written(tmp_path, monkeypatch):
    archive = make_zip(tmp_path / "data.zip", {"a": b"x", "b": b"y"})
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2 * 4096 - 1))
    with pytest.raises(OSError, match=r"needs 0\.0 MB, but .* has 0\.0 MB left; make room"):
        unzip_dataset(archive, tmp_path / "out", "job")
    assert os.listdir(tmp_path) == ["data.zip"]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2 * 4096))
    unzip_dataset(archive, tmp_path / "out", "job")


def test_a_full_disk_while_extracting_leaves_nothing(tmp_path):
    archive = make_zip(tmp_path / "data.zip", {"a": os.urandom(100), "b": os.urandom(100_000)})
    code = (
        "import resource, signal, sys; from pathlib import Path; from src.modelarts.zip_dataset import unzip_dataset\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))\n"
        "unzip_dataset(Path(sys.argv[1]), Path(sys.argv[2]), 'job')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, archive, tmp_path / "out"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "File too large" in result.stderr.splitlines()[-1]
    assert os.listdir(tmp_path) == ["data.zip"]


def test_a_second_call_does_nothing_and_a_changed_file_is_not_passed_over(tmp_path):
    archive, out = make_zip(tmp_path / "data.zip", {"a": b"x"}), tmp_path / "out"
    unzip_dataset(archive, out, "job")
    (out / "a").write_text("kept")
    unzip_dataset(archive, out, "job")
    assert content(out) == {"a": b"kept"}
    make_zip(archive, {"a": b"other"})
    with pytest.raises(ValueError, match=r"out holds the content of .*data\.zip"):
        unzip_dataset(archive, out, "job")
    assert content(out) == {"a": b"kept"}


def test_a_folder_of_others_is_not_touched(tmp_path):
    archive = make_zip(tmp_path / "data.zip", {"a": b"x"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(ValueError, match="out holds files that were not copied there"):
        unzip_dataset(archive, tmp_path / "out", "job")
    assert os.listdir(tmp_path / "out") == ["mine"]


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        unzip_dataset(tmp_path / "no.zip", tmp_path / "out", "job")
    assert caught.value.filename == str(tmp_path / "no.zip")


def test_progress_counts_the_files(tmp_path, capsys):
    archive = make_zip(tmp_path / "data.zip", {"train/": b"", "train/a": b"x", "train/b": b"y"})
    unzip_dataset(archive, tmp_path / "out", "job")
    assert "unzip: 3/3 files (100%)" in capsys.readouterr().err


def test_a_killed_process_leaves_no_folder_and_the_next_one_cleans_up(tmp_path):
    """Ten kills at different moments of the extraction, and three as soon as the folder is there."""
    buffer = io.BytesIO(os.urandom(2**20))
    members = {f"{number}.jpg": buffer.getvalue()[number:] for number in range(60)}
    archive, out = make_zip(tmp_path / "data.zip", members, zipfile.ZIP_STORED), tmp_path / "out"
    code = (
        "import sys; from pathlib import Path; from src.modelarts.zip_dataset import unzip_dataset\n"
        "unzip_dataset(Path(sys.argv[1]), Path(sys.argv[2]), 'job')"
    )
    killed_half = 0
    for count in range(13):
        process = subprocess.Popen([sys.executable, "-c", code, archive, out], cwd=ROOT, stderr=subprocess.DEVNULL)
        moment = count * 5 + 1 if count < 10 else len(members) + 1
        while process.poll() is None and len(list(tmp_path.glob(".out.job.*.tmp/*"))) < moment and not out.exists():
            time.sleep(0.001)
        process.kill()
        process.wait()
        killed_half += bool(list(tmp_path.glob(".out.job.*.tmp")))
        if out.exists():
            assert content(out) == members
            shutil.rmtree(out)
    assert killed_half >= 5
    unzip_dataset(archive, out, "job")
    assert content(out) == members
    assert sorted(os.listdir(tmp_path)) == ["data.zip", "out"]
