"""Predictions are those of evaluation, whatever file the network comes from; bad images are named and skipped."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor, nn
from PIL import Image

from src.checkpoints.weights import save_checkpoint
from src.dataset import create_dataset, read_image, seen_share
from src.evaluation.accuracy import Accuracy
from src.evaluation.checkpoint_evaluation import evaluate_checkpoint
from src.export.exporter import export_network
from src.model_utils.config import Config, parse_config
from src.model_utils.local_adapter import Group
from src.prediction.class_names import find_class, find_class_names, imagenet_names
from src.prediction.classifier import load_classifier
from src.prediction.grad_cam import GradCam
from src.prediction.image_arguments import named_images
from src.prediction.output import to_csv_table, to_json, to_table
from src.prediction.picture import PictureFolder
from src.prediction.predictor import Options, Prediction, Predictions, predict
from tests.helpers.deterministic import random_images, set_weights
from tests.helpers.image_files import GOOD, make_tree
from tests.helpers.small_classifier import Small
from tests.helpers.training_run import options, run

pytestmark = pytest.mark.slow


def configuration(data: Path, checkpoint: Path) -> Config:
    return parse_config([*options(data, Path("unused")), f"--checkpoint_path={checkpoint}"], lambda device: device)


@pytest.fixture(scope="module")
def checkpoint(trained) -> Path:
    return trained[0] / "Xception-best.ckpt"


@pytest.fixture(scope="module")
def predicted(few_digits, checkpoint) -> Predictions:
    """All classes of the images in val."""
    return predict(configuration(few_digits, checkpoint), [str(few_digits / "val")], Options(topk=99))


# Preprocessing and the network


@pytest.mark.parametrize("size", [71, 299])
def test_an_image_is_read_as_the_evaluation_pipeline_reads_it(tmp_path, size):
    folder = tmp_path / "class"
    folder.mkdir()
    for name, data in GOOD.items():
        (folder / name).write_bytes(data)
    names = sorted(GOOD)
    ((images, _),) = create_dataset(str(tmp_path), False, len(names), image_size=size).create_tuple_iterator(
        num_epochs=1, output_numpy=True
    )
    assert len(images) == len(GOOD)
    for name, image in zip(names, images, strict=True):
        assert np.array_equal(read_image(folder / name, size), image), name


def test_what_mindspore_cannot_decode_is_a_readable_error(tmp_path):
    (tmp_path / "a.jpg").write_text("no image")
    with pytest.raises(ValueError, match=r"cannot decode .*a\.jpg"):
        read_image(tmp_path / "a.jpg", 71)


def test_logits_and_accuracy_are_those_of_evaluation(few_digits, checkpoint, predicted, monkeypatch):
    logits = []
    count = Accuracy.add
    monkeypatch.setattr(Accuracy, "add", lambda self, batch, label: (logits.append(batch), count(self, batch, label)))
    result, _ = evaluate_checkpoint(configuration(few_digits, checkpoint), Group())
    powers = np.exp(np.concatenate(logits).astype(np.float64))
    expected = powers / powers.sum(1, keepdims=True)
    found = [image.probabilities for image in predicted.images]
    assert len(found) == 37  # the last batch is no whole one
    assert np.allclose(found, -np.sort(-expected, 1), rtol=0, atol=1e-6)
    confusion = np.zeros((3, 3), int)
    for image in predicted.images:
        confusion[int(image.path.parent.name), image.classes[0]] += 1
    assert np.array_equal(confusion, result.confusion)
    assert predicted.skipped == {} and predicted.class_names == ["0", "1", "2"]


@pytest.mark.parametrize(("form", "version"), [("MINDIR", 0), ("MINDIR", 1), ("MINDIR", 2), ("ONNX", 0)])
def test_an_exported_model_decides_its_sizes_and_gives_its_logits(tmp_path, few_digits, form, version):
    network = Small().set_train(False)
    exported = export_network(network, str(tmp_path / "small model"), form, 2, 5, 5, "CPU", version)
    classifier = load_classifier(exported.path, configuration(few_digits, exported.path))
    assert (classifier.batch_size, classifier.image_size, classifier.num_classes) == (2, 5, 4)
    images = random_images(0, 2, 3, 5, 5)
    assert np.allclose(classifier.run(images.asnumpy()), network(images).asnumpy(), rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"Grad-CAM needs .* checkpoint, not .*small model"):
        predict(configuration(few_digits, exported.path), ["x.jpg"], Options(save=tmp_path, gradcam=True))


def test_a_model_that_is_no_classifier_of_square_images_is_refused(tmp_path, few_digits):
    wide = export_network(Small(), str(tmp_path / "wide"), "MINDIR", 1, 6, 5, "CPU").path
    with pytest.raises(ValueError, match=r"wide.mindir takes input of shape \(1, 3, 5, 6\): only"):
        load_classifier(wide, configuration(few_digits, wide))
    maps = export_network(nn.ReLU(), str(tmp_path / "maps"), "MINDIR", 1, 5, 5, "CPU").path
    save_checkpoint(tmp_path / "small.ckpt", Small())
    text = tmp_path / "text.mindir"
    text.write_text("text")
    for path, message in (
        (maps, r"maps.mindir gives float32 \[1, 3, 5, 5\] for 1 images instead of logits"),
        (tmp_path / "small.ckpt", "none of Xception: it has no fc.bias"),
        (text, "cannot load .*text.mindir"),
        (tmp_path / "absent.onnx", "no file .*absent.onnx"),
        (few_digits / "val" / "0", "no file"),
    ):
        with pytest.raises(ValueError, match=message):
            load_classifier(path, configuration(few_digits, path))


# Grad-CAM


class Tiny(nn.Cell):
    """A network with Xception's two halves; its head is a dense layer, or two with an activation between."""

    def __init__(self, hidden: bool):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, 2)
        layers = [nn.Dense(6, 8), nn.Tanh(), nn.Dense(8, 4)] if hidden else [nn.Dense(6, 4)]
        self.fc = nn.SequentialCell(layers)
        set_weights(self)

    def forward_features(self, x: Tensor) -> Tensor:
        return self.conv(x).abs()

    def forward_head(self, features: Tensor) -> Tensor:
        return self.fc(features.mean((2, 3)))

    def construct(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


def test_behind_global_pooling_and_a_dense_layer_the_weights_of_a_heat_map_are_that_layers():
    network = Tiny(hidden=False)
    images = random_images(0, 4, 3, 11, 11).asnumpy()
    images[0] += 1
    logits, maps = GradCam(network)(images)
    features = network.forward_features(Tensor(images)).asnumpy()
    height, width = features.shape[2:]
    weights = network.fc[0].weight.asnumpy()[logits.argmax(1)] / (height * width)
    exact = np.maximum((weights[:, :, None, None] * features).sum(1), 0)
    assert logits.argmax(1).tolist() == [2, 1, 1, 1]  # not all of one class
    assert maps.shape == (4, height, width) and maps.any()
    assert np.allclose(maps, exact, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("label", [None, 2])
def test_a_heat_map_is_what_small_changes_of_the_features_do_to_the_logit(label):
    network = Tiny(hidden=True)
    images = random_images(0, 4, 3, 11, 11).asnumpy()
    features = network.forward_features(Tensor(images)).asnumpy()
    logits, maps = GradCam(network)(images, label)
    assert np.allclose(logits, network(Tensor(images)).asnumpy(), rtol=1e-5, atol=1e-6)
    classes = logits.argmax(1) if label is None else np.full(4, label)
    height, width = maps.shape[1:]
    step = 1e-2
    for row, (down, across) in itertools.product(range(4), [(0, 0), (2, 3), (height - 1, width - 1)]):
        # Each map is moved everywhere by its value at one place: the sum of weight times value is the slope.
        direction = np.zeros_like(features)
        direction[row] = features[row, :, down, across, None, None] / (height * width)
        up, low = (network.forward_head(Tensor(features + s * direction)).asnumpy() for s in (step, -step))
        slope = height * width * (up - low)[row, classes[row]] / (2 * step)
        assert maps[row, down, across] * height * width == pytest.approx(max(slope, 0), rel=1e-2, abs=1e-2)


# Which images and which names


def test_files_folders_and_patterns_name_images_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_tree(tmp_path, ["a/1.jpg", "a/deep/2.PNG", "a/notes.txt", "b/[x].jpg", "b/x.jpg", "c/readme.txt"])
    paths, problems = named_images(["b/[x].jpg", "a", "a/1.jpg", str(tmp_path / "a" / "1.jpg"), "a/notes.txt"])
    assert [str(path) for path in paths] == ["b/[x].jpg", "a/1.jpg", "a/deep/2.PNG", "a/notes.txt"]
    assert problems == {}
    paths, problems = named_images(["*/x.jpg", "**/*.PNG", "absent.jpg", "*.gif", "c", ""])
    assert [str(path) for path in paths] == ["b/x.jpg", "a/deep/2.PNG"]
    assert problems == {
        "absent.jpg": "no such file",
        "*.gif": "nothing matches this pattern",
        "c": "no images in this folder",
        "": "no such file",
    }


def test_imagenets_names_are_in_the_order_of_its_sorted_ids():
    names = imagenet_names()
    ids = list(names)
    assert len(ids) == 1000 and ids == sorted(ids) and all(names.values())
    known = {
        0: ("n01440764", "tench"),
        1: ("n01443537", "goldfish"),
        207: ("n02099601", "golden retriever"),
        281: ("n02123045", "tabby"),
        999: ("n15075141", "toilet tissue"),
    }
    for label, (wordnet_id, word) in known.items():
        assert ids[label] == wordnet_id and names[wordnet_id].split(", ")[0] == word


def test_class_names_come_from_the_nearest_source(tmp_path):
    weights = tmp_path / "a.ckpt"
    assert find_class_names(2, weights) == ["0", "1"]
    assert find_class_names(1000, weights)[1] == "goldfish, Carassius auratus"
    (tmp_path / "class_names.txt").write_text("cat\nn01443537\n", encoding="utf-8")
    assert find_class_names(2, weights) == ["cat", "goldfish, Carassius auratus"]
    given = tmp_path / "given.txt"
    given.write_text("\ufeffKatze\r\n猫 \u2028 b", encoding="utf-8")
    assert find_class_names(2, weights, given) == ["Katze", "猫 \u2028 b"]
    with pytest.raises(ValueError, match=r"class_names.txt has 2 names, but the network has 3 classes"):
        find_class_names(3, weights)
    given.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"given.txt is no UTF-8 text"):
        find_class_names(1, weights, given)


def test_a_class_is_found_by_name_then_by_number():
    names = ["crane", "0", "crane", "2"]
    assert [find_class(word, names) for word in ("0", "1", "2")] == [1, 1, 3]
    for word, message in (("crane", "classes 0, 2: give a number"), ("4", "no class 4.* from 0 to 3"), ("-1", "no")):
        with pytest.raises(ValueError, match=message):
            find_class(word, names)


# What is written


def test_table_json_and_csv_hold_every_class_whatever_the_names():
    paths = [Path(os.fsdecode(b"a,\xff.jpg")), Path('b "quoted".png')]
    images = [Prediction(paths[0], (2, 0), (0.75, 0.25)), Prediction(paths[1], (1,), (1 / 3,))]
    predictions = Predictions(images, ["zero", 'one, "1"', "二\n"], {"c.jpg": "empty file"})
    found = json.loads(to_json(predictions))
    assert [image["image"] for image in found["images"]] == ["a,\\xff.jpg", 'b "quoted".png']
    assert found["images"][0]["predictions"][0] == {"class": 2, "name": "二\n", "probability": 0.75}
    assert found["skipped"] == [{"image": "c.jpg", "reason": "empty file"}]
    assert list(csv.reader(io.StringIO(to_csv_table(predictions), newline=""))) == [
        ["image", "rank", "class", "name", "probability"],
        ["a,\\xff.jpg", "1", "2", "二\n", "0.75"],
        ["a,\\xff.jpg", "2", "0", "zero", "0.25"],
        ['b "quoted".png', "1", "1", 'one, "1"', str(1 / 3)],
    ]
    lines = to_table(predictions).splitlines()
    assert lines[0].split() == ["image", "probability", "class", "name"]
    assert lines[3].split() == ["25.00", "%", "0", "zero"]


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
            pictures.draw(path, np.array([0.2, 0.7, 0.1]), heat)
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
        pictures.draw(tmp_path / "black.png", np.array([0.9, 0.1]), heat)
        drawn = np.asarray(Image.open(tmp_path / "black.png.png").convert("RGB"), np.int64)
        bright = np.argwhere((drawn.max(2) > 100) & (drawn[:, :, 0] > drawn[:, :, 2] + 50))  # yellow of the colour map
        shares[column] = bright[:, 1].mean() / drawn.shape[1]
    assert 1 / 3 < shares[0] < 0.5 < shares[2] < 2 / 3


def test_the_command_skips_bad_images_and_its_status_says_so(few_digits, checkpoint, predicted, tmp_path):
    """Without any option about the network: size, device and names stand beside the checkpoint."""
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "empty.jpg").touch()
    (bad / "text.png").write_text("text")
    (bad / "cut.jpg").write_bytes(GOOD["baseline.jpg"][:100])
    good = sorted((few_digits / "val" / "2").iterdir())[:3]
    words = [f"--checkpoint_path={checkpoint}", *map(str, good), "absent.jpg", "bad", "--save=out", "--gradcam_class=1"]
    result = run("predict.py", [*words, "--topk=2", "--json"], tmp_path)
    assert result.returncode == 3, result.stderr
    found = json.loads(result.stdout)
    assert [image["image"] for image in found["images"]] == [str(path) for path in good]
    expected = {str(image.path): image for image in predicted.images}
    for image in found["images"]:
        wanted = expected[image["image"]]
        assert [row["class"] for row in image["predictions"]] == list(wanted.classes[:2])
        assert [row["probability"] for row in image["predictions"]] == pytest.approx(wanted.probabilities[:2], abs=1e-6)
    assert [entry["image"] for entry in found["skipped"]] == [
        "absent.jpg", "bad/cut.jpg", "bad/empty.jpg", "bad/text.png"
    ]  # fmt: skip
    assert "skipped bad/text.png: not an image" in result.stderr
    assert "predict: 3/3 images (100%)" in result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{path.name}.png" for path in good]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gradcam"], "--gradcam draws into the pictures of --save"),
        (["--topk=0"], "--topk must be at least 1, got 0"),
        (["--image_size=70"], "--image_size: expected an integer >= 71"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(tmp_path, words, message):
    result = run("predict.py", ["--checkpoint_path=a.ckpt", "a.jpg", *words], tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ") and message in result.stderr and result.stderr.count("\n") == 1
