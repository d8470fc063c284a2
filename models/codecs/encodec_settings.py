"""An EnCodec's shape from the files of those who publish it: transformers' config.json, audiocraft's `xp.cfg`.

Knows no tensors. Every setting of EnCodec itself is read: it is a number that EncodecConfig holds, or has no effect
when weights are only used, or has the one value that this network honours. Any other is an error that names it, because
a codec that ignored it would make another sound. The two differ where nothing is said: transformers mirrors at the
ends (EncodecConfig.pad_mode), audiocraft's EnCodecs are padded with zeros (config/model/encodec/default.yaml).
"""

from collections.abc import Mapping
from math import ceil, log2, prod
from typing import Any

from models.codecs.encodec_config import EncodecConfig
from models.codecs.settings import Settings

_PAD_MODES = {"constant": False, "reflect": True}  # pad_mode → mirrored

# transformers: EncodecConfig. The rest of a config.json is of no model in particular.
_HUB_ONLY: dict[str, Any] = {
    "model_type": "encodec",
    "audio_channels": 1,
    "normalize": False,
    "chunk_length_s": None,
    "overlap": None,
    "norm_type": "weight_norm",
}
_HUB_DEFAULTS: dict[str, Any] = {  # older files hold only what differs from these
    "sampling_rate": 24_000,
    "target_bandwidths": [1.5, 3.0, 6.0, 12.0, 24.0],
    "hidden_size": 128,
    "num_filters": 32,
    "num_residual_layers": 1,
    "upsampling_ratios": [8, 5, 4, 2],
    "kernel_size": 7,
    "last_kernel_size": 7,
    "residual_kernel_size": 3,
    "dilation_growth_rate": 2,
    "use_causal_conv": True,
    "pad_mode": "reflect",
    "compress": 2,
    "num_lstm_layers": 2,
    "trim_right_ratio": 1.0,
    "codebook_size": 1024,
    "codebook_dim": None,
    "use_conv_shortcut": True,
}

# audiocraft: keyword arguments of models/encodec.py, modules/seanet.py and quantization/vq.py.
_ENCODEC_ONLY: dict[str, Any] = {"autoencoder": "seanet", "quantizer": "rvq", "channels": 1, "renormalize": False}
_ENCODEC_FREE = {"sample_rate", "causal", "renorm"}  # causal is SEANet's own, renorm was given up before it was used
_SEANET_ONLY: dict[str, Any] = {
    "channels": 1,
    "activation": "ELU",
    "activation_params": {"alpha": 1.0},
    "norm": "weight_norm",
    "norm_params": {},
    "disable_norm_outer_blocks": 0,
}
_DECODER_ONLY: dict[str, Any] = {"final_activation": None, "final_activation_params": None}
_SEANET_DEFAULTS: dict[str, Any] = {  # of the classes, not of the yaml files
    "dimension": 128,
    "n_filters": 32,
    "n_residual_layers": 3,
    "ratios": [8, 5, 4, 2],
    "norm": "none",
    "kernel_size": 7,
    "last_kernel_size": 7,
    "residual_kernel_size": 3,
    "dilation_base": 2,
    "causal": False,
    "pad_mode": "reflect",
    "true_skip": True,
    "compress": 2,
    "lstm": 0,
}
_TRAINING = {"q_dropout", "decay", "kmeans_init", "kmeans_iters", "threshold_ema_dead_code"}
_TRAINING |= {"orthogonal_reg_weight", "orthogonal_reg_active_codes_only", "orthogonal_reg_max_codes"}


def encodec_from_hub(raw: Mapping[str, Any], *, channels: int = 1, source: str = "config.json") -> EncodecConfig:
    """From the contents of a config.json of transformers' EncodecModel. Raises WeightsError that names the setting.

    In a MusicGen checkpoint they are `audio_encoder`, and `channels` is decoder.audio_channels.
    """
    read = Settings({**_HUB_DEFAULTS, **raw}, source)
    read.require(_HUB_ONLY)
    strides, codebook_size = read.counts("upsampling_ratios"), read.count("codebook_size")
    sample_rate, latent_width = read.count("sampling_rate"), read.count("hidden_size")
    if read.values["codebook_dim"] is not None:
        read.require({"codebook_dim": latent_width})
    return EncodecConfig(
        sample_rate=sample_rate,
        channels=channels,
        strides=strides,
        filters=read.count("num_filters"),
        latent_width=latent_width,
        codebooks_per_channel=_codebooks(read, ceil(sample_rate / prod(strides)), codebook_size),
        codebook_size=codebook_size,
        kernel=read.count("kernel_size"),
        last_kernel=read.count("last_kernel_size"),
        residual_kernel=read.count("residual_kernel_size"),
        residual_layers=read.count("num_residual_layers"),
        dilation_base=read.count("dilation_growth_rate"),
        compress=read.count("compress"),
        lstm_layers=read.count("num_lstm_layers"),
        causal=read.flag("use_causal_conv"),
        trim_right_ratio=_trim(read, "use_causal_conv"),
        mirrored=read.choice("pad_mode", _PAD_MODES),
        conv_shortcut=read.flag("use_conv_shortcut"),
    )


def _codebooks(read: Settings, frame_rate: int, codebook_size: int) -> int:
    """As many as the greatest bandwidth, in kbit/s, has room for."""
    bandwidths = read.values["target_bandwidths"]
    try:
        codebooks = int(1000 * bandwidths[-1] // (frame_rate * ceil(log2(codebook_size))))
    except (TypeError, LookupError, ArithmeticError):
        codebooks = 0
    if codebooks < 1:
        raise read.refused("target_bandwidths", "a list of kbit/s whose last has room for one codebook or more")
    return codebooks


def _trim(read: Settings, causal: str) -> float:
    """trim_right_ratio, which has a meaning only where convolutions are causal."""
    if not read.flag(causal):
        read.require({"trim_right_ratio": 1.0})
    return read.share("trim_right_ratio")


def encodec_from_audiocraft(
    cfg: Mapping[str, Any], *, channels: int = 1, source: str = "compression_state_dict.bin"
) -> EncodecConfig:
    """From `xp.cfg` of an exported compression model, parsed and its references resolved.

    `channels` is 2 where the language model's cfg says interleave_stereo_codebooks.use. Raises WeightsError that names
    a setting which is unknown, or not supported at its value.
    """
    whole = Settings(cfg, source)
    whole.require({"compression_model": "encodec"})
    encodec, rvq, seanet = whole.section("encodec"), whole.section("rvq"), _seanet(whole.section("seanet"))
    encodec.know({*_ENCODEC_ONLY, *_ENCODEC_FREE})
    encodec.require(_ENCODEC_ONLY)
    rvq.know({"n_q", "bins", *_TRAINING})
    return EncodecConfig(
        sample_rate=encodec.count("sample_rate"),
        channels=channels,
        strides=seanet.counts("ratios"),
        filters=seanet.count("n_filters"),
        latent_width=seanet.count("dimension"),
        codebooks_per_channel=rvq.count("n_q"),
        codebook_size=rvq.count("bins"),
        kernel=seanet.count("kernel_size"),
        last_kernel=seanet.count("last_kernel_size"),
        residual_kernel=seanet.count("residual_kernel_size"),
        residual_layers=seanet.count("n_residual_layers"),
        dilation_base=seanet.count("dilation_base"),
        compress=seanet.count("compress"),
        lstm_layers=seanet.count("lstm", least=0),
        causal=seanet.flag("causal"),
        trim_right_ratio=_trim(seanet, "causal"),
        mirrored=seanet.choice("pad_mode", _PAD_MODES),
        conv_shortcut=not seanet.flag("true_skip"),
    )


def _seanet(shared: Settings) -> Settings:
    """What encoder and decoder share, with trim_right_ratio, which only the decoder has."""
    encoder, decoder = shared.section("encoder"), shared.section("decoder")
    encoder.know(())  # such settings would give it another shape than the decoder's
    decoder.know({"trim_right_ratio", *_DECODER_ONLY})
    decoder.require(_DECODER_ONLY)
    shared.know({"encoder", "decoder", *_SEANET_ONLY, *_SEANET_DEFAULTS})
    trim = {"trim_right_ratio": decoder.values.get("trim_right_ratio", 1.0)}
    seanet = Settings({**_SEANET_DEFAULTS, **shared.values, **trim}, shared.source, shared.group)
    seanet.require(_SEANET_ONLY)
    return seanet
