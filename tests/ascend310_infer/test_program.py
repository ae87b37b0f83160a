"""The C++ program, built and run on the CPU: it gives the network's logits for the Python pipeline's images."""

from __future__ import annotations

import csv
import os
import resource
import shutil
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor

import export
from src.checkpoints.weights import save_weights
from src.dataset import create_dataset
from src.model_utils.command import run_command
from src.Xception import xception
from tests.helpers.inference import run_program

pytestmark = pytest.mark.slow

SIDE = 71
CLASSES = 10


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A network and its exported files: version 1 with batches of 1 and 4, and the version of today."""
    folder = tmp_path_factory.mktemp("models")
    network = xception(CLASSES)
    save_weights(folder / "model.ckpt", network)
    for name, options in {
        "one": ["--mindir_version=1", "--batch_size=1"],
        "four": ["--mindir_version=1", "--batch_size=4"],
        "today": ["--batch_size=1"],
    }.items():
        words = ["--device_target=CPU", f"--num_classes={CLASSES}", f"--width={SIDE}", f"--height={SIDE}"]
        words += [f"--ckpt_file={folder / 'model.ckpt'}", f"--file_name={folder / name}", *options]
        assert run_command(export.main, words) == 0
    network.set_train(False)
    return network, folder


@pytest.fixture
def run(built, network, tmp_path):
    """Runs the program with outputs below tmp_path."""

    def run_here(model: str, data: Path, *options: str, **settings) -> subprocess.CompletedProcess[str]:
        return run_program(network[1] / f"{model}.mindir", data, tmp_path, *options, **settings)

    return run_here


def expected_logits(network, data: Path) -> np.ndarray:
    batches = create_dataset(str(data), False, 1, image_size=SIDE).create_tuple_iterator(num_epochs=1)
    return np.concatenate([network(Tensor(images)).asnumpy() for images, _ in batches])


@pytest.mark.parametrize(("model", "calls"), [("one", 10), ("four", 3)])
def test_the_logits_are_the_networks_and_a_partial_batch_is_padded(run, network, few_digits, tmp_path, *, model, calls):
    data = tmp_path / "some digits"
    for path in sorted((few_digits / "val").glob("*/*.jpg"))[:30:3]:
        target = data / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    names = tmp_path / "names.txt"
    names.write_text("".join(f"digit {label}\n" for label in range(CLASSES)))
    result = run(model, data, "--topk=2", f"--class_names={names}", "--threads=3")
    assert result.returncode == 0, result.stderr
    assert "predicted 10 images" in result.stdout

    images = sorted(str(path.relative_to(data)) for path in data.glob("*/*"))
    files = sorted((tmp_path / "result_Files").glob("*.bin"))
    assert [path.name for path in files] == [f"{image[:-4].replace('/', '__')}_0.bin" for image in images]
    logits = np.stack([np.fromfile(path, np.float32) for path in files])
    expected = expected_logits(network[0], data)
    assert logits.shape == (10, CLASSES)
    assert np.abs(logits - expected).max() <= 1e-4 * np.abs(expected).max()

    rows = list(csv.DictReader((tmp_path / "result_Files" / "predictions.csv").read_text().splitlines()))
    assert [row["path"] for row in rows] == [image for image in images for _ in range(2)]
    first = rows[::2]
    assert [int(row["class"]) for row in first] == logits.argmax(1).tolist()
    assert [row["name"] for row in first] == [f"digit {label}" for label in logits.argmax(1)]
    exponentials = np.exp(logits.astype(float))
    probabilities = exponentials.max(1) / exponentials.sum(1)
    assert [float(row["probability"]) for row in first] == pytest.approx(probabilities.tolist(), rel=1e-5)

    times = dict(
        line.split(": ") for line in (tmp_path / "time_Result/test_perform_static.txt").read_text().splitlines()
    )
    assert (int(times["count"]), int(times["images"])) == (calls, 10)
    milliseconds = [float(times[name]) for name in ("average_ms", "p50_ms", "p95_ms", "p99_ms")]
    assert 0 < milliseconds[1] <= milliseconds[2] <= milliseconds[3]
    assert 0 < milliseconds[0] <= milliseconds[3]


def test_one_model_and_two_that_share_the_cores_give_the_same(run, few_digits, tmp_path):
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("the program loads a second model for an even number of cores")
    tables, logits = [], []
    for count in (1, 2):
        result = run("one", few_digits / "val", preexec_fn=partial(os.sched_setaffinity, 0, cores[:count]))
        assert result.returncode == 0, result.stderr
        folder = (tmp_path / "result_Files").rename(tmp_path / f"results {count}")
        logits.append(np.stack([np.fromfile(path, np.float32) for path in sorted(folder.glob("*.bin"))]))
        with (folder / "predictions.csv").open(newline="") as stream:
            tables.append([row["path"] for row in csv.DictReader(stream)])
    assert len(logits[0]) > 2
    assert np.abs(logits[0] - logits[1]).max() <= 1e-4 * np.abs(logits[0]).max()
    assert tables[0] == tables[1] == sorted(tables[0])


def test_unusable_images_are_named_and_skipped_with_status_3(run, digits, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    whole = sorted((digits / "val" / "0").iterdir())[0].read_bytes()
    for name, content in {
        "good.JPEG": whole,
        "a.b.jpg": whole,
        "empty.jpg": b"",
        "text.png": b"no image",
        "truncated.jpg": whole[: len(whole) // 2],
    }.items():
        (data / name).write_bytes(content)
    (data / "broken.jpg").symlink_to("nowhere")
    result = run("four", data)
    assert result.returncode == 3
    skipped = [line for line in result.stderr.splitlines() if line.startswith("skipped ")]
    assert [line.split(":")[0] for line in skipped] == [
        f"skipped {data}/{name}" for name in ("broken.jpg", "empty.jpg", "text.png", "truncated.jpg")
    ]
    assert "predicted 2 images" in result.stdout and "skipped 4" in result.stdout
    assert sorted(path.name for path in (tmp_path / "result_Files").glob("*.bin")) == ["a.b_0.bin", "good_0.bin"]


def test_a_model_of_todays_version_is_refused_with_the_way_out(run, few_digits):
    result = run("today", few_digits)
    assert result.returncode == 1
    line = result.stderr.splitlines()[-1]
    assert "This software can only support the maximum mind ir version: 1" in line
    assert line.endswith("; the file has version 3: export it with --mindir_version 1")


@pytest.mark.parametrize("option", ["--threads=0", "--device_type=TPU", "--unknown", "--class_names=missing"])
def test_a_wrong_option_has_status_2(run, few_digits, option):
    result = run("one", few_digits, option)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")


def test_a_folder_without_images_has_status_2(run, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    result = run("one", empty)
    assert result.returncode == 2
    suffixes = ".jpg .jpeg .jfif .png .bmp .tif .tiff .webp"
    assert result.stderr == f"error: no images in {empty}: it needs files that end in {suffixes}\n"


def test_a_result_folder_that_cannot_be_made_has_status_1(run, few_digits, tmp_path):
    (tmp_path / "result_Files").write_text("a file in the way")
    result = run("one", few_digits)
    assert result.returncode == 1
    assert str(tmp_path / "result_Files") in result.stderr


def test_a_full_disk_is_an_error_and_leaves_no_half_file(run, few_digits, tmp_path):
    def limit_file_size() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    # Python ignores the limit's signal, and so does the program then: writing fails as on a full disk.
    result = run("four", few_digits / "val", preexec_fn=limit_file_size, restore_signals=False)
    assert result.returncode == 1
    assert "predictions.csv" in result.stderr.splitlines()[-1]
    assert all(path.stat().st_size == CLASSES * 4 for path in (tmp_path / "result_Files").iterdir())
    assert list((tmp_path / "time_Result").iterdir()) == []
