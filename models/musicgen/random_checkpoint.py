"""Tiny MusicGen checkpoints with random weights, in the published format: for tests and for trying out every field.

    python -m models.musicgen.random_checkpoint DIRECTORY --like audiogen-random

writes DIRECTORY/model/{config.json,model.safetensors,tokenizer.json}. What they play is noise. Knows names and shapes
of tensors, not what they compute; tests/test_musicgen_random_checkpoint.py holds them against transformers' classes.
The random numbers come from a numpy generator of its own, so a seed gives the same bytes and nothing global changes.
"""

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from models.musicgen.random_codec import codec_gain, codec_shapes
from models.musicgen.random_tokenizer import VOCABULARY, tokenizer_json

Shapes = Iterator[tuple[str, tuple[int, ...]]]  # (name of a tensor, its shape)

WIDTH, HEADS, FFN, LAYERS = 32, 2, 64, 2
TEXT_WIDTH, TEXT_HEADS, TEXT_FFN, TEXT_LAYERS = 16, 2, 32, 2
BOOKS_PER_CHANNEL = 4
CODES = 2048  # of a codebook; the embeddings have a row more, for the special token
LATENT_WIDTH = 8  # of the codec
CHROMA = 12  # pitch classes
SHARPNESS = 2.5  # of the projections that decide what is attended to


@dataclass(frozen=True)
class Variant:
    """What tells one random checkpoint from another."""

    melody: bool = True
    channels: int = 1
    sample_rate: int = 32_000  # Hz
    ratios: tuple[int, ...] = (8, 5, 4, 4)  # of the codec, from the decoder's side; 50 frames a second
    window_seconds: float = 30.0
    stride_seconds: float = 18.0


VARIANTS = {
    "musicgen-random": Variant(),  # melody, as only the melody checkpoints can honour every field
    "musicgen-stereo-random": Variant(channels=2),
    "audiogen-random": Variant(False, 1, 16_000, (8, 5, 4, 2), 10.0, 2.0),
}


def write_random_checkpoint(
    directory: Path, name: str = "musicgen-random", seed: int = 0, variant: Variant | None = None
) -> None:
    """Write directory/model in the hub's format; the same arguments give the same bytes.

    `variant` replaces the one that VARIANTS has under the name.
    """
    variant = variant or VARIANTS[name]
    random = np.random.default_rng(seed)
    folder = directory / "model"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(_config(name, variant), indent=2) + "\n")
    (folder / "tokenizer.json").write_text(tokenizer_json())
    tensors = {tensor: _fill(tensor, shape, random) for tensor, shape in _shapes(variant)}
    # transformers reads only files that name their format, and "pt" is what the published ones say. The bytes are
    # written here because save_file makes a file that only its owner can read.
    (folder / "model.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))


def _config(name: str, variant: Variant) -> dict[str, Any]:
    """Field names and their spelling are those of facebook/musicgen-* in transformers' layout; the sizes are not."""
    kind = "musicgen_melody" if variant.melody else "musicgen"
    decoder = {
        "model_type": f"{kind}_decoder",
        "hidden_size": WIDTH,
        "ffn_dim": FFN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_codebooks": BOOKS_PER_CHANNEL * variant.channels,
        "audio_channels": variant.channels,
        "vocab_size": CODES,
        "bos_token_id": CODES,
        "pad_token_id": CODES,
        "activation_function": "gelu",
        "scale_embedding": False,
        "tie_word_embeddings": False,
        "max_position_embeddings": 2048,
    }
    return {
        "architectures": ["MusicgenMelodyForConditionalGeneration" if variant.melody else _PLAIN],
        "model_type": kind,
        "is_encoder_decoder": True,
        "torch_dtype": "float32",
        **({"num_chroma": CHROMA, "chroma_length": _chroma_length(variant)} if variant.melody else {}),
        "decoder": decoder,
        "text_encoder": _text_config(),
        "audio_encoder": _codec_config(variant),
        "parley": {
            "name": name,
            "music": False,
            "window_seconds": variant.window_seconds,
            "stride_seconds": variant.stride_seconds,
        },
    }


_PLAIN = "MusicgenForConditionalGeneration"


def _chroma_length(variant: Variant) -> int:
    """Frames of chroma in a window: hops of 4096 samples, and one more (audiocraft, conditioner/chroma2music.yaml)."""
    return 1 + int(variant.window_seconds * variant.sample_rate) // 4096


def _text_config() -> dict[str, Any]:
    return {
        "model_type": "t5",
        "d_model": TEXT_WIDTH,
        "d_kv": TEXT_WIDTH // TEXT_HEADS,
        "d_ff": TEXT_FFN,
        "num_layers": TEXT_LAYERS,
        "num_heads": TEXT_HEADS,
        "vocab_size": VOCABULARY,
        "feed_forward_proj": "relu",
        "relative_attention_num_buckets": 32,
        "relative_attention_max_distance": 128,
        "layer_norm_epsilon": 1e-6,
        "pad_token_id": 0,
        "eos_token_id": 1,
    }


def _codec_config(variant: Variant) -> dict[str, Any]:
    return {
        "model_type": "encodec",
        "sampling_rate": variant.sample_rate,
        "audio_channels": 1,
        "normalize": False,
        "num_filters": 4,
        "hidden_size": LATENT_WIDTH,
        "codebook_size": CODES,
        "codebook_dim": LATENT_WIDTH,
        "upsampling_ratios": list(variant.ratios),
        "num_residual_layers": 1,
        "num_lstm_layers": 2,
        "kernel_size": 7,
        "last_kernel_size": 7,
        "residual_kernel_size": 3,
        "dilation_growth_rate": 2,
        "compress": 2,
        "norm_type": "weight_norm",
        "pad_mode": "reflect",
        "use_causal_conv": False,
        "use_conv_shortcut": False,
        "trim_right_ratio": 1.0,
        "target_bandwidths": [2.2],  # kbit/s: 50 frames of 4 codes of 11 bits
    }


def _fill(name: str, shape: tuple[int, ...], random: np.random.Generator) -> npt.NDArray[np.float32]:
    """Values that keep signals near unit variance, so that every tensor matters to the result."""
    noise = random.standard_normal(shape, dtype=np.float32)
    if name.startswith("audio_encoder."):
        return codec_gain(name, shape, noise)
    module, kind = name.split(".")[-2:]
    if "norm" in module:
        return 0.05 * noise if kind == "bias" else 1 + 0.1 * noise
    if kind == "bias":
        return 0.05 * noise
    if module == "shared" or ".embed_tokens." in name or module == "relative_attention_bias":
        return noise
    return noise * np.float32(_gain(name) / math.sqrt(shape[1]))


def _gain(name: str) -> float:
    """Sharper attention and louder text than chance gives, so that four words among 235 frames of chroma are heard."""
    return SHARPNESS if name.endswith(("q_proj.weight", "k_proj.weight", "enc_to_dec_proj.weight")) else 1.0


def _shapes(variant: Variant) -> Shapes:
    """Tensors of MusicgenForConditionalGeneration or of MusicgenMelodyForConditionalGeneration."""
    yield from _text_shapes()
    yield from codec_shapes("audio_encoder.", _codec_config(variant), BOOKS_PER_CHANNEL)
    books = BOOKS_PER_CHANNEL * variant.channels
    for book in range(books):
        yield f"decoder.model.decoder.embed_tokens.{book}.weight", (CODES + 1, WIDTH)
        yield f"decoder.lm_heads.{book}.weight", (CODES, WIDTH)
    for layer in range(LAYERS):
        yield from _layer_shapes(f"decoder.model.decoder.layers.{layer}", cross=not variant.melody)
    yield from _pair("decoder.model.decoder.layer_norm", (WIDTH,))
    yield from _pair("enc_to_dec_proj", (WIDTH, TEXT_WIDTH))
    if variant.melody:
        yield from _pair("audio_enc_to_dec_proj", (WIDTH, CHROMA))


def _layer_shapes(name: str, cross: bool) -> Shapes:
    attentions = ("self_attn", "encoder_attn") if cross else ("self_attn",)
    for attention in attentions:
        for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield f"{name}.{attention}.{projection}.weight", (WIDTH, WIDTH)
        yield from _pair(f"{name}.{attention}_layer_norm", (WIDTH,))
    yield f"{name}.fc1.weight", (FFN, WIDTH)
    yield f"{name}.fc2.weight", (WIDTH, FFN)
    yield from _pair(f"{name}.final_layer_norm", (WIDTH,))


def _pair(name: str, shape: tuple[int, ...]) -> Shapes:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _text_shapes() -> Shapes:
    """Tensors of T5EncoderModel; the embeddings are shared, so that they stand here once."""
    yield "text_encoder.shared.weight", (VOCABULARY, TEXT_WIDTH)
    for block in range(TEXT_LAYERS):
        name = f"text_encoder.encoder.block.{block}.layer"
        for projection in "qkvo":
            yield f"{name}.0.SelfAttention.{projection}.weight", (TEXT_WIDTH, TEXT_WIDTH)
        if block == 0:
            yield f"{name}.0.SelfAttention.relative_attention_bias.weight", (32, TEXT_HEADS)
        yield f"{name}.0.layer_norm.weight", (TEXT_WIDTH,)
        yield f"{name}.1.DenseReluDense.wi.weight", (TEXT_FFN, TEXT_WIDTH)
        yield f"{name}.1.DenseReluDense.wo.weight", (TEXT_WIDTH, TEXT_FFN)
        yield f"{name}.1.layer_norm.weight", (TEXT_WIDTH,)
    yield "text_encoder.encoder.final_layer_norm.weight", (TEXT_WIDTH,)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.musicgen.random_checkpoint",
        description="Write a tiny MusicGen, with its codec and text encoder, of random weights to DIRECTORY/model.",
    )
    parser.add_argument("directory", type=Path, metavar="DIRECTORY")
    parser.add_argument("--like", choices=VARIANTS, default="musicgen-random", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the weights (default: %(default)s)")
    options = parser.parse_args()
    write_random_checkpoint(options.directory, options.like, options.seed)


if __name__ == "__main__":
    main()
