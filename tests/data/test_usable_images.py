"""Damaged files in the folders of real trainings and evaluations: named and left out, or named and the end of it.

MindSpore's decoder never sees the damaged JPEG header here: it crashes the process.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from src.data.image_source import open_images
from src.data.listing import list_images
from src.data.usable_images import UsableImages, usable_images, write_bad_images
from src.model_utils.config import Config, parse_config
from src.model_utils.local_adapter import Group
from tests.helpers.ranks import run_ranks
from tests.helpers.training_run import SMALL, losses, options, run

pytestmark = pytest.mark.slow


def _with_broken_header(data: bytes) -> bytes:
    """Let the first component of a JPEG's scan name a Huffman table that does not exist."""
    spoiled = bytearray(data)
    spoiled[data.index(b"\xff\xda") + 6] = 0x02
    return bytes(spoiled)


DAMAGES = {
    "truncated": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "text": lambda data: b"no image at all\n" * 20,
    "header": _with_broken_header,
}
REASONS = {
    "truncated": "image file is truncated",
    "empty": "empty file (0 bytes)",
    "text": "not an image",
    "header": "broken data stream when reading image file",
}


def damage(path: str, kind: str) -> str:
    """Spoil a file; return the line that names it."""
    Path(path).write_bytes(DAMAGES[kind](Path(path).read_bytes()))
    return f"bad image {path}: {REASONS[kind]}"


def images_of(folder: Path) -> list[str]:
    return [path for images in list_images(str(folder)).images.values() for path in images]


@pytest.fixture
def data(few_digits, tmp_path) -> Path:
    """A copy of the small data set, to be spoilt."""
    return Path(shutil.copytree(few_digits, tmp_path / "data set"))


def configuration(*words: str) -> Config:
    return parse_config(["--num_classes=3", "--bad_images=skip", *words], lambda _: "CPU")


# What is found


def test_every_kind_of_damage_is_named_and_left_out(data, tmp_path, capsys):
    paths = images_of(data / "train")
    lines = [damage(path, kind) for path, kind in zip(paths[3:18:4], DAMAGES, strict=True)]
    found = usable_images(configuration(), open_images(str(data / "train")), Group())
    assert found == UsableImages(open_images(str(data / "train")), 17, tuple(paths[3:18:4]))
    assert found.class_names == ["0", "1", "2"]
    first, *output = capsys.readouterr().out.splitlines()
    assert first == f"21 images in 3 classes of {data / 'train'}"
    assert all(actual.startswith(line) for actual, line in zip(output, lines, strict=False))
    assert output[4:] == [f"skipping 4 of 21 images in {data / 'train'}"]
    (written,) = write_bad_images(tmp_path / "new" / "bad_images.txt", found, found)
    assert written == tmp_path / "new" / "bad_images.txt"
    assert written.read_text().splitlines() == paths[3:18:4]


def test_good_images_are_all_used_and_no_list_is_written(data, tmp_path, capsys):
    found = usable_images(configuration(), open_images(str(data / "val")), Group())
    assert found == UsableImages(open_images(str(data / "val")), 37)
    assert found.class_names == ["0", "1", "2"]
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"37 images in 3 classes of {data / 'val'}", f"skipping 0 of 37 images in {data / 'val'}"]
    assert write_bad_images(tmp_path / "new" / "bad_images.txt", found) == []
    assert not (tmp_path / "new").exists()


def test_many_bad_images_do_not_flood_the_log(data, capsys):
    paths = images_of(data / "val")
    for path in paths[1:12] + paths[13:24] + paths[25:36]:
        damage(path, "empty")
    assert usable_images(configuration(), open_images(str(data / "val")), Group()).count == 4
    output = capsys.readouterr().out.splitlines()
    assert len(output) == 23
    assert output[21:] == ["and 13 more bad images", f"skipping 33 of 37 images in {data / 'val'}"]


def test_a_path_may_be_written_in_any_way(data, monkeypatch):
    damage(images_of(data / "val")[5], "empty")
    monkeypatch.chdir(data)
    for folder in ("val", "./val", "val/", "../data set//val"):
        (excluded,) = usable_images(configuration("--num_parallel_workers=1"), open_images(folder), Group()).excluded
        assert excluded in images_of(folder)


@pytest.mark.parametrize(
    ("spoilt", "batch_size", "message"),
    [
        (slice(0, 7), 1, "no readable images in .*train/0:"),
        (slice(0, 6), 16, "has 15 readable images, less than one batch of 16 for each of 1"),
    ],
)
def test_too_few_good_images_are_an_error_before_training(data, spoilt, batch_size, message):
    for path in images_of(data / "train")[spoilt]:
        damage(path, "empty")
    config = configuration(f"--batch_size={batch_size}")
    with pytest.raises(ValueError, match=message):
        usable_images(config, open_images(str(data / "train")), Group(), do_train=True)


def test_errors_of_the_folder_come_before_the_check(data, capsys):
    with pytest.raises(ValueError, match="has 3 classes, but num_classes is 5"):
        usable_images(configuration("--num_classes=5"), open_images(str(data / "train")), Group(), do_train=True)
    assert "check" not in capsys.readouterr().err


def test_nothing_is_checked_unless_bad_images_are_to_be_skipped(data, capsys):
    damage(images_of(data / "train")[0], "header")
    found = usable_images(configuration("--bad_images=error"), open_images(str(data / "train")), Group())
    assert found == UsableImages(open_images(str(data / "train")), 21)
    assert found.class_names == ["0", "1", "2"]
    assert capsys.readouterr() == (f"21 images in 3 classes of {data / 'train'}\n", "")


# Real runs


def counts(output: str, images: int) -> bool:
    """Tell whether the accuracy of a run is a share of so many images."""
    (accuracy,) = re.findall(r"'Top_1_Acc': ([\d.]+)", output)
    right = images * float(accuracy)
    return right == pytest.approx(round(right), abs=1e-9)


def test_training_and_evaluation_skip_bad_images_and_count_the_good_ones(trained, data, tmp_path):
    train, val = images_of(data / "train"), images_of(data / "val")
    bad = [*zip(train[3:18:4], DAMAGES, strict=True), *zip(val[2:30:9], DAMAGES, strict=True)]
    lines = [damage(path, kind) for path, kind in bad]
    words = options(data, tmp_path / "out", "--bad_images=skip", "--epoch_size=1", "--eval_while_train=True")
    result = run(SMALL, words, tmp_path)
    assert result.returncode == 0, result.stderr
    assert all(line in result.stdout for line in lines)
    assert f"skipping 4 of 21 images in {data / 'train'}" in result.stdout
    assert f"skipping 4 of 37 images in {data / 'val'}" in result.stdout
    assert list(losses(result.stdout)) == [(1, 2), (1, 4)]  # 17 images in whole batches of 4
    assert "evaluate: 33/33 images (100%)" in result.stderr
    listed = tmp_path / "out" / "model_0" / "bad_images.txt"
    assert f"the bad images are listed in {listed}" in result.stdout
    assert listed.read_text().splitlines() == [path for path, _ in bad]
    assert counts(result.stdout, 33)

    checkpoint = f"--checkpoint_path={trained[0]}/Xception-rank0-2_5.ckpt"
    result = run("eval.py", [*words, checkpoint, f"--eval_report={tmp_path / 'report'}"], tmp_path)
    assert result.returncode == 0, result.stderr
    assert f"skipping 4 of 37 images in {data / 'val'}" in result.stdout
    assert "evaluated 33 images, each once" in result.stdout
    assert counts(result.stdout, 33)
    assert (tmp_path / "report" / "bad_images.txt").read_text().splitlines() == val[2:30:9]


def test_two_ranks_skip_the_same_images_and_take_the_same_steps(data, tmp_path):
    train = images_of(data / "train")
    bad = train[1:14:4]  # odd positions: the second rank checks them all
    lines = [damage(path, kind) for path, kind in zip(bad, DAMAGES, strict=True)]
    words = ["--bad_images=skip", "--is_distributed=True", "--batch_size=2", "--log_steps=1", "--epoch_size=1"]
    logs = run_ranks(SMALL, options(data, tmp_path / "out", *words), tmp_path)
    assert all(line in logs[0] for line in lines)
    assert "skipping 4 of 21 images" in logs[0]
    assert "bad image" not in logs[1]
    for log in logs:  # 17 images, filled up to 9 on each rank, in whole batches of 2
        assert list(losses(log)) == [(1, 1), (1, 2), (1, 3), (1, 4)]
    assert (tmp_path / "out" / "model_0" / "bad_images.txt").read_text().splitlines() == bad


@pytest.mark.parametrize(("script", "kind"), [("train.py", "truncated"), ("eval.py", "text")])
def test_by_default_a_bad_image_ends_the_run_with_its_name(trained, data, tmp_path, script, kind):
    for folder in ("train", "val"):
        damage(images_of(data / folder)[2], kind)
    words = options(data, tmp_path / "out", f"--checkpoint_path={trained[0]}/Xception-rank0-2_5.ckpt")
    result = run(script, words, tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    folder = data / {"train.py": "train", "eval.py": "val"}[script]
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert error.startswith(f"error: cannot read image {images_of(folder)[2]}: ")
