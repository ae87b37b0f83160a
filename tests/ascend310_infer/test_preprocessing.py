"""The C++ program's preprocessing gives the network what the Python pipeline gives it, to a grey level."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.dataset import create_dataset
from tests.helpers.inference import PROGRAM

pytestmark = pytest.mark.slow


def write_images(folder: Path) -> None:
    """Images of every kind and shape, with the texture of photographs."""
    random = np.random.default_rng(0)
    for height, width in [(375, 500), (130, 71), (299, 299), (3, 2), (1, 1), (20, 1500), (319, 321)]:
        rows, columns = np.mgrid[:height, :width]
        waves = np.stack([np.sin(columns / 9 + channel) + np.cos(rows / (5 + channel)) for channel in range(3)], -1)
        pixels = 127 + 50 * waves + random.normal(0, 12, waves.shape)
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        name = folder / f"{height}x{width}"
        for subsampling in range(3):  # 4:4:4, 4:2:2, 4:2:0
            for progressive in (False, True):
                path = f"{name}-{subsampling}-{progressive}.jpg"
                image.save(path, subsampling=subsampling, progressive=progressive)
        turned = Image.Exif()
        turned[0x0112] = 6
        image.save(f"{name}-turned.jpg", exif=turned)
        image.convert("L").save(f"{name}-grey.jpg")
        image.convert("CMYK").save(f"{name}-cmyk.JPG")
        for mode in ("RGB", "RGBA", "L", "LA", "P", "1"):
            image.convert(mode).save(f"{name}-{mode}.png")
        image.save(f"{name}.bmp")
        image.save(f"{name}.tif")


@pytest.mark.parametrize("side", [71, 299])
def test_preprocessing_equals_the_python_pipeline(built, tmp_path, side):
    folder = tmp_path / "class"
    folder.mkdir()
    write_images(folder)
    paths = sorted(folder.iterdir())
    result = subprocess.run(
        [PROGRAM.with_name("dump_images"), str(side), str(side)],
        input="".join(f"{path}\n" for path in paths).encode(),
        capture_output=True,
        check=True,
    )
    record = np.dtype([("usable", "u1"), ("values", "f4", (3, side, side))])
    found = np.frombuffer(result.stdout, record)
    assert found["usable"].tolist() == [1] * len(paths), result.stderr
    differing = 0
    rows = create_dataset(str(tmp_path), False, 1, image_size=side).create_tuple_iterator(
        num_epochs=1, output_numpy=True
    )
    for path, values, (expected, _) in zip(paths, found["values"], rows, strict=True):
        grey_levels = np.abs(values - expected[0]) * 127.5
        assert grey_levels.max() <= 1.001, path.name
        differing += int((grey_levels.max(0) > 0.5).sum())
    print(f"{differing} of {len(paths) * side * side} pixels differ, by one grey level at most")
