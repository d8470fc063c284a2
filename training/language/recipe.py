"""Every number of the language model's training, in one place. Knows no tensors.

The sizes fit two CPU cores for some hours; the rates are those of a study at a third of the size.
"""

from dataclasses import dataclass, field
from typing import Any

from models.dia.config import DiaConfig
from training.frames import ALL_BOOKS

DELAYS = (0, 8, 9, 10, 11, 12, 13, 14, 15)  # frames, of each of Dia's codebooks, idle ones included


@dataclass(frozen=True)
class Size:
    """The network. Field names are those of models.dia.config, but heads of the encoder all have keys of their own."""

    encoder_layers: int = 5
    encoder_width: int = 256
    encoder_ffn: int = 768
    encoder_heads: int = 4
    encoder_head_dim: int = 64
    text_positions: int = 1024
    decoder_layers: int = 5
    decoder_width: int = 320
    decoder_ffn: int = 960
    decoder_heads: int = 5
    decoder_kv_heads: int = 1
    decoder_head_dim: int = 64
    cross_heads: int = 5
    cross_head_dim: int = 64
    rows: int = 1536
    codes: int = 512  # ids of a codebook; eos, pad and bos follow, and one that nothing uses
    codebooks: int = 6  # active: the first ones


@dataclass(frozen=True)
class Mixing:
    """How utterances become examples. Shares are of examples; lengths are frames."""

    one: float = 0.4
    same_speaker: float = 0.15  # the rest are dialogues
    most_joined: int = 3  # utterances of one speaker in one turn
    most_turns: int = 6
    longer_turns: float = 0.35  # turns of a dialogue that have a second utterance
    usual_frames: int = 1100
    most_frames: int = 1500
    most_frames_share: float = 0.2
    turn_gap: tuple[int, int] = (9, 13)
    join_gap: tuple[int, int] = (7, 13)  # no shorter a range: else the length of a rest would tell who goes on
    pause_share: float = 0.06  # of joins, beginnings and ends: " ... " in the text, silence in the sound
    pause_gap: tuple[int, int] = (42, 46)
    utterances_per_chunk: int = 512  # sorted by length together
    most_repeats: int = 3  # of an utterance in an epoch, for the voice that has less of them
    borrowed_share: float = 0.25  # readings lent by the voice that has more, of all others in an epoch
    batch_rows: int = 2000  # padding included
    batches_per_step: int = 2  # whose gradients are averaged: as many threads can work
    reading_steps: int = 1000  # at the beginning: the text encoder learns to read before it hears anything
    reading_letters: int = 4000  # of a batch in these
    practice_letters: int = 2000  # beside a batch later on: words are many, and few of them are ever spoken
    practice_lengths: tuple[int, int] = (40, 400)  # of texts to practise on, in letters


@dataclass(frozen=True)
class Corruption:
    """What is done to inputs so that the decoder trusts the text and survives its own slips."""

    drop_text: float = 0.12  # share of examples without a text, for guidance
    severity: float = 0.3  # each example draws its own between 0 and this
    drop_row: float = 0.6  # times severity: a row's embedding is zero
    drop_detail: float = 0.6  # times severity: that of all codebooks but the first
    replace_row: float = 0.5  # times severity: a row's codes are those of another row
    swap_voice: float = 0.25  # share of examples with a stretch in the other voice's units: tags tell the voice


@dataclass(frozen=True)
class Weights:
    """Of the losses. Codebook 0 decides what is said and when; the last two are mostly chance, with little to learn.

    codebooks: one each, or more.
    """

    codebooks: tuple[float, ...] = (1.0, 0.3, 0.5, 0.3, 0.1, 0.1)
    guide: float = 0.6
    phone: float = 0.3
    letter: float = 0.3
    practice: float = 1.0  # of reading texts that nobody has spoken
    place: float = 0.5  # of knowing where in the text a letter or frame is; at 3.0 reading is learned half as fast
    first: float = 0.3  # of units that begin a voice: without it a text begins in either one after 2,000 steps
    guide_layers: tuple[int, ...] = (0, 1, 2)
    guide_heads: int = 2
    guide_width: float = 1.5  # characters to either side
    phone_layer: int = 2  # the hidden state after this decoder layer


@dataclass(frozen=True)
class Optimiser:
    muon_rate: float = 5e-3  # times 0.2 * sqrt(longer side), which makes it comparable to an AdamW rate
    reader_share: float = 0.3  # of that, for the text encoder beside speech: at the whole rate it unlearns
    muon_momentum: float = 0.95
    muon_decay: float = 0.01
    newton_schulz_steps: int = 5
    adam_rate: float = 2e-3
    adam_betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0  # norm of all that AdamW moves
    warmup_steps: int = 100
    decay_share: float = 0.5  # of the budget, at its end, over which rates fall to zero
    head_steps: int = 100  # before the first one where a run begins with an exported model, for the heads it lacks
    average: float = 0.995  # of the weights, a step; the average is what is exported


@dataclass(frozen=True)
class Recipe:
    size: Size = field(default_factory=Size)
    mixing: Mixing = field(default_factory=Mixing)
    corruption: Corruption = field(default_factory=Corruption)
    weights: Weights = field(default_factory=Weights)
    optimiser: Optimiser = field(default_factory=Optimiser)
    seed: int = 1
    bfloat16: bool = True
    validate_every: int = 500  # steps
    report_every: int = 25  # steps
    save_minutes: float = 5.0

    def config(self) -> DiaConfig:
        return DiaConfig.from_dict(hub_config(self.size), "recipe")


def hub_config(size: Size) -> dict[str, Any]:
    """The config.json that DiaForConditionalGeneration and models.dia read."""
    special = {"eos_token_id": size.codes, "pad_token_id": size.codes + 1, "bos_token_id": size.codes + 2}
    return {
        "architectures": ["DiaForConditionalGeneration"],
        "model_type": "dia",
        "is_encoder_decoder": True,
        **special,
        "delay_pattern": list(DELAYS),
        "encoder_config": _encoder_config(size),
        "decoder_config": {**_decoder_config(size), **special},
        "norm_eps": 1e-5,
        "torch_dtype": "float32",
    }


_COMMON: dict[str, Any] = {"hidden_act": "silu", "norm_eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": None}


def _encoder_config(size: Size) -> dict[str, Any]:
    return {
        **_COMMON,
        "model_type": "dia_encoder",
        "hidden_size": size.encoder_width,
        "intermediate_size": size.encoder_ffn,
        "num_hidden_layers": size.encoder_layers,
        "num_attention_heads": size.encoder_heads,
        "num_key_value_heads": size.encoder_heads,
        "head_dim": size.encoder_head_dim,
        "max_position_embeddings": size.text_positions,
        "vocab_size": 256,
    }


def _decoder_config(size: Size) -> dict[str, Any]:
    return {
        **_COMMON,
        "model_type": "dia_decoder",
        "hidden_size": size.decoder_width,
        "intermediate_size": size.decoder_ffn,
        "num_hidden_layers": size.decoder_layers,
        "num_attention_heads": size.decoder_heads,
        "num_key_value_heads": size.decoder_kv_heads,
        "head_dim": size.decoder_head_dim,
        "cross_hidden_size": size.encoder_width,
        "cross_num_attention_heads": size.cross_heads,
        "cross_num_key_value_heads": size.cross_heads,
        "cross_head_dim": size.cross_head_dim,
        "max_position_embeddings": size.rows,
        "num_channels": ALL_BOOKS,
        "vocab_size": size.codes + 4,
    }
