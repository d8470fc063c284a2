"""EnCodec's settings, from either kind of file: what they mean, which tensors they ask for, what is refused."""

import copy
from dataclasses import replace

import pytest
import torch
from encodec_audiocraft_fixtures import CFG
from encodec_fixtures import BASE, VARIANTS, codec_of, hf_encodec
from transformers import EncodecConfig as HFEncodecConfig
from transformers import EncodecModel

from models.codecs.encodec import EncodecCodec
from models.codecs.encodec_settings import encodec_from_audiocraft, encodec_from_hub
from models.errors import WeightsError
from models.musicgen.names import codec_state

# transformers' convert_encodec_checkpoint_to_pytorch.py on encodec_32khz: what it changes of the defaults.
MUSICGEN = {
    "model_type": "encodec",
    "upsampling_ratios": [8, 5, 4, 4],
    "target_bandwidths": [2.2],
    "num_filters": 64,
    "sampling_rate": 32_000,
    "codebook_size": 2048,
    "use_causal_conv": False,
    "normalize": False,
    "use_conv_shortcut": False,
}


class NamesOnly:
    """Stands in for a file: hands out tensors without memory and remembers what was asked for."""

    def __init__(self):
        self.shapes = {}

    def take(self, name, *shape, dtype=None):
        assert name not in self.shapes, name
        self.shapes[name] = shape
        return torch.empty(shape, device="meta")


def published_cfg(ratios, sample_rate):
    """audiocraft's encodec_large_nq4_s640 and _s320 (config/model/encodec), as export.py writes them."""
    cfg = copy.deepcopy(CFG)
    cfg["sample_rate"] = cfg["encodec"]["sample_rate"] = sample_rate
    cfg["seanet"] |= {"ratios": ratios, "n_filters": 64, "dimension": 128}
    cfg["rvq"] |= {"n_q": 4, "bins": 2048}
    return cfg


def changed(setting, value):
    """CFG with one setting changed, "group.setting"."""
    cfg = copy.deepcopy(CFG)
    *groups, name = setting.split(".")
    group = cfg
    for part in groups:
        group = group[part]
    group[name] = value
    return cfg


def test_the_codec_of_musicgen_is_the_same_in_both_kinds_of_files_but_for_its_ends():
    hub = encodec_from_hub(MUSICGEN)
    assert (hub.hop_length, hub.sample_rate / hub.hop_length, hub.codebooks, hub.widest) == (640, 50, 4, 1024)
    assert hub.mirrored
    assert replace(hub, mirrored=False) == encodec_from_audiocraft(published_cfg([8, 5, 4, 4], 32_000))


def test_the_codec_of_audiogen_has_50_frames_a_second_too():
    config = encodec_from_audiocraft(published_cfg([8, 5, 4, 2], 16_000))
    assert (config.hop_length, config.sample_rate / config.hop_length, config.codebooks) == (320, 50, 4)


def test_a_stream_of_musicgens_codec_runs_4_frames_behind():
    config = encodec_from_hub(MUSICGEN, channels=2)
    assert (config.lookahead, config.context_frames, config.first_frames, config.codebooks) == (2402, 4, 4, 8)


def test_no_settings_at_all_are_the_codec_of_24_khz():
    """What transformers' config class has by default, which is what files leave out."""
    config = encodec_from_hub({})
    assert (config.sample_rate, config.codebooks, config.causal, config.conv_shortcut) == (24_000, 32, True, True)
    assert config == encodec_from_hub(HFEncodecConfig().to_dict())


@pytest.mark.parametrize("settings", [MUSICGEN, *(BASE | variant for variant in VARIANTS.values())])
def test_the_tensors_asked_for_are_those_of_transformers(settings):
    tensors = NamesOnly()
    EncodecCodec.load(tensors, encodec_from_hub(settings), "meta")
    with torch.device("meta"):
        theirs = EncodecModel(HFEncodecConfig(**{k: v for k, v in settings.items() if k != "model_type"})).state_dict()
    assert tensors.shapes == {name: tuple(tensor.shape) for name, tensor in codec_state(theirs).items()}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_frame_of_the_encoder_hears_as_many_samples_as_the_first_piece_must_have(name):
    """A sample that is not a number and lies behind the fewest samples does not reach the first frame."""
    fewest = codec_of(name).config.encoder_first_samples
    audio = torch.zeros(1, 1, 3 * fewest)
    audio[..., fewest:] = torch.nan
    assert not hf_encodec(name).encoder(audio)[..., 0].isnan().any()


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("model_type", "dac", "model_type is 'dac'; it must be 'encodec'"),
        ("audio_channels", 2, "audio_channels is 2; it must be 1"),
        ("normalize", True, "normalize is True; it must be False"),
        ("chunk_length_s", 1.0, "chunk_length_s is 1.0"),
        ("overlap", 0.01, "overlap is 0.01"),
        ("norm_type", "time_group_norm", "norm_type is 'time_group_norm'; it must be 'weight_norm'"),
        ("pad_mode", "replicate", "pad_mode is 'replicate'; it must be one of constant, reflect"),
        ("pad_mode", ["reflect"], "pad_mode is "),
        ("codebook_dim", 7, "codebook_dim is 7; it must be 128"),
        ("num_filters", "64", "num_filters is '64'; it must be a whole number, 1 or more"),
        ("num_filters", True, "num_filters is True"),
        ("sampling_rate", None, "sampling_rate is None"),
        ("upsampling_ratios", [], r"upsampling_ratios is \[\]; it must be a list"),
        ("upsampling_ratios", [8, 0], r"upsampling_ratios is \[8, 0\]"),
        ("target_bandwidths", [0.5], r"target_bandwidths is \[0.5\]; it must be a list of kbit/s"),
        ("target_bandwidths", 2.2, "target_bandwidths is 2.2"),
        ("codebook_size", 1, "target_bandwidths"),
        ("use_causal_conv", "no", "use_causal_conv is 'no'; it must be true or false"),
        ("trim_right_ratio", 0.5, "trim_right_ratio is 0.5; it must be 1.0"),
        ("use_conv_shortcut", None, "use_conv_shortcut is None"),
    ],
)
def test_a_setting_of_the_hub_that_cannot_be_honoured_is_refused_by_name(setting, value, words):
    with pytest.raises(WeightsError, match=f"^config.json: {words}"):
        encodec_from_hub(MUSICGEN | {setting: value})


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("compression_model", "dac", "compression_model is 'dac'; it must be 'encodec'"),
        ("encodec", None, "encodec is None; it must be a group of settings"),
        ("encodec.quantizer", "no_quant", "encodec.quantizer is 'no_quant'"),
        ("encodec.channels", 2, "encodec.channels is 2; it must be 1"),
        ("encodec.renormalize", True, "encodec.renormalize is True"),
        (
            "encodec.sample_rate",
            "${sample_rate}",
            r"encodec.sample_rate is '\${sample_rate}'; it must be a whole number",
        ),
        ("encodec.speed", 2, "encodec.speed is a setting that is not supported"),
        ("seanet.norm", "time_group_norm", "seanet.norm is 'time_group_norm'"),
        ("seanet.activation", "Snake", "seanet.activation is 'Snake'; it must be 'ELU'"),
        ("seanet.activation_params", {"alpha": 0.5}, "seanet.activation_params is "),
        ("seanet.disable_norm_outer_blocks", 2, "seanet.disable_norm_outer_blocks is 2"),
        ("seanet.pad_mode", "circular", "seanet.pad_mode is 'circular'"),
        ("seanet.attention", True, "seanet.attention is a setting that is not supported"),
        ("seanet.lstm", -1, "seanet.lstm is -1; it must be a whole number, 0 or more"),
        ("seanet.encoder.n_filters", 8, "seanet.encoder.n_filters is a setting that is not supported"),
        ("seanet.decoder.n_filters", 8, "seanet.decoder.n_filters is a setting that is not supported"),
        ("seanet.decoder.final_activation", "Tanh", "seanet.decoder.final_activation is 'Tanh'; it must be None"),
        ("seanet.decoder.trim_right_ratio", 0.5, "seanet.trim_right_ratio is 0.5; it must be 1.0"),
        ("rvq.n_q", 0, "rvq.n_q is 0"),
        ("rvq.threshold", 1, "rvq.threshold is a setting that is not supported"),
    ],
)
def test_a_setting_of_audiocraft_that_cannot_be_honoured_is_refused_by_name(setting, value, words):
    with pytest.raises(WeightsError, match=f"^compression_state_dict.bin: {words}"):
        encodec_from_audiocraft(changed(setting, value))


def test_what_audiocraft_is_not_told_is_what_its_classes_take():
    """Their defaults, not those of its yaml files: weights without weight norm are none of ours."""
    cfg = copy.deepcopy(CFG)
    del cfg["seanet"]["pad_mode"], cfg["seanet"]["lstm"]
    config = encodec_from_audiocraft(cfg)
    assert (config.mirrored, config.lstm_layers) == (True, 0)
    del cfg["seanet"]["norm"]
    with pytest.raises(WeightsError, match=r"seanet\.norm is 'none'; it must be 'weight_norm'"):
        encodec_from_audiocraft(cfg)
