"""Whole requests for music on a tiny model: what comes out, what it is made of, and what ends it early."""

import dataclasses
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from musicgen_chroma_fixtures import tune
from musicgen_pipeline_fixtures import HOP, RATE, SAMPLING, STRIDE, WINDOW, ask, audio_of, codes_of, load

from models.decoding.sequence import CodeSequence, Wait
from models.engine import Engine
from models.errors import Cancelled, InvalidRequest, WeightsError
from models.musicgen.chroma import chroma, tile
from models.musicgen.pipeline import WHOLE_MIX, MusicgenPipeline
from models.musicgen.random_checkpoint import Variant
from models.request import AudioChunk, GenerationStatus


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """0.7 s of a tune, the right channel louder."""
    soundfile.write(tmp_path / "tune.wav", tune(0.7, 2).T, RATE, subtype="FLOAT")
    return tmp_path / "tune.wav"


@pytest.fixture
def admitted(music: MusicgenPipeline, monkeypatch: pytest.MonkeyPatch) -> list[CodeSequence]:
    """Every sequence that the decoder was given."""
    seen: list[CodeSequence] = []
    admit = music.decoder.admit
    monkeypatch.setattr(music.decoder, "admit", lambda sequence: (seen.append(sequence), admit(sequence))[1])
    return seen


# What comes out


@pytest.mark.parametrize("frames", [1, 25, WINDOW, 87, 125])
def test_audio_lasts_as_long_as_asked_for(music_engine: Engine, frames: int) -> None:
    made = music_engine.generate(ask(frames=frames))
    assert made.audio.shape == (1, frames * HOP)
    assert made.steps_executed == frames
    assert made.status is GenerationStatus.MAXIMUM_LENGTH
    assert np.isfinite(made.audio).all()
    assert np.abs(made.audio).max() > 0.01


@pytest.mark.parametrize("frames", [*range(19, 23), *range(34, 38), 125])
@pytest.mark.parametrize("streaming", [True, False])
def test_chunks_are_the_codecs_audio_of_all_codes(music_engine: Engine, frames: int, streaming: bool) -> None:
    """Whatever the decoder has done while a chunk left: around the sizes at which chunks leave, too."""
    chunks = list(music_engine.stream(ask(frames=frames, streaming=streaming)))
    codes = codes_of(chunks)
    assert codes.shape == (4, frames)
    whole = music_engine.pipeline.codec.decode(torch.from_numpy(codes.copy())).numpy()
    np.testing.assert_allclose(audio_of(chunks), whole, atol=1e-5)


def test_streaming_changes_nothing_but_the_pieces(music_engine: Engine) -> None:
    streamed, whole = (list(music_engine.stream(ask(frames=87, streaming=s))) for s in (True, False))
    np.testing.assert_array_equal(codes_of(streamed), codes_of(whole))
    np.testing.assert_allclose(audio_of(streamed), audio_of(whole), atol=1e-5)
    assert len(streamed) > len(whole)


def test_the_first_audio_leaves_after_a_few_steps(music: MusicgenPipeline) -> None:
    """3 of delay, those that the codec looks ahead, and the frame itself."""
    job = music.speak(music.prepare(ask(frames=40)))
    wait = next(job)
    assert isinstance(wait, Wait)
    music.decoder.admit(wait.sequence)
    steps = 0
    while not wait.over:
        music.decoder.step()
        steps += 1
    first = next(job)
    music.decoder.release(wait.sequence)
    job.close()
    assert isinstance(first, AudioChunk)
    assert first.audio.shape[1] > 0
    assert steps == 3 + music.codec.context_frames + 1


def test_chunks_count_up_and_tell_progress(music_engine: Engine) -> None:
    chunks = list(music_engine.stream(ask(frames=125)))
    assert [c.index for c in chunks] == list(range(len(chunks)))
    progress = [c.progress for c in chunks]
    assert progress == sorted(progress)
    assert progress[0] < 0.1
    assert progress[-1] == 1.0
    assert [c.is_done for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert {c.seed for c in chunks} == {SAMPLING.seed}


def test_what_a_chunk_passes_on_is_what_has_been_heard(music_engine: Engine) -> None:
    sent = 0
    for chunk in music_engine.stream(ask(frames=87)):
        sent += chunk.audio.shape[1]
        assert chunk.buffer_speech_tokens.shape == (sent // HOP, 4)
        assert not chunk.buffer_speech_tokens.flags.writeable


def test_same_seed_gives_the_same_codes_and_another_seed_others(music_engine: Engine) -> None:
    same, again = (codes_of(list(music_engine.stream(ask(frames=87)))) for _ in range(2))
    other = codes_of(list(music_engine.stream(ask(frames=87, sampling_params=SAMPLING.with_seed(6)))))
    np.testing.assert_array_equal(same, again)
    assert (same != other).mean() > 0.5


def test_requests_together_equal_each_alone(music_engine: Engine, recording: Path) -> None:
    """Of different lengths, texts, options, prefixes and melodies."""
    requests = [
        ask("drums", frames=87, name="drums"),
        ask("", frames=30, name="nothing", sampling_params=dataclasses.replace(SAMPLING, temperature=0.0)),
        ask("a much longer description of a choir", frames=60, name="on", audio_prompt=recording, continuation=True),
        ask("strings", frames=70, name="tune", audio_prompt=recording),
        ask("pipes", frames=55, name="p", sampling_params=dataclasses.replace(SAMPLING, top_p=0.7, cfg_scale=1.0)),
    ]
    alone = [list(music_engine.stream(each)) for each in requests]
    together = [list(stream) for stream in [music_engine.stream(each) for each in requests]]
    for one, among in zip(alone, together, strict=True):
        np.testing.assert_array_equal(codes_of(one), codes_of(among))
        np.testing.assert_allclose(audio_of(one), audio_of(among), atol=1e-5)


def test_text_and_guidance_matter(music_engine: Engine) -> None:
    usual = codes_of(list(music_engine.stream(ask())))
    for other in (ask("a fast polka"), ask(""), ask(sampling_params=dataclasses.replace(SAMPLING, cfg_scale=1.0))):
        assert (codes_of(list(music_engine.stream(other))) != usual).any()


def test_a_prompt_of_text_stands_for_the_input(music_engine: Engine) -> None:
    given = codes_of(list(music_engine.stream(ask("", prompt="a slow waltz"))))
    np.testing.assert_array_equal(given, codes_of(list(music_engine.stream(ask()))))


# Windows


def test_windows_are_given_the_codes_of_those_before(music_engine: Engine, admitted: list[CodeSequence]) -> None:
    codes = codes_of(list(music_engine.stream(ask(frames=125))))
    assert [s.prompt.shape[1] for s in admitted] == [0, 20, 20, 20]
    assert [s.frames for s in admitted] == [50, 30, 30, 15]
    for number, sequence in enumerate(admitted):
        start = number * STRIDE
        np.testing.assert_array_equal(sequence.prompt, codes[:, start : start + sequence.prompt.shape[1]])


def test_windows_go_on_with_one_generator(music_engine: Engine, admitted: list[CodeSequence]) -> None:
    list(music_engine.stream(ask(frames=87)))
    assert len({id(s.generator) for s in admitted}) == 1


def test_a_loop_is_longer_by_its_overrun(music_engine: Engine) -> None:
    assert music_engine.generate(ask(frames=40, loop=True)).audio.shape == (1, 60 * HOP)


# Continuation


def test_a_continuation_begins_with_the_recoded_recording(music_engine: Engine, recording: Path) -> None:
    chunks = list(music_engine.stream(ask(frames=87, audio_prompt=recording, continuation=True)))
    codec = music_engine.pipeline.codec
    prefix = codec.encode(tune(0.7, 2).mean(axis=0, keepdims=True)).numpy()
    assert prefix.shape == (4, 35)
    codes = codes_of(chunks)
    np.testing.assert_array_equal(codes[:, :35], prefix)
    assert audio_of(chunks).shape == (1, 87 * HOP)
    np.testing.assert_allclose(audio_of(chunks), codec.decode(torch.from_numpy(codes.copy())).numpy(), atol=1e-5)
    assert chunks[-1].steps_executed == 87 - 35


def test_codes_are_gone_on_from_as_their_audio_would_be(music_engine: Engine, recording: Path) -> None:
    heard = codes_of(list(music_engine.stream(ask(frames=60, audio_prompt=recording, continuation=True))))
    given = ask(frames=60, audio_prompt_tokens=heard[:, :35].T, continuation=True)
    np.testing.assert_array_equal(codes_of(list(music_engine.stream(given))), heard)


def test_a_recording_is_encoded_once(
    music: MusicgenPipeline, music_engine: Engine, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = []
    encode = music.codec.encode_pieces
    monkeypatch.setattr(music.codec, "encode_pieces", lambda audio: (encoded.append(1), encode(audio))[1])
    continuing = {"audio_prompt": recording, "continuation": True, "continuation_start": 0.125}
    variations = [ask(name=f"v{n}", sampling_params=SAMPLING.with_seed(n), **continuing) for n in range(3)]
    made = [codes_of(list(music_engine.stream(each))) for each in variations]
    assert len(encoded) == 1
    np.testing.assert_array_equal(made[0][:, :28], made[1][:, :28])
    assert (made[0] != made[1]).any()


def test_the_buffer_makes_two_requests_one_stream(music_engine: Engine) -> None:
    first = list(music_engine.stream(ask(frames=30)))
    buffer = first[-1].buffer_speech_tokens
    second = list(music_engine.stream(ask("drums", frames=30, buffer_speech_tokens=buffer)))
    codes = np.concatenate([codes_of(first), codes_of(second)[:, 30:]], axis=1)
    np.testing.assert_array_equal(codes_of(second), codes)
    whole = music_engine.pipeline.codec.decode(torch.from_numpy(codes)).numpy()
    np.testing.assert_allclose(audio_of(second), whole[:, 30 * HOP :], atol=1e-5)


# Melody


@pytest.mark.parametrize("frames", [40, 87])
def test_each_window_follows_its_part_of_the_melody(
    music_engine: Engine, admitted: list[CodeSequence], recording: Path, frames: int
) -> None:
    made = music_engine.generate(ask(frames=frames, audio_prompt=recording))
    melody = tune(0.7, 2).mean(axis=0, keepdims=True)
    waves = [melody] if frames == 40 else [tile(melody, start * HOP, RATE) for start in (0, 30, 60)]
    assert len(admitted) == len(waves)
    for sequence, wave in zip(admitted, waves, strict=True):
        expected = chroma(wave, RATE, music_engine.pipeline.config.chroma_length)
        torch.testing.assert_close(sequence.conditioning.chroma, expected)
    assert made.notes == (WHOLE_MIX,)


def test_melody_and_continuation_are_followed_together(music_engine: Engine, recording: Path) -> None:
    both = ask(frames=60, audio_prompt=recording, continuation=True, melody_audio=recording)
    plain = ask(frames=60, audio_prompt=recording, continuation=True)
    with_melody, without = (codes_of(list(music_engine.stream(each))) for each in (both, plain))
    np.testing.assert_array_equal(with_melody[:, :35], without[:, :35])
    assert (with_melody[:, 35:] != without[:, 35:]).any()


class HalfAsLoud:
    """In the place of Demucs; counts how often it is asked."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def melody(self, audio: np.ndarray, sample_rate: int) -> np.ndarray:
        self.lengths.append(audio.shape[1])
        return -audio.mean(axis=0, keepdims=True)


def test_a_melody_is_separated_once_and_as_far_as_it_is_heard(
    music: MusicgenPipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "long.wav", tune(4.0).T, RATE, subtype="FLOAT")
    stems = HalfAsLoud()
    monkeypatch.setattr(music, "_stems", stems)
    plans = [music.prepare(ask(frames=87, audio_prompt=tmp_path / "long.wav", streaming=s)) for s in (True, False)]
    heard = (60 + WINDOW) * HOP  # the last window begins at frame 60
    assert stems.lengths == [heard]
    for plan in plans:
        np.testing.assert_allclose(plan.melody, -tune(4.0)[:, :heard], atol=1e-6)
        assert plan.notes == ()


# Stereo and sounds


def test_stereo_is_made_and_gone_on_from_in_both_channels(stereo: MusicgenPipeline, recording: Path) -> None:
    with Engine(stereo) as engine:
        chunks = list(engine.stream(ask(frames=60, audio_prompt=recording, continuation=True)))
    assert audio_of(chunks).shape == (2, 60 * HOP)
    np.testing.assert_array_equal(codes_of(chunks)[:, :35], stereo.codec.encode(tune(0.7, 2)).numpy())


def test_sounds_are_made_beyond_their_window(sounds: MusicgenPipeline, recording: Path) -> None:
    with Engine(sounds) as engine:
        made = engine.generate(ask("rain", frames=70, model="audiogen-random"))
        assert (made.sample_rate, made.audio.shape) == (16_000, (1, 70 * 320))
        with pytest.raises(InvalidRequest, match=r"^input_audio: .*audiogen-random follows no melody"):
            engine.generate(ask("rain", model="audiogen-random", audio_prompt=recording))
        with pytest.raises(InvalidRequest, match=r"^multi_band_diffusion: .*none for audiogen-random"):
            engine.generate(ask("rain", model="audiogen-random", multi_band_diffusion=True))


# Refusals and ends


def test_what_is_refused_is_refused_before_any_model_work(
    music: MusicgenPipeline, music_engine: Engine, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("model work")

    for owner, name in ((music.text, "encode"), (music.codec, "encode_pieces"), (music.decoder, "admit")):
        monkeypatch.setattr(owner, name, never)
    for refused, field in (
        (ask(model="dia"), "model"),
        (ask("la " * 600), "prompt"),
        (ask(frames=0), "duration"),
        (ask(continuation=True), "input_audio"),
        (ask(frames=35, audio_prompt=recording, continuation=True), "input_audio"),
        (ask(multi_band_diffusion=True), "multi_band_diffusion"),
    ):
        with pytest.raises(InvalidRequest, match=f"^{field}: "):
            music_engine.stream(refused)


def test_a_cancel_is_heard_within_one_step(
    music: MusicgenPipeline, music_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, turns, gate = music.decoder.step, [], threading.Semaphore(0)

    def gated() -> None:
        gate.acquire()
        turns.append(1)
        step()

    monkeypatch.setattr(music.decoder, "step", gated)
    stream = music_engine.stream(ask(frames=3000))
    for _ in range(5):
        gate.release()
    assert music_engine.cancel("a")
    for _ in range(5):
        gate.release()
    with pytest.raises(Cancelled):
        list(stream)
    assert len(turns) <= 6  # those it had leave for, and the one in flight
    assert music.decoder.free_slots == music.decoder.pool.slots


def test_a_cancel_is_heard_while_a_recording_is_encoded(
    music: MusicgenPipeline, music_engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "part.wav", tune(0.9).T, RATE, subtype="FLOAT")
    pieces: list[int] = []

    def endless(audio: np.ndarray) -> object:
        while True:
            pieces.append(1)
            yield torch.zeros(4, 1, dtype=torch.long)

    monkeypatch.setattr(music.codec, "encode_pieces", endless)
    stream = music_engine.stream(ask(frames=100, audio_prompt=tmp_path / "part.wav", continuation=True))
    next(stream)
    assert music_engine.cancel("a")
    with pytest.raises(Cancelled):
        list(stream)
    music_engine.close()
    assert pieces


def test_network_and_codec_of_different_models_are_refused(music: MusicgenPipeline, stereo: MusicgenPipeline) -> None:
    network, pool = music.decoder.network, music.decoder.pool
    with pytest.raises(WeightsError, match="4 codebooks of 2048 codes for 1 channels"):
        MusicgenPipeline(network, stereo.codec, music.text, pool)


def test_demucs_is_asked_for_where_melodies_are_separated_and_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[torch.device] = []
    monkeypatch.setattr("models.musicgen.stems.StemSeparator.load", lambda device: asked.append(device))
    for melody in (True, False):
        for separates in (True, False):
            name = f"{melody}-{separates}"
            load(tmp_path / name, "musicgen-random", Variant(melody=melody), separates=separates)
    assert asked == [torch.device("cpu")]
