"""Models that the C++ program cannot use, or cannot use here: one line says why, and the status is 1."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.inference import Doubled, Flat, Huge, run_program, write_model

pytestmark = pytest.mark.slow

IMAGES = (1, 3, 8, 8)


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """A folder with one image of 8 x 8 pixels, which preprocessing enlarges and crops a little."""
    folder = tmp_path_factory.mktemp("image")
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    return folder


@pytest.fixture(scope="module")
def flat(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("flat") / "flat.mindir", Flat(), IMAGES)


@pytest.fixture
def refusal(built, image, tmp_path):
    """Runs the program and returns the only line of its own."""

    def run(model: Path, **settings) -> str:
        result = run_program(model, image, tmp_path, **settings)
        assert result.returncode == 1, result.stderr
        assert not list((tmp_path / "result_Files").iterdir())
        (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert result.stderr.splitlines()[-1] == line
        return line

    return run


@pytest.mark.parametrize(
    ("shapes", "dtype", "reason"),
    [
        ([(2, 3)], np.float32, "the input of {model} is float32 2 x 3: float32 images of N x 3 x H x W are needed"),
        ([(3, 8, 8)], np.float32, "is float32 3 x 8 x 8: float32 images"),
        ([(1, 1, 8, 8)], np.float32, "is float32 1 x 1 x 8 x 8: float32 images"),
        ([(1, 8, 8, 3)], np.float32, "is float32 1 x 8 x 8 x 3: float32 images"),
        ([IMAGES], np.int32, "the input of {model} is not float32, 1 x 3 x 8 x 8: float32 images"),
        ([IMAGES, IMAGES], np.float32, "{model} has 2 inputs: a model with one, the images, is needed"),
        ([IMAGES], np.float32, "the model does not give one output, float32 logits of N x classes"),
    ],
)
def test_a_model_that_is_no_classifier_of_images_is_refused(refusal, tmp_path, shapes, dtype, reason):
    model = write_model(tmp_path / "net.mindir", Doubled(), *shapes, dtype=dtype)
    assert reason.format(model=model) in refusal(model)


def test_a_model_in_half_precision_gets_what_its_runtime_asks_for(built, flat, image, tmp_path):
    """MindSpore Lite turns it into a float32 model on a CPU, input included."""
    logits = []
    for model in (flat, write_model(tmp_path / "half.mindir", Flat(), IMAGES, dtype=np.float16)):
        folder = tmp_path / model.stem
        folder.mkdir()
        result = run_program(model, image, folder)
        assert result.returncode == 0, result.stderr
        logits.append(np.fromfile(folder / "result_Files" / "a_0.bin", np.float32))
    assert np.ptp(logits[0]) > 1
    assert np.array_equal(*logits)


def test_a_model_that_fails_to_run_is_told(refusal, flat, image, tmp_path):
    def limit_memory() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (4 * 10**9, 4 * 10**9))

    # The limit leaves enough for a small model.
    (tmp_path / "small").mkdir()
    assert run_program(flat, image, tmp_path / "small", preexec_fn=limit_memory).returncode == 0
    model = write_model(tmp_path / "huge.mindir", Huge(), IMAGES)
    assert refusal(model, preexec_fn=limit_memory) == "error: the model failed to run: Common error code"


def test_a_version_that_the_runtime_does_not_read_is_named_with_the_way_out(refusal, tmp_path):
    model = write_model(tmp_path / "net.mindir", Flat(), IMAGES, version=2)
    line = refusal(model)
    assert line.startswith(f"error: cannot load {model}: This software can only support the maximum mind ir version: 1")
    assert line.endswith("; the file has version 2: export it with --mindir_version 1")


def test_a_device_that_the_runtime_lacks_is_not_blamed_on_the_version(refusal, flat):
    line = refusal(flat, device="Ascend310")
    assert line == (
        f"error: cannot load {flat}: Common error code; this MindSpore runtime runs no models on this --device_type: "
        "an Ascend needs CANN, a CPU needs MindSpore Lite"
    )


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_a_damaged_model_is_not_blamed_on_the_version_alone(refusal, flat, tmp_path, kept):
    model = tmp_path / "cut.mindir"
    model.write_bytes(flat.read_bytes()[:kept])
    line = refusal(model)
    assert line.startswith(f"error: cannot load {model}: ")
    assert "--mindir_version" not in line
