"""Pictures of predictions take no file's place, and show the heat where it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mindspore.dataset import vision
from PIL import Image

from src.dataset import seen_share
from src.prediction.picture import PictureFolder, _open
from src.prediction.ranking import Prediction
from tests.helpers.image_files import GOOD, encode, photograph


def test_pictures_of_equal_names_do_not_collide_and_none_is_overwritten(tmp_path):
    paths = [tmp_path / "in" / name for name in ("cat/1.jpg", "cat/1.png", "cat__1.jpg", "dog/1.jpg")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(GOOD["baseline.jpg"])
    out = tmp_path / "out"
    heat = np.zeros((3, 3), np.float32)
    heat[0, 2] = 5

    def draw() -> list[np.ndarray]:
        pictures = PictureFolder(out, paths, ["$a_", "猫", "b"], seen_share(71))
        for path in paths:
            pictures.draw(Prediction(path, (1, 0, 2), (0.7, 0.2, 0.1)), heat)
        return [
            np.asarray(Image.open(out / f"{path.relative_to(tmp_path / 'in')}.png").convert("RGB")) for path in paths
        ]

    first = draw()
    assert len(list(out.rglob("*.png"))) == 4
    (out / "mine.txt").write_text("mine")
    assert np.array_equal(draw(), first)
    kept = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    names = ["cat/1.jpg.png", "cat/1.png.png", "cat__1.jpg.png", "dog/1.jpg.png"]
    earlier = [f"{Path(name).parent / 'earlier-1' / Path(name).name}" for name in names]
    assert kept == sorted([*names, *earlier, "mine.txt"])
    with pytest.raises(ValueError, match=r"the picture of .* would take the place of .*1\.jpg\.png"):
        PictureFolder(out / "cat", [out / "cat" / name for name in ("1.jpg.png", "1.jpg.png.png")], ["a"], 1.0)


def test_the_heat_is_where_the_map_is_hot(tmp_path):
    Image.new("RGB", (200, 100)).save(tmp_path / "black.png")
    pictures = PictureFolder(tmp_path, [tmp_path / "black.png"], ["a", "b"], 1.0)
    shares = {}
    for column in (0, 2):
        heat = np.zeros((3, 3), np.float32)
        heat[:, column] = 1
        pictures.draw(Prediction(tmp_path / "black.png", (0, 1), (0.9, 0.1)), heat)
        drawn = np.asarray(Image.open(tmp_path / "black.png.png").convert("RGB"), np.int64)
        bright = np.argwhere((drawn.max(2) > 100) & (drawn[:, :, 0] > drawn[:, :, 2] + 50))  # yellow of the colour map
        shares[column] = bright[:, 1].mean() / drawn.shape[1]
    assert 1 / 3 < shares[0] < 0.5 < shares[2] < 2 / 3


@pytest.mark.parametrize("name", ["deep.png", "cmyk.JPEG", "palette.png"])
def test_a_picture_shows_what_the_decoder_saw(tmp_path, name):
    (tmp_path / name).write_bytes(GOOD[name])
    shown = np.asarray(_open(tmp_path / name))
    assert np.array_equal(shown, vision.Decode()(np.fromfile(tmp_path / name, np.uint8)))


def test_a_picture_is_not_rotated_as_the_network_was_not_given_it_so(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    (tmp_path / "x.jpg").write_bytes(encode(photograph(), "JPEG", exif=exif))
    assert _open(tmp_path / "x.jpg").size == photograph().size
