"""Tiny MusicGen networks: random weights under the published names, and what a request conditions them on."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from conftest import plain
from models.decoding.cache import KeyValuePool
from models.decoding.sequence import CodeSequence
from models.decoding.state_dict import StateDict
from models.musicgen.conditioning import Conditioning
from models.musicgen.config import CHROMA_BINS, MusicgenConfig, interleaved_delays
from models.musicgen.generate import MusicgenDecoder
from models.musicgen.layers import Packs
from models.musicgen.network import MusicgenNetwork
from models.request import SamplingParams

LETTERS = 40  # of the alphabet that stands in for a tokenizer's
END = 0  # the letter that ends every text


def tiny(*, channels: int = 1, melody: bool = False, **changed: Any) -> MusicgenConfig:
    """A window of 60 frames. Every size differs from every other, so that a mix-up cannot hide."""
    sizes = {
        "name": "tiny",
        "layers": 2,
        "width": 32,
        "heads": 2,
        "ffn": 72,
        "codebooks": 4 * channels,
        "vocabulary": 64,
        "delays": interleaved_delays(4 * channels, channels),
        "channels": channels,
        "text_width": 20,
        "projects_text": True,
        "melody": melody,
        "chroma_length": 7 if melody else 0,
        "max_duration_seconds": 1.2,
        "stride_seconds": 0.6,
        "sample_rate": 32_000,
        "frame_rate": 50.0,
    }
    return MusicgenConfig(**{**sizes, **changed})  # type: ignore[arg-type]


LAYOUTS = {"mono": tiny(), "stereo": tiny(channels=2), "melody": tiny(melody=True)}


def tensors(config: MusicgenConfig, seed: int = 0) -> dict[str, torch.Tensor]:
    """Wide enough that attention and logits are far from uniform. numpy's RandomState never changes its stream."""
    random = np.random.RandomState(seed)
    return {name: torch.from_numpy(_fill(name, shape, random).astype(np.float32)) for name, shape in _shapes(config)}


def _fill(name: str, shape: tuple[int, ...], random: np.random.RandomState) -> np.ndarray:
    if "norm" in name:
        return ("weight" in name) + 0.2 * random.standard_normal(shape)
    return (0.6 if "proj" in name else 0.4) * random.standard_normal(shape)


def _shapes(c: MusicgenConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    decoder = "decoder.model.decoder"
    for k in range(c.codebooks):
        yield f"{decoder}.embed_tokens.{k}.weight", (c.vocabulary + 1, c.width)
        yield f"decoder.lm_heads.{k}.weight", (c.vocabulary, c.width)
    for i in range(c.layers):
        layer = f"{decoder}.layers.{i}"
        for kind in ("self_attn",) if c.melody else ("self_attn", "encoder_attn"):
            for matrix in ("q", "k", "v", "out"):
                yield f"{layer}.{kind}.{matrix}_proj.weight", (c.width, c.width)
            yield from _norm(f"{layer}.{kind}_layer_norm", c.width)
        yield f"{layer}.fc1.weight", (c.ffn, c.width)
        yield f"{layer}.fc2.weight", (c.width, c.ffn)
        yield from _norm(f"{layer}.final_layer_norm", c.width)
    yield from _norm(f"{decoder}.layer_norm", c.width)
    if c.projects_text:
        yield from (("enc_to_dec_proj.weight", (c.width, c.text_width)), ("enc_to_dec_proj.bias", (c.width,)))
    if c.melody:
        yield "audio_enc_to_dec_proj.weight", (c.width, CHROMA_BINS)
        yield "audio_enc_to_dec_proj.bias", (c.width,)


def _norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from ((f"{name}.weight", (width,)), (f"{name}.bias", (width,)))


def network(
    config: MusicgenConfig, packs: Packs | None = None, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> MusicgenNetwork:
    packs = packs or Packs.alike(plain)
    with StateDict(tensors(config), "tiny", dtype, device) as source:
        return MusicgenNetwork.load(source, config, dtype=dtype, device=torch.device(device), packs=packs)


def decoder(net: MusicgenNetwork, slots: int = 4) -> MusicgenDecoder:
    return MusicgenDecoder(net, KeyValuePool(net.cache_shape, slots=slots, device=net.device))


def letters(text: str) -> list[int]:
    """What stands in for a tokenizer: an id for each character, and the end."""
    return [*(1 + ord(each) % (LETTERS - 1) for each in text), END]


def states(config: MusicgenConfig) -> torch.Tensor:
    """What stands in for a text encoder: a state for each letter, float32 [LETTERS, D_text]."""
    return torch.from_numpy(np.random.RandomState(99).standard_normal((LETTERS, config.text_width)).astype(np.float32))


def conditioning(config: MusicgenConfig, text: str, tune: list[int] | None = None) -> Conditioning:
    """tune: the pitch class of each frame of a melody."""
    rows = states(config)[letters(text)] if text else torch.zeros(1, config.text_width)
    chroma = None if tune is None else torch.nn.functional.one_hot(torch.tensor(tune), CHROMA_BINS).float()
    return Conditioning(rows, chroma)


def prompt(config: MusicgenConfig, frames: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, config.vocabulary, (config.codebooks, frames))


def asked(**changed: Any) -> SamplingParams:
    """Sampling as audiocraft's defaults have it."""
    usual = {"cfg_scale": 3.0, "temperature": 1.0, "top_p": 0.0, "cfg_filter_top_k": 25, "seed": 7}
    return SamplingParams(**{**usual, **changed})


def sequence(
    config: MusicgenConfig,
    sampling: SamplingParams,
    *,
    text: str = "a slow waltz",
    tune: list[int] | None = None,
    frames: int = 20,
    known: int = 0,
) -> CodeSequence:
    """One run: `known` frames of a prompt, and as many new ones as are asked for."""
    return CodeSequence(conditioning(config, text, tune), prompt(config, known), sampling, frames, config.delays)


def run(stepper: MusicgenDecoder, *sequences: CodeSequence) -> list[np.ndarray]:
    """All of them together, to the end → the codes of each, [K, T]."""
    for each in sequences:
        stepper.admit(each)
    while not all(each.done for each in sequences):
        stepper.step()
    for each in sequences:
        stepper.release(each)
    return [each.codes(0, each.frames) for each in sequences]
