"""The whole Ascend 310 route on CPU: export, build, inference, scoring; the accuracy is that of eval.py."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import eval as eval_door
import export as export_door
from src.checkpoints.weights import save_weights
from src.metadata.metadata import Metadata, parse_metadata
from src.model_utils.command import run_command
from src.Xception import xception
from tests.helpers.deterministic import set_weights
from tests.helpers.project import ROOT
from tools import imgid2label

pytestmark = pytest.mark.slow

NAMES = tuple("0123456789")
BATCH = 8  # 359 images: the last batch holds 7


@pytest.fixture(scope="module")
def route(digits, built, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """The folder that run_infer_310.sh was run in, with net.ckpt, net.mindir and labels.txt, and what it printed."""
    folder = tmp_path_factory.mktemp("a route")
    network = xception(10)
    set_weights(network)  # whose guesses differ from image to image
    metadata = Metadata(class_names=NAMES, image_size=71, crop_pct=299 / 320, interpolation="bilinear")
    save_weights(folder / "net.ckpt", network, metadata)
    words = [f"--ckpt_file={folder}/net.ckpt", f"--file_name={folder}/net", "--num_classes=10", "--mindir_version=1"]
    words += [f"--batch_size={BATCH}", "--width=71", "--height=71", "--device_target=CPU"]
    assert run_command(export_door.main, words) == 0
    imgid2label.main([str(digits / "val"), str(folder / "labels.txt"), f"--model={folder}/net.mindir"])
    result = subprocess.run(
        [
            "bash", ROOT / "scripts" / "run_infer_310.sh", "net.mindir", digits / "val", "labels.txt", "0",
            "--device_type", "CPU",
        ],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return folder, result


def test_the_accuracy_is_that_of_the_evaluation_to_the_last_image(route, digits, tmp_path, capsys):
    folder, result = route
    top_1, top_5 = map(float, re.search(r"Top_1_Acc: ([\d.]+)%, Top_5_Acc: ([\d.]+)%", result.stdout).groups())
    assert "scored 359 images of 359" in result.stdout
    words = [f"--checkpoint_path={folder}/net.ckpt", f"--test_data_dir={digits / 'val'}", "--num_classes=10"]
    words += ["--image_size=71", f"--eval_report={tmp_path}", "--device_target=CPU"]
    assert run_command(eval_door.main, words) == 0
    line = capsys.readouterr().out
    expected = [float(re.search(rf"'{name}': ([\d.]+)", line)[1]) for name in ("Top_1_Acc", "Top_5_Acc")]
    assert 0.01 < expected[0] < expected[1] < 0.99
    assert result.stderr == ""
    assert (top_1, top_5) == tuple(round(100 * value, 3) for value in expected)
    with (tmp_path / "confusion_matrix.csv").open(newline="") as stream:
        confusion = np.array([row[1:] for row in csv.reader(stream)][1:], int)
    subprocess.run(
        [
            sys.executable, ROOT / "postprocess.py", f"--result_path={folder}/result_Files",
            f"--label_file={folder}/labels.txt", f"--report={tmp_path}/scored",
        ],
        check=True,
    )  # fmt: skip
    with (tmp_path / "scored" / "confusion_matrix.csv").open(newline="") as stream:
        assert np.array_equal(np.array([row[1:] for row in csv.reader(stream)][1:], int), confusion)


def test_every_image_has_its_logits_and_its_rows_in_the_table(route):
    results = route[0] / "result_Files"
    files = sorted(results.glob("*.bin"))
    assert len(files) == 359
    assert {path.stat().st_size for path in files} == {40}
    with (results / "predictions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 5 * 359
    first = [row for row in rows if row["path"] == rows[0]["path"]]
    logits = np.fromfile(results / (rows[0]["path"].replace("/", "__").removesuffix(".jpg") + "_0.bin"), np.float32)
    assert [int(row["class"]) for row in first] == np.argsort(-logits, kind="stable")[:5].tolist()


def test_the_model_tells_its_names_and_scoring_knows_them(route):
    results = route[0] / "result_Files"
    with (results / "predictions.csv").open(newline="") as stream:
        assert all(row["name"] == row["class"] for row in csv.DictReader(stream))
    assert parse_metadata((results / "metadata.json").read_text(), "metadata.json").class_names == NAMES


def test_labels_of_a_folder_without_the_first_class_are_refused_until_they_are_the_models(route, digits, tmp_path):
    folder, _ = route
    data = tmp_path / "data"
    right = []
    for label in NAMES[1:]:
        (data / label).mkdir(parents=True)
        for path in sorted((digits / "val" / label).iterdir())[:4]:
            shutil.copy(path, data / label)
            logits = np.fromfile(folder / "result_Files" / f"{label}__{path.stem}_0.bin", np.float32)
            right.append(logits.argmax() == int(label))
    labels = tmp_path / "labels.txt"
    command = ["bash", ROOT / "scripts" / "run_infer_310.sh", folder / "net.mindir", data, labels]
    command += ["--device_type", "CPU"]
    imgid2label.main([str(data), str(labels)])
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "Top_1_Acc" not in refused.stdout + refused.stderr
    assert (
        "error: the label file gives images of the folder '1' the label 0 (and 8 more such), but the model's class 0 "
        "is '0' and '1' is 1: write it again by tools/imgid2label.py --model FILE"
    ) in refused.stderr.splitlines()
    imgid2label.main([str(data), str(labels), f"--model={folder}/net.mindir"])
    scored = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert scored.returncode == 0, scored.stderr
    assert f"Top_1_Acc: {100 * np.mean(right):.3f}%" in scored.stdout
    assert scored.stdout.splitlines()[-2:] == [
        "scored 36 images of 36 in the label file",
        "1 of 10 classes have no image in the label file: 0 (0)",
    ]


def test_the_times_count_every_batch(route):
    text = (route[0] / "time_Result" / "test_perform_static.txt").read_text()
    figures = {name: float(value) for name, value in re.findall(r"(\w+): ([\d.]+)", text)}
    assert (figures["images"], figures["count"]) == (359, -(-359 // BATCH))
    assert 0 < figures["p50_ms"] <= figures["p95_ms"] <= figures["p99_ms"]


def test_an_image_that_cannot_be_read_is_skipped_and_the_others_are_scored(route, digits, tmp_path):
    data = tmp_path / "data"
    for label in "012":
        (data / label).mkdir(parents=True)
        shutil.copy(min((digits / "val" / label).iterdir()), data / label)
    (data / "1" / "broken.jpg").write_bytes(b"no image")
    imgid2label.main([str(data), str(tmp_path / "labels.txt")])
    command = ["bash", ROOT / "scripts" / "run_infer_310.sh", route[0] / "net.mindir", data, "labels.txt"]
    command += ["--device_type", "CPU"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 3
    log = (tmp_path / "acc.log").read_text()
    assert "  1__broken_0.bin, the result of 1/broken.jpg" in log.splitlines()
    assert re.search(r"^Top_1_Acc: [\d.]+%, Top_5_Acc: [\d.]+%$", log, re.MULTILINE)
    assert "scored 3 images of 4 in the label file" in log.splitlines()
    assert log.splitlines()[-1] == "skipped 1 images, named in infer.log"
    assert f"skipped {data}/1/broken.jpg: " in result.stderr
