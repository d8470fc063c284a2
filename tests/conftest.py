"""Tiny models with the real classes. No weights, no network, no GPU."""

from pathlib import Path

import pytest
import torch
from transformers import DacConfig, DacModel, DiaForConditionalGeneration
from transformers import DiaConfig as HFDiaConfig
from transformers.models.dia.configuration_dia import DiaDecoderConfig, DiaEncoderConfig

from models.codecs.dac import DacCodec
from models.decoding.cache import KeyValuePool
from models.decoding.linear import Product, pack
from models.decoding.runtime import Runtime
from models.dia.layers import Packs
from models.dia.model import DiaNetwork
from models.dia.pipeline import DiaPipeline
from models.errors import InvalidRequest

pytest_plugins = ["dia_fixtures", "listening_fixtures", "musicgen_pipeline_fixtures"]

torch.set_num_threads(1)  # small products: a second thread only waits

DELAYS = [0, 8, 9, 10, 11, 12, 13, 14, 15]


def plain(weight: torch.Tensor) -> Product:
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
    return DiaNetwork.load(dia_directory, dtype=torch.float32, device=torch.device("cpu"), packs=Packs.alike(plain))


@pytest.fixture(scope="session")
def dac_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A codec with the strides and codebooks of the published one, and few channels."""
    directory = tmp_path_factory.mktemp("dac-tiny")
    config = DacConfig(encoder_hidden_size=4, decoder_hidden_size=32, n_codebooks=9, sampling_rate=44_100)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        DacModel(config).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def dac_codec(dac_directory: Path) -> DacCodec:
    return DacCodec.load(dac_directory, device="cpu", dtype=torch.float32)


@pytest.fixture(scope="session", params=["float32", "float16", "bfloat16", "int8"])
def packed_network(request: pytest.FixtureRequest, dia_directory: Path) -> DiaNetwork:
    """The network as each setting of PARLEY_WEIGHTS keeps it on a CPU."""
    try:
        runtime = Runtime.from_environ({"PARLEY_DEVICE": "cpu", "PARLEY_WEIGHTS": request.param})
    except InvalidRequest as error:
        pytest.skip(str(error))
    return DiaNetwork.load(dia_directory, dtype=runtime.dtype, device=runtime.device, packs=Packs.of(runtime))


@pytest.fixture
def pipeline(dia_network: DiaNetwork, dac_codec: DacCodec) -> DiaPipeline:
    """Dia whole, at toy size. Its window holds 384 frames, 4.5 s."""
    pool = KeyValuePool(dia_network.cache_shape, slots=3, device=dia_network.device)
    return DiaPipeline("tiny", dia_network, dac_codec, pool)
