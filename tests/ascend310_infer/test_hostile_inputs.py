"""What would hold the C++ program up or fill its memory, and what its files and lines are like when it is disturbed."""

from __future__ import annotations

import os
import resource
import signal
import struct
import subprocess
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.evaluation.result_files import result_names
from tests.helpers.image_files import encode, photograph
from tests.helpers.inference import PROGRAM, Flat, run_program, write_model
from tests.helpers.privilege import drop_privilege

pytestmark = pytest.mark.slow

SIDE = 8
SUFFIXES = ".jpg .jpeg .jfif .png .bmp .tif .tiff .webp"


@pytest.fixture(scope="module")
def flat(built, tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("flat") / "flat.mindir", Flat(), (1, 3, SIDE, SIDE))


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (SIDE, SIDE), (60, 120, 180)).save(folder / "good.png")
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """More images than the program predicts before a test disturbs it."""
    folder = tmp_path_factory.mktemp("many")
    Image.new("RGB", (SIDE, SIDE)).save(folder / "0.png")
    for number in range(1, 3000):
        (folder / f"{number}.png").symlink_to("0.png")
    return folder


def start(model: Path, data: Path, folder: Path) -> subprocess.Popen[str]:
    """Start the program and wait until it has written a result."""
    command = [PROGRAM, "--model_path", model, "--dataset_path", data, "--device_type", "CPU"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(folder.glob("result_Files/*_0.bin")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.005)
    return process


def skipped(result: subprocess.CompletedProcess[str], folder: Path) -> dict[str, str]:
    """Return the reasons by the names of what was skipped."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("skipped ")]
    return dict(line.removeprefix(f"skipped {folder}/").split(": ", 1) for line in lines)


def written(folder: Path) -> set[str]:
    return {path.name for path in (folder / "result_Files").glob("*.bin")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_temporary_file(flat, many, tmp_path, number):
    process = start(flat, many, tmp_path)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == -number
    results = list((tmp_path / "result_Files").iterdir())
    assert {path.suffix for path in results} == {".bin"}
    assert {path.stat().st_size for path in results} == {3 * SIDE * SIDE * 4}
    assert not any(path.name.startswith(".") for path in results)
    assert list((tmp_path / "time_Result").iterdir()) == []


def test_two_runs_at_once_do_not_share_their_folders(flat, many, images, tmp_path):
    process = start(flat, many, tmp_path)
    try:
        process.send_signal(signal.SIGSTOP)
        before = sorted(path.name for path in (tmp_path / "result_Files").iterdir())
        again = run_program(flat, images, tmp_path)
        assert (again.returncode, again.stdout.splitlines()[1:]) == (2, [])
        results = tmp_path / "result_Files"
        assert again.stderr == (
            f"error: another run writes to {results}: wait for its end, or give another --result_path\n"
        )
        command = [PROGRAM, "--model_path", flat, "--dataset_path", images, "--result_path", "more"]
        elsewhere = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert elsewhere.returncode == 2
        assert elsewhere.stderr.splitlines()[-1].endswith(": wait for its end, or give another --time_path")
        assert sorted(path.name for path in results.iterdir()) == before
    finally:
        process.kill()
        process.communicate()


def test_a_broken_output_is_no_reason_to_end(flat, images, tmp_path):
    command = f"{PROGRAM} --model_path '{flat}' --dataset_path '{images}' --device_type CPU"
    for redirection in ("2>&1 | true", ">/dev/full 2>&1", ">&- 2>&-"):
        folder = tmp_path / str(len(redirection))
        folder.mkdir()
        script = f"set -o pipefail; {command} {redirection}"
        result = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, check=False)
        assert result.returncode == 0, redirection
        assert (folder / "result_Files" / "predictions.csv").exists()


def test_what_is_not_a_regular_file_is_skipped(flat, images, tmp_path):
    os.mkfifo(images / "pipe.jpg")
    (images / "linked.png").symlink_to("pipe.jpg")
    (images / "zero.bmp").symlink_to("/dev/zero")
    with (images / "hole.tif").open("wb") as stream:
        stream.truncate(1 << 40)
    result = run_program(flat, images, tmp_path, timeout=60)
    assert result.returncode == 3
    reason = "not a regular file"
    assert skipped(result, images) == {
        "hole.tif": f"too large: {1 << 40} bytes",
        "linked.png": reason,
        "pipe.jpg": reason,
        "zero.bmp": reason,
    }
    assert written(tmp_path) == {"good_0.bin"}


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_model_is_a_regular_file_too(built, images, tmp_path, kind):
    path = tmp_path / "net.mindir"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    result = run_program(path, images, tmp_path, timeout=60)
    assert result.returncode == 2
    assert f"{path} is not a regular file" in result.stderr


def png(width: int, height: int) -> bytes:
    """Return a PNG file of one colour, which is small at any size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(1 + (width + 7) // 8)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def limit_memory() -> None:
    """Allow what the runtime and a photograph of 90 million pixels take, and no more."""
    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))


def test_an_image_beyond_the_limit_is_refused_by_its_header(flat, images, tmp_path):
    (images / "bomb.png").write_bytes(png(15000, 12000))
    (images / "row.png").write_bytes(png(200_000_000, 1)[:100])
    (images / "large.png").write_bytes(png(10000, 9000))
    result = run_program(flat, images, tmp_path, "--threads=1", preexec_fn=limit_memory)
    assert result.returncode == 3, result.stderr
    reasons = skipped(result, images)
    assert reasons.keys() == {"bomb.png", "row.png"}
    assert reasons["bomb.png"] == "too large: 15000 x 12000 pixels, and --max_image_pixels is 178956970"
    assert written(tmp_path) == {"good_0.bin", "large_0.bin"}


def test_an_elongated_image_is_refused_before_it_is_resized(built, images, tmp_path):
    model = write_model(tmp_path / "wide.mindir", Flat299(), (1, 3, 299, 299))
    (images / "thin.png").write_bytes(png(1, 10000))
    result = run_program(model, images, tmp_path, "--threads=1", preexec_fn=limit_memory)
    assert skipped(result, images) == {"thin.png": "too elongated: 1 x 10000 pixels"}


class Flat299(Flat):
    """The pixels of one image as its logits."""

    def construct(self, image):
        return self.reshape(image, (1, 3 * 299 * 299))


def test_the_limit_can_be_set(flat, images, tmp_path):
    (images / "wide.jpg").write_bytes(encode(photograph(), "JPEG"))
    for limit, status in (("64", 3), ("6144", 0)):
        folder = tmp_path / limit
        folder.mkdir()
        result = run_program(flat, images, folder, f"--max_image_pixels={limit}")
        assert result.returncode == status, result.stderr
    assert written(tmp_path / "64") == {"good_0.bin"}


def test_all_suffixes_and_kinds_count_and_the_others_are_told(flat, images, tmp_path):
    picture = photograph()
    kinds = {"jpg": "JPEG", "jpeg": "JPEG", "jfif": "JPEG", "png": "PNG", "bmp": "BMP", "tif": "TIFF", "webp": "WEBP"}
    for suffix, kind in kinds.items():
        for form in (suffix, suffix.upper(), suffix[0] + suffix[1:].upper()):
            (images / f"{form}.{form}").write_bytes(encode(picture, kind))
    (images / "big.tIFF").write_bytes(encode(picture, "TIFF", big_tiff=True))
    for name in ("1.gif", "2.GIF", "notes.txt", "README", "._x.jpg"):
        (images / name).write_bytes(b"?")
    result = run_program(flat, images, tmp_path)
    assert result.returncode == 0, result.stderr
    line = f"found 23 images in {images}; not read: 2 .gif, 1 without a suffix, 1 .txt"
    assert result.stdout.splitlines()[0] == line
    assert len(written(tmp_path)) == 23


def test_a_folder_without_images_tells_what_is_there(flat, tmp_path):
    folder = tmp_path / "none"
    folder.mkdir()
    (folder / "a.gif").touch()
    result = run_program(flat, folder, tmp_path)
    assert result.returncode == 2
    assert result.stderr == f"error: no images in {folder}: it needs files that end in {SUFFIXES}; there are 1 .gif\n"


def test_a_folder_that_cannot_be_read_is_skipped_as_a_file_is(flat, images, tmp_path):
    for name in ("a", "z"):
        (images / name).mkdir()
        (images / name / "1.png").write_bytes((images / "good.png").read_bytes())
    (images / "a").chmod(0)
    (images / "z" / "2.png").write_bytes(b"")
    (images / "z" / "2.png").chmod(0)
    try:
        result = run_program(flat, images, tmp_path, preexec_fn=drop_privilege)
    finally:
        (images / "a").chmod(0o700)
    assert result.returncode == 3
    assert skipped(result, images) == {"a": "Permission denied", "z/2.png": "Permission denied"}
    assert written(tmp_path) == {"good_0.bin", "z__1_0.bin"}
    assert "; skipped 1 and 1 folders" in result.stdout


def test_links_that_double_at_every_level_end(flat, images, tmp_path):
    levels = tmp_path / "levels"
    for level in range(24):
        (levels / str(level)).mkdir(parents=True)
        for name in ("one", "two"):
            (levels / str(level) / name).symlink_to(levels / str(level + 1))
    (levels / "24").mkdir()
    (levels / "24" / "x.png").symlink_to(images / "good.png")
    (images / "class").symlink_to(levels / "0")
    result = run_program(flat, images, tmp_path, timeout=60)
    assert result.returncode == 0, result.stderr
    assert written(tmp_path) == {"good_0.bin", "class__" + "one__" * 24 + "x_0.bin"}
    assert result.stdout.splitlines()[0].endswith("; links lead to a folder that was read already: 24")


def test_no_control_character_of_a_name_reaches_the_terminal(flat, tmp_path):
    folder = tmp_path / "data\x1b[31m\nerror: none"
    folder.mkdir()
    Image.new("RGB", (SIDE, SIDE)).save(folder / "good.png")
    names = ["a\x1b[2J.jpg", "b\n.jpg", "c\x9b\u202e.jpg"]
    for name in [*names, "notes.\x1b]0;title\x07"]:
        (folder / name).write_bytes(b"no image")
    with open(os.fsencode(folder) + b"/d\x9b.jpg", "wb") as stream:
        stream.write(b"no image")
    result = run_program(flat, folder, tmp_path)
    assert result.returncode == 3
    for text in (result.stdout, result.stderr):
        assert all(letter.isprintable() or letter == "\n" for letter in text), text
    shown = str(folder).replace("\x1b", "\\x1b").replace("\n", "\\n")
    lines = [line for line in result.stderr.splitlines() if not line.startswith("[")]
    assert [line.split(": not")[0] for line in lines if line.startswith("skipped ")] == [
        f"skipped {shown}/{name}" for name in ("a\\x1b[2J.jpg", "b\\n.jpg", "c\\x9b\\u202e.jpg", "d\\x9b.jpg")
    ]
    assert "1 .\\x1b]0;title\\x07" in result.stdout


@pytest.mark.parametrize("value", ["-1", "100000000000000000000000"])
def test_a_number_of_classes_that_is_none_is_refused(flat, images, tmp_path, value):
    result = run_program(flat, images, tmp_path, f"--topk={value}")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "result_Files").exists()


def test_long_paths_have_the_names_that_scoring_looks_for(flat, images, tmp_path):
    deep = images / ("k" * 200) / ("狗" * 70)
    deep.mkdir(parents=True)
    for name in ("a.png", "b.png", "b.jpg", "é" * 100 + ".png"):
        (deep / name).symlink_to(images / "good.png")
    result = run_program(flat, images, tmp_path)
    assert result.returncode == 0, result.stderr
    paths = [str(path.relative_to(images)) for path in images.rglob("*.*")]
    assert len(paths) == 5
    assert written(tmp_path) == set(result_names(paths).values())
    assert np.unique([os.stat(path).st_size for path in (tmp_path / "result_Files").glob("*.bin")]).size == 1
