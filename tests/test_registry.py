import dataclasses
from pathlib import Path

import pytest
from audiocraft_fixtures import old_weight_norm
from musicgen_files_fixtures import write_audiocraft

from models import registry
from models.engine import Engine
from models.errors import WeightsError
from models.registry import FAMILIES, _write_random_music, load_dialogue, load_music
from models.request import AudioGenerationRequest, MusicOptions, SamplingParams
from models.weights import MUSIC_NAMES, NAMES, CheckpointPaths, Choice, choose_music


def test_every_checkpoint_that_can_be_chosen_can_be_loaded() -> None:
    assert {*NAMES, *MUSIC_NAMES} == set(FAMILIES)


def test_random_weights_speak_through_the_engine_and_are_called_what_they_are(tmp_path: Path) -> None:
    environ = {"PARLEY_MODEL": "dia-random", "PARLEY_WEIGHTS_DIR": str(tmp_path), "PARLEY_DEVICE": "cpu"}
    pipeline, note = load_dialogue(environ)
    assert "random weights" in note
    assert pipeline.name == "dia-random"
    with Engine(pipeline) as engine:
        sampling = SamplingParams(max_new_tokens=100, seed=1)
        result = engine.generate(AudioGenerationRequest("r", "dia-random", "[S1] Hi.", sampling_params=sampling))
    assert 0 < result.steps_executed <= 100
    assert result.audio.shape == (1, 512 * result.steps_executed)


def test_the_weights_before_0626_are_refused_with_the_reason(tmp_path: Path) -> None:
    environ = {"PARLEY_MODEL": "dia-random", "PARLEY_WEIGHTS_DIR": str(tmp_path), "PARLEY_DEVICE": "cpu"}
    load_dialogue(environ)
    (tmp_path / "dia-random" / "model" / "config.json").write_text('{"version": "0.1", "model": {}, "data": {}}')
    with pytest.raises(WeightsError, match=r"nari-labs/Dia-1\.6B, which is refused.*Dia-1\.6B-0626"):
        load_dialogue(environ)


NOISY = SamplingParams(cfg_scale=3.0, temperature=1.0, top_p=0.0, cfg_filter_top_k=250, seed=1)


@pytest.mark.parametrize(
    ("asked", "plays", "channels", "sample_rate"),
    [
        (None, "musicgen-random", 1, 32_000),
        ("musicgen-stereo-melody", "musicgen-stereo-random", 2, 32_000),
        ("audiogen-medium", "audiogen-random", 1, 16_000),
    ],
)
def test_random_music_plays_through_the_engine_and_is_called_noise(
    asked, plays, channels, sample_rate, tmp_path: Path
) -> None:
    environ = {"PARLEY_MUSIC_MODEL": "musicgen-random", "PARLEY_WEIGHTS_DIR": str(tmp_path), "PARLEY_DEVICE": "cpu"}
    pipeline, note = load_music(environ, asked)
    assert "random weights, which make noise and no music" in note
    assert (pipeline.name, pipeline.channels, pipeline.sample_rate) == (plays, channels, sample_rate)
    with Engine(pipeline) as engine:
        music = MusicOptions(duration_seconds=0.5)
        result = engine.generate(AudioGenerationRequest("r", plays, "drums", sampling_params=NOISY, music=music))
    assert result.audio.shape == (channels, sample_rate // 2)
    assert result.audio.std() > 0.01


def test_random_music_is_decoded_by_a_diffusion_of_its_own(tmp_path: Path) -> None:
    """Every input can be tried offline; nothing is fetched."""
    environ = {"PARLEY_WEIGHTS_DIR": str(tmp_path), "PARLEY_DEVICE": "cpu", "PARLEY_OFFLINE": "1"}
    pipeline, _ = load_music(environ, "musicgen-random")
    audio = {}
    with Engine(pipeline) as engine:
        for diffuse in (False, True):
            music = MusicOptions(duration_seconds=0.5, multi_band_diffusion=diffuse)
            request = AudioGenerationRequest(f"r{diffuse}", pipeline.name, "", sampling_params=NOISY, music=music)
            audio[diffuse] = engine.generate(request).audio
    assert audio[True].shape == audio[False].shape == (1, 16_000)
    assert abs(audio[True] - audio[False]).mean() > 1e-3


def test_the_diffusion_of_published_music_is_obtained_when_it_is_first_asked_for(tmp_path: Path, monkeypatch) -> None:
    """Here is one of the published names, of random weights, and no hub."""
    environ = {"PARLEY_WEIGHTS_DIR": str(tmp_path), "PARLEY_DEVICE": "cpu", "PARLEY_OFFLINE": "1"}
    random_paths = choose_music(environ, "musicgen-random", make_random=_write_random_music).paths
    published = CheckpointPaths("musicgen-small", random_paths.model, random_paths.codec)
    monkeypatch.setattr(registry, "choose_music", lambda *_, **__: Choice(published, "Playing"))
    pipeline, _ = load_music(environ, "musicgen-small")
    music = MusicOptions(duration_seconds=0.5, multi_band_diffusion=True)
    request = AudioGenerationRequest("r", "musicgen-small", "", sampling_params=NOISY, music=music)
    with Engine(pipeline) as engine, pytest.raises(WeightsError, match="fetch multi-band-diffusion"):
        engine.generate(request)


def test_music_that_cannot_be_had_is_told_with_the_way_out(tmp_path: Path) -> None:
    environ = {"PARLEY_WEIGHTS_DIR": str(tmp_path), "PARLEY_DEVICE": "cpu", "PARLEY_OFFLINE": "1"}
    with pytest.raises(WeightsError, match="fetch musicgen-melody"):
        load_music(environ)


@old_weight_norm
def test_a_folder_that_audiocraft_exported_plays_through_the_engine(tmp_path: Path) -> None:
    """A fine-tune, as its maker has it; the tiny one here has windows of 30 s and other codes than the published."""
    write_audiocraft(tmp_path, "mono")
    environ = {"PARLEY_MUSIC_MODEL": str(tmp_path / "musicgen-mono"), "PARLEY_DEVICE": "cpu"}
    pipeline, note = load_music(environ, "musicgen-large")
    assert "which nothing verified" in note
    sampling = dataclasses.replace(NOISY, cfg_filter_top_k=10)
    music = MusicOptions(duration_seconds=0.4)
    request = AudioGenerationRequest("r", "musicgen-mono", "drums", sampling_params=sampling, music=music)
    with Engine(pipeline) as engine:
        assert engine.generate(request).audio.shape == (1, 12_800)
