"""Whatever files and classes are called, a command prints lines that steer no terminal."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from tests.helpers.pipeline import write_image
from tests.helpers.project import ROOT

NAME = "a\x1b[31m\n\x07b"
SHOWN = r"a\x1b[31m\n\x07b"


def run(script: str, *words: str) -> subprocess.CompletedProcess:
    result = subprocess.run([sys.executable, ROOT / script, *words], capture_output=True, check=False)
    for text in (result.stdout, result.stderr):
        assert not set(text) & (set(range(32)) - {10})
    return result


def test_bad_images_are_named_in_one_line_each(tmp_path):
    write_image(tmp_path / NAME / "good.png", 9, (8, 8))
    (tmp_path / NAME / f"{NAME}.png").write_bytes(b"no image")
    result = run("tools/check_dataset.py", str(tmp_path), "--workers=1")
    first, last = result.stdout.decode().splitlines()
    assert first.startswith(f"{tmp_path}/{SHOWN}/{SHOWN}.png: ")
    assert last == "checked 2 images in 1 classes: 1 bad"


def test_results_are_named_in_one_line_each(tmp_path):
    (tmp_path / "results").mkdir()
    np.arange(3, dtype="<f4").tofile(tmp_path / "results" / "a_0.bin")
    np.arange(3, dtype="<f4").tofile(tmp_path / "results" / f"{NAME}_0.bin")
    (tmp_path / "labels.txt").write_text("a.png:2\nb\x1b[31m.png:1\n")
    result = run("postprocess.py", f"--result_path={tmp_path}/results", f"--label_file={tmp_path}/labels.txt")
    assert result.stderr.decode().splitlines() == [
        "1 missing results:", r"  b\x1b[31m_0.bin, the result of b\x1b[31m.png",
        "1 results without a label:", f"  {SHOWN}_0.bin",
    ]  # fmt: skip


def test_an_error_is_one_line(tmp_path):
    result = run("tools/check_dataset.py", str(tmp_path / NAME))
    assert result.stderr.decode().startswith(
        f"error: no folder {tmp_path}/a\\x1b[31m \\x07b: give the data set's folder"
    )
    assert len(result.stderr.splitlines()) == 1
