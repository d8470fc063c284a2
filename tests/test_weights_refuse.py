"""Checkpoints that must not be loaded, and the one that must."""

import json
from pathlib import Path

import pytest
from weights_fixtures import small_manifest

from models.errors import WeightsError
from models.weights import locate, refuse_folder, refuse_old, refuse_pickle, verify

# The sections of config.json in the repository before 0626.
OLD_CONFIG = {
    "version": "0.1",
    "model": {"encoder": {"n_layer": 12}, "decoder": {"n_layer": 18}},
    "training": {"dtype": "bfloat16"},
    "data": {"text_length": 1024, "channels": 9},
}
CONFIG = {"model_type": "dia", "encoder_config": {}, "decoder_config": {}, "delay_pattern": [0, 8]}


def test_the_old_configuration_is_refused_with_the_reason_and_the_right_repository():
    with pytest.raises(WeightsError) as caught:
        refuse_old(OLD_CONFIG, "model/config.json")
    for words in ("model/config.json", "nari-labs/Dia-1.6B,", "RoPE", "guided scores", "nari-labs/Dia-1.6B-0626"):
        assert words in str(caught.value)


def test_the_published_configuration_passes():
    refuse_old(CONFIG)


def test_a_folder_of_the_old_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(OLD_CONFIG))
    (tmp_path / "model.safetensors").write_bytes(b"0")
    with pytest.raises(WeightsError, match=r"nari-labs/Dia-1\.6B-0626"):
        refuse_folder(tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "dia-v0_1.pth", "model.pt", "last.ckpt", "all.pkl"])
def test_a_folder_of_pickles_is_refused(name, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / name).write_bytes(b"0")
    with pytest.raises(WeightsError, match=rf"{name}.*can run any program.*safetensors"):
        refuse_pickle(tmp_path)
    with pytest.raises(WeightsError, match="pickle"):
        refuse_folder(tmp_path)


def test_a_pickle_beside_safetensors_is_left_alone(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"0")
    (tmp_path / "model.safetensors").write_bytes(b"0")
    refuse_folder(tmp_path)


@pytest.mark.parametrize("text", [None, "", "{", "[]", "null"])
def test_a_folder_without_a_readable_configuration_is_not_judged(text, tmp_path):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    refuse_folder(tmp_path)
    refuse_folder(tmp_path / "nowhere")


def _lay(folder: Path, name: str) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(OLD_CONFIG if name == "old" else CONFIG))
    (folder / ("model.safetensors" if name == "old" else "pytorch_model.bin")).write_bytes(b"0")


@pytest.mark.parametrize(("kind", "words"), [("old", "is of nari-labs/Dia-1.6B,"), ("pickle", "can run any program")])
def test_verify_says_foreign_and_not_merely_damaged(kind, words, tmp_path):
    _lay(tmp_path / "dia" / "model", kind)
    with pytest.raises(WeightsError, match=words):
        verify("dia", tmp_path, manifest=small_manifest())


def test_a_local_checkpoint_of_pickles_is_refused(tmp_path):
    _lay(tmp_path / "dia-builtin" / "model", "pickle")
    with pytest.raises(WeightsError, match="can run any program"):
        locate("dia-builtin", tmp_path)
