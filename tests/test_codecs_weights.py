"""Loading a codec: a file that does not fit its config.json is refused by the name of the tensor."""

import pytest
import torch
from codecs_fixtures import save_dac
from safetensors.torch import load, save_file

from models.codecs.dac import DacCodec
from models.errors import WeightsError

NAME = "decoder.block.1.conv_t1.weight"


def load_with(directory, change):
    """The codec whose tensors `change` has been through."""
    path = save_dac(directory) / "model.safetensors"
    tensors = load(path.read_bytes())
    change(tensors)
    save_file(tensors, path)
    return DacCodec.load(directory, device="cpu")


def test_a_missing_tensor_is_named(tmp_path):
    with pytest.raises(WeightsError, match=f"has no tensor {NAME}"):
        load_with(tmp_path, lambda tensors: tensors.pop(NAME))


def test_a_tensor_too_many_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"1 tensors .* decoder\.extra among them"):
        load_with(tmp_path, lambda tensors: tensors.update({"decoder.extra": torch.zeros(2)}))


def test_a_tensor_of_another_shape_is_named_with_both_shapes(tmp_path):
    with pytest.raises(WeightsError, match=rf"{NAME} is \[3, 2\]; config\.json asks for \[32, 16, 16\]"):
        load_with(tmp_path, lambda tensors: tensors.update({NAME: torch.zeros(3, 2)}))


def test_a_file_of_half_precision_is_read_as_float32(tmp_path):
    codec = load_with(tmp_path, lambda tensors: tensors.update({n: t.bfloat16() for n, t in tensors.items()}))
    assert codec.decode(torch.zeros(3, 1, dtype=torch.long)).dtype == torch.float32


@pytest.mark.parametrize("content", [None, b"", b"not tensors at all", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_file_is_refused(tmp_path, content):
    path = save_dac(tmp_path) / "model.safetensors"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"model\.safetensors|has no tensor"):
        DacCodec.load(tmp_path, device="cpu")


def test_a_cut_file_is_refused(tmp_path):
    path = save_dac(tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        DacCodec.load(tmp_path, device="cpu")


def test_a_codec_outlives_its_file(tmp_path):
    """Its weights are copies: a file that is replaced or emptied later changes nothing."""
    path = save_dac(tmp_path) / "model.safetensors"
    codec = DacCodec.load(tmp_path, device="cpu")
    codes = torch.zeros(3, 1, dtype=torch.long)
    before = codec.decode(codes)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(bytes(size))
    torch.testing.assert_close(codec.decode(codes), before, rtol=0, atol=0)
