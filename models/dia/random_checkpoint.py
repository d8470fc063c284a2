"""A tiny Dia and a tiny DAC with random weights, in the published format: for tests and for machines without weights.

    python -m models.dia.random_checkpoint DIRECTORY

writes DIRECTORY/{model,codec}/{config.json,model.safetensors}. What they speak is noise. Knows names and shapes of
tensors, not what they compute; tests/test_weights_random_checkpoint.py holds both against transformers' classes.
The random numbers come from a numpy generator of its own, so a seed gives the same bytes and nothing global changes.
"""

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

Shapes = Iterator[tuple[str, tuple[int, ...]]]  # (name of a tensor, its shape)

# Field names and their spelling are those of config.json in nari-labs/Dia-1.6B-0626; the sizes are not.
_ENCODER: dict[str, Any] = {
    "model_type": "dia_encoder",
    "hidden_act": "silu",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 1024,
    "vocab_size": 256,
    "norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": None,
}
_DECODER: dict[str, Any] = {
    "model_type": "dia_decoder",
    "hidden_act": "silu",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "cross_hidden_size": 64,
    "cross_num_attention_heads": 4,
    "cross_num_key_value_heads": 4,
    "cross_head_dim": 16,
    "max_position_embeddings": 3072,
    "num_channels": 9,
    "vocab_size": 1028,
    "norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": None,
}
MODEL_CONFIG: dict[str, Any] = {
    "architectures": ["DiaForConditionalGeneration"],
    "model_type": "dia",
    "is_encoder_decoder": True,
    "bos_token_id": 1026,
    "eos_token_id": 1024,
    "pad_token_id": 1025,
    "delay_pattern": [0, 8, 9, 10, 11, 12, 13, 14, 15],
    "encoder_config": _ENCODER,
    "decoder_config": _DECODER,
    "initializer_range": 0.02,
    "norm_eps": 1e-5,
    "torch_dtype": "float32",
    "parley": {"name": "dia-random", "speech": False},
}
CODEC_CONFIG: dict[str, Any] = {
    "architectures": ["DacModel"],
    "model_type": "dac",
    "sampling_rate": 44100,
    "hop_length": 512,
    "encoder_hidden_size": 8,
    "decoder_hidden_size": 64,
    "hidden_size": 128,
    "downsampling_ratios": [2, 4, 8, 8],
    "upsampling_ratios": [8, 8, 4, 2],
    "n_codebooks": 9,
    "codebook_size": 1024,
    "codebook_dim": 8,
    "quantizer_dropout": 0.0,
    "torch_dtype": "float32",
}

OUTPUT_GAIN = 0.02  # of the decoder's last convolution: noise at a bearable level, far below the tanh's ends
RESIDUAL_GAIN = 0.3  # of the last convolution of a residual unit: twelve in a row must not grow without end


def write_random_checkpoint(directory: Path, seed: int = 0) -> None:
    """Write directory/model and directory/codec in the hub's format; the same seed gives the same bytes."""
    random = np.random.default_rng(seed)
    _write(directory / "model", MODEL_CONFIG, _model_shapes(), random)
    _write(directory / "codec", CODEC_CONFIG, _codec_shapes(), random)


def _write(folder: Path, config: dict[str, Any], shapes: Shapes, random: np.random.Generator) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tensors = {name: _fill(name, shape, random) for name, shape in shapes}
    if "logits_dense.weight" in tensors:
        # Its logit is always 0, and so hardly ever the largest of a thousand: no passage ends at its first frame.
        tensors["logits_dense.weight"][config["eos_token_id"]] = 0
    # transformers reads only files that name their format, and "pt" is what the published ones say. The bytes are
    # written here because save_file makes a file that only its owner can read.
    (folder / "model.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))


def _fill(name: str, shape: tuple[int, ...], random: np.random.Generator) -> npt.NDArray[np.float32]:
    """Values that keep signals near unit variance, so that every tensor matters to the result."""
    noise = random.standard_normal(shape, dtype=np.float32)
    kind = name.split(".")[-2:]
    if "norm" in kind[0] or kind[1] == "alpha":
        return 1 + 0.1 * noise
    if kind[1] == "bias":
        return 0.05 * noise
    if kind[0] in ("embed", "embedding", "codebook"):
        return noise
    return noise * np.float32(_gain(name) / math.sqrt(_fan_in(name, shape)))


def _gain(name: str) -> float:
    if name == "decoder.conv2.weight":
        return OUTPUT_GAIN
    return RESIDUAL_GAIN if ".res_unit" in name and name.endswith("conv2.weight") else 1.0


def _fan_in(name: str, shape: tuple[int, ...]) -> int:
    """How many products are added up for one output."""
    if name.endswith("conv_t1.weight"):  # [C_in, C_out, 2·stride]: two taps of each input reach a sample
        return 2 * shape[0]
    return math.prod(shape[1:])  # [out, in] or [C_out, C_in, taps]


def _model_shapes() -> Shapes:
    """Tensors of DiaForConditionalGeneration."""
    width, rows = _DECODER["hidden_size"], _DECODER["num_channels"] * _DECODER["vocab_size"]
    yield "model.encoder.embedding.weight", (_ENCODER["vocab_size"], _ENCODER["hidden_size"])
    for layer in range(_ENCODER["num_hidden_layers"]):
        yield from _layer_shapes(f"model.encoder.layers.{layer}", _ENCODER, ("pre_sa_norm", "post_sa_norm"))
    yield "model.encoder.norm.weight", (_ENCODER["hidden_size"],)
    yield "model.decoder.embeddings.embed.weight", (rows, width)
    for layer in range(_DECODER["num_hidden_layers"]):
        name = f"model.decoder.layers.{layer}"
        yield from _layer_shapes(name, _DECODER, ("pre_sa_norm", "pre_ca_norm", "pre_mlp_norm"))
        yield from _attention_shapes(f"{name}.cross_attention", _DECODER, "cross_", _DECODER["cross_hidden_size"])
    yield "model.decoder.norm.weight", (width,)
    yield "logits_dense.weight", (rows, width)


def _layer_shapes(name: str, config: dict[str, Any], norms: tuple[str, ...]) -> Shapes:
    width, inner = config["hidden_size"], config["intermediate_size"]
    yield from ((f"{name}.{norm}.weight", (width,)) for norm in norms)
    yield from _attention_shapes(f"{name}.self_attention", config, "", width)
    yield f"{name}.mlp.gate_up_proj.weight", (2 * inner, width)
    yield f"{name}.mlp.down_proj.weight", (width, inner)


def _attention_shapes(name: str, config: dict[str, Any], prefix: str, key_width: int) -> Shapes:
    width, head = config["hidden_size"], config[f"{prefix}head_dim"]
    queries, keys = config[f"{prefix}num_attention_heads"] * head, config[f"{prefix}num_key_value_heads"] * head
    yield f"{name}.q_proj.weight", (queries, width)
    yield f"{name}.k_proj.weight", (keys, key_width)
    yield f"{name}.v_proj.weight", (keys, key_width)
    yield f"{name}.o_proj.weight", (width, queries)


def _codec_shapes() -> Shapes:
    """Tensors of DacModel, weight norm folded in as in the published file."""
    config = CODEC_CONFIG
    width = config["encoder_hidden_size"]
    yield from _conv_shapes("encoder.conv1", width, 1, taps=7)
    for index, stride in enumerate(config["downsampling_ratios"]):
        name = f"encoder.block.{index}"
        yield from _residual_shapes(name, width)
        yield f"{name}.snake1.alpha", (1, width, 1)
        yield from _conv_shapes(f"{name}.conv1", 2 * width, width, taps=2 * stride)
        width *= 2
    yield "encoder.snake1.alpha", (1, width, 1)
    yield from _conv_shapes("encoder.conv2", config["hidden_size"], width, taps=3)
    yield from _quantizer_shapes(config)
    width = config["decoder_hidden_size"]
    yield from _conv_shapes("decoder.conv1", width, config["hidden_size"], taps=7)
    for index, stride in enumerate(config["upsampling_ratios"]):
        name = f"decoder.block.{index}"
        yield f"{name}.snake1.alpha", (1, width, 1)
        yield f"{name}.conv_t1.weight", (width, width // 2, 2 * stride)
        width //= 2
        yield f"{name}.conv_t1.bias", (width,)
        yield from _residual_shapes(name, width)
    yield "decoder.snake1.alpha", (1, width, 1)
    yield from _conv_shapes("decoder.conv2", 1, width, taps=7)


def _quantizer_shapes(config: dict[str, Any]) -> Shapes:
    for index in range(config["n_codebooks"]):
        name = f"quantizer.quantizers.{index}"
        yield from _conv_shapes(f"{name}.in_proj", config["codebook_dim"], config["hidden_size"], taps=1)
        yield from _conv_shapes(f"{name}.out_proj", config["hidden_size"], config["codebook_dim"], taps=1)
        yield f"{name}.codebook.weight", (config["codebook_size"], config["codebook_dim"])


def _residual_shapes(name: str, width: int) -> Shapes:
    for unit in ("res_unit1", "res_unit2", "res_unit3"):
        yield f"{name}.{unit}.snake1.alpha", (1, width, 1)
        yield from _conv_shapes(f"{name}.{unit}.conv1", width, width, taps=7)
        yield f"{name}.{unit}.snake2.alpha", (1, width, 1)
        yield from _conv_shapes(f"{name}.{unit}.conv2", width, width, taps=1)


def _conv_shapes(name: str, width_out: int, width_in: int, taps: int) -> Shapes:
    yield f"{name}.weight", (width_out, width_in, taps)
    yield f"{name}.bias", (width_out,)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.dia.random_checkpoint",
        description="Write a tiny Dia and its codec with random weights to DIRECTORY/model and DIRECTORY/codec.",
    )
    parser.add_argument("directory", type=Path, metavar="DIRECTORY")
    parser.add_argument("--seed", type=int, default=0, help="of the weights (default: %(default)s)")
    options = parser.parse_args()
    write_random_checkpoint(options.directory, options.seed)


if __name__ == "__main__":
    main()
