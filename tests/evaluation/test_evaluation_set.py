"""Every form of images and every engine counts an image for the model's class of its folder, not for the position."""

from __future__ import annotations

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.data.class_matching import ModelClasses
from src.data.image_source import open_images
from src.evaluation.engines import by_mindspore, by_onnx, image_loss
from src.evaluation.evaluation_set import evaluate_test_images, open_evaluation_set
from src.evaluation.report import write_report
from src.export.model_file import load_onnx
from src.model_utils.config import Config, ConfigError, parse_config
from src.model_utils.local_adapter import ALONE
from tests.helpers.pipeline import SIZE, batches

pytestmark = pytest.mark.slow

BATCH = 5
NAMES = ("two", "1", "none", "0")  # of the model; "two" is that of folder 2 by the class map
LABELS = np.array([3, 1, 0])  # the model's classes of the folders 0, 1 and 2


class Small(nn.Cell):
    """Four logits from all pixels, which tell some images apart."""

    def __init__(self):
        super().__init__()
        weights = np.random.RandomState(1).normal(size=(4, 3 * SIZE * SIZE)) / SIZE
        self.flatten = nn.Flatten()
        self.fc = nn.Dense(3 * SIZE * SIZE, 4)
        self.fc.weight.set_data(Tensor(weights - weights.mean(1, keepdims=True), ms.float32))

    def construct(self, images: Tensor) -> Tensor:
        return self.fc(self.flatten(images))


@pytest.fixture
def class_map(tmp_path) -> Path:
    path = tmp_path / "map.csv"
    path.write_text("folder,class\n2,two\nabsent,none\n")
    return path


def configure(folder: Path, *words: object) -> Config:
    given = ["--num_classes=4", f"--image_size={SIZE}", f"--batch_size={BATCH}", f"--test_data_dir={folder}", *words]
    return parse_config(list(map(str, given)), lambda _: "CPU")


@pytest.mark.parametrize("engine", ["mindspore", "onnx"])
@pytest.mark.parametrize("form", ["folders", "records"])
def test_images_count_for_the_models_classes(few_digits, records, class_map, tmp_path, capsys, *, form, engine):
    folder = {"folders": few_digits / "val", "records": records}[form]
    config = configure(folder, f"--class_map={class_map}", f"--eval_report={tmp_path / 'report'}")
    network, loss = Small(), image_loss(config)
    if engine == "onnx":
        images = Tensor(np.zeros((BATCH, 3, SIZE, SIZE), np.float32))
        ms.onnx.export(network.set_train(False), images, file_name=str(tmp_path / "net.onnx"))
    chosen = by_mindspore(network, loss, BATCH) if engine == "mindspore" else None
    chosen = chosen or by_onnx(load_onnx(tmp_path / "net.onnx"), loss, BATCH)
    model = ModelClasses("net.ckpt", 4, NAMES)
    evaluated = open_evaluation_set(config, open_images(str(folder)), model, ALONE)
    result = evaluate_test_images(config, chosen, evaluated, ALONE)
    output = capsys.readouterr()
    assert output.out == f"37 images in 3 classes of {folder}\n1 of 4 classes have no image here: none\n"
    assert output.err.startswith(f"class map {class_map}: 2 is class 0 (two)\n")

    images, positions = batches(str(few_digits / "val"), False, 37)[0]
    logits = network(Tensor(images)).asnumpy()
    labels = LABELS[positions]
    confusion = np.zeros((4, 4), int)
    np.add.at(confusion, (labels, logits.argmax(1)), 1)
    assert len(np.unique(confusion)) > 3, "the network tells nothing apart"
    assert np.array_equal(result.confusion, confusion)
    losses = loss(Tensor(logits), Tensor(labels, ms.int32)).asnumpy()
    assert result.loss == pytest.approx(losses.mean(), rel=1e-5)
    assert [mistake.label for mistake in result.mistakes] == [labels[mistake.image] for mistake in result.mistakes]

    write_report(config, Path("net.ckpt"), result, evaluated)
    rows = (tmp_path / "report" / "per_class.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[1:]] == [["two", "13"], ["1", "12"], ["none", "0"], ["0", "12"]]
    assert "<dt>classes without images</dt><dd>1 of 4</dd>" in (tmp_path / "report" / "report.html").read_text()


def test_a_class_folder_without_images_is_an_error_as_ever(few_digits, tmp_path):
    (tmp_path / "0").symlink_to(few_digits / "val" / "0")
    (tmp_path / "1").mkdir()
    with pytest.raises(ValueError, match=f"^no images in {tmp_path}/1: "):
        open_evaluation_set(configure(tmp_path), open_images(str(tmp_path)), ModelClasses("x", 4, NAMES), ALONE)


def test_errors_of_the_classes_come_before_every_image_is_decoded(few_digits, capsys):
    config = configure(few_digits / "val", "--bad_images=skip")
    with pytest.raises(ConfigError, match="net has no class 2, a class folder of"):
        open_evaluation_set(config, open_images(config.test_data_dir), ModelClasses("net", 4, NAMES), ALONE)
    assert capsys.readouterr() == ("", "")
