"""The numbers of one MusicGen or AudioGen network, read from its config.json. Knows no tensors.

Facts: config.json of facebook/musicgen-* in the layout of transformers' MusicgenConfig and MusicgenMelodyConfig (5.x).
What such a file does not say, the window and its stride, is audiocraft's (models/musicgen.py: trained on 30 s, and 18 s
further for each window after the first). Files in audiocraft's own format: models/musicgen/audiocraft_config.py.
"""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Self

from models.errors import WeightsError

TEXT_POSITIONS = 512  # tokens of text at most: what T5 was trained on
CHROMA_BINS = 12  # pitch classes of a melody
CHROMA_LENGTH = 235  # frames of it: 30 s in hops of 4096 samples at 32 kHz, and one
WINDOW_SECONDS, STRIDE_SECONDS = 30.0, 18.0

_KINDS = {"musicgen": False, "musicgen_melody": True}  # model_type → whether it takes a melody
# Settings of the decoder that the network honours at one value only.
_ONLY = {"activation_function": "gelu", "scale_embedding": False, "tie_word_embeddings": False}


@dataclass(frozen=True)
class MusicgenConfig:
    """One network and what its codes mean. Codes are 0 … vocabulary - 1; `special` stands where no code is."""

    name: str
    layers: int
    width: int
    heads: int
    ffn: int
    codebooks: int  # of all channels together; stereo has them left and right by turns
    vocabulary: int  # codes of a codebook
    delays: tuple[int, ...]  # rows that each codebook runs behind
    channels: int
    text_width: int  # of the text encoder's states
    projects_text: bool  # False where the states are as wide as the network and go in as they are
    melody: bool  # conditions stand before the codes, as a prefix, and there is no cross-attention
    chroma_length: int  # frames of melody in the prefix; 0 without melody
    max_duration_seconds: float  # of the window: prompt and new frames together
    stride_seconds: float  # how far each further window begins after the one before
    sample_rate: int  # Hz
    frame_rate: float  # frames a second of audio

    @property
    def special(self) -> int:
        """The id that fills a grid before the first and after the last code of a codebook."""
        return self.vocabulary

    @property
    def head_dim(self) -> int:
        return self.width // self.heads

    @property
    def max_delay(self) -> int:
        return max(self.delays)

    @property
    def max_frames(self) -> int:
        """Prompt and new frames that fit the window together: 1500 for MusicGen, 500 for AudioGen."""
        return int(self.max_duration_seconds * self.frame_rate)

    @property
    def prefix_positions(self) -> int:
        """Positions before the first row of codes, at most: melody and text of a melody network, none of others."""
        return self.chroma_length + TEXT_POSITIONS if self.melody else 0

    @classmethod
    def load(cls, path: Path, name: str) -> Self:
        """Read config.json. Raises WeightsError for a file of another model or with a setting that is not supported."""
        try:
            raw = json.loads(path.read_text())
            return cls.from_dict(raw, name, path.name)
        except (OSError, ValueError) as error:
            raise WeightsError(f"{path}: cannot be read as a MusicGen configuration ({error}).") from error
        except KeyError as error:
            raise WeightsError(f"{path}: has no {error}; it is no configuration of MusicGen.") from error
        except (AttributeError, TypeError) as error:
            raise WeightsError(f"{path}: is no configuration of MusicGen ({error}).") from error

    @classmethod
    def from_dict(cls, raw: dict[str, Any], name: str, source: str = "config.json") -> Self:
        """From the contents of config.json. `parley.window_seconds` and `parley.stride_seconds` are ours."""
        kind = raw.get("model_type")
        if kind not in _KINDS:
            raise WeightsError(f"{source}: model_type is {kind!r}, not {' or '.join(map(repr, _KINDS))}.")
        melody, decoder, text, codec = _KINDS[kind], raw["decoder"], raw["text_encoder"], raw["audio_encoder"]
        codebooks, channels, vocabulary = _code_layout(decoder, source)
        if melody and raw.get("num_chroma", CHROMA_BINS) != CHROMA_BINS:
            raise WeightsError(f"{source}: num_chroma is {raw['num_chroma']}; only {CHROMA_BINS} is supported.")
        ours = raw.get("parley", {})
        return cls(
            name=name,
            layers=decoder["num_hidden_layers"],
            width=decoder["hidden_size"],
            heads=decoder["num_attention_heads"],
            ffn=decoder["ffn_dim"],
            codebooks=codebooks,
            vocabulary=vocabulary,
            delays=interleaved_delays(codebooks, channels),
            channels=channels,
            text_width=text["d_model"],
            projects_text=text["d_model"] != decoder["hidden_size"],
            melody=melody,
            chroma_length=raw.get("chroma_length", CHROMA_LENGTH) if melody else 0,
            max_duration_seconds=float(ours.get("window_seconds", WINDOW_SECONDS)),
            stride_seconds=float(ours.get("stride_seconds", STRIDE_SECONDS)),
            sample_rate=codec["sampling_rate"],
            frame_rate=codec["sampling_rate"] / prod(codec["upsampling_ratios"]),
        )


def interleaved_delays(codebooks: int, channels: int) -> tuple[int, ...]:
    """Codebook k of every channel runs k rows behind: (0, 1, 2, 3), in stereo (0, 0, 1, 1, 2, 2, 3, 3)."""
    return tuple(k // channels for k in range(codebooks))


def _code_layout(decoder: dict[str, Any], source: str) -> tuple[int, int, int]:
    """(codebooks, channels, codes of a codebook) of a decoder that has no setting which the network cannot honour."""
    for key, wanted in _ONLY.items():
        if decoder.get(key, wanted) != wanted:
            raise WeightsError(f"{source}: {key} is {decoder[key]!r}; only {wanted!r} is supported.")
    codebooks = decoder["num_codebooks"]
    # Files from before there was stereo do not name the channels.
    channels, vocabulary = decoder.get("audio_channels", 1), decoder.get("vocab_size", 2048)
    if (special := decoder.get("pad_token_id", vocabulary)) != vocabulary:
        raise WeightsError(
            f"{source}: pad_token_id is {special}; it must be {vocabulary}, the first id above the codes."
        )
    if channels not in (1, 2) or codebooks % channels:
        raise WeightsError(
            f"{source}: {codebooks} codebooks for {channels} channels; only mono and stereo are supported, with as "
            "many codebooks left as right."
        )
    return codebooks, channels, vocabulary
