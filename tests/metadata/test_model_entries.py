"""Metadata in model files: read back, passed over by other programs, and any change of the file noticed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mindspore.train.mind_ir_pb2 import ModelProto

from src.metadata.metadata import Metadata
from src.metadata.model_entries import DIGEST_KEY, METADATA_KEY, add_metadata, read_model_metadata

METADATA = Metadata(class_names=("Katze", "狗"), image_size=71, pool_padding="symmetric")


def model_file() -> bytes:
    model = ModelProto(ir_version="0.1.1", model_version="3", little_endian=True, mind_ir_version=1)
    model.graph.parameter.add(name="conv1.weight", data_type=1, dims=[64], raw_data=bytes(range(256)))
    return model.SerializeToString()


def test_metadata_reads_back_and_mindspore_sees_the_rest_unchanged(tmp_path):
    path = tmp_path / "a.mindir"
    path.write_bytes(add_metadata(model_file(), METADATA))
    assert read_model_metadata(path) == METADATA
    model = ModelProto.FromString(path.read_bytes())
    assert set(model.user_info) == {METADATA_KEY, DIGEST_KEY}
    model.ClearField("user_info")
    assert model == ModelProto.FromString(model_file())


def test_a_file_without_metadata_says_nothing(tmp_path):
    path = tmp_path / "a.onnx"
    for content in (model_file(), b"", b"no protobuf at all", bytes(1000)):
        path.write_bytes(content)
        assert read_model_metadata(path) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0), st.integers(0, 7))
@example(298, 0)  # the length of the entry with the metadata, which takes the start of the digest's then
def test_a_flipped_bit_anywhere_in_what_the_digest_covers_is_noticed(tmp_path, place, bit):
    content = bytearray(add_metadata(model_file(), METADATA))
    covered = bytes(content).index(DIGEST_KEY.encode()) - 6  # the tags and lengths of the last entry stand before it
    place %= covered
    content[place] ^= 1 << bit
    path = tmp_path / "a.mindir"
    path.write_bytes(content)
    try:
        found = read_model_metadata(path)
    except ValueError as error:
        assert str(path) in str(error)
        return
    # The walk may end at what is no protobuf any more, which its loader says.
    assert found is None
    with pytest.raises(Exception, match=r"(?s).*"):
        ModelProto.FromString(bytes(content))


@pytest.mark.parametrize("change", [lambda content: content + b"\x72\x00", lambda content: content + content])
def test_what_is_appended_is_noticed(tmp_path, change):
    path = tmp_path / "a.mindir"
    path.write_bytes(change(add_metadata(model_file(), METADATA)))
    with pytest.raises(ValueError, match=r"a\.mindir is damaged, or was changed by another program"):
        read_model_metadata(path)


@pytest.mark.parametrize("key", [METADATA_KEY, DIGEST_KEY])
def test_an_entry_that_is_no_utf_8_is_noticed(tmp_path, key):
    path = tmp_path / "a.mindir"
    value = b'{"format": 1, "colour_order": "\xe9"}'
    inner = bytes([1 << 3 | 2, len(key)]) + key.encode() + bytes([2 << 3 | 2, len(value)]) + value
    path.write_bytes(model_file() + bytes([14 << 3 | 2, len(inner)]) + inner)
    with pytest.raises(ValueError, match=r"a\.mindir is damaged"):
        read_model_metadata(path)
