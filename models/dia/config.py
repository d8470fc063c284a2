"""The numbers of one Dia network, read from its config.json. Knows no tensors.

Facts: `config.json` of nari-labs/Dia-1.6B-0626 in the layout of transformers' DiaConfig (4.53 and 5.x).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from models.errors import WeightsError


@dataclass(frozen=True)
class EncoderConfig:
    """The text encoder. All heads are query heads with keys of their own."""

    layers: int
    width: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    positions: int  # bytes of text
    vocabulary: int
    norm_eps: float
    rope_theta: float


@dataclass(frozen=True)
class DecoderConfig:
    """The code decoder: grouped-query self-attention, full cross-attention."""

    layers: int
    width: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    cross_heads: int
    cross_head_dim: int
    positions: int  # rows of the grid
    vocabulary: int  # per codebook, special codes included
    codebooks: int
    norm_eps: float
    rope_theta: float


@dataclass(frozen=True)
class DiaConfig:
    """One network and what its codes mean."""

    encoder: EncoderConfig
    decoder: DecoderConfig
    delays: tuple[int, ...]
    eos: int  # 1024 in Dia-1.6B: the first id above the 1024 codes of a codebook
    pad: int
    bos: int
    speech: bool = True  # False for random weights: their noise is not judged as speech
    plain_text: bool = False  # True for a small model that reads plain words only, see models/dia/verbalise.py
    own_voices: bool = False  # True for a model whose [S1] and [S2] are always the same two; Dia-1.6B draws new ones
    end_mark: bool = False  # True for a model whose texts end with tokenizer.END; Dia-1.6B's do not

    @property
    def max_delay(self) -> int:
        return max(self.delays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read config.json. Raises WeightsError for a file of another model or with a setting that is not supported."""
        try:
            raw = json.loads(path.read_text())
            return cls.from_dict(raw, path.name)
        except (OSError, ValueError) as error:
            raise WeightsError(f"{path}: cannot be read as a Dia configuration ({error}).") from error
        except KeyError as error:
            raise WeightsError(f"{path}: has no {error}; it is no configuration of Dia-1.6B-0626.") from error
        except (AttributeError, TypeError) as error:
            raise WeightsError(f"{path}: is no configuration of Dia-1.6B-0626 ({error}).") from error

    @classmethod
    def from_dict(cls, raw: dict[str, Any], source: str = "config.json") -> Self:
        if raw.get("model_type") != "dia":
            raise WeightsError(f"{source}: model_type is {raw.get('model_type')!r}, not 'dia'.")
        encoder, decoder = raw["encoder_config"], raw["decoder_config"]
        for part in (encoder, decoder):
            if part.get("hidden_act", "silu") != "silu":
                raise WeightsError(f"{source}: hidden_act is {part['hidden_act']!r}; only 'silu' is supported.")
        if decoder.get("cross_num_key_value_heads", heads := decoder["cross_num_attention_heads"]) != heads:
            raise WeightsError(f"{source}: cross-attention with fewer key heads than query heads is not supported.")
        eos, pad, bos = (_special_id(raw, f"{key}_token_id") for key in ("eos", "pad", "bos"))
        ours = raw.get("parley", {})
        return cls(
            encoder=EncoderConfig(**_shared(encoder, source), positions=encoder["max_position_embeddings"]),
            decoder=DecoderConfig(
                **_shared(decoder, source),
                positions=decoder["max_position_embeddings"],
                cross_heads=decoder["cross_num_attention_heads"],
                cross_head_dim=decoder["cross_head_dim"],
                codebooks=decoder["num_channels"],
            ),
            delays=tuple(raw["delay_pattern"]),
            eos=eos,
            pad=pad,
            bos=bos,
            speech=ours.get("speech", True),
            plain_text=ours.get("plain_text", False),
            own_voices=ours.get("own_voices", False),
            end_mark=ours.get("end_mark", False),
        )


def _special_id(raw: dict[str, Any], key: str) -> int:
    """transformers 5 keeps the special ids in the decoder's part; 4.53, which wrote the published file, at the top."""
    found = raw["decoder_config"].get(key)
    return int(raw[key] if found is None else found)


def _shared(part: dict[str, Any], source: str) -> dict[str, Any]:
    """The fields that encoder and decoder have in common."""
    return {
        "layers": part["num_hidden_layers"],
        "width": part["hidden_size"],
        "ffn": part["intermediate_size"],
        "heads": part["num_attention_heads"],
        "kv_heads": part.get("num_key_value_heads") or part["num_attention_heads"],
        "head_dim": part.get("head_dim") or part["hidden_size"] // part["num_attention_heads"],
        "vocabulary": part["vocab_size"],
        "norm_eps": part["norm_eps"],
        "rope_theta": _rope_theta(part, source),
    }


def _rope_theta(part: dict[str, Any], source: str) -> float:
    """transformers 5 moved rope_theta and rope_scaling into rope_parameters."""
    rope = part.get("rope_parameters") or part.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        raise WeightsError(f"{source}: rope type is {kind!r}; only 'default' is supported.")
    return float(rope.get("rope_theta") or part["rope_theta"])
