"""A person names one checkpoint, a folder of them, or a pattern."""

import pytest

from src.checkpoints.named import named_checkpoints


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("a/x-10_5.ckpt", "a/x-9_5.ckpt", "a/best.ckpt", "a/config.yaml", "b/best.ckpt", "b/[1].ckpt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a", ["a/x-9_5.ckpt", "a/x-10_5.ckpt", "a/best.ckpt"]),
        ("a/x-*.ckpt", ["a/x-9_5.ckpt", "a/x-10_5.ckpt"]),
        ("*/best.ckpt", ["a/best.ckpt", "b/best.ckpt"]),
        ("b/[1].ckpt", ["b/[1].ckpt"]),  # a file of that very name
        ("a/absent.ckpt", ["a/absent.ckpt"]),  # its reader says that it is not there
    ],
)
def test_a_word_names_checkpoints_in_the_order_of_their_numbers(folder, word, expected):
    assert sorted(map(str, named_checkpoints(word))) == sorted(expected)
    if "best" not in " ".join(expected):
        assert [str(path) for path in named_checkpoints(word)] == expected


@pytest.mark.parametrize(
    ("word", "message"),
    [("empty", "no checkpoint in the folder empty"), ("c*.ckpt", r"nothing matches the pattern c\*\.ckpt: check it")],
)
def test_a_word_that_names_none_is_an_error(folder, word, message):
    with pytest.raises(ValueError, match=message):
        named_checkpoints(word)
