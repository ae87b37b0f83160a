"""The report can be looked at: whole in one file, right in its figures, safe with any names."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.data.encoded_image import EncodedImage
from src.evaluation.mistakes import Mistake
from src.evaluation.report import Evaluated, write_full_report

NAMES = ["cat", "<b>dog & co", "狗 $x$"]
CONFUSION = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Page(HTMLParser):
    """Collects what a page holds, and that its elements are closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.pictures: list[str] = []
        self.cells: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.pictures.append(dict(attributes)["src"])
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th", "dd"):
            self.cells.append(data)


@pytest.fixture
def written(tmp_path) -> Path:
    """A report with pictures of every shape and kind of pixel."""
    sizes = [(5, 300), (300, 5), (640, 480), (1, 1)]
    images = []
    for number, (size, mode) in enumerate(zip(sizes, ("RGB", "L", "CMYK", "P"), strict=True)):
        path = tmp_path / f"{number}.{'jpg' if mode != 'P' else 'png'}"
        Image.new(mode, size, 1).save(path)
        images.append(EncodedImage(str(path), path.read_bytes()))
    Image.new("RGB", (900, 300), "blue").save(tmp_path / "curves.png")
    mistakes = [Mistake(0, 0, 1, 0.9), Mistake(1, 0, 1, 0.8), Mistake(2, 1, 0, 0.7), Mistake(3, 1, 0, 0.35)]
    figures = {"images": "14", "top-1": "78.57%"}
    evaluated = Evaluated(
        "<x>.ckpt", figures, CONFUSION, NAMES, mistakes=mistakes, images=images, curves=tmp_path / "curves.png"
    )
    files = write_full_report(tmp_path / "a report", evaluated)
    assert {path.name for path in files} == {
        "per_class.csv", "confusion_matrix.csv", "confused.csv", "confusion_matrix.png", "mistakes.csv", "mistakes.png",
        "report.html",
    }  # fmt: skip
    return tmp_path / "a report"


def test_the_page_is_whole_and_holds_its_pictures(written):
    page = Page((written / "report.html").read_text("utf-8"))
    assert page.open == []
    assert len(page.pictures) == 3
    assert all(source.startswith("data:image/png;base64,") for source in page.pictures)
    text = (written / "report.html").read_text("utf-8")
    assert not re.search(r"(src|href)=\"(?!data:)|url\(|@import", text), "it needs another file"
    assert "<b>dog" not in text
    assert "<x>" not in text
    assert {"78.57%", "<b>dog & co", "狗 $x$"} <= set(page.cells)


def test_tables_name_pairs_and_mistakes(written):
    assert (written / "confused.csv").read_text("utf-8").splitlines() == [
        "class,taken for,images,share", "cat,<b>dog & co,2,0.200000", "<b>dog & co,cat,1,0.250000",
    ]  # fmt: skip
    rows = (written / "mistakes.csv").read_text("utf-8").splitlines()
    assert len(rows) == 5
    assert rows[1].endswith("0.jpg,cat,<b>dog & co,0.900000")


def test_the_contact_sheet_can_be_looked_at(written):
    with Image.open(written / "mistakes.png") as image:
        image.load()
        assert image.size[0] > 1000


def test_a_report_without_mistakes_shows_none(tmp_path):
    write_full_report(tmp_path, Evaluated("x", {}, np.diag([3, 4]), ["a", "b"]))
    text = (tmp_path / "report.html").read_text("utf-8")
    assert len(Page(text).pictures) == 1
    assert "mistakes" not in text
    assert "Most confused" not in text
    assert not (tmp_path / "mistakes.png").exists()
    assert (tmp_path / "mistakes.csv").read_text() == "image,class,taken for,probability\n"


def test_an_older_report_leaves_no_mistakes(written):
    assert (written / "mistakes.png").exists()
    files = write_full_report(written, Evaluated("x", {}, np.diag([3, 4]), ["a", "b"]))
    assert {path.name for path in written.iterdir()} == {path.name for path in files}


def gradient(size: tuple[int, int]) -> np.ndarray:
    """Return uint8 (height, width), from black at the left to white at the right."""
    return np.tile(np.linspace(0, 255, size[0]).astype(np.uint8), (size[1], 1))


def shown(tmp_path: Path, content: bytes) -> np.ndarray:
    """Return the picture of one mistake as it is in mistakes.png, without the white around it."""
    evaluated = Evaluated(
        "x", {}, CONFUSION, NAMES, mistakes=[Mistake(0, 0, 1, 0.9)], images=[EncodedImage("x", content)]
    )
    write_full_report(tmp_path, evaluated)
    dark = np.asarray(Image.open(tmp_path / "mistakes.png").convert("L")) < 250
    # Letters have gaps: rows of the picture alone have a hundred pixels side by side that are not white.
    runs = np.lib.stride_tricks.sliding_window_view(dark, 100, axis=1).all(2)
    rows = np.flatnonzero(runs.any(1))
    columns = np.flatnonzero(dark[rows].mean(0) > 0.9)
    sheet = np.asarray(Image.open(tmp_path / "mistakes.png").convert("RGB")).astype(int)
    return sheet[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@pytest.mark.parametrize("kind", ["8 bit", "16 bit", "turned", "alpha"])
def test_the_contact_sheet_shows_what_the_decoder_saw(tmp_path, kind):
    grey = gradient((160, 80))
    options: dict = {"format": "PNG"}
    if kind == "16 bit":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif kind == "turned":
        image, exif = Image.fromarray(grey).convert("RGB"), Image.Exif()
        exif[0x0112] = 6  # to be turned by a quarter
        options = {"format": "JPEG", "quality": 95, "exif": exif}
    else:
        image = Image.fromarray(grey).convert("RGB")
        if kind == "alpha":
            image.putalpha(0)
    buffer = io.BytesIO()
    image.save(buffer, **options)
    picture = shown(tmp_path, buffer.getvalue())
    height, width, _ = picture.shape
    assert 1.6 < width / height < 2.1  # not turned
    middle = picture[height // 2].mean(1)
    assert middle[0] < 20 and middle[-1] > 220
    assert np.abs(middle - np.linspace(middle[0], middle[-1], width)).max() < 12


def test_a_browser_shows_the_page_with_all_pictures(written, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        pytest.skip("no Chromium or Chrome on this machine")
    page = written / "report.html"
    script = (
        "<script>addEventListener('load', () => { document.title = 'pictures ' + [...document.images]"
        ".filter(image => image.complete && image.naturalWidth > 1).length + ' rows ' + document.querySelectorAll("
        "'tbody tr').length + ' wide ' + (document.documentElement.scrollWidth > innerWidth) })</script>"
    )
    probe = tmp_path / "probe.html"
    probe.write_text(page.read_text("utf-8").replace("</body>", f"{script}</body>"), "utf-8")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1200,900", "--dump-dom", f"file://{probe}",
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "<title>pictures 3 rows 5 wide false</title>" in result.stdout, result.stdout[:500] + result.stderr[-500:]
