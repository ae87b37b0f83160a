"""A checkpoint whose parts do not add up is refused with the entry's name, and never crashes or invents numbers."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mindspore import Parameter, Tensor
from mindspore.train import serialization
from mindspore.train.checkpoint_pb2 import Checkpoint

from src.checkpoints.file import DamagedCheckpoint, read_checkpoint
from src.checkpoints.position import Position
from src.checkpoints.training_state import save_training
from src.checkpoints.weights import load_weights, read_weights
from tests.helpers.load_checkpoints import digest
from tests.helpers.project import ROOT
from tests.helpers.small_network import Small, build_state, values

CHECKSUM = 17


def write(path: Path, *entries: tuple[str, list[int], str, bytes]) -> Path:
    """Write a checkpoint without checksum of name, shape, type and content of each entry."""
    checkpoint = Checkpoint()
    for name, dims, kind, content in entries:
        value = checkpoint.value.add(tag=name)
        value.tensor.dims.extend(dims)
        value.tensor.tensor_type = kind
        value.tensor.tensor_content = content
    path.write_bytes(checkpoint.SerializeToString())
    return path


@pytest.fixture(scope="module")
def loader() -> Iterator[Callable[[Path], str]]:
    """What tells how a process that is still the one it was fares with a file."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.load_checkpoints"], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip

    def load(path: Path) -> str:
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, f"the process is gone, with {process.wait()}"
        return line.rstrip("\n")

    yield load
    process.communicate(timeout=60)
    assert process.returncode == 0


FIVE = np.arange(5, dtype=np.float32).tobytes()
GOOD = ("good", [5], "Float32", FIVE)


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([("a.weight", [3, 2], "Float32", FIVE)], r"its entry 'a\.weight' has 20 bytes, but Float32 \(3, 2\) takes 24"),
        ([("a.weight", [2, 2], "Float32", FIVE * 9999)], r"has 199980 bytes, but Float32 \(2, 2\) takes 16"),
        ([("a.weight", [2**40, 2**40], "Float32", FIVE)], "has 20 bytes, but Float32"),
        ([("a.weight", [-5], "Float32", FIVE)], r"has the impossible shape \(-5,\)"),
        ([("a.weight", [5, 0], "Float32", b"")], r"has the impossible shape \(5, 0\)"),
        ([("a.weight", [1] * 99, "Float32", FIVE[:4])], "has the impossible shape"),
        ([("a.weight", [0], "Float32", b"")], r"has 0 bytes, but Float32 \(\) takes 4"),
        ([("a.weight", [5], "Float33", FIVE)], "has the unknown type 'Float33'"),
        ([("a.weight", [5], "Float64", FIVE)], "has 20 bytes, but Float64"),
        ([("a.weight", [5], "BFloat16", FIVE)], "has 20 bytes, but BFloat16"),
        ([("a.weight", [0], "str", b"abcdefgh")], "is no text"),
        ([("a.weight", [0], "str", b"a\0\0")], "is no text"),
        ([GOOD, ("b", [1], "Int8", b"1"), GOOD], "its entry 'good' is there twice"),
        ([GOOD, GOOD], r"has 40 bytes, but Float32 \(5,\) takes 20"),
        ([GOOD, ("good", [1, 5], "Float32", FIVE)], "is there twice, with different shapes or types"),
        ([("two\nlines\x1b" + "x" * 999, [5], "Int8", FIVE)], r"its entry 'two\\nlines\\x1bx+\.\.\. has 20 bytes"),
    ],
)
def test_an_entry_that_does_not_add_up_is_named(tmp_path, loader, entries, problem):
    path = write(tmp_path / "crafted.ckpt", *entries)
    found = loader(path)
    assert re.fullmatch(rf"refused cannot read checkpoint {path}: .*{problem}.*; use another one", found), found


def test_a_map_instead_of_a_tensor_is_named(tmp_path):
    checkpoint = Checkpoint()
    checkpoint.value.add(tag="table").maptensor.tensor.add(tensor_type="Float32", tensor_content=b"")
    (tmp_path / "map.ckpt").write_bytes(checkpoint.SerializeToString())
    with pytest.raises(DamagedCheckpoint, match="its entry 'table' is no tensor"):
        read_checkpoint(tmp_path / "map.ckpt")


def test_an_entry_of_another_program_is_no_silent_gap(tmp_path):
    """As a flipped bit makes of an entry: protobuf passes over what it does not know."""
    path = write(tmp_path / "a.ckpt", GOOD, ("gone", [5], "Float32", FIVE))
    data = path.read_bytes()
    start = data.index(b"gone") - 4
    assert data[start] == 0x0A  # field 1, of a length
    path.write_bytes(data[:start] + b"\x12" + data[start + 1 :])
    with pytest.raises(DamagedCheckpoint, match="holds other things than a checkpoint's entries"):
        read_checkpoint(path)


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("in_numpy", [False, True])
def test_a_parameter_in_several_pieces_is_read_as_one(tmp_path, monkeypatch, checksum, in_numpy):
    """MindSpore writes large parameters so: all pieces have the name and the shape of the whole."""
    monkeypatch.setattr(serialization, "SLICE_SIZE", 1)  # in KiB
    large = np.random.default_rng(0).normal(size=(7, 123)).astype(np.float32)
    network = [{"name": "small", "data": Tensor([1.0, 2.0])}, {"name": "large", "data": Parameter(Tensor(large))}]
    ms.save_checkpoint([*network, {"name": "last", "data": Tensor(3)}], str(tmp_path / "a.ckpt"), crc_check=checksum)
    if in_numpy:
        serialization._exec_save(
            str(tmp_path / "a.ckpt"), {"large": [[7, 123], "Float32", large]}, crc_check=checksum, format="ckpt"
        )
    content = (tmp_path / "a.ckpt").read_bytes()
    assert content.count(b"large") == 4
    found = read_checkpoint(tmp_path / "a.ckpt")["large"].asnumpy()
    assert found.dtype == np.float32 and np.array_equal(found, large)


def test_a_parameter_that_lacks_a_piece_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(serialization, "SLICE_SIZE", 1)
    ms.save_checkpoint([{"name": "large", "data": Tensor(np.zeros(600, np.float32))}], str(tmp_path / "a.ckpt"))
    checkpoint = Checkpoint.FromString((tmp_path / "a.ckpt").read_bytes())
    del checkpoint.value[1]
    (tmp_path / "b.ckpt").write_bytes(checkpoint.SerializeToString())
    with pytest.raises(DamagedCheckpoint, match=r"its entry 'large' has 1376 bytes, but Float32 \(600,\) takes 2400"):
        read_checkpoint(tmp_path / "b.ckpt")


def test_every_type_is_read_as_mindspore_reads_it(tmp_path):
    types = ["bool_", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))]
    entries = {
        name: Parameter(Tensor(np.array([[0, 1, 1]]), getattr(ms, name)), name=name)
        for name in [*types, "float16", "float32", "float64", "bfloat16"]
    }
    ms.save_checkpoint({**entries, "text": "a \u00e9 \U0001f600"}, str(tmp_path / "a.ckpt"), append_dict={"number": 7})
    found, theirs = read_checkpoint(tmp_path / "a.ckpt"), ms.load_checkpoint(str(tmp_path / "a.ckpt"))
    assert found.keys() == theirs.keys() == {*entries, "text", "number"}
    assert found["text"] == theirs["text"] == "a \u00e9 \U0001f600"
    assert found["number"].asnumpy().item() == 7 and found["number"].shape == ()
    for name in [*types, "float16", "float32", "float64"]:
        ours = found[name].asnumpy()
        assert ours.dtype == theirs[name].asnumpy().dtype and np.array_equal(ours, [[0, 1, 1]]), name
    assert np.array_equal(found["bfloat16"].asnumpy(), [[0, 1, 1]])


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> tuple[bytes, str]:
    """The content of a small training's checkpoint, with an average, and the digest of its values."""
    path = tmp_path_factory.mktemp("real") / "a.ckpt"
    save_training(path, build_state(average=True), Position(3, 2, 45, 0.75))
    return path.read_bytes(), f"loaded {digest(path)}"


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> bytes:
    """The content of a checkpoint as the model zoo writes it, without a checksum."""
    path = tmp_path_factory.mktemp("bare") / "a.ckpt"
    ms.save_checkpoint(build_state().network, str(path), append_dict={"epoch_num": 3, "step_num": 7})
    return path.read_bytes()


@st.composite
def cuts(draw: st.DrawFn, content: bytes) -> bytes:
    """Cut a file at one of its ends."""
    place = draw(st.integers(0, len(content)))
    return content[place:] if draw(st.booleans()) else content[:place]


@st.composite
def flips(draw: st.DrawFn, content: bytes) -> bytes:
    """Flip up to three bits of a file."""
    damaged = bytearray(content)
    for place in draw(st.lists(st.integers(0, 8 * len(damaged) - 1), max_size=3)) if damaged else ():
        damaged[place // 8] ^= 1 << place % 8
    return bytes(damaged)


MANY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)


@MANY
@given(data=st.data())
def test_cuts_and_flipped_bits_never_crash_and_never_give_other_numbers(tmp_path, loader, real, data):
    content, expected = real
    path = tmp_path / "damaged.ckpt"
    path.write_bytes(data.draw(st.one_of(cuts(content), flips(content))))
    found = loader(path)
    assert found == expected or found.startswith("refused "), found


@MANY
@given(data=st.data())
def test_without_a_checksum_they_never_crash_either(tmp_path, loader, bare, data):
    """There a flipped bit inside a number cannot be seen, nor a cut just between two entries."""
    path = tmp_path / "damaged.ckpt"
    path.write_bytes(data.draw(flips(data.draw(cuts(bare)))))
    assert loader(path).startswith(("refused ", "loaded "))


def test_without_a_checksum_every_cut_inside_an_entry_is_seen(tmp_path, bare):
    (tmp_path / "a.ckpt").write_bytes(bare)
    whole = read_checkpoint(tmp_path / "a.ckpt")
    for end in range(len(bare)):
        (tmp_path / "a.ckpt").write_bytes(bare[:end])
        try:
            entries = read_checkpoint(tmp_path / "a.ckpt")
        except DamagedCheckpoint:
            continue
        assert entries.keys() < whole.keys()
        assert all(np.array_equal(value.asnumpy(), whole[name].asnumpy()) for name, value in entries.items())


def test_a_training_that_lost_its_end_is_never_taken_for_a_whole_one(tmp_path):
    """Wherever it is cut: the average of the weights stands behind them, and would be missing without a word."""
    state = build_state(average=True)
    path = tmp_path / "a.ckpt"
    save_training(path, state, Position(3, 2, 45, 0.75))
    content = path.read_bytes()
    ends = [0]
    for value in Checkpoint.FromString(content[:-CHECKSUM]).value:
        ends.append(ends[-1] + Checkpoint(value=[value]).ByteSize())
    assert ends[-1] == len(content) - CHECKSUM
    for end in ends:
        path.write_bytes(content[:end])
        with pytest.raises(ValueError, match=r"no checksum at its end|cannot read|does not fit"):
            load_weights(Small(), path)


def test_mindspores_own_reader_takes_what_is_written(tmp_path):
    state = build_state(average=True)
    save_training(tmp_path / "a.ckpt", state, Position(3, 2, 45, 0.75))
    network = Small()
    missing, _ = ms.load_param_into_net(network, ms.load_checkpoint(str(tmp_path / "a.ckpt"), crc_check=True))
    assert missing == []
    for name, value in values(state.network).items():
        assert np.array_equal(values(network)[name], value)
    assert read_weights(tmp_path / "a.ckpt").metadata is None
