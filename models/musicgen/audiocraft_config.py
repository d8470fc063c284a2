"""The numbers of one network as audiocraft's own files give them: the `xp.cfg` of a state_dict.bin. Knows no tensors.

The settings are those of audiocraft's builders.get_lm_model (audiocraft/models/builders.py) and of the classes that it
makes. Every one is read: it is a number that MusicgenConfig holds, or means nothing when weights are only used, or has
a value that leaves it out. Any other is an error that names it, because a network that ignored it would make noise.
"""

from collections.abc import Mapping
from typing import Any

from models.errors import WeightsError
from models.musicgen.config import CHROMA_BINS, STRIDE_SECONDS, MusicgenConfig

# Seconds between windows (audiocraft/models/audiogen.py and musicgen.py, set_generation_params). Which of the two it is
# is said where audiocraft is called, not in the file; what was trained as AudioGen says so, or has its sample rate.
_AUDIOGEN_STRIDE, _AUDIOGEN_RATE = 2.0, 16_000
_SHORT_STRIDE = 0.6  # of a window that is no longer than the stride, which audiocraft refuses: 18 s of 30 s are as much

# Of the melody: a spectrum of 2 ** radix2_exp samples every quarter of that (audiocraft/modules/chroma.py).
_CHROMA: dict[str, Any] = {"n_chroma": CHROMA_BINS, "radix2_exp": 14, "argmax": True}
_HOPS_PER_SPECTRUM = 4

# Of the text: words left out in training, and another dtype than T5's own, which is the one taken here.
_T5: dict[str, Any] = {"finetune": False, "normalize_text": False}
_T5_WITHOUT_EFFECT = {"word_dropout", "autocast_dtype"}

_SIZES = {"n_q", "card", "dim", "num_heads", "num_layers", "hidden_scale"}
# Of training, or of how attention is computed.
_WITHOUT_EFFECT = {"dropout", "attention_dropout", "emb_lr", "lr", "weight_decay", "weight_init", "depthwise_init"}
_WITHOUT_EFFECT |= {"zero_bias_init", "checkpointing", "custom", "memory_efficient", "attention_as_float32"}
_WITHOUT_EFFECT |= {"two_step_cfg", "cross_attention", "safe_streaming"}
_OLD_PATTERN = "q_modeling"  # what codebooks_pattern.modeling was called before; it counts where that says nothing
_ONLY: dict[str, Any] = {
    "activation": "gelu",
    "norm": "layer_norm",
    "norm_first": True,
    "bias_ff": False,
    "bias_attn": False,
    "bias_proj": False,
    "causal": True,
    "past_context": None,
    "layer_scale": None,
    "positional_embedding": "sin",
    "positional_scale": 1.0,
    "max_period": 10_000,
    "xpos": False,
    "qk_layer_norm": False,
    "qk_layer_norm_cross": False,
    "kv_repeat": 1,
}
# What the constructors take where the file says nothing, if that is another value (audiocraft/models/lm.py).
_DEFAULTS: dict[str, Any] = {"norm_first": False, "bias_ff": True, "bias_attn": True, "bias_proj": True}
_DEFAULTS |= {"causal": False, "activation": "relu"}


def config_from_audiocraft(
    cfg: Mapping[str, Any], name: str, text_width: int, frame_rate: float, source: str = "state_dict.bin"
) -> MusicgenConfig:
    """From `xp.cfg`, parsed. text_width: of the text encoder that it names. frame_rate: of the codec beside it.

    Raises WeightsError for a setting that is not known, or not supported at its value.
    """
    try:
        return _read(cfg, name, text_width, frame_rate, source)
    except KeyError as error:
        raise WeightsError(f"{source}: its configuration has no {error}; it is none of MusicGen.") from error
    except (AttributeError, TypeError) as error:
        raise WeightsError(f"{source}: its configuration is none of MusicGen ({error}).") from error


def text_encoder_name(cfg: Mapping[str, Any], source: str = "state_dict.bin") -> str:
    """The T5 that reads the text, such as "t5-base": it is not in the file. Raises WeightsError."""
    try:
        t5 = cfg["conditioners"]["description"]["t5"]
        name = str(t5["name"])
        unknown = sorted(set(t5) - _T5_WITHOUT_EFFECT - {"name"} - set(_T5))
    except (KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{source}: its configuration names no T5 that would read the text ({error}).") from error
    if unknown:
        raise WeightsError(f"{source}: conditioners.description.t5 has the unknown settings {', '.join(unknown)}.")
    for key, wanted in _T5.items():
        _require(t5.get(key, wanted), wanted, f"conditioners.description.t5.{key}", source)
    return name


def _read(cfg: Mapping[str, Any], name: str, text_width: int, frame_rate: float, source: str) -> MusicgenConfig:
    _require(cfg["lm_model"], "transformer_lm", "lm_model", source)
    lm = _transformer(cfg["transformer_lm"], source)
    melody = _melody(cfg, source)
    seconds = float(cfg["dataset"]["segment_duration"])
    return MusicgenConfig(
        name=name,
        layers=lm["num_layers"],
        width=lm["dim"],
        heads=lm["num_heads"],
        ffn=int(lm["hidden_scale"] * lm["dim"]),
        codebooks=lm["n_q"],
        vocabulary=lm["card"],
        delays=_delays(cfg["codebooks_pattern"], lm, source),
        channels=_channels(cfg.get("interleave_stereo_codebooks") or {}, source),
        text_width=text_width,
        projects_text=True,
        melody=melody is not None,
        chroma_length=_chroma_length(melody, seconds, source) if melody is not None else 0,
        max_duration_seconds=seconds,
        stride_seconds=_stride(cfg, seconds),
        sample_rate=cfg["sample_rate"],
        frame_rate=frame_rate,
    )


def _require(found: Any, wanted: Any, key: str, source: str) -> None:
    if found != wanted:
        raise WeightsError(f"{source}: {key} is {found!r}; only {wanted!r} is supported.")


def _transformer(lm: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    if unknown := sorted(set(lm) - _SIZES - _WITHOUT_EFFECT - set(_ONLY) - {_OLD_PATTERN}):
        raise WeightsError(f"{source}: transformer_lm has the unknown settings {', '.join(unknown)}.")
    for key, wanted in _ONLY.items():
        _require(lm.get(key, _DEFAULTS.get(key, wanted)), wanted, f"transformer_lm.{key}", source)
    return lm


def _melody(cfg: Mapping[str, Any], source: str) -> Mapping[str, Any] | None:
    """The melody's conditioner, if there is one, after a look at how conditions reach the network."""
    conditioners = {key: value for key, value in cfg["conditioners"].items() if key != "args"}
    kinds = {key: value["model"] for key, value in conditioners.items()}
    fuser = dict(cfg["fuser"])
    _require(fuser.pop("cross_attention_pos_emb", False), False, "fuser.cross_attention_pos_emb", source)
    fuser.pop("cross_attention_pos_emb_scale", None)
    fused = {how: set(names) for how, names in fuser.items() if names}
    if kinds == {"description": "t5"} and fused == {"cross": set(kinds)}:
        return None
    if kinds == {"self_wav": "chroma_stem", "description": "t5"} and fused == {"prepend": set(kinds)}:
        chroma: Mapping[str, Any] = conditioners["self_wav"]["chroma_stem"]
        return chroma
    raise WeightsError(
        f"{source}: conditioners are {kinds}, fused as {fused}; only a text by cross-attention, or a melody and a text "
        "before the codes, are supported."
    )


def _chroma_length(chroma: Mapping[str, Any], seconds: float, source: str) -> int:
    """Frames of a window's melody: a centred spectrogram has one more than hops fit."""
    for key, wanted in _CHROMA.items():
        _require(chroma[key], wanted, f"conditioners.self_wav.chroma_stem.{key}", source)
    return 1 + int(seconds * chroma["sample_rate"]) // (2 ** chroma["radix2_exp"] // _HOPS_PER_SPECTRUM)


def _stride(cfg: Mapping[str, Any], seconds: float) -> float:
    is_audiogen = cfg.get("solver") == "audiogen" or cfg["sample_rate"] == _AUDIOGEN_RATE
    stride = _AUDIOGEN_STRIDE if is_audiogen else STRIDE_SECONDS
    return stride if stride < seconds else _SHORT_STRIDE * seconds


def _delays(pattern: Mapping[str, Any], lm: Mapping[str, Any], source: str) -> tuple[int, ...]:
    codebooks, modeling = lm["n_q"], pattern.get("modeling")
    old = modeling is None
    _require(lm.get(_OLD_PATTERN) if old else modeling, "delay", "codebooks_pattern.modeling", source)
    delay = {} if old else pattern.get("delay") or {}
    for key in ("flatten_first", "empty_initial"):
        _require(delay.get(key, 0), 0, f"codebooks_pattern.delay.{key}", source)
    delays = tuple(delay.get("delays") or range(codebooks))
    if len(delays) != codebooks or sorted(delays) != list(delays) or delays[0] != 0:
        raise WeightsError(
            f"{source}: codebooks_pattern.delay.delays is {list(delays)} for {codebooks} codebooks; each needs one, "
            "from 0 on and none below the one before."
        )
    return delays


def _channels(stereo: Mapping[str, Any], source: str) -> int:
    """A stereo network's codec is the mono one, on each side."""
    if not stereo.get("use", False):
        return 1
    _require(stereo.get("per_timestep", False), False, "interleave_stereo_codebooks.per_timestep", source)
    return 2
