"""Tiny models with the real classes. No weights, no network, no GPU."""

from pathlib import Path

import pytest
import torch
from transformers import DiaConfig as HFDiaConfig
from transformers import DiaForConditionalGeneration
from transformers.models.dia.configuration_dia import DiaDecoderConfig, DiaEncoderConfig

from models.decoding.linear import pack
from models.dia.layers import Linear
from models.dia.model import DiaNetwork

torch.set_num_threads(1)  # small products: a second thread only waits

DELAYS = [0, 8, 9, 10, 11, 12, 13, 14, 15]


def plain(weight: torch.Tensor) -> Linear:
    """The slow twin of every packed product."""
    return pack(weight, "plain", torch.float32)


def tiny_dia(seed: int) -> DiaForConditionalGeneration:
    """transformers' own class at toy size: every head count and width differs, so that a mix-up cannot hide."""
    encoder = DiaEncoderConfig(
        num_hidden_layers=2,
        hidden_size=48,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=16,
        intermediate_size=80,
        max_position_embeddings=1024,
    )
    decoder = DiaDecoderConfig(
        num_hidden_layers=3,
        hidden_size=64,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=16,
        intermediate_size=96,
        cross_num_attention_heads=4,
        cross_num_key_value_heads=4,
        cross_head_dim=32,
        cross_hidden_size=48,
        max_position_embeddings=400,
    )
    config = HFDiaConfig(encoder_config=encoder, decoder_config=decoder, delay_pattern=DELAYS)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = DiaForConditionalGeneration(config).eval()
        for name, parameter in model.named_parameters():
            spread = 0.3 if "norm" in name else 0.15  # wide enough that attention and logits are far from uniform
            torch.nn.init.normal_(parameter, 1.0 if "norm" in name else 0.0, spread)
    return model


@pytest.fixture(scope="session")
def hf_dia() -> DiaForConditionalGeneration:
    return tiny_dia(seed=0)


@pytest.fixture(scope="session")
def dia_directory(hf_dia: DiaForConditionalGeneration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in shards, as the published one."""
    directory = tmp_path_factory.mktemp("dia-tiny")
    hf_dia.save_pretrained(directory, max_shard_size="200KB")
    assert (directory / "model.safetensors.index.json").is_file()
    return directory


@pytest.fixture(scope="session")
def dia_network(dia_directory: Path) -> DiaNetwork:
    return DiaNetwork.load(dia_directory, dtype=torch.float32, device=torch.device("cpu"), pack=plain)
