"""What a file declares is compared before anything of it is read; numbers are checked as the float32 that is kept."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from src.checkpoints.weights import read_weights
from tests.helpers.weight_files import convert, need
from tools.weight_formats.safetensors_files import read_safetensors

pytestmark = pytest.mark.slow


def replace(file, name: str, **options) -> None:
    """Put another data set in the place of one."""
    del file[name]
    file.create_dataset(name, **options)


def link_group(file, outside: Path) -> None:
    import h5py

    del file["layers/dense"]
    file["layers/dense"] = h5py.ExternalLink(outside.name, "layers/dense")


def link_all(file, outside: Path) -> None:
    import h5py

    del file["layers"]
    file["layers"] = h5py.ExternalLink(str(outside), "layers")


def link_softly(file, outside: Path) -> None:
    import h5py

    file["optimizer"] = h5py.ExternalLink(str(outside), "layers")
    del file["layers/dense/vars"]
    file["layers/dense/vars"] = h5py.SoftLink("/optimizer/dense/vars")


def turn_in_a_circle(file, _: Path) -> None:
    file["layers/dense/layers"] = file["layers"]


GAMMA = "layers/batch_normalization/vars/0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f, _: replace(f, GAMMA, data=np.full(32, 1e300)), "bn1.gamma that are no finite numbers in float32"),
        (lambda f, _: replace(f, GAMMA, data=np.full(32, 1e300, np.longdouble)), "no finite numbers of one of float16"),
        (lambda f, _: replace(f, GAMMA, data=np.ones(1, np.float32)), "bn1.gamma has shape (1,) instead of (32,)"),
        (lambda f, _: replace(f, GAMMA, data=np.ones(32, np.int8)), "bn1.gamma that are no finite numbers"),
        (lambda f, _: replace(f, GAMMA, data=np.ones(32, bool)), "bn1.gamma that are no finite numbers"),
        (lambda f, _: replace(f, GAMMA, data=["text"] * 32), "bn1.gamma that are no finite numbers"),
        (lambda f, _: replace(f, GAMMA, shape=(32,), dtype="f4"), "only 0 of 128 bytes are there"),
        (lambda f, _: replace(f, GAMMA, shape=(32,), dtype="f4", chunks=(8,)), "only 0 of 4 parts are there"),
        (
            lambda f, _: replace(f, "layers/dense/vars/0", shape=(2048, 4 * 10**6), dtype="f4", chunks=(2048, 4096)),
            "declares 32,",
        ),
        (link_group, "keeps dense in another file, or under another name"),
        (link_all, "keeps layers in another file, or under another name"),
        (link_softly, "keeps vars in another file, or under another name"),
        (turn_in_a_circle, "holds the group /layers"),
        (lambda f, _: f.move("layers/dense/vars/1", "layers/dense/vars/b"), "does not number the variables of"),
    ],
)
def test_hdf5_that_declares_something_else_is_refused(small, tmp_path, change, message):
    need("h5py")
    import h5py

    outside = convert(small, tmp_path / "outside.weights.h5", "--to", "keras")
    path = convert(small, tmp_path / "a.weights.h5", "--to", "keras")
    with h5py.File(path, "a") as file:
        change(file, outside)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        convert(path, tmp_path / "ours.ckpt")
    assert str(path) in str(caught.value)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.weights.h5", "outside.weights.h5"]


def test_packed_hdf5_is_read(small, tmp_path):
    need("h5py")
    import h5py

    path = convert(small, tmp_path / "a.weights.h5", "--to", "keras")
    name = "layers/conv2d_1/vars/0"
    with h5py.File(path, "a") as file:
        replace(file, name, data=file[name][()], chunks=(2, 2, 32, 32), compression="gzip")
    found = read_weights(convert(path, tmp_path / "ours.ckpt")).values
    assert np.array_equal(found["conv2.weight"], read_weights(small).values["conv2.weight"])


def packed(header: bytes, numbers: bytes = bytes(8)) -> bytes:
    return len(header).to_bytes(8, "little") + header + numbers


def entry(**changes) -> dict:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}


@pytest.mark.parametrize(
    "content",
    [
        bytes(8),
        packed(b"{}")[:9],
        packed(b"[]"),
        packed(b"{"),
        packed(b"[" * 10**5),
        packed(b'{"a": 1}'),
        packed(json.dumps({"a": entry()}).encode().replace(b"}}", b'}, "a": {}}')),
        *(
            packed(json.dumps({"a": entry(**changes)}).encode())
            for changes in (
                {"shape": [3]},
                {"shape": [-1, -2]},
                {"shape": [2.0]},
                {"shape": 2},
                {"data_offsets": [8, 16]},
                {"data_offsets": [8, 0]},
                {"data_offsets": [0]},
                {"shape": [10**12], "data_offsets": [0, 4 * 10**12]},
                {"dtype": ["F32"]},
            )
        ),
    ],
)
def test_safetensors_that_declare_something_else_are_refused(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot read .*a.safetensors as safetensors: "):
        read_safetensors(path)


def test_safetensors_of_every_type_are_told_by_shape_and_type(tmp_path):
    header = {"a": entry(), "b": entry(dtype="F8_E5M2", shape=[8]), "__metadata__": {"format": "pt"}}
    path = tmp_path / "a.safetensors"
    path.write_bytes(packed(json.dumps(header).encode(), np.float32([1, 2]).tobytes()))
    found, texts = read_safetensors(path)
    assert texts == {"format": "pt"}
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in found.items()} == {
        "a": ((2,), "float32"),
        "b": ((8,), "F8_E5M2"),
    }
    assert found["a"].read().tolist() == [1, 2]
