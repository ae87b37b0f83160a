"""What a wrong configuration is refused with: one line that names the option, or the file and the key."""

from __future__ import annotations

import pytest

from src.model_utils.config import ConfigError
from tests.helpers.configuration import parse


def message(*argv: object) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(*argv)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--epoch_sizes", "5"], ["unknown option --epoch_sizes", "did you mean --epoch_size?"]),
        (["--epoch", "5"], ["unknown option --epoch;"]),
        (["-seed", "5"], ["unknown option -seed", "--seed"]),
        (["--config_paths=x"], ["--config_path?"]),
        (["--qqq"], ["unknown option --qqq", "--help"]),
        (["--dataset_path=x"], ["unknown option --dataset_path: train_data_dir names the images of a training"]),
        (["--filter_weight=True"], ["unknown option --filter_weight: pretrained leaves the classifier out"]),
        (["--class_num=3", "--num_classes=3"], ["options --class_num and --num_classes are the same: give one"]),
        (["--class_num=ten"], ["option --num_classes: expected an integer >= 0, got 'ten'"]),
        (["stray"], ["unexpected argument 'stray'"]),
        (["--epoch_size"], ["--epoch_size", "expected one argument"]),
        (["--epoch_size", "2.5"], ["option --epoch_size: expected an integer >= 1, got '2.5'"]),
        (["--epoch_size", "0"], [">= 1", "'0'"]),
        (["--lr_max", "nan"], ["--lr_max", "a number", "'nan'"]),
        (["--label_smooth_factor", "1"], ["< 1"]),
        (["--loss_scale", "0"], ["> 0"]),
        (["--seed", 2**32], ["<= 4294967295"]),
        (["--image_size", "70"], [">= 71"]),
        (["--save_checkpoint=maybe"], ["expected true or false, got 'maybe'"]),
        (["--file_format", "mindir"], ["one of AIR, MINDIR, ONNX", "'mindir'"]),
        (["--config_path", "/no/such.yaml"], ["/no/such.yaml", "No such file"]),
    ],
)  # fmt: skip
def test_wrong_option_is_refused_with_its_name_and_what_was_expected(words, parts):
    text = message(*words)
    assert all(part in text for part in parts), text


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("config_cpu:\n  epoch_sizes: 5\n", ["unknown key epoch_sizes in config_cpu", "did you mean epoch_size?"]),
        ("config_cpux:\n  seed: 5\n", ["unknown key config_cpux", "config_cpu?"]),
        ("epoch_size: 5\n", ["epoch_size", "config_ascend or config_gpu or config_cpu"]),
        ("config_gpu:\n  seed: 5\n", ["seed", "config_gpu", "the top level"]),
        ("seed: 1\nconfig_cpu:\n  lr_max: 1\n  lr_max: 2\n", ["line 4", "lr_max"]),
        ("config_gpu:\n  epoch_size: ten\n", ["epoch_size", "config_gpu", "an integer", "'ten'"]),
        ("seed: true\n", ["key seed", "an integer", "True"]),
        ("config_cpu: {momentum: .nan}\n", ["momentum", "nan"]),
        ("file_name: 12\n", ["file_name", "text", "12"]),
        ("seed:\n", ["seed", "an integer", "nothing"]),
        ("seed: [1]\n", ["seed", "a list"]),
        ("file_format: {a: 1}\n", ["file_format", "a dict"]),
        ("config_cpu: 3\n", ["section config_cpu", "3"]),
        ("1: 2\n", ["unknown key 1"]),
        ("config_gpu: {class_num: 1, num_classes: 1}\n", ["class_num and num_classes in config_gpu are the same"]),
        ("class_num: 1\n", ["num_classes", "move it to config_ascend"]),
        ("weight_init: normal\n", ["unknown key weight_init at the top level: ", "which is no setting"]),
        ("- seed\n", ["key: value", "a list"]),
        ("seed: 1\n---\n3\n", ["key: value"]),
        ("{}\n---\n---\n---\n", ["at most 3", "4"]),
        ("seed: 1\nx: [1\n", ["line 3", "not valid YAML"]),
        ("seed: !!python/object/apply:os.getcwd []\n", ["line 1", "python/object/apply:os.getcwd"]),
        ("seed: !!int x\n", ["not valid YAML"]),
        ("[" * 3000, ["not valid YAML"]),
        ("seed: 0x" + "f" * 9000, ["beyond 64 bits"]),
        (b"seed: \xff\n", ["UTF-8", "byte 6"]),
    ],
)  # fmt: skip
def test_wrong_file_is_refused_with_its_name_and_key(write, text, parts):
    path = write(text)
    error = message("--config_path", path)
    assert str(path) in error and all(part in error for part in parts), error


def test_alias_that_holds_itself_is_refused(write):
    assert "config_cpu" in message("--config_path", write("config_cpu: &a\n  seed: *a\n"))


def test_key_without_help_text_in_an_edited_default_file_is_named(write, monkeypatch):
    path = write("device_target: auto\nextra: 1\n", "default_config.yaml")
    monkeypatch.setattr("src.model_utils.config.DEFAULT_FILE", path)
    assert "default_config.yaml" in message()
