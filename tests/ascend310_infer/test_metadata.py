"""What a MINDIR says of its weights counts in the C++ program, or is said; a file that was changed is refused."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from PIL import Image

from src.dataset import read_image
from src.metadata.metadata import Metadata, parse_metadata
from src.metadata.model_entries import add_metadata, read_model_metadata
from tests.helpers.deterministic import set_weights
from tests.helpers.inference import Flat, Linear, run_program, write_model

pytestmark = pytest.mark.slow

IMAGES = (2, 3, 8, 8)
NAMES = ("Katze", "狗, klein", "a 'b' \"c\"")
# The recipe's preprocessing, as every version of the program has it.
METADATA = Metadata(class_names=NAMES, image_size=8, crop_pct=299 / 320, interpolation="bilinear")


def network() -> Linear:
    network = Linear(len(NAMES))
    set_weights(network)
    return network


@pytest.fixture(scope="module")
def bare(built, tmp_path_factory) -> Path:
    """A model that says nothing of its weights."""
    return write_model(tmp_path_factory.mktemp("bare") / "bare.mindir", network(), IMAGES)


@pytest.fixture(scope="module")
def flat(built, tmp_path_factory) -> Path:
    """A model whose logits are the values that preprocessing makes."""
    return write_model(tmp_path_factory.mktemp("flat") / "flat.mindir", Flat(), (1, 3, 8, 8))


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def describe(bare, tmp_path):
    """Writes the bare model with metadata."""

    def describe_it(metadata: Metadata = METADATA) -> Path:
        path = tmp_path / "net.mindir"
        path.write_bytes(add_metadata(bare.read_bytes(), metadata))
        return path

    return describe_it


def run(model: Path, images: Path, folder: Path, *options: str) -> tuple[Path, list[str]]:
    """Run the program without a failure; return the folder of the results and the program's notes."""
    folder.mkdir(exist_ok=True)
    result = run_program(model, images, folder, *options)
    assert result.returncode == 0, result.stderr
    return folder / "result_Files", [line for line in result.stderr.splitlines() if line.startswith("note: ")]


def written_names(results: Path) -> dict[int, str]:
    with (results / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        return {int(row["class"]): row["name"] for row in csv.DictReader(stream)}


def refusal(model: Path, images: Path, folder: Path, *options: str) -> str:
    """Run the program, which writes nothing and says why on one line; return that."""
    result = run_program(model, images, folder, *options)
    assert result.returncode == 1, result.stderr
    assert not list(folder.glob("result_Files/*"))
    assert not list(folder.glob("time_Result/*"))
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    return line


def test_the_models_own_names_are_written_and_kept_for_scoring(describe, images, tmp_path):
    results, notes = run(describe(), images, tmp_path)
    assert notes == []
    assert written_names(results) == dict(enumerate(NAMES))
    text = (results / "metadata.json").read_text("utf-8")
    assert text == METADATA.to_json()
    assert parse_metadata(text, "metadata.json") == METADATA


@pytest.mark.parametrize(
    "change", [{}, {"crop_pct": 0.8}, {"interpolation": "bicubic"}, {"crop_pct": 0.75, "interpolation": "bicubic"}]
)
def test_images_are_resized_as_the_metadata_says(flat, images, tmp_path, change):
    metadata = dataclasses.replace(METADATA, class_names=(), **change)
    model = tmp_path / "net.mindir"
    model.write_bytes(add_metadata(flat.read_bytes(), metadata))
    results, _ = run(model, images, tmp_path)
    for path in images.iterdir():
        pixels = read_image(path, 8, crop_pct=metadata.crop_pct, interpolation=metadata.interpolation)
        assert np.array_equal(np.fromfile(results / f"{path.stem}_0.bin", np.float32), pixels.reshape(-1))
        assert bool(change) != np.array_equal(pixels, read_image(path, 8))


def test_runtimes_pass_over_the_metadata(describe, bare, images, tmp_path):
    model = describe()
    logits = [
        [path.read_bytes() for path in sorted(run(path, images, tmp_path / path.stem)[0].glob("*.bin"))]
        for path in (bare, model)
    ]
    assert len(logits[0]) == 3
    assert logits[0] == logits[1]
    pixels = Tensor(np.random.default_rng(0).uniform(-1, 1, IMAGES).astype(np.float32))
    loaded = [nn.GraphCell(ms.load(str(path)))(pixels).asnumpy() for path in (bare, model)]
    assert np.array_equal(*loaded)
    assert np.ptp(loaded[0]) > 0


@pytest.mark.parametrize("place", ["weights", "names"])
def test_a_flipped_bit_is_noticed(describe, images, tmp_path, place):
    model = describe()
    content = bytearray(model.read_bytes())
    weights = network().fc.weight.asnumpy().tobytes()
    assert bytes(content).count(weights) == 1
    content[bytes(content).index(weights) + 7 if place == "weights" else bytes(content).index(b"Katze")] ^= 64
    model.write_bytes(content)
    line = refusal(model, images, tmp_path)
    assert line == (
        f"error: {model} is damaged, or was changed by another program: its content does not fit its digest; "
        "copy or export it again"
    )
    with pytest.raises(ValueError) as python:  # noqa: PT011 - compared below
        read_model_metadata(model)
    assert line == f"error: {python.value}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "the metadata in {model} has format 2, and this version reads up to 1: use a newer version of"),
        ({"image_size": 0}, "the metadata in {model} is damaged: its image_size is 0"),
        ({"class_names": ["a", 3]}, "the metadata in {model} is damaged: its class_names is ["),
        ({"format": None}, "the metadata in {model} is damaged: its format is "),
        ({"provenance": 1}, "the metadata in {model} is damaged: its provenance is no object"),
        ({"mean": [123.675, 116.28, 103.53]}, "{model} takes RGB images of mean (123.675, 116.28, 103.53) and"),
        ({"std": [127.5, 127.5, 1e-7]}, "{model} takes RGB images of mean (127.5, 127.5, 127.5) and deviation ("),
        ({"colour_order": "BGR"}, "{model} takes BGR images of mean (127.5, 127.5, 127.5) and deviation ("),
    ],
)
def test_metadata_that_is_refused_in_python_is_refused_here(describe, images, tmp_path, monkeypatch, change, message):
    text = json.dumps({**json.loads(METADATA.to_json()), **change})
    with monkeypatch.context() as patched:
        patched.setattr(Metadata, "to_json", lambda self: text)
        model = describe()
    line = refusal(model, images, tmp_path)
    assert line.startswith("error: " + message.format(model=model))
    with pytest.raises(ValueError) as python:  # noqa: PT011 - compared below
        read_model_metadata(model)
    if not message.endswith(("[", "format is ")):  # where Python and JSON write a value in two ways
        assert line == f"error: {python.value}"


def test_another_number_of_names_than_classes_is_refused(describe, images, tmp_path):
    model = describe(dataclasses.replace(METADATA, class_names=(*NAMES, "one more")))
    assert refusal(model, images, tmp_path) == (
        f"error: the metadata in {model} has 4 class names, but the network has 3 classes: export it again"
    )


def test_given_names_count_and_the_difference_is_said(describe, images, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("Katze\nwolf\nfox\n")
    model = describe()
    results, notes = run(model, images, tmp_path, f"--class_names={names}")
    assert written_names(results) == {0: "Katze", 1: "wolf", 2: "fox"}
    assert notes == [
        f"note: the names of --class_names count, which are not those in {model}: class 1 is wolf, and there 狗, klein"
    ]
    kept = parse_metadata((results / "metadata.json").read_text("utf-8"), "metadata.json")
    assert kept == dataclasses.replace(METADATA, class_names=("Katze", "wolf", "fox"))


def test_another_image_size_than_the_trainings_is_said(describe, images, tmp_path):
    _, notes = run(describe(dataclasses.replace(METADATA, image_size=71)), images, tmp_path)
    assert notes == ["note: the model takes 8 x 8, its weights were trained at 71"]


def test_what_a_model_does_not_say_is_assumed_and_said(bare, describe, images, tmp_path):
    results, notes = run(bare, images, tmp_path / "bare")
    assert notes == [
        f"note: {bare} does not say how images are resized (assumed: to 320 / 299 of the image size, bilinear), "
        "nor what its classes are called (predictions.csv has numbers only)"
    ]
    assert set(written_names(results).values()) == {""}
    assert not (results / "metadata.json").exists()

    names = tmp_path / "names.txt"
    names.write_text("a\nb\nc\n")
    results, notes = run(bare, images, tmp_path / "named", f"--class_names={names}")
    assert notes == [
        f"note: {bare} does not say how images are resized (assumed: to 320 / 299 of the image size, bilinear)"
    ]
    kept = parse_metadata((results / "metadata.json").read_text("utf-8"), "metadata.json")
    assert kept == Metadata(class_names=("a", "b", "c"))

    model = describe(dataclasses.replace(METADATA, class_names=()))
    _, notes = run(model, images, tmp_path / "unnamed")
    assert notes == [f"note: {model} does not say what its classes are called (predictions.csv has numbers only)"]


def test_metadata_of_an_earlier_run_is_a_result_of_it(describe, images, tmp_path):
    results, _ = run(describe(), images, tmp_path)
    for path in results.iterdir():
        if path.name != "metadata.json":
            path.unlink()
    again = run_program(describe(), images, tmp_path)
    assert again.returncode == 2
    assert again.stderr.splitlines() == [
        f"error: {results} holds results of an earlier run, such as metadata.json: remove them, or give another "
        "--result_path"
    ]
