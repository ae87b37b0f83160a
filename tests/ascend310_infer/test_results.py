"""What the C++ program makes of its text files: of one run, finite, probabilities once, scored by their names."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import postprocess
import predict
from src.common.files import from_cell, to_csv
from src.metadata.class_list import read_class_list
from src.model_utils.command import run_command
from tests.helpers.inference import Flat, Overflowing, Sigmoid, Softmax, run_program, write_model

pytestmark = pytest.mark.slow

IMAGES = (1, 3, 8, 8)
CLASSES = 192  # of Flat: every value of an image
# Names that would end the others' lines, their fields or their table.
NAMES = ["black.png", 'k/a, "b".png', "k/white\nlines.png", "k/z.png"]


@pytest.fixture(scope="module")
def flat(built, tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("flat") / "flat.mindir", Flat(), IMAGES)


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / "images"
    for number, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (60 * number,) * 3).save(folder / name)
    return folder


def test_a_second_run_into_the_results_of_an_earlier_one_is_refused(flat, images, tmp_path):
    assert run_program(flat, images, tmp_path).returncode == 0
    folder = tmp_path / "result_Files"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(before) == len(NAMES) + 1
    (images / NAMES[0]).write_bytes(b"no image")
    again = run_program(flat, images, tmp_path)
    assert again.returncode == 2
    (line,) = again.stderr.splitlines()
    assert line.startswith(f"error: {folder} holds results of an earlier run, such as ")
    assert line.endswith(": remove them, or give another --result_path")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_what_the_table_lists_is_scored_whatever_its_name(flat, images, tmp_path, capsys):
    (images / NAMES[0]).write_bytes(b"no image")
    assert run_program(flat, images, tmp_path).returncode == 3
    stale = tmp_path / "result_Files" / "black_0.bin"
    stale.write_bytes(np.arange(CLASSES, dtype="<f4")[::-1].tobytes())
    names = [name for name in NAMES if "\n" not in name]
    (tmp_path / "labels.txt").write_text("".join(f"{name}:0\n" for name in names))
    words = [f"--result_path={tmp_path / 'result_Files'}", f"--label_file={tmp_path / 'labels.txt'}"]
    assert run_command(postprocess.main, words) == 1
    out, error = capsys.readouterr()
    assert "scored 2 images of 3 in the label file" in out.splitlines()
    assert error.splitlines() == [
        "1 missing results:",
        "  black_0.bin, the result of black.png",
        "1 results that predictions.csv does not list, so of another run:",
        "  black_0.bin",
        "1 results without a label:",
        "  k__white\\nlines_0.bin",
    ]


FORMULAS = [
    "=1+1.png",
    "+a.png",
    "-1.png",
    "@a.png",
    "'=a.png",
    "'a.png",
    " =a.png",
    "\t.png",
    "\uff1da.png",
    "a=b.png",
]


def test_names_that_a_spreadsheet_would_run_are_the_same_in_both_tables_and_are_scored(flat, tmp_path, capsys):
    images = tmp_path / "images"
    images.mkdir()
    for name in FORMULAS:
        Image.new("RGB", (8, 8), (90, 9, 0)).save(images / name)
    names = tmp_path / "names.txt"
    names.write_text("".join(f"{FORMULAS[number % len(FORMULAS)]} {number}\n" for number in range(CLASSES)))
    result = run_program(flat, images, tmp_path, f"--class_names={names}", f"--topk={CLASSES}")
    assert result.returncode == 0, result.stderr
    table = (tmp_path / "result_Files" / "predictions.csv").read_bytes().decode()
    with (tmp_path / "result_Files" / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {from_cell(row["path"]) for row in rows} == set(FORMULAS)
    assert {from_cell(row["name"]) for row in rows} == set(read_class_list(names))
    assert table == to_csv([rows[0].keys(), *([from_cell(value) for value in row.values()] for row in rows)])
    (tmp_path / "labels.txt").write_text("".join(f"{name}:0\n" for name in FORMULAS))
    words = [f"--result_path={tmp_path / 'result_Files'}", f"--label_file={tmp_path / 'labels.txt'}"]
    assert run_command(postprocess.main, words) == 0
    assert f"scored {len(FORMULAS)} images of {len(FORMULAS)}" in capsys.readouterr().out


def test_logits_that_are_no_numbers_end_the_run(built, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for name, value in {"1.png": 128, "2.png": 255, "3.png": 128}.items():
        Image.new("RGB", (8, 8), (value,) * 3).save(images / name)
    model = write_model(tmp_path / "net.mindir", Overflowing(), IMAGES)
    result = run_program(model, images, tmp_path)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "error: the network's logits for 2.png are NaN or infinite: its weights are no good"
    )
    assert [path.name for path in (tmp_path / "result_Files").iterdir()] == ["1_0.bin"]
    assert list((tmp_path / "time_Result").iterdir()) == []


def own_lines(text: str) -> list[str]:
    """Return what the program says, without the warnings of its runtime and what it assumes of any such model."""
    return [line for line in text.splitlines() if not line.startswith("[") and " does not say " not in line]


@pytest.fixture
def colours(tmp_path) -> Path:
    folder = tmp_path / "colours"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "noise.png")
    Image.new("RGB", (8, 8), (40, 0, 90)).save(folder / "plain.png")
    return folder


@pytest.mark.parametrize(
    ("network", "remark"),
    [
        (Softmax(), " gives probabilities, not logits: they are taken as such"),
        (Sigmoid(), " gives values from 0 to 1 that do not sum to 1: they are taken for logits"),
        (Flat(), ""),
    ],
    ids=["softmax", "sigmoid", "logits"],
)
def test_probabilities_are_listed_as_they_are_and_as_predict_does(built, colours, tmp_path, capsys, *, network, remark):
    model = write_model(tmp_path / "net.mindir", network, IMAGES)
    result = run_program(model, colours, tmp_path)
    assert result.returncode == 0, result.stderr
    said = [f"{model}{remark}"] if remark else []
    assert own_lines(result.stderr) == [f"note: {line}" for line in said]
    words = [f"--checkpoint_path={model}", "--json", "--device_target=CPU", str(colours)]
    assert run_command(predict.main, words) == 0
    out, error = capsys.readouterr()
    assert [line for line in own_lines(error) if line.startswith(f"{model} gives")] == said
    expected = {Path(image["image"]).name: image["predictions"] for image in json.loads(out)["images"]}
    with (tmp_path / "result_Files" / "predictions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 10
    for row in rows:
        wanted = expected[row["path"]][int(row["rank"]) - 1]
        assert float(row["probability"]) == pytest.approx(wanted["probability"], rel=1e-4), row
        if row["path"] == "noise.png":  # the other one has equals
            assert int(row["class"]) == wanted["class"]
    if remark.startswith(" gives probabilities"):
        given = np.fromfile(tmp_path / "result_Files" / "noise_0.bin", np.float32)
        listed = [float(row["probability"]) for row in rows if row["path"] == "noise.png"]
        assert listed == pytest.approx(sorted(given.tolist())[:-6:-1], rel=1e-5)


def test_probabilities_for_some_images_alone_end_the_run(built, colours, tmp_path):
    Image.new("RGB", (8, 8), (255, 255, 255)).save(colours / "white.png")
    model = write_model(tmp_path / "net.mindir", Softmax(pure=False), IMAGES)
    result = run_program(model, colours, tmp_path)
    assert result.returncode == 1
    assert own_lines(result.stderr) == [
        f"note: {model} gives probabilities, not logits: they are taken as such",
        "error: the network gives probabilities for some images and not for white.png: use one that gives logits",
    ]
    assert not (tmp_path / "result_Files" / "predictions.csv").exists()


def lines(count: int) -> str:
    return "".join(f"name {number}\n" for number in range(count))


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + lines(CLASSES).encode(),
        lines(CLASSES).encode() + b"\n\r\n\n",
        lines(CLASSES).replace("\n", "\r\n").encode(),
        lines(CLASSES).replace("\n", "\r").encode(),
        lines(CLASSES).strip().encode(),
        "\n".join(["猫 \u2028", "", "\ufeff", "é\x85", *lines(CLASSES - 4).split("\n")]).encode(),
    ],
    ids=["mark", "blank end", "DOS", "old Mac", "no end", "rare"],
)
def test_class_names_are_those_that_predict_reads(flat, images, tmp_path, content):
    names = tmp_path / "names.txt"
    names.write_bytes(content)
    result = run_program(flat, images, tmp_path, f"--class_names={names}", f"--topk={CLASSES}")
    assert result.returncode == 0, result.stderr
    with (tmp_path / "result_Files" / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        written = {int(row["class"]): row["name"] for row in csv.DictReader(stream)}
    assert [written[label] for label in range(CLASSES)] == read_class_list(names)


@pytest.mark.parametrize(
    "content",
    [
        lines(CLASSES).encode("utf-16"),
        lines(CLASSES).replace("name 7", "Kühe").encode("latin-1"),
        lines(CLASSES).replace("7", "\udc80").encode("utf-8", "surrogatepass"),
    ],
    ids=["UTF-16", "Latin-1", "surrogates"],
)
def test_class_names_that_predict_refuses_are_refused(flat, images, tmp_path, content):
    names = tmp_path / "names.txt"
    names.write_bytes(content)
    with pytest.raises(ValueError, match="is no UTF-8 text: class names stand in a text file, one a line") as refusal:
        read_class_list(names)
    assert refuse(flat, images, tmp_path, names) == f"error: {refusal.value}"


@pytest.mark.parametrize(
    ("content", "count"),
    [(lines(CLASSES + 1).encode(), 193), (b"\n" + lines(CLASSES).encode(), 193), (b"", 1)],
    ids=["one more", "blank begin", "empty"],
)
def test_another_number_of_class_names_is_refused(flat, images, tmp_path, content, count):
    names = tmp_path / "names.txt"
    names.write_bytes(content)
    assert len(read_class_list(names)) == count
    assert refuse(flat, images, tmp_path, names) == (
        f"error: {names} has {count} names, but the network has 192 classes: give another file with --class_names"
    )


def refuse(flat: Path, images: Path, folder: Path, names: Path) -> str:
    """Run the program with class names that it refuses before it writes anything; return its last line."""
    result = run_program(flat, images, folder, f"--class_names={names}")
    assert result.returncode == 2
    assert list((folder / "result_Files").iterdir()) == []
    return result.stderr.splitlines()[-1]
