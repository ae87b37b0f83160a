"""What programs write around PyTorch's weights: other objects, other names, tensors of other kinds; nothing is run."""

from __future__ import annotations

import argparse
import io
import pickle
import re
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from src.checkpoints.weights import read_weights
from src.metadata.metadata import Metadata
from tests.helpers.weight_files import assert_same_weights, convert, need
from tools.weight_formats.torch_archive import read_torch_file
from tools.weight_formats.torch_files import to_torch

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def state(small, tmp_path_factory) -> dict:
    """The deterministic weights as PyTorch's tensors; only to be read."""
    need("torch")
    import torch

    path = tmp_path_factory.mktemp("state") / "state.pth"
    path.write_bytes(to_torch(read_weights(small).values, path, Metadata()))
    return torch.load(path, weights_only=True)


def save(content, path: Path, **options) -> Path:
    import torch

    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "net.", "model.module."]
)
def test_prefixes_of_wrapping_classes_are_left_out(state, small, tmp_path, prefix):
    content = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    path = save({"state_dict": content}, tmp_path / "a.pth")
    assert_same_weights(convert(path, tmp_path / "ours.ckpt", "--pool_padding", "same"), small)


@pytest.mark.parametrize(
    "wrappers", [["model_state_dict"], ["net"], ["model"], ["state_dict"], ["model", "state_dict"]]
)
@pytest.mark.parametrize("zipped", [True, False])
def test_wrappers_beside_objects_of_any_class_are_opened(state, small, tmp_path, wrappers, zipped):
    content = OrderedDict(state)
    for name in reversed(wrappers):
        others = argparse.Namespace(lr=0.1, data=Path("x"), parts={1, 2}, number=np.float32(3))
        content = {name: content, "epoch": 3, "args": others, "best": np.float64(79.5), "values": np.arange(3)}
    path = save(content, tmp_path / "a.pth.tar", _use_new_zipfile_serialization=zipped)
    assert_same_weights(convert(path, tmp_path / "ours.ckpt", "--pool_padding", "same"), small)


def test_parameters_and_averages_of_torchvision_are_taken(state, small, tmp_path, capsys):
    import torch

    parameters = {name: torch.nn.Parameter(tensor) for name, tensor in state.items()}
    path = save(parameters, tmp_path / "a.pth")
    assert_same_weights(convert(path, tmp_path / "a.ckpt", "--pool_padding", "same"), small)
    average = {"n_averaged": torch.tensor(5), **{f"module.{name}": tensor for name, tensor in state.items()}}
    zeros = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    path = save({"model": zeros, "model_ema": average, "args": argparse.Namespace()}, tmp_path / "b.pth")
    assert_same_weights(convert(path, tmp_path / "b.ckpt", "--pool_padding", "same"), small)
    assert "took model_ema, the moving average" in capsys.readouterr().out


def changed(state: dict, change) -> dict:
    import torch

    content = dict(state)
    change(content, torch)
    return content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, t: s.update({"bn1.bias": t.ones(32, dtype=t.int8)}), "bn1.beta that are no finite numbers .* int8"),
        (lambda s, t: s.update({"bn1.bias": t.ones(32, dtype=t.bool)}), "bn1.beta that are no finite .* but bool"),
        (lambda s, t: s.update({"bn1.bias": t.ones(32, dtype=t.complex64)}), "bn1.beta that are .* but complex64"),
        (lambda s, t: s.update({"bn1.bias": t.full((32,), 1e300, dtype=t.float64)}), "bn1.beta .* in float32"),
        (lambda s, t: s.update({"bn1.bias": t.ones(1).expand(32)}), r"bn1.beta of .*repeats 1 numbers in .*contiguous"),
        (
            lambda s, t: s.update({"fc.weight": t.ones(1).expand(10**9, 2048), "fc.bias": t.ones(1).expand(10**9)}),
            "repeats 1 numbers in the shape",
        ),
        (lambda s, t: s.update({"conv2.weight": t.ones(1).expand(10**6, 10**6)}), "conv2.weight has shape"),
        (lambda s, t: s.update({"bn1.bias": t.ones(32, device="meta")}), "bn1.bias is made by torch.*no plain tensor"),
        (lambda s, t: s.update({"bn1.bias": t.ones(32).to_sparse()}), "bn1.bias is made by torch.*no plain tensor"),
        (lambda s, t: s.update({"a\nb": t.ones(1).to_sparse()}), r"'a\\nb' is made by"),
        (lambda s, t: s.update({"last_linear.bias": s["fc.bias"]}), "holds fc.bias twice"),
        (lambda s, t: s.update({"bn1.bias": 3}), "holds no mapping of names to tensors: save the model's state_dict"),
        (lambda s, t: s.update(model={"a": t.ones(1)}, net={"a": t.ones(1)}), "holds weights under model and net"),
    ],
)
def test_tensors_that_are_no_weights_are_refused_in_one_line(state, tmp_path, change, message):
    path = save(changed(state, change), tmp_path / "a.pth")
    with pytest.raises(ValueError, match=message) as caught:
        convert(path, tmp_path / "ours.ckpt")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pth"]


def test_a_whole_object_is_told_apart(tmp_path):
    need("torch")
    import torch

    path = save(torch.nn.Linear(2, 2), tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"no mapping of names to tensors, but a torch.nn.modules.linear.Linear: save"):
        convert(path, tmp_path / "ours.ckpt")


def archive(path: Path, program: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", program)
    return path


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02cbuiltins\neval\nX\x0c\x00\x00\x00open('x','w')\x85R.",
        b"\x80\x02cos\nsystem\nX\x07\x00\x00\x00touch x\x85R.",
        b"(S'touch x'\nios\nsystem\n.",
        b"\x80\x02ccollections\nOrderedDict\n}X\x0b\x00\x00\x00__globals__K\x01s\x86b.",
        b"\x80\x02}(X\x01\x00\x00\x00aK\x01X\x01\x00\x00\x00aK\x02u.",  # a name twice
        b"\x80\x02r\xff\xff\xff\xff.",  # a place in memory that pickle's own reader would reserve
        b"\x80\x05\x96\xff\xff\xff\xff\xff\x00\x00\x00.",  # a bytearray of a terabyte
        b"\x82\x01.",
        b"",
        b"\x80\x02X\xff\xff\xff\x7f.",
    ],
)
def test_programs_in_a_pickle_find_nothing_to_run(tmp_path, monkeypatch, program):
    monkeypatch.chdir(tmp_path)
    path = archive(tmp_path / "a.pth", program)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        convert(path, tmp_path / "ours.ckpt")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pth"]


def test_an_archive_that_swells_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/data.pkl", bytes(10**7))
    with pytest.raises(ValueError, match=r"a.pth declares 10,000,000 bytes, but has"):
        convert(path, tmp_path / "ours.ckpt")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_is_cut_anywhere_is_an_error(tmp_path, zipped):
    need("torch")
    import torch

    buffer = io.BytesIO()
    torch.save({"a": torch.arange(3.0)}, buffer, _use_new_zipfile_serialization=zipped)
    content = buffer.getvalue()
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    assert read_torch_file(path)["a"].read().tolist() == [0, 1, 2]
    for length in range(0, len(content) - 1, 7):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"cannot read .*a.pth as PyTorch weights"):
            read_torch_file(path)


def test_tensors_that_share_a_storage_are_what_pytorch_makes_of_them(tmp_path):
    need("torch")
    import torch

    numbers = torch.arange(24.0).reshape(4, 6)
    content = {"rows": numbers[1:3], "turned": numbers.t(), "steps": numbers[::2, 1::3], "half": numbers.half()}
    found = read_torch_file(save(content, tmp_path / "a.pth"))
    for name, tensor in content.items():
        assert found[name].shape == tuple(tensor.shape)
        assert np.array_equal(found[name].read(), tensor.numpy())


def test_pickle_of_python_keeps_the_table_that_is_changed():
    assert pickle._Unpickler.dispatch[pickle.BUILD[0]] is pickle._Unpickler.load_build
