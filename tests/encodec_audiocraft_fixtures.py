"""Tiny EnCodecs of audiocraft's own classes, and ours from the same cfg and weights."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.codecs.encodec import EncodecCodec
from models.codecs.encodec_settings import encodec_from_audiocraft
from models.decoding.state_dict import StateDict
from models.musicgen.names import codec_state

# Every group of config/model/encodec/default.yaml that a compression model is built from, but for the sizes.
CFG: dict[str, Any] = {
    "compression_model": "encodec",
    "sample_rate": 300,
    "channels": 1,
    "device": "cpu",
    "encodec": {
        "autoencoder": "seanet",
        "quantizer": "rvq",
        "sample_rate": 300,
        "channels": 1,
        "causal": False,
        "renormalize": False,
    },
    "seanet": {
        "dimension": 4,
        "channels": 1,
        "causal": False,
        "n_filters": 2,
        "n_residual_layers": 1,
        "ratios": [3, 2],
        "activation": "ELU",
        "activation_params": {"alpha": 1.0},
        "norm": "weight_norm",
        "norm_params": {},
        "kernel_size": 7,
        "residual_kernel_size": 3,
        "last_kernel_size": 7,
        "dilation_base": 2,
        "pad_mode": "constant",
        "true_skip": True,
        "compress": 2,
        "lstm": 2,
        "disable_norm_outer_blocks": 0,
        "decoder": {"trim_right_ratio": 1.0, "final_activation": None, "final_activation_params": None},
        "encoder": {},
    },
    "rvq": {
        "n_q": 2,
        "q_dropout": False,
        "bins": 16,
        "decay": 0.99,
        "kmeans_init": True,
        "kmeans_iters": 50,
        "threshold_ema_dead_code": 2,
        "orthogonal_reg_weight": 0.0,
        "orthogonal_reg_active_codes_only": False,
        "orthogonal_reg_max_codes": None,
    },
    "no_quant": {},
}
# What is changed in which group; the weights have the same shapes in the first four.
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "constant": {},
    "reflect": {"seanet": {"pad_mode": "reflect"}},
    "causal constant": {"seanet": {"causal": True}, "encodec": {"causal": True}},
    "causal reflect": {"seanet": {"causal": True, "pad_mode": "reflect"}, "encodec": {"causal": True}},
    "trimmed": {"seanet": {"causal": True, "decoder": {"trim_right_ratio": 0.4}}},
    "no lstm": {"seanet": {"lstm": 0, "n_residual_layers": 2, "true_skip": False, "ratios": [4, 5]}},
}
SAME_WEIGHTS = ("constant", "reflect", "causal constant", "causal reflect")


def cfg_of(name: str) -> dict[str, Any]:
    """What stands in `xp.cfg` of the codec of this name."""
    cfg = copy.deepcopy(CFG)
    for group, changes in VARIANTS[name].items():
        cfg[group] |= changes
    return cfg


def ours(name: str, state: Mapping[str, Tensor], channels: int = 1) -> EncodecCodec:
    """Ours, with audiocraft's weights."""
    with StateDict(codec_state(state), "audiocraft's codec") as source:
        return EncodecCodec.load(source, encodec_from_audiocraft(cfg_of(name), channels=channels), "cpu")


def sound(samples: int, channels: int = 1) -> Tensor:
    """[C, L]."""
    return 0.5 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(samples))
