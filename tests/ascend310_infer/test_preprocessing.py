"""The C++ program's preprocessing gives the network what the Python pipeline gives it, value for value."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.dataset import create_dataset
from src.metadata.metadata import INTERPOLATIONS
from tests.helpers.inference import PROGRAM

pytestmark = pytest.mark.slow


def write_images(folder: Path) -> None:
    """Images of every kind and shape, with the texture of photographs."""
    random = np.random.default_rng(0)
    for height, width in [(375, 500), (900, 130), (130, 71), (299, 299), (3, 2), (1, 1), (20, 1500), (319, 321)]:
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
        image.save(f"{name}-big.tif", big_tiff=True)
        for mode in ("RGB", "RGBA"):
            image.convert(mode).save(f"{name}-{mode}.webp")
        image.save(f"{name}-lossless.WebP", lossless=True)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """A data set of one class."""
    data = tmp_path_factory.mktemp("images")
    (data / "class").mkdir()
    write_images(data / "class")
    return data


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(
    ("side", "crop_pct"),
    [
        *((side, 0.934375) for side in (71, 150, 299, 320)),
        (71, 0.75),  # 94.67
        (150, 0.48),  # 312.5, so 312
        (150, 1),
        (299, 0.8975),
        (320, 0.8),  # 400
    ],
)
def test_preprocessing_equals_the_python_pipeline(built, images, *, side, crop_pct, interpolation):
    paths = sorted((images / "class").iterdir())
    result = subprocess.run(
        [PROGRAM.with_name("dump_images"), str(side), str(side), str(crop_pct), interpolation],
        input="".join(f"{path}\n" for path in paths).encode(),
        capture_output=True,
        check=True,
    )
    record = np.dtype([("usable", "u1"), ("values", "f4", (3, side, side))])
    found = np.frombuffer(result.stdout, record)
    assert found["usable"].tolist() == [1] * len(paths), result.stderr
    rows = create_dataset(
        str(images), False, 1, image_size=side, crop_pct=crop_pct, interpolation=interpolation
    ).create_tuple_iterator(num_epochs=1, output_numpy=True)
    for path, values, (expected, _) in zip(paths, found["values"], rows, strict=True):
        assert np.array_equal(values, expected[0]), path.name
