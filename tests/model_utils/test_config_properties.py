"""Any configuration parses or is one line that names what is wrong, and the one in use reads back equal."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.model_utils.config import ConfigError
from tests.helpers.configuration import SECTIONS, known_keys, parse

QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

# A text that begins with ~ is a path in the home folder.
texts = (st.text(st.characters(exclude_characters="\0"), max_size=30)).filter(lambda text: not text.startswith("~"))
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
