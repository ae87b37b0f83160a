"""Images and folders that would hold the C++ program up or fill its memory are skipped, the others predicted."""

from __future__ import annotations

import os
import resource
import struct
import zlib

import pytest

from tests.helpers.image_files import encode, photograph
from tests.helpers.inference import Flat, run_program, skipped, write_model, written
from tests.helpers.privilege import drop_privilege

pytestmark = pytest.mark.slow

SUFFIXES = ".jpg .jpeg .jfif .png .bmp .tif .tiff .webp"


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
