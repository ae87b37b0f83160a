"""What users rely on when they configure a run: the defaults, where a value comes from, --help and the value itself."""

import copy
import pickle
import subprocess
import sys

import pytest

from src.model_utils.config import DEFAULT_FILE, ConfigError, parse_config
from tests.helpers.configuration import SECTIONS, documents, known_keys, parse, resolve

# The default file


def test_every_key_has_one_help_text_that_is_a_sentence():
    texts = [item for entries in documents()[1].values() for item in entries.items()]
    assert sorted(key for key, _ in texts) == sorted(known_keys())
    assert all(text[0].isupper() and text.endswith(".") for _, text in texts)


def test_choices_name_known_keys_and_give_the_type_of_every_default():
    values, _, allowed = documents()
    assert allowed.keys() <= known_keys()
    for section in (values, *(values[name] for name in SECTIONS)):
        for key, value in section.items():
            rule = allowed.get(key, [""]) if key not in SECTIONS else [value]
            examples = rule if isinstance(rule, list) else list(rule.values())
            assert {type(example) for example in examples} == {type(value)}, key


@pytest.mark.parametrize(
    ("device", "batch_size", "path"), [("Ascend", 128, "./"), ("GPU", 64, "./gpu-ckpt"), ("CPU", 32, "./cpu-ckpt")]
)
def test_recipe_is_the_published_one_on_every_device(device, batch_size, path):
    config = parse("--device_target", device)
    recipe = config.replace(
        num_classes=1000, batch_size=batch_size, loss_scale=1024.0, momentum=0.9, weight_decay=1e-4, epoch_size=250,
        save_checkpoint=True, save_checkpoint_epochs=1, keep_checkpoint_max=5, save_checkpoint_path=path,
        warmup_epochs=1, lr_decay_mode="linear", use_label_smooth=True, label_smooth_factor=0.1, finish_epoch=0,
        lr_init=4e-5, lr_max=0.4, lr_end=4e-5,
    )  # fmt: skip
    assert config == recipe
    assert len(documents()[0][f"config_{device.lower()}"]) == 18


def test_top_level_defaults_are_those_of_the_model_zoo():
    config = parse()
    assert (config.device_target, config.export_batch_size, config.image_size) == ("CPU", 1, 299)
    assert (config.file_name, config.file_format, config.amp_level) == ("xception", "MINDIR", "auto")
    assert (config.data_path, config.output_path) == ("/cache/data", "/cache/train")
    assert (config.seed, config.log_steps, config.dataset_sink_mode, config.debug) == (1, 10, True, False)


# Where a value comes from


def test_command_line_wins_over_file_and_file_over_defaults(write):
    path = write("seed: 7\nconfig_cpu:\n  epoch_size: 3\n  lr_max: 4e-2\nconfig_gpu:\n  epoch_size: 9\n")
    config = parse("--config_path", path, "--lr_max=0.1")
    assert (config.seed, config.epoch_size, config.lr_max, config.momentum) == (7, 3, 0.1, 0.9)
    assert parse("--config_path", path, "--device_target", "GPU").epoch_size == 9


def test_batch_size_option_sets_section_and_export_but_the_file_sets_them_apart(write):
    config = parse("--batch_size", 8)
    assert (config.batch_size, config.export_batch_size) == (8, 8)
    config = parse("--config_path", write("batch_size: 2\n"))
    assert (config.batch_size, config.export_batch_size) == (32, 2)


def test_device_is_resolved_once_after_merging_and_its_error_is_a_config_error(write):
    asked = []
    path = write("device_target: GPU\n")
    config = parse_config(["--config_path", str(path)], lambda device: asked.append(device) or "Ascend")
    assert (asked, config.device_target, config.batch_size) == (["GPU"], "Ascend", 128)

    def absent(device: str) -> str:
        raise ValueError(f"no {device} here")

    with pytest.raises(ConfigError, match=r"^no GPU here$"):
        parse_config(["--device_target=GPU"], absent)


@pytest.mark.parametrize("text", ["", "# nothing\n", "config_cpu:\n", "---\n---\n---\n"])
def test_file_without_values_changes_nothing(write, text):
    assert parse("--config_path", write(text)) == parse()


def test_edited_copy_of_the_default_file_is_accepted(write):
    text = DEFAULT_FILE.read_text(encoding="utf-8").replace("epoch_size: 250", "epoch_size: 2")
    assert parse("--config_path", write("\ufeff" + text)) == parse("--epoch_size", 2)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--is_fp32"], True),
        (["--is_fp32", "TRUE"], True),
        (["--is_fp32=False"], False),
        (["--is_fp32", "false"], False),
    ],
)
def test_booleans_take_any_case_and_a_bare_flag_is_true(words, expected):
    assert parse(*words, "--seed", 3).is_fp32 is expected


def test_value_may_start_with_a_dash_or_be_empty_after_an_equals_sign():
    assert parse("--train_data_dir=-odd name").train_data_dir == "-odd name"
    assert parse("--data_path=").data_path == ""


def test_null_means_empty_text(write):
    assert parse("--config_path", write("data_path:\n")).data_path == ""


def test_old_spelling_of_linear_is_still_accepted():
    assert parse("--lr_decay_mode", "liner").lr_decay_mode == "liner"


# --help


def test_help_lists_every_option_in_its_group_with_defaults_and_exits_with_0(capsys):
    with pytest.raises(SystemExit) as stop:
        parse_config(["--help"], resolve, "Train 100% of it.")
    text = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0
    assert "Train 100% of it." in text
    assert all(f" --{key} " in text for key in known_keys() | {"config_path"})
    assert all(f" {title}: --" in text for title in documents()[1])
    assert "Ascend 128, GPU 64, CPU 32" in text and "Default: 250" in text and "Default: true" in text


def test_configuration_needs_no_mindspore():
    code = "import sys, src.model_utils.command; sys.exit('mindspore' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=DEFAULT_FILE.parent, check=True)


# The value


def test_config_is_immutable_and_unknown_names_are_errors():
    config = parse()
    with pytest.raises(AttributeError):
        config.seed = 2
    with pytest.raises(AttributeError, match="epoch_sizes"):
        _ = config.epoch_sizes
    with pytest.raises(ConfigError, match="epoch_size"):
        config.replace(epoch_sizes=2)


def test_replace_and_to_dict_leave_the_original_alone():
    config = parse()
    changed = config.replace(seed=5)
    config.to_dict()["seed"] = 9
    assert (config.seed, changed.seed) == (1, 5)
    assert changed != config and changed.replace(seed=1) == config
    assert "seed=5" in repr(changed)


def test_config_survives_copy_and_pickle():
    config = parse("--seed", 5)
    assert copy.deepcopy(config) == copy.copy(config) == pickle.loads(pickle.dumps(config)) == config


# The model zoo's names, and its variable


def test_class_num_of_the_model_zoo_is_num_classes_in_a_file_and_said_once(write, capsys):
    path = write("config_gpu:\n  class_num: 20\nconfig_cpu:\n  class_num: 10\n")
    config = parse("--config_path", path)
    assert (config.num_classes, config.is_given("num_classes")) == (10, True)
    assert parse("--config_path", path, "--device_target=GPU").num_classes == 20
    line = f"{path}: key class_num of the model zoo is num_classes here\n"
    assert capsys.readouterr() == ("", line * 2)


@pytest.mark.parametrize("words", [["--class_num=7"], ["--class_num", "7"]])
def test_class_num_of_the_model_zoo_is_an_option_and_said(words, capsys):
    config = parse(*words)
    assert (config.num_classes, config.is_given("num_classes")) == (7, True)
    assert capsys.readouterr() == ("", "option --class_num of the model zoo is --num_classes here\n")


def test_the_variable_chooses_the_device_where_no_option_does_and_is_said(write, monkeypatch, capsys):
    monkeypatch.setenv("DEVICE_ID", "3")
    config = parse("--config_path", write("device_id: 1\n"), "--device_target=GPU")
    assert config.device_id == 3
    assert capsys.readouterr() == ("", "device_id is 3, as the variable DEVICE_ID says\n")
    assert parse("--device_target=GPU", "--device_id=2").device_id == 2
    assert parse("--device_target=GPU", "--is_distributed=True").device_id == 0
    assert capsys.readouterr() == ("", "")


def test_the_variable_of_no_device_is_said_on_a_cpu(monkeypatch, capsys):
    monkeypatch.setenv("DEVICE_ID", "3")
    assert parse().device_id == 0
    assert capsys.readouterr() == ("", "the variable DEVICE_ID=3 has no effect on a CPU\n")


@pytest.mark.parametrize("value", ["two", "-1", "0,1"])
def test_a_variable_that_is_no_number_is_refused_by_its_name(monkeypatch, value):
    monkeypatch.setenv("DEVICE_ID", value)
    with pytest.raises(ConfigError, match=f"^the variable DEVICE_ID: expected an integer >= 0, got '{value}'$"):
        parse()


def test_an_empty_variable_chooses_nothing(monkeypatch, capsys):
    monkeypatch.setenv("DEVICE_ID", "")
    assert parse("--device_target=GPU").device_id == 0
    assert capsys.readouterr() == ("", "")


def test_sections_of_other_devices_alone_are_told_to_have_no_effect(write, capsys):
    """As in the model zoo's file, on a CPU."""
    path = write("config_gpu:\n  epoch_size: 3\nconfig_ascend:\n  epoch_size: 3\n")
    parse_config([f"--config_path={path}"], lambda _: "GPU")
    assert capsys.readouterr().err == ""
    assert parse_config([f"--config_path={path}"], lambda _: "CPU").epoch_size == 250
    told = "no effect on CPU, whose section is config_cpu"
    assert capsys.readouterr().err == f"config_gpu and config_ascend of the file given with --config_path: {told}\n"
