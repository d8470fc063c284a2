"""The numbers of a network: as transformers and audiocraft read them, and refused where we cannot follow."""

import copy
import json
from typing import Any

import pytest
from audiocraft_fixtures import audiocraft
from transformers import EncodecConfig, MusicgenDecoderConfig, MusicgenMelodyConfig, T5Config
from transformers import MusicgenConfig as HFMusicgenConfig
from transformers.models.musicgen_melody.configuration_musicgen_melody import MusicgenMelodyDecoderConfig

from models.errors import WeightsError
from models.musicgen.audiocraft_config import config_from_audiocraft, text_encoder_name
from models.musicgen.config import MusicgenConfig

CODEC = {"sampling_rate": 32_000, "upsampling_ratios": [8, 5, 4, 4]}


def published(*, melody: bool = False, **decoder: Any) -> dict[str, Any]:
    """A config.json as transformers writes it."""
    outer, inner = (MusicgenMelodyConfig, MusicgenMelodyDecoderConfig) if melody else (HFMusicgenConfig, None)
    config = outer(
        text_encoder=T5Config(d_model=768),
        audio_encoder=EncodecConfig(**CODEC),
        decoder=(inner or MusicgenDecoderConfig)(**decoder),
    )
    raw: dict[str, Any] = json.loads(config.to_json_string(use_diff=False))
    return raw


def test_the_smallest_checkpoint_is_read_as_transformers_writes_it():
    config = MusicgenConfig.from_dict(published(), "musicgen-small")
    assert (config.layers, config.width, config.heads, config.ffn) == (24, 1024, 16, 4096)
    assert (config.codebooks, config.vocabulary, config.special) == (4, 2048, 2048)
    assert (config.delays, config.channels) == ((0, 1, 2, 3), 1)
    assert (config.text_width, config.projects_text) == (768, True)
    assert (config.melody, config.chroma_length, config.prefix_positions) == (False, 0, 0)
    assert (config.sample_rate, config.frame_rate, config.max_frames) == (32_000, 50, 1500)
    assert (config.max_duration_seconds, config.stride_seconds) == (30, 18)


def test_stereo_delays_left_and_right_alike():
    config = MusicgenConfig.from_dict(published(num_codebooks=8, audio_channels=2), "musicgen-stereo-small")
    assert (config.channels, config.delays) == (2, (0, 0, 1, 1, 2, 2, 3, 3))


def test_a_melody_stands_before_the_codes():
    config = MusicgenConfig.from_dict(published(melody=True), "musicgen-melody")
    assert (config.melody, config.chroma_length) == (True, 235)
    assert config.prefix_positions == 235 + 512


def test_a_text_as_wide_as_the_network_is_not_projected():
    assert not MusicgenConfig.from_dict(published(hidden_size=768, num_attention_heads=12), "m").projects_text


def test_a_file_from_before_stereo_names_no_channels():
    raw = published()
    del raw["decoder"]["audio_channels"]
    assert MusicgenConfig.from_dict(raw, "musicgen-small").channels == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"activation_function": "relu"}, "activation_function is 'relu'"),
        ({"scale_embedding": True}, "scale_embedding is True"),
        ({"pad_token_id": 5}, "pad_token_id is 5; it must be 2048"),
        ({"audio_channels": 3}, "4 codebooks for 3 channels"),
        ({"num_codebooks": 5, "audio_channels": 2}, "5 codebooks for 2 channels"),
    ],
)
def test_a_setting_that_the_network_cannot_honour_is_named(change, named):
    raw = published()
    raw["decoder"].update(change)
    with pytest.raises(WeightsError, match=named):
        MusicgenConfig.from_dict(raw, "m")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "cannot be read"),
        ("[]", "is no configuration"),
        ('{"model_type": "dia"}', "'dia', not 'musicgen' or 'musicgen_melody'"),
        ('{"model_type": "musicgen"}', "has no 'decoder'"),
    ],
)
def test_a_file_of_something_else_is_named(tmp_path, text, named):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(WeightsError, match=named):
        MusicgenConfig.load(path, "m")


# A configuration as audiocraft exports it, at toy size.
XP_CFG: dict[str, Any] = {
    "solver": "musicgen",
    "lm_model": "transformer_lm",
    "sample_rate": 32_000,
    "channels": 1,
    "device": "cpu",
    "dtype": "float32",
    "dataset": {"segment_duration": 30},
    "classifier_free_guidance": {"training_dropout": 0.3, "inference_coef": 3.0},
    "attribute_dropout": {},
    "transformer_lm": {
        "n_q": 4,
        "card": 2048,
        "dim": 32,
        "num_heads": 2,
        "num_layers": 2,
        "hidden_scale": 4,
        "dropout": 0.0,
        "emb_lr": None,
        "activation": "gelu",
        "norm_first": True,
        "bias_ff": False,
        "bias_attn": False,
        "bias_proj": False,
        "past_context": None,
        "causal": True,
        "custom": False,
        "memory_efficient": False,
        "attention_as_float32": False,
        "layer_scale": None,
        "positional_embedding": "sin",
        "xpos": False,
        "checkpointing": "none",
        "weight_init": "gaussian",
        "depthwise_init": "current",
        "zero_bias_init": True,
        "norm": "layer_norm",
        "cross_attention": False,
        "qk_layer_norm": False,
        "qk_layer_norm_cross": False,
        "attention_dropout": None,
        "kv_repeat": 1,
        "two_step_cfg": False,
    },
    "codebooks_pattern": {"modeling": "delay", "delay": {"delays": [0, 1, 2, 3], "flatten_first": 0}},
    "fuser": {
        "cross_attention_pos_emb": False,
        "cross_attention_pos_emb_scale": 1,
        "sum": [],
        "prepend": [],
        "cross": ["description"],
        "input_interpolate": [],
    },
    "conditioners": {"args": {}, "description": {"model": "t5", "t5": {"name": "t5-base", "finetune": False}}},
}
MELODY: dict[str, Any] = {
    "fuser": {**XP_CFG["fuser"], "cross": [], "prepend": ["self_wav", "description"]},
    "conditioners": {
        **XP_CFG["conditioners"],
        "self_wav": {
            "model": "chroma_stem",
            "chroma_stem": {"sample_rate": 32_000, "n_chroma": 12, "radix2_exp": 14, "argmax": True},
        },
    },
}


def changed(path: str, value: Any, base: dict[str, Any] = XP_CFG) -> dict[str, Any]:
    raw = copy.deepcopy(base)
    *parents, last = path.split(".")
    at = raw
    for key in parents:
        at = at.setdefault(key, {})
    at[last] = value
    return raw


def read(raw: dict[str, Any]) -> MusicgenConfig:
    return config_from_audiocraft(raw, "m", text_width=768, frame_rate=50)


def test_audiocrafts_configuration_gives_the_network_that_audiocraft_builds(monkeypatch):
    omegaconf = pytest.importorskip("omegaconf", reason="omegaconf comes with requirements-audiocraft.txt")
    builders = audiocraft("models.builders")
    monkeypatch.setattr(builders, "get_conditioner_provider", lambda *_: audiocraft("modules.conditioners").nn.Module())
    built = builders.get_lm_model(omegaconf.OmegaConf.create(XP_CFG))
    config = read(XP_CFG)
    layer = built.transformer.layers[0]
    assert (config.layers, config.width) == (len(built.transformer.layers), built.dim)
    assert (config.heads, config.ffn) == (layer.self_attn.num_heads, layer.linear1.out_features)
    assert (config.codebooks, config.vocabulary, config.special) == (built.n_q, built.card, built.special_token_id)
    assert list(config.delays) == built.pattern_provider.delays
    assert (config.max_frames, config.stride_seconds) == (1500, 18)
    assert (config.channels, config.melody, config.projects_text) == (1, False, True)
    assert text_encoder_name(XP_CFG) == "t5-base"


def test_audiogen_has_a_window_of_its_own():
    config = read(changed("dataset.segment_duration", 10) | {"solver": "audiogen", "sample_rate": 16_000})
    assert (config.max_frames, config.stride_seconds, config.sample_rate) == (500, 2, 16_000)


@pytest.mark.parametrize(("seconds", "stride"), [(30, 18), (20, 18), (15, 9), (10, 6)], ids=lambda value: f"{value} s")
def test_a_window_that_is_shorter_than_its_stride_moves_on_by_as_large_a_share(seconds, stride):
    """A fine-tune on shorter pieces, which audiocraft's own class refuses."""
    assert read(changed("dataset.segment_duration", seconds)).stride_seconds == stride


@pytest.mark.parametrize(
    "change", [{"solver": "audiogen"}, {"sample_rate": 16_000}, {"solver": "audiogen_v2", "sample_rate": 16_000}]
)
def test_sounds_move_on_as_audiogen_does(change):
    assert read(XP_CFG | change).stride_seconds == 2


@pytest.mark.parametrize("modeling", ["delay", None])
def test_the_pattern_under_its_old_name_counts_where_the_new_one_says_nothing(modeling):
    """As audiocraft's builder has it, which then takes the delays 0, 1, 2 … whatever else stands there."""
    raw = changed("transformer_lm.q_modeling", "delay", changed("codebooks_pattern.modeling", modeling))
    assert read(changed("codebooks_pattern.delay.delays", [0, 0, 1, 2], raw)).delays == (
        (0, 0, 1, 2) if modeling else (0, 1, 2, 3)
    )


def test_audiocrafts_melody_and_stereo_are_read():
    melody = read(XP_CFG | MELODY)
    assert (melody.melody, melody.chroma_length) == (True, 235)
    stereo = changed("interleave_stereo_codebooks", {"use": True, "per_timestep": False})
    stereo = changed(
        "transformer_lm.n_q", 8, changed("codebooks_pattern.delay.delays", [0, 0, 1, 1, 2, 2, 3, 3], stereo)
    )
    assert (read(stereo).channels, read(stereo).codebooks) == (2, 8)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("transformer_lm.novelty", 1, "unknown settings novelty"),
        ("transformer_lm.bias_attn", True, "transformer_lm.bias_attn is True"),
        ("transformer_lm.positional_embedding", "rope", "positional_embedding is 'rope'"),
        ("transformer_lm.kv_repeat", 2, "kv_repeat is 2"),
        ("lm_model", "transformer_lm_magnet", "lm_model is 'transformer_lm_magnet'"),
        ("codebooks_pattern.modeling", "parallel", "modeling is 'parallel'"),
        ("codebooks_pattern.modeling", None, "modeling is None"),
        ("codebooks_pattern.delay.flatten_first", 2, "flatten_first is 2"),
        ("codebooks_pattern.delay.delays", [0, 1], r"delays is \[0, 1\] for 4 codebooks"),
        ("fuser.sum", ["description"], "fused as"),
        ("fuser.cross_attention_pos_emb", True, "cross_attention_pos_emb is True"),
        ("conditioners.self_wav", {"model": "style"}, "conditioners are"),
        ("interleave_stereo_codebooks", {"use": True, "per_timestep": True}, "per_timestep is True"),
        ("dataset", {}, "has no 'segment_duration'"),
        ("transformer_lm", None, "is none of MusicGen"),
    ],
)
def test_a_setting_of_audiocraft_that_ours_does_not_have_is_named(path, value, named):
    with pytest.raises(WeightsError, match=named):
        read(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("conditioners.description.t5.finetune", True, "t5.finetune is True"),
        ("conditioners.description.t5.normalize_text", True, "t5.normalize_text is True"),
        ("conditioners.description.t5.novelty", 1, "unknown settings novelty"),
        ("conditioners.description", {"model": "lut"}, "names no T5"),
        ("conditioners", None, "names no T5"),
    ],
)
def test_a_setting_of_the_text_that_ours_does_not_have_is_named(path, value, named):
    with pytest.raises(WeightsError, match=named):
        text_encoder_name(changed(path, value))


@pytest.mark.parametrize("key", ["norm_first", "bias_ff", "bias_attn", "bias_proj", "causal", "activation"])
def test_a_missing_setting_has_the_value_that_audiocraft_gives_it(key):
    """Its defaults are not the published values: a file without the setting is of another network."""
    raw = copy.deepcopy(XP_CFG)
    del raw["transformer_lm"][key]
    with pytest.raises(WeightsError, match=f"transformer_lm.{key} is"):
        read(raw)
