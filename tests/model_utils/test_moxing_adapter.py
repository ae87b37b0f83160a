"""On ModelArts: what is copied in before a run, unzipped, and copied out after it, also when something fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from src.common.files import atomic_write
from src.modelarts.filled_folder import MARK
from tests.helpers.modelarts import content, finish
from tests.helpers.project import ROOT

pytestmark = pytest.mark.slow


# One run


def test_with_modelarts_off_the_function_is_called_and_nothing_else_happens(bench, tmp_path):
    (tmp_path / "images").mkdir()
    options = bench.options(enable_modelarts=False, train_data_dir=tmp_path / "images", save_checkpoint_path=tmp_path)
    status, output, errors = finish(bench.start(options, PYTHONPATH=str(ROOT)))
    assert (status, output, errors) == (7, "data: []\n", "")
    assert bench.calls() == [] and bench.locks() == [] and not (bench.folder / "cache").exists()


def test_a_run_finds_data_checkpoints_and_earlier_results_and_its_own_are_copied_out(bench):
    (bench.bucket / "results" / "earlier.ckpt").write_text("earlier")
    status, output, errors = finish(bench.start())
    assert (status, errors) == (7, "")
    assert f"data: {sorted([MARK, *(f'{number}.jpg' for number in range(6))])}" in output
    cache = bench.folder / "cache"
    assert (cache / "load" / "a.ckpt").read_text() == "weights"
    results = content(bench.bucket / "results")
    assert len(results) == 2 and "earlier.ckpt" in results and any("cpu-ckpt/result-" in name for name in results)
    assert content(cache / "train") == results
    assert len(bench.calls("in")) == 3 and len(bench.calls("out")) == 1
    assert bench.locks() == []
    assert {path.name for path in cache.iterdir()} == {"data", "load", "train", ".train.uploaded"}


def test_empty_addresses_are_skipped(bench):
    (bench.folder / "cache/data").mkdir(parents=True)
    status, output, errors = finish(bench.start(bench.options(data_url="", train_url="", checkpoint_url="")))
    assert (status, errors) == (7, "") and output == "data: []\n"
    assert bench.calls() == []


def test_a_result_address_that_is_not_there_yet_is_a_first_run(bench):
    (bench.bucket / "results").rmdir()
    assert finish(bench.start())[0] == 7
    assert len(content(bench.bucket / "results")) == 1


def test_addresses_may_be_folders_of_this_server_as_the_platform_gives_them(bench):
    folders = {key: bench.bucket / name for key, name in (("data_url", "data"), ("train_url", "results"))}
    status, output, errors = finish(bench.start(bench.options(**folders)))
    assert (status, errors) == (7, "") and "'5.jpg'" in output
    assert len(content(bench.bucket / "results")) == 1


@pytest.mark.parametrize("key", ["data_url", "checkpoint_url"])
def test_an_address_without_files_is_named(bench, key):
    (bench.bucket / "empty").mkdir()
    status, _, errors = finish(bench.start(bench.options(**{key: "obs://empty"})))
    assert (status, errors) == (1, f"error: {key} obs://empty is empty: check the address\n")


def test_without_moxing_one_line_says_where_it_exists(bench):
    status, _, errors = finish(bench.start(PYTHONPATH=str(ROOT)))
    assert status == 2
    assert errors == (
        "error: enable_modelarts is true, but the Python module moxing is not there: only the images of Huawei "
        "ModelArts have it; elsewhere set enable_modelarts false and give local folders\n"
    )


def test_a_folder_of_others_is_not_touched(bench):
    mine = bench.folder / "cache/data/mine"
    atomic_write(mine, "x")
    status, _, errors = finish(bench.start())
    assert status == 1 and f"{mine.parent} holds files that were not copied there" in errors
    assert os.listdir(mine.parent) == ["mine"] and bench.calls() == []


def test_a_second_run_copies_nothing_in_again_and_other_data_are_not_mixed_in(bench):
    assert finish(bench.start())[0] == finish(bench.start())[0] == 7
    assert len(bench.calls("in")) == 3 and len(bench.calls("out")) == 2
    assert len(content(bench.bucket / "results")) == 2
    status, _, errors = finish(bench.start(bench.options(data_url="obs://checkpoints")))
    assert status == 1 and "data holds the content of obs://data, so obs://checkpoints cannot go there" in errors


def test_a_server_that_wrote_nothing_copies_nothing_out(bench):
    """With several servers, its older copy of the results would replace the newer ones of the first server."""
    (bench.bucket / "results" / "metrics.csv").write_text("old")
    process = bench.start(ending="import shutil; shutil.rmtree(folder)")
    assert finish(process)[0] == 7
    assert bench.calls("out") == []


# Failures


@pytest.mark.parametrize(
    ("ending", "status", "line"),
    [
        ("raise ValueError('the loss is NaN')", 1, "error: the loss is NaN\n"),
        ("raise KeyboardInterrupt", 130, "interrupted\n"),
        ("sys.exit(143)", 143, ""),
    ],
)
def test_results_are_copied_out_however_the_run_ends(bench, ending, status, line):
    found, _, errors = finish(bench.start(ending=ending))
    assert (found, errors) == (status, line)
    assert len(content(bench.bucket / "results")) == 1
    assert bench.locks() == []


def test_a_failing_copy_out_does_not_hide_why_the_run_failed(bench):
    bench.set("fail-out", "the bucket is full")
    status, _, errors = finish(bench.start(ending="raise ValueError('the loss is NaN')"))
    assert status == 1
    first, second = errors.splitlines()
    assert re.fullmatch(
        r"error: cannot copy .*train to obs://results: \w+: the bucket is full; the results are in .*train only",
        first,
    )
    assert second == "error: the loss is NaN"


def test_a_failing_copy_out_after_success_is_an_error_and_is_made_up_for_later(bench):
    fault = bench.set("fail-out", "the bucket is full")
    status, _, errors = finish(bench.start())
    assert status == 1 and errors.count("\n") == 1
    results = bench.folder / "cache/train"
    assert errors.startswith(f"error: the run itself ended well, but cannot copy {results} to obs://results: ")
    assert f"RuntimeError: the bucket is full; its results are in {results} only" in errors
    assert len(content(bench.folder / "cache/train")) == 1 and bench.locks() == []
    fault.unlink()
    assert finish(bench.start(ending="os.remove(folder / f'result-{os.getpid()}')"))[0] == 7
    assert len(content(bench.bucket / "results")) == 1


def test_a_failing_copy_in_leaves_nothing_and_the_next_start_works(bench):
    fault = bench.set("fail-in", "no access")
    status, _, errors = finish(bench.start())
    assert status == 1
    assert errors == f"error: cannot copy obs://data to {bench.folder / 'cache/data'}: RuntimeError: no access\n"
    assert os.listdir(bench.folder / "cache") == [] and bench.locks() == []
    fault.unlink()
    assert finish(bench.start())[0] == 7


# Zip data sets


def test_of_three_processes_one_unzips_and_all_see_the_images(bench):
    with zipfile.ZipFile(bench.bucket / "data" / "images.zip", "w") as archive:
        archive.writestr("ImageNet/train/0/a.jpg", b"a")
    names = {"modelarts_dataset_unzip_name": "images", "folder_name_under_zip_file": "./ImageNet/train"}
    processes = [bench.start(bench.options(**names)) for _ in range(3)]
    outcomes = [finish(process) for process in processes]
    assert [status for status, _, _ in outcomes] == [7] * 3
    assert all("data: ['0']" in output for _, output, _ in outcomes)
    assert sum("unzip: 1/1 files" in errors for _, _, errors in outcomes) == 1


def test_a_bad_zip_fails_every_process_and_leaves_the_copied_data(bench):
    (bench.bucket / "data" / "images.zip").write_bytes(b"PK")
    processes = [bench.start(bench.options(modelarts_dataset_unzip_name="images")) for _ in range(2)]
    for status, _, errors in [finish(process) for process in processes]:
        assert status == 1 and "images.zip: not a complete zip file" in errors
    assert len(content(bench.folder / "cache/data")) == 7 and bench.locks() == []


def test_a_data_set_that_came_unzipped_is_taken_with_a_word(bench):
    for folder in ("images", "ImageNet_Original"):
        (bench.bucket / "data" / folder / "0").mkdir(parents=True)
        (bench.bucket / "data" / folder / "0/a.jpg").touch()
    for name, below, images in (("images", "./", "images"), ("ImageNet", "ImageNet_Original", "ImageNet_Original")):
        options = bench.options(modelarts_dataset_unzip_name=name, folder_name_under_zip_file=below)
        status, output, errors = finish(bench.start(options))
        assert status == 7 and "data: ['0']" in output
        assert errors == f"the data set came unzipped: its images are taken from {bench.folder}/cache/data/{images}\n"
    status, _, errors = finish(bench.start(bench.options(modelarts_dataset_unzip_name="missing")))
    cache = bench.folder / "cache/data"
    assert status == 1
    assert errors == f"error: the data set missing is not there: looked at {cache}/missing.zip, {cache}/missing\n"


# Files beside the code


def test_a_checkpoint_is_found_in_the_copies_and_beside_the_code(bench):
    for name, found in (("a.ckpt", bench.folder / "cache/load/a.ckpt"), ("src/loss.py", ROOT / "src/loss.py")):
        process = bench.start(bench.options(checkpoint_path=name), ending="print('found', config.checkpoint_path)")
        status, output, errors = finish(process)
        assert (status, f"found {found}" in output) == (7, True)
        assert errors == ("" if name == "a.ckpt" else f"checkpoint_path is {found}, beside the code\n")


def test_a_checkpoint_that_is_nowhere_is_told_with_what_was_looked_at_and_before_all_copies_if_it_can(bench):
    looked = f"error: ckpt_file no.ckpt is not there: looked at {bench.folder}/cache/load/no.ckpt and {ROOT}/no.ckpt\n"
    status, _, errors = finish(bench.start(bench.options(ckpt_file="no.ckpt", checkpoint_url="")))
    assert (status, errors, bench.calls()) == (2, looked, [])
    status, _, errors = finish(bench.start(bench.options(ckpt_file="no.ckpt")))
    assert (status, errors) == (2, looked)


# Whole commands


def test_training_and_evaluation_run_from_a_zip_in_a_bucket(bench, few_digits):
    with zipfile.ZipFile(bench.bucket / "data" / "digits.zip", "w") as archive:
        for path in sorted(few_digits.rglob("*.jpg")):
            archive.write(path, f"digits/{path.relative_to(few_digits)}")
    names = {"modelarts_dataset_unzip_name": "digits", "folder_name_under_zip_file": "digits", "num_classes": 3,
             "image_size": 71, "batch_size": 7}  # fmt: skip

    def run(script: str, **more: object) -> str:
        result = subprocess.run(
            [sys.executable, ROOT / script, *bench.options(**names, **more)], env=bench.environment(), cwd=bench.folder,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result.stdout

    run("train.py", train_data_dir="train", epoch_size=1, lr_max=0.01)
    results = bench.bucket / "results" / "cpu-ckpt" / "model_0"
    assert {"Xception-rank0-1_3.ckpt", "metrics.csv", "class_names.txt", "config.yaml"} <= {*os.listdir(results)}
    shutil.copy(results / "Xception-rank0-1_3.ckpt", bench.folder / "cache/load")
    output = run("eval.py", test_data_dir="val", checkpoint_path="Xception-rank0-1_3.ckpt", eval_report="report")
    assert "evaluated 37 images, each once" in output
    assert (bench.bucket / "results" / "report" / "per_class.csv").exists()
    assert len(bench.calls("in")) == 3 and len(bench.calls("out")) == 2
