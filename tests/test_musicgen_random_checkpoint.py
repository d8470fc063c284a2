"""The random checkpoints against transformers' classes: the same tensors and configuration, and noise that is heard."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    MusicgenConfig,
    MusicgenForConditionalGeneration,
    MusicgenMelodyConfig,
    MusicgenMelodyForConditionalGeneration,
    PreTrainedTokenizerFast,
)

from models.musicgen.random_checkpoint import VARIANTS, Variant, write_random_checkpoint

SOURCE = Path(__file__).resolve().parents[1]
STEREO = Variant(melody=False, channels=2)
CLASSES = {
    "musicgen-random": (MusicgenMelodyConfig, MusicgenMelodyForConditionalGeneration),
    "audiogen-random": (MusicgenConfig, MusicgenForConditionalGeneration),
    "musicgen-stereo-random": (MusicgenMelodyConfig, MusicgenMelodyForConditionalGeneration),
    "stereo": (MusicgenConfig, MusicgenForConditionalGeneration),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    directory = tmp_path_factory.mktemp("weights")
    for name in VARIANTS:
        write_random_checkpoint(directory / name, name)
    write_random_checkpoint(directory / "stereo", variant=STEREO)
    return directory


@pytest.fixture(scope="module")
def loaded(root):
    """The models as transformers reads them."""
    return {name: CLASSES[name][1].from_pretrained(root / name / "model").eval() for name in CLASSES}


def _digests(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", CLASSES)
def test_tensors_are_the_ones_that_transformers_saves(name, root, tmp_path):
    config_class, model_class = CLASSES[name]
    with torch.random.fork_rng(devices=[]):
        model_class(config_class.from_pretrained(root / name / "model")).save_pretrained(tmp_path)
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (root / name / "model", tmp_path))
    assert {name: (t.shape, t.dtype) for name, t in ours.items()} == {
        name: (t.shape, t.dtype) for name, t in theirs.items()
    }


@pytest.mark.parametrize("name", CLASSES)
def test_transformers_loads_every_tensor(name, root):
    _, loading = CLASSES[name][1].from_pretrained(root / name / "model", output_loading_info=True)
    assert not any(loading.values()), loading


def test_the_configurations_are_of_their_models_at_toy_size(loaded):
    melody, sound, stereo, plain_stereo = (loaded[name].config for name in CLASSES)
    assert melody.parley == {
        "name": "musicgen-random",
        "music": False,
        "window_seconds": 30.0,
        "stride_seconds": 18.0,
    }
    assert (melody.num_chroma, melody.chroma_length) == (12, 235)
    assert (melody.audio_encoder.sampling_rate, melody.audio_encoder.frame_rate) == (32000, 50)
    assert (sound.audio_encoder.sampling_rate, sound.audio_encoder.frame_rate) == (16000, 50)
    assert (sound.parley["window_seconds"], sound.parley["stride_seconds"]) == (10.0, 2.0)
    for config in (stereo, plain_stereo):
        assert (config.decoder.num_codebooks, config.decoder.audio_channels) == (8, 2)
        assert config.audio_encoder.audio_channels == 1
    assert stereo.parley == {**melody.parley, "name": "musicgen-stereo-random"}
    assert melody.decoder.vocab_size == melody.audio_encoder.codebook_size == 2048


@pytest.mark.parametrize("name", VARIANTS)
def test_the_codec_plays_noise_that_is_heard_and_not_clipped(name, loaded):
    codes = torch.from_numpy(np.random.default_rng(1).integers(0, 2048, (1, 1, 4, 50)))  # [chunks, B, K, T]
    with torch.inference_mode():
        audio = loaded[name].audio_encoder.decode(codes, [None]).audio_values
    assert audio.shape == (1, 1, VARIANTS[name].sample_rate)
    assert 0.02 < audio.std() < 0.3
    assert audio.abs().max() < 0.95


@pytest.mark.parametrize("name", VARIANTS)
def test_the_codec_hears_more_than_one_code(name, loaded):
    noise = np.random.default_rng(1).normal(0, 0.1, (1, 1, VARIANTS[name].sample_rate)).astype(np.float32)
    with torch.inference_mode():
        codes = loaded[name].audio_encoder.encode(torch.from_numpy(noise)).audio_codes[0, 0]  # [K, T]
    assert codes.shape == (4, 50)
    assert all(len(row.unique()) > 10 for row in codes)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_text_matters_to_the_logits(name, loaded):
    """Weights near zero would hide a wrong attention in every test that uses these checkpoints."""
    codes = torch.full((loaded[name].config.decoder.num_codebooks, 3), 2048)  # [B * K, T]
    with torch.inference_mode():
        first, second = (
            loaded[name](input_ids=torch.tensor([text]), decoder_input_ids=codes).logits[:, -3:]
            for text in ([5, 6, 7, 1], [15, 6, 9, 1])
        )
    assert 0.5 < first.std() < 2
    assert (first - second).abs().mean() > 0.03


@pytest.mark.parametrize(("name", "books"), [("musicgen-random", 4), ("musicgen-stereo-random", 8)])
def test_the_melody_matters_to_the_logits(name, books, loaded):
    codes, text = torch.full((books, 3), 2048), torch.tensor([[5, 6, 7, 1]])
    tones = torch.eye(12).repeat(20, 1)[None, :235]  # [B, T, 12]: up the scale, again and again
    with torch.inference_mode():
        first, second = (
            loaded[name](input_ids=text, input_features=chroma, decoder_input_ids=codes).logits[:, -3:]
            for chroma in (tones, tones.flip(1))
        )
    assert (first - second).abs().mean() > 0.01


@pytest.mark.parametrize("text", ["", "lo-fi beat, 80 bpm", "Flöte und 太鼓 🥁", "<pad></s>"])
def test_the_tokenizer_knows_every_text_and_ends_it_as_t5_does(text, root):
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(root / "musicgen-random" / "model" / "tokenizer.json"))
    ids = tokenizer(text)["input_ids"]
    assert ids[-1] == 1
    assert 2 not in ids, "nothing is unknown"
    assert tokenizer.decode(ids[:-1]) == text
    assert max(ids) < 259


def test_a_seed_repeats_every_byte_and_another_differs(root, tmp_path):
    write_random_checkpoint(tmp_path / "again")
    write_random_checkpoint(tmp_path / "other", seed=1)
    first, again, other = map(_digests, (root / "musicgen-random", tmp_path / "again", tmp_path / "other"))
    assert first == again
    assert [name for name in first if first[name] != other[name]] == ["model/model.safetensors"]


def test_no_global_generator_is_touched(tmp_path):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]
    write_random_checkpoint(tmp_path)
    assert torch.equal(torch_state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])


def test_they_stay_small(root):
    """Float32 like the published ones; most are the 2048 rows of embeddings and logits of each codebook."""
    for name, variant in VARIANTS.items():
        size = sum(path.stat().st_size for path in (root / name).rglob("*.*") if path.is_file())
        assert size < 1_500_000 + variant.channels * 2_500_000


def test_the_module_writes_to_the_directory_it_is_given(tmp_path):
    module = "models.musicgen.random_checkpoint"
    arguments = [str(tmp_path), "--like", "audiogen-random", "--seed", "3"]
    subprocess.run([sys.executable, "-m", module, *arguments], cwd=SOURCE, check=True, timeout=60)
    write_random_checkpoint(tmp_path / "by-call", "audiogen-random", seed=3)
    made = _digests(tmp_path)
    assert made["model/model.safetensors"] == made["by-call/model/model.safetensors"]
