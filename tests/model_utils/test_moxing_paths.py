"""On ModelArts: where a run's paths lead on the server, and the name that its processes share."""

from __future__ import annotations

import re

import pytest

from src.model_utils.config import Config, ConfigError, parse_config
from src.model_utils.modelarts_paths import job_name, local_config
from tests.helpers.project import ROOT


def configure(**values: object) -> Config:
    defaults = {"data_path": "/c/data", "load_path": "/c/load", "output_path": "/c/out"}
    return parse_config([f"--{key}={value}" for key, value in (defaults | values).items()], lambda _: "CPU")


@pytest.mark.parametrize(
    ("key", "given", "expected"),
    [
        ("train_data_dir", "", "/c/data"), ("train_data_dir", "train", "/c/data/train"),
        ("train_data_dir", "/mine", "/mine"), ("test_data_dir", "", "/c/data"), ("test_data_dir", "val", "/c/data/val"),
        ("class_map", "", ""), ("class_map", "map.csv", "/c/data/map.csv"),
        ("checkpoint_path", "", ""), ("checkpoint_path", "a.ckpt", "/c/load/a.ckpt"),
        ("ckpt_file", "/a.ckpt", "/a.ckpt"),
        ("resume", "sub/a.ckpt", "/c/load/sub/a.ckpt"), ("resume", "auto", "auto"), ("resume", "", ""),
        ("save_checkpoint_path", "./", "/c/out"), ("save_checkpoint_path", "./cpu-ckpt", "/c/out/cpu-ckpt"),
        ("save_checkpoint_path", "/c/out/x", "/c/out/x"), ("eval_report", "", ""), ("eval_report", "r", "/c/out/r"),
        ("file_name", "xception", "/c/out/xception"), ("log_dir", "", ""), ("log_dir", "runs", "/c/out/runs"),
        ("show_batch", "a.png", "/c/out/a.png"),
    ],
)  # fmt: skip
def test_paths_lead_to_the_local_copies(key, given, expected):
    assert getattr(local_config(configure(**{key: given})), key) == expected


@pytest.mark.parametrize(("under", "given", "expected"), [
    ("./", "train", "/c/data/zip/train"), ("./ImageNet/train", "", "/c/data/zip/ImageNet/train"),
])  # fmt: skip
def test_images_of_a_zip_are_below_its_folder(under, given, expected):
    config = configure(modelarts_dataset_unzip_name="zip", folder_name_under_zip_file=under, train_data_dir=given)
    assert local_config(config).train_data_dir == expected


@pytest.mark.parametrize("key", ["save_checkpoint_path", "log_dir", "show_batch", "eval_report", "file_name"])
@pytest.mark.parametrize("path", ["/elsewhere", "../x", "/c/outside"])
def test_results_that_would_not_be_copied_out_are_refused(key, path):
    with pytest.raises(ConfigError, match=rf"^{key} {path} is outside of output_path /c/out"):
        local_config(configure(**{key: path}))


def test_validation_does_not_silently_take_the_training_images():
    with pytest.raises(ConfigError, match=r"add --test_data_dir, a folder below /c/data$"):
        local_config(configure(eval_while_train=True))


def test_every_parameter_of_the_page_for_modelarts_is_an_option():
    page = (ROOT / "docs/modelarts.md").read_text(encoding="utf-8")
    forms = [block.splitlines() for block in re.findall(r"```text\n(.*?)```", page, re.DOTALL) if "bash" not in block]
    assert len(forms) >= 6
    for form in forms:
        config = parse_config([f"--{line}" for line in form], lambda _: "CPU")
        assert config.enable_modelarts and local_config(config)


def test_the_name_of_a_job_is_the_same_for_its_processes_and_another_for_other_jobs(monkeypatch):
    for name in ("JOB_ID", "MA_VJ_NAME"):
        monkeypatch.delenv(name, raising=False)
    same = {job_name(configure(data_url="obs://a")), job_name(configure(data_url="obs://a", batch_size=3))}
    assert len(same) == 1
    others = [{}, {"data_url": "obs://b"}, {"data_url": "obs://a", "train_url": "obs://b"},
              {"data_url": "obs://a", "data_path": "/d"}]  # fmt: skip
    monkeypatch.setenv("MA_VJ_NAME", "ma-job-../17")
    names = [job_name(configure(data_url="obs://a")), *same]
    monkeypatch.delenv("MA_VJ_NAME")
    names += [job_name(configure(**other)) for other in others]
    assert len(set(names)) == 6
    assert names[0].startswith("ma-job----17-") and all(re.fullmatch(r"[\w-]+", name) for name in names)
