"""What files and lines of the C++ program are like after a signal, beside another run, and with strange names."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.evaluation.result_matching import result_names
from tests.helpers.inference import PROGRAM, SIDE, run_program, written

pytestmark = pytest.mark.slow


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


def test_a_tilde_that_the_shell_left_is_the_home_folder(flat, images, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    result = run_program(flat, images, tmp_path, "--class_names=~/absent.txt")
    assert result.returncode == 2
    assert f"{tmp_path}/absent.txt" in result.stderr
    monkeypatch.setenv("HOME", "")
    result = run_program(flat, images, tmp_path, "--class_names=~/absent.txt")
    assert "~/absent.txt: no home folder is known" in result.stderr


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
