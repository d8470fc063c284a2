"""The random checkpoint against transformers' classes: the same tensors and configuration, and noise that is heard."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import DacConfig, DacModel, DiaConfig, DiaForConditionalGeneration

from models.dia.random_checkpoint import write_random_checkpoint
from models.weights import refuse_folder
from models.weights.disk import is_local_complete, paths_in

SOURCE = Path(__file__).resolve().parents[1]
CLASSES = {"model": (DiaConfig, DiaForConditionalGeneration), "codec": (DacConfig, DacModel)}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    directory = tmp_path_factory.mktemp("weights")
    write_random_checkpoint(directory / "dia-random")
    return directory


@pytest.fixture(scope="module")
def dia(root):
    return DiaForConditionalGeneration.from_pretrained(root / "dia-random" / "model").eval()


@pytest.fixture(scope="module")
def dac(root):
    return DacModel.from_pretrained(root / "dia-random" / "codec").eval()


def _digests(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("folder", ["model", "codec"])
def test_tensors_are_the_ones_that_transformers_saves(folder, root, tmp_path):
    config_class, model_class = CLASSES[folder]
    config = config_class.from_pretrained(root / "dia-random" / folder)
    with torch.random.fork_rng(devices=[]):
        model_class(config).save_pretrained(tmp_path)
    ours = load_file(root / "dia-random" / folder / "model.safetensors")
    theirs = load_file(tmp_path / "model.safetensors")
    assert {name: (t.shape, t.dtype) for name, t in ours.items()} == {
        name: (t.shape, t.dtype) for name, t in theirs.items()
    }


@pytest.mark.parametrize("folder", ["model", "codec"])
def test_transformers_loads_every_tensor(folder, root):
    _, loading = CLASSES[folder][1].from_pretrained(root / "dia-random" / folder, output_loading_info=True)
    assert not any(loading.values()), loading


def test_the_configuration_is_of_dia_at_toy_size(dia):
    config = dia.config
    assert config.parley == {"name": "dia-random", "speech": False}
    assert config.delay_pattern == [0, 8, 9, 10, 11, 12, 13, 14, 15]
    assert (config.encoder_config.hidden_size, config.encoder_config.head_dim) == (64, 32)
    assert config.encoder_config.max_position_embeddings == 1024
    decoder = config.decoder_config
    assert (decoder.num_attention_heads, decoder.num_key_value_heads, decoder.head_dim) == (4, 2, 16)
    assert (decoder.num_channels, decoder.vocab_size, decoder.max_position_embeddings) == (9, 1028, 3072)
    assert (decoder.bos_token_id, decoder.eos_token_id, decoder.pad_token_id) == (1026, 1024, 1025)
    assert decoder.rope_parameters["rope_theta"] == 10000.0


def test_the_configuration_is_of_dac_at_toy_size(dac):
    config = dac.config
    assert (config.sampling_rate, config.hop_length, config.frame_rate) == (44100, 512, 87)
    assert config.upsampling_ratios == [8, 8, 4, 2]
    assert (config.n_codebooks, config.codebook_size, config.codebook_dim) == (9, 1024, 8)
    assert config.hidden_size == config.encoder_hidden_size * 2**4


def test_the_codec_speaks_noise_that_is_heard_and_not_clipped(dac):
    codes = torch.from_numpy(np.random.default_rng(1).integers(0, 1024, (1, 9, 40)))  # [B, K, T]
    with torch.inference_mode():
        audio = dac.decode(audio_codes=codes).audio_values
    assert audio.shape == (1, 512 * 40)
    assert 0.02 < audio.std() < 0.3
    assert audio.abs().max() < 0.95


def test_the_codec_hears_more_than_one_code(dac):
    audio = torch.from_numpy(np.random.default_rng(1).normal(0, 0.1, (1, 1, 512 * 40)).astype(np.float32))
    with torch.inference_mode():
        codes = dac.encode(audio).audio_codes  # [B, K, T]
    assert codes.shape == (1, 9, 40)
    assert all(len(row.unique()) > 10 for row in codes[0])


def test_the_text_matters_to_the_logits(dia):
    """Weights near zero would hide a wrong attention in every test that uses this checkpoint."""
    codes = torch.full((1, 4, 9), 1026)  # [B, T, K]
    with torch.inference_mode():
        first, second = (
            dia(input_ids=torch.tensor([text]), decoder_input_ids=codes).logits for text in ([1, 72, 105], [2, 66, 121])
        )
    assert 0.5 < first.std() < 2
    assert (first - second).abs().mean() > 0.05


def test_a_seed_repeats_every_byte_and_another_differs(root, tmp_path):
    write_random_checkpoint(tmp_path / "again")
    write_random_checkpoint(tmp_path / "other", seed=1)
    first, again, other = map(_digests, (root / "dia-random", tmp_path / "again", tmp_path / "other"))
    assert first == again
    assert sorted(name for name in first if first[name] != other[name]) == [
        "codec/model.safetensors",
        "model/model.safetensors",
    ]


def test_no_global_generator_is_touched(tmp_path):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]
    write_random_checkpoint(tmp_path)
    assert torch.equal(torch_state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])


def test_it_counts_as_complete_and_is_not_refused(root):
    paths = paths_in(root, "dia-random")
    assert is_local_complete(paths)
    refuse_folder(paths.model)
    refuse_folder(paths.codec)


def test_it_stays_small(root):
    """Float32 like the published one; three quarters are the 9 × 1028 rows of the embeddings and of the logits."""
    assert sum(path.stat().st_size for path in root.rglob("*.*") if path.is_file()) < 8_000_000


def test_the_module_writes_to_the_directory_it_is_given(tmp_path):
    module = "models.dia.random_checkpoint"
    subprocess.run([sys.executable, "-m", module, str(tmp_path), "--seed", "3"], cwd=SOURCE, check=True, timeout=60)
    write_random_checkpoint(tmp_path / "by-call", seed=3)
    made = _digests(tmp_path)
    assert made["model/model.safetensors"] == made["by-call/model/model.safetensors"]
