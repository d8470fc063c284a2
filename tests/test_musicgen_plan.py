"""Requests for music: what can be made becomes a plan, what cannot is refused with the value and the way out."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.errors import InvalidRequest, UnreadableAudio
from models.musicgen.config import MusicgenConfig
from models.musicgen.plan import Plan, check_sampling, frames_in, make_plan
from models.musicgen.windows import Window
from models.request import AudioGenerationRequest, MusicOptions, SamplingParams

RATE = 32_000
MELODY = MusicgenConfig(
    name="musicgen-melody",
    layers=2,
    width=32,
    heads=2,
    ffn=64,
    codebooks=4,
    vocabulary=2048,
    delays=(0, 1, 2, 3),
    channels=1,
    text_width=16,
    projects_text=True,
    melody=True,
    chroma_length=8,
    max_duration_seconds=3.0,
    stride_seconds=1.8,
    sample_rate=RATE,
    frame_rate=50.0,
)
SMALL = dataclasses.replace(MELODY, name="musicgen-small", melody=False, chroma_length=0)
STEREO = dataclasses.replace(
    MELODY, name="musicgen-stereo-melody", codebooks=8, delays=(0, 0, 1, 1, 2, 2, 3, 3), channels=2
)
SAMPLING = SamplingParams(temperature=1.0, top_p=0.0, cfg_filter_top_k=250, seed=7)


def request(text: str | None = "drums", **changed: object) -> AudioGenerationRequest:
    """A request whose music options are given by their names, and its other fields by theirs."""
    names = {field.name for field in dataclasses.fields(MusicOptions)}
    options = {"duration_seconds": 2.0, **{n: changed.pop(n) for n in list(changed) if n in names}}
    fields = {"input": text, "sampling_params": SAMPLING, "music": MusicOptions(**options), **changed}  # type: ignore[arg-type]
    return AudioGenerationRequest("a", "musicgen-melody", **fields)  # type: ignore[arg-type]


def plan(*text: str | None, config: MusicgenConfig = MELODY, diffusion: bool = True, **changed: object) -> Plan:
    return make_plan(request(*text, **changed), config, diffusion=diffusion)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.5 s of a rising tone, left twice as loud as right."""
    path = tmp_path_factory.mktemp("recording") / "tune.wav"
    t = np.arange(round(1.5 * RATE)) / RATE
    wave = 0.4 * np.sin(2 * np.pi * (220 + 100 * t) * t)
    soundfile.write(path, np.stack([wave, wave / 2], axis=1), RATE, subtype="FLOAT")
    return path


def samples(path: Path) -> np.ndarray:
    """[C, L]"""
    return soundfile.read(path, dtype="float32")[0].T


def test_text_alone_is_one_window_of_its_duration() -> None:
    made = plan("a waltz")
    assert (made.text, made.frames, made.windows) == ("a waltz", 100, (Window(0, 0, 100),))
    assert made.prefix is made.prefix_codes is made.melody is made.buffer is None
    assert made.notes == ()


def test_an_empty_text_asks_for_nothing_in_particular() -> None:
    assert plan("").text == ""


def test_what_is_longer_than_the_window_is_made_in_several() -> None:
    assert plan(duration_seconds=5.0).windows == (Window(0, 0, 150), Window(90, 150, 240), Window(180, 240, 250))


def test_a_loop_is_longer_by_its_overrun() -> None:
    assert plan(loop=True).frames == 150  # half its duration; at most 2 s
    assert plan(loop=True, duration_seconds=20.0).frames == 1100


@pytest.mark.parametrize(("seconds", "frames"), [(0.02, 1), (0.58, 29), (1.999, 99), (8.3, 415), (300.0, 15_000)])
def test_a_duration_is_its_whole_frames(seconds: float, frames: int) -> None:
    """0.58 · 50 is 28.999999999999996 in floats."""
    assert frames_in(seconds, 50.0) == plan(duration_seconds=seconds).frames == frames


@pytest.mark.parametrize(("seconds", "made"), [(1.33, 1.32), (2.019, 2)])
def test_what_is_no_whole_number_of_frames_is_told(seconds: float, made: float) -> None:
    """It was shorter than asked for, without a word. A loop is cut to its length afterwards."""
    assert plan(duration_seconds=seconds).notes == (
        f"duration is {seconds:g}; {made:g} s are made, whole frames of 0.02 s",
    )
    assert plan(duration_seconds=seconds, loop=True).notes == plan(duration_seconds=0.58).notes == ()


def test_a_loop_over_what_is_gone_on_from_is_told(recording: Path) -> None:
    made = plan(audio_prompt=recording, continuation=True, loop=True)
    assert made.notes == ("the end of the loop fades into its first 1 s, over the beginning of what is gone on from",)
    assert plan(audio_prompt=recording, loop=True).notes == ()


def test_audio_is_gone_on_from(recording: Path) -> None:
    made = plan(audio_prompt=recording, continuation=True, duration_seconds=4.0)
    np.testing.assert_allclose(made.prefix, samples(recording).mean(axis=0, keepdims=True), atol=1e-7)
    assert made.melody is None
    assert made.windows[0] == Window(0, 75, 150)
    assert made.frames == 200


def test_audio_is_a_melody_where_it_is_not_gone_on_from(recording: Path) -> None:
    made = plan(audio_prompt=recording)
    np.testing.assert_allclose(made.melody, samples(recording).mean(axis=0, keepdims=True), atol=1e-7)
    assert made.prefix is None
    assert made.windows == (Window(0, 0, 100),)


def test_a_stereo_model_hears_both_channels(recording: Path) -> None:
    made = plan(config=STEREO, audio_prompt=recording)
    np.testing.assert_allclose(made.melody, samples(recording), atol=1e-7)


def test_melody_and_continuation_go_together(recording: Path) -> None:
    made = plan(audio_prompt=recording, continuation=True, continuation_end=0.5, melody_audio=recording.read_bytes())
    assert made.prefix is not None
    assert made.melody is not None
    assert (made.prefix.shape, made.melody.shape) == ((1, RATE // 2), (1, 3 * RATE // 2))


@pytest.mark.parametrize("continuation", [True, False])
def test_start_and_end_choose_a_part(recording: Path, continuation: bool) -> None:
    made = plan(audio_prompt=recording, continuation=continuation, continuation_start=0.5, continuation_end=1.25)
    part = made.prefix if continuation else made.melody
    mono = samples(recording).mean(axis=0, keepdims=True)
    np.testing.assert_allclose(part, mono[:, RATE // 2 : 5 * RATE // 4], atol=1e-7)
    assert made.notes == ()


def test_an_end_behind_the_file_is_said(recording: Path) -> None:
    made = plan(audio_prompt=recording, continuation_start=1.0, continuation_end=9.0)
    assert made.melody is not None
    assert made.melody.shape == (1, RATE // 2)
    assert made.notes == ("continuation_end is 9, but input_audio lasts 1.50 s: all from 1 s on is used",)


def test_a_prefix_that_fills_the_window_is_gone_on_from(recording: Path) -> None:
    window = dataclasses.replace(MELODY, max_duration_seconds=1.5, stride_seconds=0.9)
    made = plan(config=window, audio_prompt=recording, continuation=True, duration_seconds=2.0)
    assert made.windows == (Window(45, 75, 100),)


def test_a_part_of_a_frame_counts_as_one(recording: Path) -> None:
    made = plan(audio_prompt=recording, continuation=True, continuation_end=0.501)
    assert made.windows == (Window(0, 26, 100),)


def test_codes_are_gone_on_from_and_the_buffer_is_kept() -> None:
    codes = np.arange(40).reshape(10, 4)
    made = plan(audio_prompt_tokens=codes, continuation=True, buffer_speech_tokens=codes.ravel())
    np.testing.assert_array_equal(made.prefix_codes, codes.T)
    np.testing.assert_array_equal(made.buffer, codes.T)
    assert made.windows == (Window(0, 10, 100),)


CODES = np.zeros((10, 4), np.int64)


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"duration_seconds": 0.0}, "duration", "is 0; it must lie between 0.02 and 300"),
        ({"duration_seconds": 0.019}, "duration", "is 0.019"),
        ({"duration_seconds": 301.0}, "duration", "is 301; it must lie between 0.02 and 300"),
        ({"duration_seconds": float("nan")}, "duration", "is nan"),
        ({"continuation": True}, "input_audio", "is missing, and continuation is true"),
        ({"continuation_start": 2.0}, "continuation_start", "is 2, but there is no input_audio"),
        ({"continuation_end": 2.0}, "continuation_end", "is 2, but there is no input_audio"),
        ({"melody_audio": b"x"}, "melody_audio", "continuation is false. Send the melody as input_audio"),
        (
            {"multi_band_diffusion": True, "diffusion": False},
            "multi_band_diffusion",
            "there is none for musicgen-melody",
        ),
        ({"audio_prompt_tokens": CODES}, "audio_prompt_tokens", "continuation is false"),
        ({"audio_prompt_tokens": CODES + 2048, "continuation": True}, "audio_prompt_tokens", "codes are 0 to 2047"),
        ({"audio_prompt_tokens": CODES[:, :3], "continuation": True}, "audio_prompt_tokens", r"it must be \[N, 4\]"),
        ({"audio_prompt_tokens": np.zeros((100, 4), np.int64), "continuation": True}, "audio_prompt_tokens", "is 2 s"),
        ({"buffer_speech_tokens": CODES - 1}, "buffer_speech_tokens", "holds -1 in frame 0"),
        ({"audio_prompt_transcription": "la"}, "audio_prompt_transcription", "music has no words"),
        ({"prompt": [1, 2]}, "prompt", "holds ids of tokens"),
    ],
)
def test_what_cannot_be_made_is_refused(changed: dict[str, object], field: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{field}: .*{words}"):
        plan(**changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"continuation_start": -1.0}, "continuation_start", "is -1; it must be 0 or a later second"),
        ({"continuation_start": float("inf")}, "continuation_start", "is inf"),
        ({"continuation_start": 1.5}, "continuation_start", "is 1.5, but input_audio lasts 1.50 s"),
        ({"continuation_start": 1.0, "continuation_end": 1.0}, "continuation_start", "less than continuation_end"),
        ({"continuation_end": float("nan")}, "continuation_start", "less than continuation_end, which is nan"),
        ({"continuation_end": 1e-6}, "continuation_end", "leaves no sample"),
        ({"duration_seconds": 1.5, "continuation": True}, "input_audio", "of 1.5 s, but the duration.*is 1.5 s"),
        ({"duration_seconds": 1.5, "continuation": True, "loop": True}, "input_audio", "the duration.*is 1.5 s"),
        ({"config": SMALL}, "input_audio", "musicgen-small follows no melody.*set continuation to true"),
        ({"config": SMALL, "continuation": True, "melody_audio": b"x"}, "melody_audio", "leave melody_audio out"),
    ],
)
def test_recordings_that_do_not_fit_are_refused(
    recording: Path, changed: dict[str, object], field: str, words: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"^{field}: .*{words}"):
        plan(audio_prompt=recording, **changed)  # type: ignore[arg-type]


def test_a_prefix_longer_than_the_window_is_refused(recording: Path) -> None:
    narrow = dataclasses.replace(MELODY, max_duration_seconds=1.0, stride_seconds=0.6)
    with pytest.raises(InvalidRequest, match=r"^input_audio: .*of 1.5 s; musicgen-melody sees 1 s at once"):
        plan(config=narrow, audio_prompt=recording, continuation=True, duration_seconds=2.0)


def test_a_silent_melody_is_refused_and_silence_is_gone_on_from(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    with pytest.raises(UnreadableAudio, match=r"^input_audio: is silent"):
        plan(audio_prompt=tmp_path / "silence.wav")
    assert plan(audio_prompt=tmp_path / "silence.wav", continuation=True).windows == (Window(0, 50, 100),)


def test_a_file_that_is_no_audio_is_refused_by_its_public_name() -> None:
    with pytest.raises(UnreadableAudio, match=r"^melody_audio: is no audio file"):
        plan(audio_prompt_tokens=CODES, continuation=True, melody_audio=b"no audio")


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 1.01}, "top_p"),
        ({"top_p": -0.1}, "top_p"),
        ({"cfg_filter_top_k": 2049}, "top_k"),
        ({"cfg_filter_top_k": -1}, "top_k"),
        ({"cfg_filter_top_k": 2.5}, "top_k"),
        ({"cfg_scale": 101.0}, "classifier_free_guidance"),
        ({"cfg_scale": float("inf")}, "classifier_free_guidance"),
        ({"seed": 2**32}, "seed"),
    ],
)
def test_sampling_out_of_range_is_refused(changed: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{field}: is .*(between|whole number)"):
        check_sampling(dataclasses.replace(SAMPLING, **changed), 2048)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed", [{"temperature": 0.0}, {"cfg_filter_top_k": 0}, {"top_p": 1.0}, {"cfg_scale": 0.0}, {"cfg_scale": -3.0}]
)
def test_all_that_audiocraft_samples_with_is_taken(changed: dict[str, float]) -> None:
    check_sampling(dataclasses.replace(SAMPLING, **changed), 2048)  # type: ignore[arg-type]
