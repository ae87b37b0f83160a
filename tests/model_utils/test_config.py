"""What users rely on when they configure a run: sources, types, messages, and a file that reads back."""

import copy
import math
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from src.model_utils.config import DEFAULT_FILE, Config, ConfigError, check, parse_config

SECTIONS = ("config_ascend", "config_gpu", "config_cpu")
QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def resolve(device: str) -> str:
    return "CPU" if device == "auto" else device


def parse(*argv: object) -> Config:
    return parse_config([str(word) for word in argv], resolve)


def documents() -> list[dict]:
    return list(yaml.safe_load_all(DEFAULT_FILE.read_text(encoding="utf-8")))


def known_keys() -> set[str]:
    values = documents()[0]
    return {key for key in values if key not in SECTIONS}.union(*(values[section] for section in SECTIONS))


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes, name: str = "my.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        return path

    return write


def message(*argv: object) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(*argv)
    assert "\n" not in str(caught.value)
    return str(caught.value)


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
    assert (config.device_target, config.export_batch_size, config.width, config.height) == ("CPU", 1, 299, 299)
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


# What is refused


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--epoch_sizes", "5"], ["unknown option --epoch_sizes", "did you mean --epoch_size?"]),
        (["--epoch", "5"], ["unknown option --epoch;"]),
        (["-seed", "5"], ["unknown option -seed", "--seed"]),
        (["--config_paths=x"], ["--config_path?"]),
        (["--qqq"], ["unknown option --qqq", "--help"]),
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


def test_null_means_empty_text(write):
    assert parse("--config_path", write("data_path:\n")).data_path == ""


def test_old_spelling_of_linear_is_still_accepted():
    assert parse("--lr_decay_mode", "liner").lr_decay_mode == "liner"


def test_key_without_help_text_in_an_edited_default_file_is_named(write, monkeypatch):
    path = write("device_target: auto\nextra: 1\n", "default_config.yaml")
    monkeypatch.setattr("src.model_utils.config.DEFAULT_FILE", path)
    assert "default_config.yaml" in message()


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


# Properties

texts = st.text(st.characters(exclude_characters="\0"), max_size=30)
rates = st.floats(0, 1e300)


@QUICK
@given(
    device=st.sampled_from(["Ascend", "GPU", "CPU"]),
    words=st.fixed_dictionaries(
        {"train_data_dir": texts, "file_name": texts, "save_checkpoint_path": texts},
        optional={
            "lr_max": rates, "weight_decay": rates, "momentum": st.floats(0, 1), "seed": st.integers(0, 2**32 - 1),
            "batch_size": st.integers(1, 2**62), "is_fp32": st.booleans(), "save_checkpoint": st.booleans(),
        },
    ),
)  # fmt: skip
def test_effective_configuration_reads_back_equal(write, device, words):
    config = parse(f"--device_target={device}", *(f"--{key}={value}" for key, value in words.items()))
    assert {key: getattr(config, key) for key in words} == words
    assert parse("--config_path", write(config.to_yaml())) == config


@pytest.mark.parametrize(
    "text", ["\x85", "a\u2028b", "tab\t", "two\nlines", "\ufeff", "猫 'x' \"y\"", "null", "1e3", ""]
)
def test_text_of_any_kind_reads_back_equal(write, text):
    config = parse(f"--file_name={text}")
    assert parse("--config_path", write(config.to_yaml())) == config


@QUICK
@given(st.one_of(st.text(), st.binary(), st.text(alphabet="seed:config_cpu &*<!-[]{}\n?'\"0123|>%")))
def test_any_file_parses_or_is_a_config_error(write, content):
    try:
        parse("--config_path", write(content))
    except ConfigError as error:
        assert "my.yaml" in str(error)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.dates() | st.binary()
nested = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(scalars, inner, max_size=3))


@QUICK
@given(st.dictionaries(st.sampled_from([*sorted(known_keys()), *SECTIONS]) | scalars, nested, max_size=4))
def test_any_yaml_mapping_parses_or_is_a_config_error(write, mapping):
    try:
        parse("--config_path", write(yaml.safe_dump(mapping, allow_unicode=False)))
    except ConfigError as error:
        assert "my.yaml" in str(error)


@QUICK
@given(st.lists(st.one_of(st.text(max_size=12), st.sampled_from(sorted(known_keys())).map("--{}".format)), max_size=5))
def test_any_options_parse_or_are_a_config_error(words):
    try:
        parse(*words)
    except ConfigError:
        pass
    except SystemExit as stop:
        assert stop.code == 0


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_survive_as_number_and_as_text(number):
    bounds = {"min": -math.inf}
    assert check(number, bounds, "x") == check(repr(number), bounds, "x") == number


@given(st.integers())
def test_integers_survive_within_64_bits_and_are_refused_beyond(number):
    bounds = {"min": -(2**70)}
    if abs(number) < 2**63:
        assert check(number, bounds, "x") == check(str(number), bounds, "x") == number
    else:
        with pytest.raises(ConfigError):
            check(number, bounds, "x")


@given(st.text(max_size=8))
def test_text_is_kept_as_it_is_and_only_true_and_false_are_booleans(text):
    assume(not re.fullmatch(r"\s*(true|false)\s*", text, re.IGNORECASE))
    assert check(text, None, "x") == text
    with pytest.raises(ConfigError):
        check(text, [True, False], "x")


@pytest.mark.parametrize("value", [True, 1.0, "1.0", "", "ten", None, [1], math.inf, "inf", 10**400])
def test_integer_keys_refuse_everything_else(value):
    with pytest.raises(ConfigError, match="expected an integer"):
        check(value, {"min": 0}, "x")


def test_float_keys_take_integers_and_the_text_of_numbers():
    assert [check(value, {"min": 0.0}, "x") for value in (1, "4e-5", "1", 0.5)] == [1.0, 4e-5, 1.0, 0.5]
    assert isinstance(check(1, {"min": 0.0}, "x"), float)
