"""A checkpoint of Dia is read to the last tensor, or refused by the name of the one that is wrong."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from conftest import plain
from models.dia.config import DiaConfig
from models.dia.layers import Packs
from models.dia.model import DiaNetwork
from models.errors import WeightsError

NAME = "model.decoder.layers.1.cross_attention.k_proj.weight"


def load(directory: Path) -> DiaNetwork:
    return DiaNetwork.load(directory, dtype=torch.float32, device=torch.device("cpu"), packs=Packs.alike(plain))


def changed(source: Path, directory: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    """A copy of the checkpoint whose shard with NAME has been through `change`."""
    shutil.copytree(source, directory, dirs_exist_ok=True)
    shard = directory / json.loads((directory / "model.safetensors.index.json").read_text())["weight_map"][NAME]
    tensors = load_file(shard)
    change(tensors)
    save_file(tensors, shard)
    return directory


def test_a_missing_tensor_is_named(dia_directory: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=f"has no tensor {NAME}"):
        load(changed(dia_directory, tmp_path, lambda tensors: tensors.__delitem__(NAME)))


def test_an_unexpected_tensor_is_named(dia_directory: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"model\.extra among them"):
        load(changed(dia_directory, tmp_path, lambda tensors: tensors.update({"model.extra": torch.zeros(1)})))


def test_a_tensor_of_another_shape_is_named_with_both_shapes(dia_directory: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=rf"{NAME} is \[3, 2\]; config\.json asks for \[128, 48\]"):
        load(changed(dia_directory, tmp_path, lambda tensors: tensors.update({NAME: torch.zeros(3, 2)})))


@pytest.mark.parametrize("file", ["config.json", "model-00002-of-*.safetensors", "model.safetensors.index.json"])
def test_a_damaged_file_is_refused_by_name(dia_directory: Path, tmp_path: Path, file: str) -> None:
    shutil.copytree(dia_directory, tmp_path, dirs_exist_ok=True)
    (path,) = tmp_path.glob(file)
    path.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=path.name):
        load(tmp_path)


def test_published_config_is_read_in_the_layout_of_both_transformers_versions(dia_directory: Path) -> None:
    """4.53, which wrote the published file, keeps special ids and RoPE elsewhere than 5."""
    newer = json.loads((dia_directory / "config.json").read_text())
    older = json.loads(json.dumps(newer))
    for part in ("encoder_config", "decoder_config"):
        older[part]["rope_theta"] = older[part].pop("rope_parameters")["rope_theta"]
        older[part]["rope_scaling"] = None
    for key in ("eos_token_id", "pad_token_id", "bos_token_id"):
        older[key] = older["decoder_config"].pop(key)
    assert DiaConfig.from_dict(older) == DiaConfig.from_dict(newer)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"model_type": "bark"}, "model_type is 'bark'"),
        ({"decoder_config.hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ({"encoder_config.rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope type is 'yarn'"),
        ({"decoder_config.cross_num_key_value_heads": 2}, "fewer key heads"),
    ],
)
def test_a_setting_that_is_not_supported_is_refused(dia_directory: Path, change: dict, problem: str) -> None:
    raw = json.loads((dia_directory / "config.json").read_text())
    for path, value in change.items():
        *parents, key = path.split(".")
        target = raw[parents[0]] if parents else raw
        target[key] = value
    with pytest.raises(WeightsError, match=problem):
        DiaConfig.from_dict(raw)


@pytest.mark.parametrize("missing", ["delay_pattern", "decoder_config"])
def test_a_config_without_what_it_needs_is_refused(dia_directory: Path, tmp_path: Path, missing: str) -> None:
    raw = json.loads((dia_directory / "config.json").read_text())
    del raw[missing]
    (tmp_path / "config.json").write_text(json.dumps(raw))
    with pytest.raises(WeightsError, match=f"has no '{missing}'"):
        DiaConfig.load(tmp_path / "config.json")
