"""MindRecord files made of image folders: written whole, resumed after a kill, and read like the folders themselves."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mindspore import nn

from src.common.folder_lock import only_writer
from src.data.image_source import encoded_images
from src.data.record_set import SET_FILE, find_records
from src.data.usable_images import UsableImages, usable_images
from src.dataset import check_folder, class_names, count_images, create_dataset, readable_errors
from src.evaluation.counting import Result, evaluate
from src.evaluation.engines import by_mindspore
from src.evaluation.mistakes import Mistake
from src.evaluation.report import write_report
from src.loss import CrossEntropySmooth
from src.model_utils.config import ConfigError, parse_config
from src.model_utils.local_adapter import Group
from tests.helpers.killing import kill_when
from tests.helpers.project import ROOT
from tests.helpers.training_run import options, run
from tools.data_formats.record_shard import Shard, read_shard, write_shard
from tools.data_formats.record_writer import plan_shards, write_records
from tools.data_formats.stored_image import StoredImage, images_of_folders
from tools.make_mindrecord import main

pytestmark = pytest.mark.slow

TOOL = "tools/make_mindrecord.py"
SIZE = 71
SHARDS = 5
SOME = settings(max_examples=20)


@pytest.fixture(scope="module")
def folders(few_digits) -> Path:
    """37 images in 3 classes; only to be read."""
    return few_digits / "val"


@pytest.fixture(scope="module")
def records(folders, tmp_path_factory) -> Path:
    """The same images in five MindRecord files, moved after they were made; only to be read."""
    made = tmp_path_factory.mktemp("made") / "records"
    result = run(TOOL, [str(folders), str(made), f"--shards={SHARDS}", "--workers=2"], made.parent)
    assert (result.returncode, result.stdout) == (0, f"{made}: 37 images in 3 classes, 5 files, complete\n")
    assert re.search(r"convert: 37/37 images \(100%\), .* images/s, took", result.stderr)
    return Path(shutil.move(made, tmp_path_factory.mktemp("it's elsewhere, é") / "my records"))


@pytest.fixture
def copied(records, tmp_path) -> Path:
    """A copy of the records, to be spoilt."""
    return Path(shutil.copytree(records, tmp_path / "copy"))


def batches(folder: Path, *arguments, **more) -> list[tuple[np.ndarray, np.ndarray]]:
    dataset = create_dataset(str(folder), *arguments, image_size=SIZE, num_parallel_workers=1, **more)
    return list(dataset.create_tuple_iterator(num_epochs=1, output_numpy=True))


def record_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.mindrecord"))


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# The same data set in both forms


def test_records_hold_every_file_byte_for_byte(folders, records):
    images = images_of_folders(str(folders))
    stored = ds.MindDataset(list(map(str, record_files(records))), shuffle=False)
    rows = list(stored.create_dict_iterator(num_epochs=1, output_numpy=True))
    expected = [(image, label) for label, each in enumerate(images.values()) for image in each]
    assert [(bytes(row["name"]).decode(), int(row["label"])) for row in rows] == [(i.name, n) for i, n in expected]
    assert [bytes(row["image"]) for row in rows] == [image.read() for image, _ in expected]


def test_classes_counts_and_checks_are_those_of_the_folders(folders, records):
    for question in (class_names, count_images, lambda path: check_folder(path, 3, 8, 2)):
        assert question(str(records)) == question(str(folders))
    with pytest.raises(ValueError, match="has 3 classes, but num_classes is 4: use --num_classes=3"):
        check_folder(str(records), 4)
    with pytest.raises(ValueError, match="less than one batch of 64"):
        check_folder(str(records), 3, 64)


@SOME
@given(st.integers(1, 9), st.integers(1, 12))
def test_evaluation_gives_every_rank_the_same_batches_of_both_forms(folders, records, ranks, batch_size):
    total = 0
    for rank in range(ranks):
        left, right = (batches(folder, False, batch_size, ranks, rank) for folder in (folders, records))
        assert len(left) == len(right)
        for pair in zip(left, right, strict=True):
            assert all(np.array_equal(*columns) for columns in zip(*pair, strict=True))
        assert all((image.dtype, label.dtype) == (np.float32, np.int32) for image, label in right)
        total += sum(len(label) for _, label in right)
    assert total == 37


def test_a_rank_without_an_image_is_an_error(records):
    with pytest.raises(ValueError, match="has 37 images, fewer than the 38 devices"):
        batches(records, False, 1, 38, 37)
    with pytest.raises(ValueError, match="rank must be from 0 to 1"):
        batches(records, True, 1, 2, 2)


def test_both_forms_evaluate_to_equal_results(folders, records):
    ms.set_seed(1)
    network = nn.SequentialCell(nn.Flatten(), nn.Dense(3 * SIZE * SIZE, 3))
    engine = by_mindspore(network, CrossEntropySmooth(reduction="none", num_classes=3), 8)
    left, right = (
        evaluate(engine, create_dataset(str(folder), False, 8, image_size=SIZE), 37) for folder in (folders, records)
    )
    assert (left.images, left.loss, left.top_1) == (right.images, right.loss, right.top_1)
    assert np.array_equal(left.confusion, right.confusion)
    assert len(np.unique(left.confusion)) > 1


def test_reports_of_both_forms_show_the_same_pictures(folders, records, tmp_path):
    mistakes = tuple(Mistake(image, 0, 1, 0.9) for image in (36, 0, 20))
    evaluated = Result(37, 1.0, 34 / 37, 1.0, np.diag([12, 12, 13]), mistakes=mistakes)
    written = []
    for form, folder in (("folders", folders), ("records", records)):
        words = ["--checkpoint_path=x.ckpt", f"--test_data_dir={folder}", f"--eval_report={tmp_path / form}"]
        config = parse_config(words, lambda _: "CPU")
        written.append(write_report(config, Path("x.ckpt"), evaluated, UsableImages(["0", "1", "2"], 37)))
    assert [path.name for path in written[0]] == [path.name for path in written[1]]
    left, right = (tmp_path / "folders", tmp_path / "records")
    assert (left / "mistakes.png").read_bytes() == (right / "mistakes.png").read_bytes()
    assert (left / "mistakes.csv").read_text() == (right / "mistakes.csv").read_text().replace("\n", f"\n{folders}/", 3)


def test_the_evaluation_command_takes_records(trained, records, few_digits, tmp_path):
    checkpoint = trained[0] / "Xception-rank0-2_5.ckpt"
    words = options(few_digits, tmp_path, f"--checkpoint_path={checkpoint}", f"--test_data_dir={records}")
    result = run("eval.py", [word for word in words if "lr_max" not in word], tmp_path)
    assert result.returncode == 0, result.stderr
    # The loss to rounding alone: training on CPU has operators of its own.
    results = [re.findall(r"result: .*", text)[-1] for text in (trained[1].stdout, result.stdout)]
    figures = [re.findall(r"\d+\.\d+", line) for line in results]
    assert len(figures[0]) == 3
    assert figures[0][1:] == figures[1][1:]
    assert np.allclose(float(figures[0][0]), float(figures[1][0]), rtol=1e-6, atol=0)


# Training


def epoch(folder: Path, seed: int, ranks: int = 1, rank: int = 0, **more) -> list[tuple[np.ndarray, np.ndarray]]:
    return batches(folder, True, 4, ranks, rank, seed=seed, **more)


def test_a_seed_decides_order_and_augmentation_of_records(records):
    first, again, rest, other = (
        epoch(records, 1),
        epoch(records, 1),
        epoch(records, 1, skip_batches=3),
        epoch(records, 2),
    )
    assert len(first) == len(again) == 9
    for left, right in zip(first + first[3:], again + rest, strict=True):
        assert all(np.array_equal(*columns) for columns in zip(left, right, strict=True))
    assert not np.array_equal(first[0][0], other[0][0])
    labels = np.concatenate([label for _, label in first])
    assert labels.tolist() != sorted(labels)


@SOME
@given(st.integers(1, 9), st.integers(0, 99))
def test_ranks_train_on_different_records_in_equal_numbers_of_batches(records, ranks, seed):
    def images(rank: int) -> list[bytes]:
        ds.config.set_seed(seed)
        found = encoded_images(str(records), 1, True, ranks, rank, ())
        return [bytes(image) for image, _ in found.create_tuple_iterator(num_epochs=1, output_numpy=True)]

    found = [images(rank) for rank in range(ranks)]
    assert {len(each) for each in found} == {-(-37 // ranks)}
    counts = Counter(image for each in found for image in each)
    assert len(counts) == 37  # all of them, and only what fills the last shards up twice
    assert sum(counts.values()) - 37 == -37 % ranks
    assert len({len(epoch(records, seed, ranks, rank)) for rank in (0, ranks - 1)}) == 1


def test_a_second_epoch_of_one_data_set_has_another_order(records):
    dataset = create_dataset(str(records), True, 37, image_size=SIZE, num_parallel_workers=1, seed=3)
    iterator = dataset.create_tuple_iterator(num_epochs=2, output_numpy=True)
    (first,), (second,) = ([label for _, label in iterator] for _ in range(2))
    assert not np.array_equal(first, second)
    assert sorted(first) == sorted(second)


def test_records_have_nothing_to_skip_and_say_so(records, capsys):
    config = parse_config(["--num_classes=3", "--bad_images=skip"], lambda _: "CPU")
    used = usable_images(config, str(records), Group())
    assert (used.class_names, used.count, used.excluded) == (["0", "1", "2"], 37, ())
    assert f"nothing to skip in {records}: " in capsys.readouterr().out


# Records that are not whole


def _without_classes(folder: Path) -> None:
    (folder / SET_FILE).unlink()


def _without_a_file(folder: Path) -> None:
    record_files(folder)[2].unlink()


def _without_an_index(folder: Path) -> None:
    Path(f"{record_files(folder)[0]}.db").unlink()


def _cut(folder: Path) -> None:
    os.truncate(record_files(folder)[4], 5000)


def _empty_set_file(folder: Path) -> None:
    (folder / SET_FILE).write_text("")


def _list_in_set_file(folder: Path) -> None:
    (folder / SET_FILE).write_text("[1, 2]")


def _set_of(folder: Path, **changes: object) -> None:
    content = json.loads((folder / SET_FILE).read_text())
    (folder / SET_FILE).write_text(json.dumps(content | changes))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without_classes, r"has MindRecord files but no readable mindrecord.json with their classes"),
        (_without_a_file, r"cannot read .*images-0002-of-0005.mindrecord, a part of the data set: No such file"),
        (_without_an_index, r"cannot read .*images-0000-of-0005.mindrecord.db, a part of the data set"),
        (_cut, r"images-0004-of-0005.mindrecord has 5000 bytes instead of \d+: copy it again"),
        (_empty_set_file, r"mindrecord.json is damaged"),
        (_list_in_set_file, r"mindrecord.json is damaged"),
        (lambda folder: _set_of(folder, version=2), r"mindrecord.json does not describe records of version 1"),
        (lambda folder: _set_of(folder, counts={}), r"does not describe records"),
        (lambda folder: _set_of(folder, counts={"b": 1, "a": 36}), r"does not describe records"),
        (lambda folder: _set_of(folder, counts={"a": "x"}), r"does not describe records"),
    ],
)
def test_what_is_missing_of_a_record_set_is_named_in_a_line(copied, spoil, message):
    spoil(copied)
    for question in (class_names, count_images, lambda path: create_dataset(path, True)):
        with pytest.raises(ValueError, match=message) as caught:
            question(str(copied))
        assert "\n" not in str(caught.value)


def test_a_record_that_was_damaged_in_place_ends_reading_with_a_line(copied):
    path = record_files(copied)[1]
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\xff\xd8\xff", b"\0\0\0"))
    with (
        pytest.raises(ValueError, match=r"cannot read the MindRecord files in .*makes it again"),
        readable_errors(str(copied)),
    ):
        batches(copied, False, 8)


def test_images_of_records_cannot_be_excluded(records):
    with pytest.raises(ValueError, match=r"0/x\.jpg cannot be left out"):
        batches(records, False, 8, excluded=["0/x.jpg"])


# Making them


def test_a_killed_conversion_goes_on_where_it_was(folders, records, tmp_path):
    out = tmp_path / "out"
    words = [str(folders), str(out), "--shards=12", "--workers=1"]
    for finished in (1, 5):
        kill_when(TOOL, words, lambda least=finished: len(record_files(out)) >= least if out.exists() else False)
        assert not (out / SET_FILE).exists()
        with pytest.raises(ValueError, match=r"run tools/make_mindrecord\.py to its end"):
            find_records(str(out))
    kept = {path: path.stat().st_mtime_ns for path in record_files(out)}
    assert 5 <= len(kept) < 12
    result = run(TOOL, words, tmp_path)
    assert result.returncode == 0, result.stderr
    assert "12 files, complete" in result.stdout
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert visible(out) == sorted([SET_FILE, *find_records(str(out)).files])
    for pair in zip(batches(records, False, 8), batches(out, False, 8), strict=True):
        assert all(np.array_equal(*columns) for columns in zip(*pair, strict=True))


def test_what_a_stopped_conversion_left_is_kept_mended_or_removed(folders, copied, records):
    files = record_files(copied)
    files[0].write_bytes(files[0].read_bytes().replace(b"\xff\xd8\xff", b"\0\0\0"))  # damaged
    os.truncate(files[1], 3000)  # cut
    files[2].unlink()  # its index alone
    Path(f"{files[3]}.db").unlink()  # no index
    (copied / f".{files[0].name}.{'0' * 32}.tmp").mkdir()
    before = files[4].stat().st_mtime_ns
    said: list[str] = []
    write_records(images_of_folders(str(folders)), copied, SHARDS, 1, False, said.append)
    assert [line for line in said if "making a damaged file again" not in line] == []
    assert ["images-0000" in said[0], "images-0001" in said[1], len(said)] == [True, True, 2]
    assert visible(copied) == visible(records)
    assert files[4].stat().st_mtime_ns == before
    for pair in zip(batches(records, False, 8), batches(copied, False, 8), strict=True):
        assert all(np.array_equal(*columns) for columns in zip(*pair, strict=True))


def test_damaged_images_are_all_named_and_left_out_only_on_request(folders, tmp_path, capsys):
    data = Path(shutil.copytree(folders, tmp_path / "data"))
    first, last = (sorted((data / name).iterdir())[0] for name in "02")
    first.write_bytes(first.read_bytes()[:300])
    last.write_bytes(b"")
    words = [str(data), str(tmp_path / "out"), "--shards=3", "--workers=1"]
    with pytest.raises(ValueError, match=r"2 damaged images, named above.*--bad_images=skip"):
        main(words)
    said = capsys.readouterr().out
    assert re.search(rf"bad image 0/{first.name}: .*[Tt]runcated", said)
    assert f"bad image 2/{last.name}: empty file" in said
    assert "images-0001-of-0003.mindrecord" in visible(tmp_path / "out")  # what has no damaged image is written
    assert main([*words, "--bad_images=skip"]) == 0
    assert "35 images in 3 classes, 3 files, complete, 2 damaged ones left out" in capsys.readouterr().out
    found = find_records(str(tmp_path / "out"))
    assert found.counts == {"0": 11, "1": 12, "2": 12}
    assert found.left_out == [f"0/{first.name}", f"2/{last.name}"]
    assert sum(len(label) for _, label in batches(tmp_path / "out", False, 8)) == 35


def test_a_folder_of_other_things_stays_as_it_is(folders, copied, tmp_path):
    for shards, extra, message in (
        (4, None, "holds images-0000-of-0005.mindrecord"),
        (5, "notes.txt", "holds notes.txt"),
    ):
        if extra:
            (copied / extra).write_text("mine")
        before = visible(copied)
        with pytest.raises(ValueError, match=message):
            main([str(folders), str(copied), f"--shards={shards}"])
        assert visible(copied) == before


def test_records_of_other_images_are_not_taken_for_these(few_digits, copied):
    with pytest.raises(ValueError, match="made from other images"):
        main([str(few_digits / "train"), str(copied), f"--shards={SHARDS}", "--workers=1"])
    assert len(record_files(copied)) == SHARDS


def test_two_conversions_to_one_folder_do_not_meet(folders, tmp_path):
    out = tmp_path / "out"
    with only_writer(out, "a test", ""), pytest.raises(ValueError, match="another conversion is writing to"):
        main([str(folders), str(out)])


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(folders, tmp_path):
    out = tmp_path / "out"
    # 100 KiB a file stands for a full disk.
    command = [
        "bash",
        "-c",
        'ulimit -f 100; exec "$@"',
        "bash",
        sys.executable,
        ROOT / TOOL,
        folders,
        out,
        "--workers=1",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert result.returncode == 1
    assert re.search(r"^error: .*images-0000-of-0001.mindrecord", result.stderr, re.MULTILINE), result.stderr
    assert visible(out) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{folders}", "{folders}/records"], "is inside"),
        (["{folders}/missing", "out"], "cannot read the data set folder"),
        (["{folders}", "out", "--shards=1001"], "--shards must be from 1 to 1000"),
        (["{folders}", "out", "--shards=38"], "--shards must be from 1 to 37 for 37 images"),
        (["{folders}", "out", "--workers=0"], "--workers must be at least 1"),
        (["{records}", "out"], "holds MindRecord files already"),
        (["{empty}", "out"], "no images in class nothing"),
    ],
)
def test_what_does_not_fit_is_named(folders, records, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty" / "nothing").mkdir(parents=True)
    names = {"folders": folders, "records": records, "empty": tmp_path / "empty"}
    with pytest.raises((ValueError, ConfigError), match=message):
        main([word.format(**names) for word in words])
    assert not (tmp_path / "out").exists()


# Names and divisions

# Any file name that a system allows: bytes that are no UTF-8, quotes, spaces, line ends.
FILE_NAMES = st.binary(min_size=1, max_size=40).filter(lambda name: not set(b"/\0") & set(name)).map(os.fsdecode)


@SOME
@given(
    st.dictionaries(
        FILE_NAMES, st.tuples(st.sets(FILE_NAMES, min_size=1, max_size=4), st.booleans()), min_size=1, max_size=3
    )
)
def test_odd_names_come_back_also_equal_ones_of_two_classes(tmp_path_factory, classes):
    folder = tmp_path_factory.mktemp("odd")
    content = folder / "content"
    content.write_bytes(os.urandom(3000))
    names = [
        (f"{name}/{each}", label) for label, name in enumerate(sorted(classes)) for each in ("same", *classes[name][0])
    ]
    images = tuple(StoredImage(str(content), 7 * n, 1 + 100 * n, name) for n, (name, _) in enumerate(names))
    left_out = frozenset(image for image in images[1:] if len(image.name) % 3 == 0)
    shard = Shard(str(folder / "x.mindrecord"), images, tuple(label for _, label in names))
    written = write_shard(shard, left_out)
    assert read_shard(shard) == written
    assert written.missing == tuple(image.name for image in images if image in left_out)
    assert sum(written.counts.values()) == len(images) - len(left_out)
    assert visible(folder) == ["content", "x.mindrecord", "x.mindrecord.db"]
    swapped = Shard(shard.path, shard.images, tuple(label + 1 for label in shard.labels))
    with pytest.raises(ValueError, match="does not belong there"):
        read_shard(swapped)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.data())
def test_shards_divide_the_images_in_their_order(counts, data):
    images = {
        f"{label:02d}": [StoredImage("x", n, 1, f"{label:02d}/{n}") for n in range(count)]
        for label, count in enumerate(counts)
    }
    number = data.draw(st.integers(0, sum(counts)))
    plan = plan_shards(images, Path("out"), number)
    assert len(plan) == max(number, 1)
    rows = [row for shard in plan for row in zip(shard.images, shard.labels, strict=True)]
    assert rows == [(image, label) for label, each in enumerate(images.values()) for image in each]
    assert max(len(shard.images) for shard in plan) - min(len(shard.images) for shard in plan) <= 1
    assert [shard.path for shard in plan] == sorted({shard.path for shard in plan})


def test_a_shard_is_planned_for_each_256_mib():
    images = [StoredImage("x", 0, 100 * 2**20, f"a/{n}") for n in range(4000)]
    assert [len(plan_shards({"a": images[:count]}, Path("out"))) for count in (1, 3, 10)] == [1, 2, 4]
    assert len(plan_shards({"a": images}, Path("out"))) == 1000
