"""Where files and data sets are found that a person has named."""

from __future__ import annotations

import json
import re

import pytest

from src.common.files import atomic_write
from src.modelarts.filled_folder import MARK
from src.modelarts.given_files import find_file, find_unzipped


def test_a_file_is_found_in_the_copies_then_beside_the_code_and_by_an_absolute_path(tmp_path):
    copied, code = tmp_path / "load" / "net/a.ckpt", tmp_path / "code"
    atomic_write(code / "net/a.ckpt", "beside the code")
    assert find_file("ckpt_file", "net/a.ckpt", copied, code) == code / "net/a.ckpt"
    assert find_file("ckpt_file", "./net/a.ckpt", copied, code) == code / "net/a.ckpt"
    atomic_write(copied, "copied")
    assert find_file("ckpt_file", "net/a.ckpt", copied, code) == copied
    absolute = str(code / "net/a.ckpt")
    assert str(find_file("ckpt_file", absolute, code / absolute, code)) == absolute


def test_a_pattern_is_found_where_files_match_it(tmp_path):
    """`checkpoint_path: ./{path}/*.ckpt` of the model zoo's page, and several checkpoints for eval.py."""
    copied, code = tmp_path / "load" / "net/*.ckpt", tmp_path / "code"
    atomic_write(code / "net/a.ckpt", "beside the code")
    assert find_file("checkpoint_path", "./net/*.ckpt", copied, code) == code / "net/*.ckpt"
    atomic_write(tmp_path / "load/net/b.ckpt", "copied")
    assert find_file("checkpoint_path", "./net/*.ckpt", copied, code) == copied
    with pytest.raises(FileNotFoundError, match=r"looked at .*load/no\*\.ckpt and .*code/no\*\.ckpt$"):
        find_file("checkpoint_path", "no*.ckpt", tmp_path / "load/no*.ckpt", code)


def test_the_error_names_what_was_looked_at(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        find_file("resume", "a.ckpt", tmp_path / "load/a.ckpt", tmp_path / "code")
    message = f"resume a.ckpt is not there: looked at {tmp_path}/load/a.ckpt and {tmp_path}/code/a.ckpt"
    assert str(caught.value) == message
    with pytest.raises(FileNotFoundError, match=r"looked at /no/a\.ckpt$"):
        find_file("resume", "/no/a.ckpt", tmp_path / "/no/a.ckpt", tmp_path)


def test_a_data_set_that_came_unzipped_is_taken_as_it_is(tmp_path):
    (tmp_path / "ImageNet" / "top").mkdir(parents=True)
    assert find_unzipped(tmp_path / "ImageNet", "top") == tmp_path / "ImageNet/top"
    atomic_write(tmp_path / "ImageNet" / MARK, json.dumps({"source": "ImageNet.zip"}))
    assert find_unzipped(tmp_path / "ImageNet", "top") is None  # unzipped here: it may be of another file


def test_a_data_set_that_was_unzipped_beside_its_zip_file_is_found_without_that_file(tmp_path):
    (tmp_path / "top").mkdir()
    assert find_unzipped(tmp_path / "ImageNet", "./top") == tmp_path / "top"
    (tmp_path / "ImageNet.zip").touch()
    assert find_unzipped(tmp_path / "ImageNet", "./top") is None


def test_without_zip_file_and_folder_the_error_names_all_that_was_looked_at(tmp_path):
    names = f"the data set a is not there: looked at {tmp_path}/a.zip, {tmp_path}/a, {tmp_path}/top"
    with pytest.raises(FileNotFoundError, match=rf"^{re.escape(names)}$"):
        find_unzipped(tmp_path / "a", "top")
    with pytest.raises(FileNotFoundError, match=rf"{re.escape(str(tmp_path))}/a$"):
        find_unzipped(tmp_path / "a", "./")
