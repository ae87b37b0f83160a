"""Single values of a configuration: what they become, and what is refused."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from src.model_utils.config import ConfigError, parse_config
from src.model_utils.config_values import check


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
    assume(not re.fullmatch(r"\s*(true|false)\s*", text, re.IGNORECASE) and not text.startswith("~"))
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


def test_a_path_in_an_option_or_a_file_may_begin_with_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.yaml").write_text("train_data_dir: ~/images\n")
    words = ["--config_path=~/own.yaml", "--resume=~/a.ckpt", "--cpu_operators=~/own", "--pretrained=a/~/b"]
    config = parse_config(words, lambda device: "CPU")
    assert config.train_data_dir == f"{tmp_path}/images"
    assert (config.resume, config.cpu_operators) == (f"{tmp_path}/a.ckpt", f"{tmp_path}/own")
    assert config.pretrained == "a/~/b"


@pytest.mark.parametrize("words", [["--compile_cache=none"], ["--compile_cache="], ["--compile_cache", "~/graphs"]])
def test_a_key_of_an_earlier_version_is_taken_and_told_to_have_no_effect(words, tmp_path, capsys):
    path = tmp_path / "own.yaml"
    path.write_text("seed: 3\ncompile_cache: auto\n")
    config = parse_config([f"--config_path={path}", *words], lambda device: "CPU")
    assert config == parse_config(["--seed=3"], lambda device: "CPU")
    option, key = capsys.readouterr().err.splitlines()
    assert option.startswith("option --compile_cache has no effect any more: ")
    assert key.startswith(f"{path}: key compile_cache has no effect any more: ")
    assert "compile_cache" not in config.to_yaml()


def test_a_home_folder_that_is_not_known_is_named_with_the_option(monkeypatch):
    monkeypatch.setenv("HOME", "")
    with pytest.raises(ConfigError, match=r"^option --resume: ~/a\.ckpt: no home folder is known: set HOME"):
        parse_config(["--resume=~/a.ckpt"], lambda device: "CPU")
