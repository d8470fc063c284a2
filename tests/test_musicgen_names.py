"""Renames from audiocraft, without audiocraft: golden/musicgen_audiocraft_names.json holds what its classes save.

Made by `python tests/test_musicgen_names.py`, which needs it (tts-webui-audiocraft 1.4.0a2): names and shapes of the
state dicts of the tiny networks and the codec of musicgen_files_fixtures.py.
"""

import json
from pathlib import Path

import pytest
import torch
from musicgen_files_fixtures import KINDS, audiocraft_codec, audiocraft_network, codec_config, hub_model
from transformers import EncodecModel

from models.errors import WeightsError
from models.musicgen.names import codec_name, codec_state, hub_name, language_model_state, text_name

GOLDEN = Path(__file__).parent / "golden" / "musicgen_audiocraft_names.json"


def saved(what: str) -> dict[str, torch.Tensor]:
    """Zeros under the names that audiocraft gives."""
    return {name: torch.zeros(shape) for name, shape in json.loads(GOLDEN.read_text())[what].items()}


@pytest.mark.parametrize("what", [*KINDS, "mono, torch's attention"])
def test_every_tensor_of_audiocrafts_networks_has_its_name_and_shape_in_transformers(what):
    model = hub_model(what.split(",")[0])
    wanted = {
        name: tensor.shape
        for name, tensor in model.state_dict().items()
        if not name.startswith(("text_encoder.", "audio_encoder."))
    }
    found = {name: tensor.shape for name, tensor in language_model_state(saved(what), "file").items()}
    assert found == wanted


def test_every_tensor_of_audiocrafts_codec_has_its_name_and_shape_in_transformers():
    wanted = {name: t.shape for name, t in EncodecModel(codec_config()).state_dict().items() if codec_name(name)}
    assert {name: tensor.shape for name, tensor in codec_state(saved("codec")).items()} == wanted


@pytest.mark.parametrize(("theirs", "ours"), [("self_attn", "self_attn"), ("cross_attention", "encoder_attn")])
def test_a_fused_projection_is_cut_into_queries_keys_and_values(theirs, ours):
    fused = torch.arange(6.0)[:, None].expand(6, 2)
    state = language_model_state({f"transformer.layers.3.{theirs}.in_proj_weight": fused}, "file")
    firsts = {name.split(".")[-2]: tensor[0, 0].item() for name, tensor in state.items()}
    assert firsts == {"q_proj": 0, "k_proj": 2, "v_proj": 4}
    assert all(name.startswith(f"decoder.model.decoder.layers.3.{ours}.") for name in state)


def test_every_name_that_has_no_place_is_counted_and_the_first_is_named():
    strange = {"transformer.layers.0.self_attn.in_proj_bias": torch.zeros(6), "a.bias": torch.zeros(1)}
    with pytest.raises(WeightsError, match=r"file holds 2 tensors .* a\.bias among"):
        language_model_state(strange, "file")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("decoder.lm_heads.0.weight", "decoder.lm_heads.0.weight"),
        ("decoder.model.decoder.embed_positions.weights", None),
        ("text_encoder.encoder.embed_tokens.weight", "text_encoder.shared.weight"),
        ("audio_encoder.quantizer.layers.0.codebook.inited", None),
        ("audio_encoder.quantizer.layers.0.codebook.embed", "audio_encoder.quantizer.layers.0.codebook.embed"),
        ("audio_encoder.encoder.layers.0.conv.weight_g", "audio_encoder.encoder.layers.0.conv." + "{}0"),
        ("audio_encoder.encoder.layers.0.conv.weight_v", "audio_encoder.encoder.layers.0.conv." + "{}1"),
    ],
)
def test_names_of_the_hub(name, expected):
    assert hub_name(name) == (expected and expected.format("parametrizations.weight.original"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shared.weight", "shared.weight"),
        ("encoder.embed_tokens.weight", "shared.weight"),
        ("encoder.final_layer_norm.weight", "encoder.final_layer_norm.weight"),
        ("decoder.block.0.layer.0.SelfAttention.q.weight", None),
        ("lm_head.weight", None),
    ],
)
def test_names_of_a_whole_t5(name, expected):
    assert text_name(name) == expected


def _shapes(module: torch.nn.Module) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in module.state_dict().items()}


if __name__ == "__main__":
    found = {kind: _shapes(audiocraft_network(kind)) for kind in KINDS}
    found |= {"mono, torch's attention": _shapes(audiocraft_network("mono", custom=False))}
    found |= {"codec": _shapes(audiocraft_codec())}
    GOLDEN.write_text(json.dumps(found, indent=0) + "\n")
