"""Classes are evaluated by name as users run it: parts of them, other ones, renamed ones, and models without names."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

import eval as eval_door
import eval_onnx
import train as train_door
from src.checkpoints.weights import save_weights
from src.model_utils.command import run_command
from src.Xception import xception
from tests.helpers.deterministic import set_weights
from tests.helpers.training_run import options

pytestmark = pytest.mark.slow

WORDS = ("eight", "five", "four", "nine", "one", "seven", "six", "three", "two", "zero")  # ten classes, sorted
RESULT = re.compile(r"^result: (.*)$", re.MULTILINE)


class Small(nn.Cell):
    """Logits from the mean colours of an image."""

    def __init__(self, classes: int):
        super().__init__()
        self.conv = nn.Conv2d(3, classes, 9)
        self.conv.weight.set_data(Tensor(np.random.RandomState(1).normal(size=(classes, 3, 9, 9)), ms.float32))

    def construct(self, images: Tensor) -> Tensor:
        return self.conv(images).max((2, 3))


def folder_of(source: Path, out: Path, names: dict[str, str]) -> Path:
    """Return a folder of some class folders of another one, with new names."""
    out.mkdir()
    for name, new in names.items():
        (out / new).symlink_to(source / name)
    return out


def export(path: Path, classes: int, names: tuple[str, ...] = ()) -> Path:
    """Write a small ONNX file, and its class names beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ms.onnx.export(Small(classes).set_train(False), Tensor(np.zeros((5, 3, 71, 71), np.float32)), file_name=str(path))
    if names:
        path.with_name("class_names.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A link to a checkpoint of the classes 0, 1 and 2 with their names beside the real file."""
    folder = tmp_path_factory.mktemp("training")
    ms.set_seed(3)
    network = xception(3)
    set_weights(network)
    save_weights(folder / "net.ckpt", network)
    (folder / "class_names.txt").write_text("0\n1\n2\n")
    link = tmp_path_factory.mktemp("elsewhere") / "link.ckpt"
    link.symlink_to(folder / "net.ckpt")
    return link


def call(capsys, door: Callable, data: Path, *words: object) -> tuple[int, str, str]:
    given = ["--device_target=CPU", "--image_size=71", "--batch_size=5", f"--test_data_dir={data}", *words]
    status = run_command(door.main, list(map(str, given)))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def rows(report: Path, table: str) -> list[list[str]]:
    return [line.split(",") for line in (report / table).read_text("utf-8").splitlines()]


@pytest.mark.parametrize("engine", ["mindspore", "onnx"])
def test_a_part_of_the_classes_of_a_checkpoint_has_the_labels_of_all(checkpoint, few_digits, tmp_path, capsys, engine):
    part = folder_of(few_digits / "val", tmp_path / "part", {"1": "1", "2": "2"})
    for name, data in (("all", few_digits / "val"), ("part", part)):
        words = [
            f"--checkpoint_path={checkpoint}",
            f"--eval_engine={engine}",
            f"--eval_report={tmp_path / 'report' / name}",
        ]
        status, output, errors = call(capsys, eval_door, data, *words)
        assert status == 0, errors
        assert ("1 of 3 classes have no image here: 0\n" in output) is (name == "part")
        assert "position" not in errors
    found, whole = (rows(tmp_path / "report" / name, "confusion_matrix.csv") for name in ("part", "all"))
    assert found == [whole[0], ["0", "0", "0", "0"], *whole[2:]]
    assert rows(tmp_path / "report" / "part", "per_class.csv")[1][:4] == ["0", "0", "0", ""]
    assert "evaluated 25 images, each once" in output


def test_the_classes_1_2_7_are_not_those_of_a_model_of_0_1_2(checkpoint, few_digits, tmp_path, capsys):
    data = folder_of(few_digits / "val", tmp_path / "data", {"0": "1", "1": "2", "2": "7"})
    onnx = export(tmp_path / "onnx" / "net.onnx", 3, ("0", "1", "2"))
    for door, key, model in ((eval_door, "checkpoint_path", checkpoint), (eval_onnx, "onnx_path", onnx)):
        found = call(capsys, door, data, f"--{key}={model}", f"--eval_report={tmp_path / 'report'}")
        message = (
            f"{model} has no class 7, a class folder of {data}; its classes are 0, 1, 2: say which class a folder is"
        )
        assert found == (2, "", f"error: {message} by --class_map FILE, CSV lines of folder,class\n")
    assert not (tmp_path / "report").exists()


def test_ten_folders_with_one_renamed_name_the_nearest_class_and_a_class_map_mends_it(digits, tmp_path, capsys):
    model = export(tmp_path / "onnx" / "net.onnx", 10, WORDS)
    names = dict(zip("8549176320", WORDS, strict=True))
    right = folder_of(digits / "val", tmp_path / "right", names)
    # An upper-case letter is first in sorted order: all positions move.
    wrong = folder_of(digits / "val", tmp_path / "wrong", names | {"0": "Zero"})
    found = call(capsys, eval_onnx, wrong, f"--onnx_path={model}")
    assert found[:2] == (2, "")
    assert f"{model} has no class Zero, a class folder of {wrong}; the nearest is zero: say which class" in found[2]
    (tmp_path / "map.csv").write_text("Zero,zero\n")
    results = []
    for data, words in ((right, []), (wrong, [f"--class_map={tmp_path / 'map.csv'}"])):
        status, output, errors = call(capsys, eval_onnx, data, f"--onnx_path={model}", *words)
        assert status == 0, errors
        results.append(RESULT.findall(output))
    assert results[0] == results[1]
    assert f"class map {tmp_path / 'map.csv'}: Zero is class 9 (zero)\n" in errors
    # Several folders may be of one class: each image counts once, for that class.
    (tmp_path / "map.csv").write_text("Zero,9\none,zero\n")
    words = [f"--class_map={tmp_path / 'map.csv'}", f"--eval_report={tmp_path / 'report'}"]
    assert call(capsys, eval_onnx, wrong, f"--onnx_path={model}", *words)[0] == 0
    images = {row[0]: int(row[1]) for row in rows(tmp_path / "report", "per_class.csv")[1:]}
    assert images["one"] == 0
    assert images["zero"] == sum(len(list((digits / "val" / name).iterdir())) for name in "01")


def test_a_model_without_names_takes_positions_and_says_so(few_digits, tmp_path, capsys):
    model = export(tmp_path / "onnx" / "net.onnx", 3)
    status, output, errors = call(capsys, eval_onnx, few_digits / "val", f"--onnx_path={model}")
    assert status == 0
    assert f"it is not known how the classes of {model} are called: the class folders of {few_digits / 'val'}" in errors
    assert "no image here" not in output
    model.with_name("class_names.txt").write_text("cat\ndog\n")
    status, _, errors = call(capsys, eval_onnx, few_digits / "val", f"--onnx_path={model}")
    assert (status, len(errors.splitlines())) == (1, 1)
    assert "class_names.txt has 2 names, but the network has 3 classes: it belongs to other weights" in errors


def test_a_number_of_classes_that_is_asked_for_must_be_that_of_the_checkpoint(checkpoint, few_digits, capsys):
    found = call(capsys, eval_door, few_digits / "val", f"--checkpoint_path={checkpoint}", "--num_classes=8")
    assert found[:2] == (2, "")
    assert f"num_classes is 8, but {checkpoint} has 3 classes: use --num_classes=3, or leave it out" in found[2]


def test_validation_in_training_takes_a_part_of_its_classes_and_a_class_map(few_digits, tmp_path, capsys):
    """And finds what the evaluation of the checkpoint finds, with the names that training wrote."""
    data = Path(shutil.copytree(few_digits / "train", tmp_path / "data" / "train")).parent
    folder_of(few_digits / "val", data / "val", {"1": "eins", "2": "2"})
    (tmp_path / "map.csv").write_text("folder,class\neins,1\n")
    words = options(data, tmp_path / "out", "--epoch_size=1", f"--class_map={tmp_path / 'map.csv'}")
    assert run_command(train_door.main, [*words, "--eval_while_train=True"]) == 0
    trained = capsys.readouterr()
    assert "1 of 3 classes have no image here: 0\n" in trained.out
    assert f"class map {tmp_path / 'map.csv'}: eins is class 1 (1)\n" in trained.err
    words.append(f"--checkpoint_path={tmp_path / 'out' / 'model_0' / 'Xception-best.ckpt'}")
    assert run_command(eval_door.main, words) == 0
    evaluated = capsys.readouterr()
    figures = [re.findall(r"Acc': ([\d.]+)", RESULT.findall(text)[-1]) for text in (trained.out, evaluated.out)]
    assert figures[0] == figures[1]
    assert run_command(eval_door.main, [*words, "--class_map="]) == 2
    assert "no class eins, a class folder of" in capsys.readouterr().err
