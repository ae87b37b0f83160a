"""No JPEG with a damaged header reaches MindSpore's decoder, which crashes on it or waits for ever."""

from __future__ import annotations

import re
import signal
import struct

import numpy as np
import pytest

from src.data.admission import Admission
from src.data.image_check import find_bad
from src.data.image_limits import ImageLimits
from src.data.image_source import open_images
from src.dataset import read_image, readable_errors
from tests.helpers.image_files import GOOD, JPEGS
from tests.helpers.pipeline import batches, write_image

LONGEST = 10  # seconds that the decoder may take for a small image
PROGRESSIVE, BASELINE = GOOD["progressive.jpeg"], GOOD["baseline.jpg"]


def segments(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the segments of a header, the first scan's the last, and what follows."""
    at, found = 2, []
    while True:
        (length,) = struct.unpack_from(">H", data, at + 2)
        found.append(data[at : at + 2 + length])
        at += 2 + length
        if found[-1][1] == 0xDA:
            return found, data[at:]


def joined(parts: list[bytes], rest: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(parts) + rest


def without(data: bytes, marker: int) -> bytes:
    parts, rest = segments(data)
    return joined([part for part in parts if part[1] != marker], rest)


def altered(data: bytes, marker: int, place: int, value: int) -> bytes:
    """Return a file with another byte in the first segment of a marker."""
    parts, rest = segments(data)
    number = next(number for number, part in enumerate(parts) if part[1] == marker)
    parts[number] = parts[number][:place] + bytes([value]) + parts[number][place + 1 :]
    return joined(parts, rest)


DAMAGED = {
    "no quantization tables": without(BASELINE, 0xDB),
    "no Huffman tables": without(PROGRESSIVE, 0xC4),
    "no frame": without(BASELINE, 0xC0),
    "lossless": altered(BASELINE, 0xC0, 1, 0xC3),
    "12 bits": altered(BASELINE, 0xC0, 4, 12),
    "a frame of two components": altered(BASELINE, 0xC0, 9, 2),
    "a sampling factor of 5": altered(BASELINE, 0xC0, 11, 0x51),
    "quantization table 9": altered(BASELINE, 0xC0, 12, 9),
    "a scan of 50 components": altered(BASELINE, 0xDA, 4, 50),
    "a scan of an unknown component": altered(BASELINE, 0xDA, 5, 9),
    "Huffman table 7": altered(BASELINE, 0xDA, 6, 0x77),
    "too many short codes": altered(BASELINE, 0xC4, 5, 3),
    "an impossible progression": altered(PROGRESSIVE, 0xDA, 11, 99),
    "a second start": b"\xff\xd8\xff\xe0\0\x02" + BASELINE,
    "the end before the pixels": joined(segments(BASELINE)[0][:-1], b"\xff\xd9"),
    "progressive and cut behind 0xff": PROGRESSIVE[:-300] + b"\xff",
    "cut behind 0xff": GOOD["cmyk.JPEG"][:-1500] + b"\xff",
}


def spoil(random: np.random.Generator) -> bytes:
    """Return a JPEG whose header has lost, got or exchanged bytes or segments."""
    parts, rest = segments(GOOD[JPEGS[random.integers(len(JPEGS))]])
    one, other = random.integers(len(parts), size=2)
    match random.integers(6):
        case 0:
            del parts[one]
        case 1:
            parts[one], parts[other] = parts[other], parts[one]
        case 2:
            parts.insert(one, b"\xff" + bytes([random.integers(256)]))
    data = bytearray(joined(parts, rest))
    header = len(data) - len(rest) + 9
    for _ in range(random.integers(3)):
        data[random.integers(2, header)] = random.integers(256)
    cut = random.integers(2, len(data)) if not random.integers(4) else len(data)
    return bytes(data[:cut]) + b"\xff" * int(random.integers(2))


def crash(data: bytes) -> str:
    """Decode what is admitted, perhaps with a crash; a process that waits for ever ends too."""
    from mindspore.dataset import vision

    signal.alarm(LONGEST)
    try:
        admitted = Admission(ImageLimits())(np.frombuffer(data, np.uint8))
        for operation in (vision.Decode(), vision.RandomCropDecodeResize(71)):
            operation(admitted)
    except (ValueError, RuntimeError):
        pass
    signal.alarm(0)
    return ""


def test_no_damaged_header_crashes_the_decoder():
    random = np.random.default_rng(0)
    assert find_bad([*DAMAGED.values(), *(spoil(random) for _ in range(400))], 1, crash) == []


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_header_is_refused(kind):
    with pytest.raises(ValueError, match="the file is truncated or damaged in its header"):
        Admission(ImageLimits())(np.frombuffer(DAMAGED[kind], np.uint8))


@pytest.mark.parametrize("name", [*JPEGS, "camera.jpg"])
def test_every_good_jpeg_is_admitted(name):
    data = np.frombuffer(GOOD[name], np.uint8)
    assert Admission(ImageLimits())(data) is data


def test_training_evaluation_and_prediction_name_the_file(tmp_path):
    with pytest.raises(ValueError, match="damaged"):  # else the decoder would end the tests
        Admission(ImageLimits())(np.frombuffer(DAMAGED["no Huffman tables"], np.uint8))
    write_image(tmp_path / "a" / "x.png", 1)
    path = tmp_path / "a" / "y.jpg"
    path.write_bytes(DAMAGED["no Huffman tables"])
    source = open_images(str(tmp_path))
    message = re.escape(f"cannot read image {path}: the file is truncated or damaged in its header")
    for do_train in (False, True):
        with pytest.raises(ValueError, match=message), readable_errors(source):
            batches(source, do_train, 1)
    with pytest.raises(ValueError, match=message):
        read_image(path)
