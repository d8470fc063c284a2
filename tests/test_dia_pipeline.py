"""Requests through the whole of Dia at toy size: every field honoured, nothing lost, nothing done for a bad one."""

import dataclasses
import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from models.decoding.sequence import CodeSequence
from models.dia.dialogue import TAKES
from models.dia.pipeline import DiaPipeline
from models.dia.script import spoken_words
from models.dia.tokenizer import encode
from models.engine import Engine
from models.errors import InvalidRequest, MissingInput, UnreadableAudio
from models.request import AudioChunk, AudioGenerationRequest, GenerationStatus, SamplingParams

FRAMES = 90
SAMPLING = SamplingParams(max_new_tokens=FRAMES, seed=11)
HOP = 512


@pytest.fixture
def noisy(pipeline: DiaPipeline) -> DiaPipeline:
    """The pipeline as random weights want it: what it makes is not judged as speech."""
    pipeline.network.config = dataclasses.replace(pipeline.network.config, speech=False)
    return pipeline


@pytest.fixture(autouse=True)
def config_as_it_was(pipeline: DiaPipeline) -> Iterator[None]:
    before = pipeline.network.config
    yield
    pipeline.network.config = before


@pytest.fixture
def engine(noisy: DiaPipeline) -> Iterator[Engine]:
    with Engine(noisy) as running:
        yield running


@pytest.fixture
def admitted(noisy: DiaPipeline, monkeypatch: pytest.MonkeyPatch) -> list[CodeSequence]:
    """Every sequence that the decoder was given."""
    seen: list[CodeSequence] = []
    admit = noisy.decoder.admit
    monkeypatch.setattr(noisy.decoder, "admit", lambda sequence: (seen.append(sequence), admit(sequence))[1])
    return seen


def request(text: str | None = "[S1] Hi. [S2] Oh.", **changed: object) -> AudioGenerationRequest:
    fields = {"request_id": "a", "model": "tiny", "input": text, "sampling_params": SAMPLING, **changed}
    return AudioGenerationRequest(**fields)  # type: ignore[arg-type]


def speechlike(seconds: float, sample_rate: int = 44_100, gap_every: float = 1.5) -> np.ndarray:
    """A buzz in syllables with a pause now and then: [L]."""
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    buzz = sum(np.sin(2 * np.pi * 140 * h * t) / h for h in range(1, 12))
    syllables = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)
    return (0.2 * buzz * syllables * ((t % gap_every) < gap_every - 0.25)).astype(np.float32)


def wav(path: Path, seconds: float, **options: float) -> Path:
    soundfile.write(path, speechlike(seconds, **options), 44_100, format="WAV")
    return path


def audio_of(chunks: list[AudioChunk]) -> np.ndarray:
    return np.concatenate([c.audio for c in chunks], axis=1)


# One stream, two views


def test_streamed_audio_equals_whole_audio(engine: Engine) -> None:
    streamed = list(engine.stream(request(streaming=True)))
    whole = engine.generate(request(streaming=False))
    assert whole.audio.shape == (1, FRAMES * HOP)
    np.testing.assert_allclose(audio_of(streamed), whole.audio, atol=1e-4)


def test_audio_is_the_codec_applied_to_the_codes(engine: Engine, admitted: list[CodeSequence]) -> None:
    audio = engine.generate(request()).audio
    codes = torch.from_numpy(admitted[0].codes(0, FRAMES))
    np.testing.assert_allclose(audio, engine.pipeline.codec.decode(codes).numpy(), atol=1e-4)


def test_first_audio_leaves_after_26_steps(noisy: DiaPipeline) -> None:
    """15 of delay, 10 frames of right context, and the frame itself."""
    job = noisy.speak(noisy.prepare(request(streaming=True)))
    item, steps = next(job), 0
    while not isinstance(item, AudioChunk):
        if steps == 0:
            noisy.decoder.admit(item.sequence)
        noisy.decoder.step()
        steps += 1
        if item.over:
            sequence, item = item.sequence, next(job)
    noisy.decoder.release(sequence)
    assert steps == 26
    assert item.audio.shape[1] >= HOP


def test_chunks_count_up_and_tell_progress(engine: Engine) -> None:
    chunks = list(engine.stream(request(streaming=True)))
    assert [c.index for c in chunks] == list(range(len(chunks)))
    assert len(chunks) > 4
    progress = [c.progress for c in chunks]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    assert [c.is_done for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].steps_executed == FRAMES
    assert chunks[-1].sample_rate == 44_100


def test_whole_audio_still_tells_progress_on_the_way(engine: Engine) -> None:
    long = request(sampling_params=SamplingParams(max_new_tokens=300, seed=1))
    chunks = list(engine.stream(dataclasses.replace(long, streaming=False)))
    assert sum(1 for c in chunks if c.audio.size) == 1
    assert sum(1 for c in chunks if not c.audio.size) >= 3


# Seeds


def test_same_seed_gives_the_same_audio_and_is_reported(engine: Engine) -> None:
    a, b = engine.generate(request()), engine.generate(request())
    c = engine.generate(request(sampling_params=SAMPLING.with_seed(12)))
    np.testing.assert_array_equal(a.audio, b.audio)
    assert (a.seed, c.seed) == (11, 12)
    assert (a.audio != c.audio).any()


def test_requests_at_the_same_time_equal_requests_alone(engine: Engine) -> None:
    alone = [engine.generate(request(f"[S1] Number {n}.", sampling_params=SAMPLING.with_seed(n))) for n in range(5)]
    streams = [
        engine.stream(request(f"[S1] Number {n}.", sampling_params=SAMPLING.with_seed(n), request_id=f"r{n}"))
        for n in range(5)
    ]
    for stream, expected in zip(streams, alone, strict=True):
        np.testing.assert_allclose(audio_of(list(stream)), expected.audio, atol=1e-4)


def test_a_request_without_a_seed_gets_one_of_its_own() -> None:
    assert len({SamplingParams().seed for _ in range(20)}) == 20


# The fields of a request


def test_text_goes_in_as_bytes_with_speaker_ids(engine: Engine, admitted: list[CodeSequence]) -> None:
    engine.generate(request("[S1] Hi. [S2] Oh."))
    assert bytes(admitted[0].text) == b"\x01 Hi. \x02 Oh."


def test_prompt_string_replaces_the_built_text_as_it_stands(engine: Engine, admitted: list[CodeSequence]) -> None:
    engine.generate(request(None, prompt="no “tag” [S2] here"))
    assert list(admitted[0].text) == encode("no “tag” [S2] here")


def test_prompt_ids_go_in_as_they_are(engine: Engine, admitted: list[CodeSequence]) -> None:
    engine.generate(request(None, prompt=[1, 72, 105, 46]))
    assert admitted[0].text == (1, 72, 105, 46)


@pytest.mark.parametrize("prompt", [[], [256], [-1], [65] * 1025, "", "x" * 1025])
def test_a_prompt_that_the_model_cannot_read_is_refused(noisy: DiaPipeline, prompt: object) -> None:
    with pytest.raises(InvalidRequest, match="prompt"):
        noisy.prepare(request(None, prompt=prompt))


@pytest.mark.parametrize("flat", [False, True])
def test_prompt_tokens_and_transcription_become_prefix_and_text(
    engine: Engine, admitted: list[CodeSequence], flat: bool
) -> None:
    tokens = np.random.default_rng(0).integers(0, 1024, (100, 9))
    words = "[S1] This is what I said."
    given = {"audio_prompt_tokens": tokens.ravel().tolist() if flat else tokens, "audio_prompt_transcription": words}
    result = engine.generate(request("[S1] More.", **given))
    np.testing.assert_array_equal(admitted[0].prompt, tokens.T)
    assert bytes(admitted[0].text) == b"\x01 This is what I said. \x01 More."
    assert result.audio.shape[1] == FRAMES * HOP  # the prompt is neither returned nor counted


@pytest.mark.parametrize(
    ("tokens", "problem"),
    [
        (np.full((10, 8), 3), "shape"),
        (np.arange(10), "shape"),
        (np.full((10, 9), 1024), "1024 in frame 0, codebook 0"),
        (np.full((10, 9), -1), "-1 in frame 0"),
        (np.full((3000, 9), 1), "3000 frames"),
    ],
)
def test_prompt_tokens_that_are_no_codes_are_refused(noisy: DiaPipeline, tokens: np.ndarray, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        noisy.prepare(request(audio_prompt_tokens=tokens, audio_prompt_transcription="[S1] Yes."))


def test_buffer_tokens_continue_the_earlier_audio_without_a_seam(engine: Engine, admitted: list[CodeSequence]) -> None:
    first = engine.generate(request())
    second = engine.generate(request(buffer_speech_tokens=first.buffer_speech_tokens, request_id="b"))
    codes = torch.from_numpy(np.concatenate([s.codes(0, FRAMES) for s in admitted], axis=1))
    together = engine.pipeline.codec.decode(codes).numpy()
    np.testing.assert_allclose(second.audio, together[:, FRAMES * HOP :], atol=1e-4)
    afresh = engine.generate(request())
    assert np.abs(second.audio - afresh.audio).max() > 1e-3  # it does make a difference


def test_every_chunk_returns_the_tokens_to_pass_on(engine: Engine, admitted: list[CodeSequence]) -> None:
    for chunk in engine.stream(request(streaming=True)):
        end = chunk.steps_executed
        np.testing.assert_array_equal(
            chunk.buffer_speech_tokens, admitted[0].codes(0, admitted[0].frames).T[max(0, end - 20) : end]
        )


@pytest.mark.parametrize("wrong", [np.zeros((5, 8)), np.full((5, 9), 2000)])
def test_buffer_tokens_that_are_no_codes_are_refused(noisy: DiaPipeline, wrong: np.ndarray) -> None:
    with pytest.raises(InvalidRequest, match="buffer_speech_tokens"):
        noisy.prepare(request(buffer_speech_tokens=wrong))


def test_another_model_is_refused(noisy: DiaPipeline) -> None:
    with pytest.raises(InvalidRequest, match="model: is 'other'; 'tiny' is loaded here"):
        noisy.prepare(request(model="other"))


def test_neither_input_nor_prompt_is_a_runtime_error_as_in_max() -> None:
    with pytest.raises(MissingInput) as caught:
        request(None)
    assert isinstance(caught.value, RuntimeError)


def test_input_over_4096_characters_is_refused_and_of_4096_is_not() -> None:
    request("x" * 4096)
    with pytest.raises(InvalidRequest, match="4097 characters"):
        request("x" * 4097)


def test_a_request_cannot_be_changed() -> None:
    tokens = np.ones((2, 9), dtype=np.int64)
    made = request(audio_prompt_tokens=tokens, audio_prompt_transcription="[S1] Yes.")
    tokens[:] = 7
    assert made.audio_prompt_tokens.max() == 1  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="read-only"):
        made.audio_prompt_tokens[0] = 3  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.input = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_new_tokens", 0), ("cfg_scale", -1.0), ("temperature", -0.1), ("top_p", 0.0), ("cfg_filter_top_k", 101)],
)
def test_sampling_that_cannot_be_honoured_is_refused(noisy: DiaPipeline, field: str, value: float) -> None:
    with pytest.raises(InvalidRequest, match=f"{field}: is {value}"):
        noisy.prepare(request(sampling_params=dataclasses.replace(SAMPLING, **{field: value})))


# Voices


def test_a_recording_becomes_codes_and_its_words_come_first(
    engine: Engine, admitted: list[CodeSequence], tmp_path: Path
) -> None:
    clip = wav(tmp_path / "clip.mp3.txt", 1.5)  # the name says nothing
    words = "Hello this is my own voice."
    engine.generate(request("[S1] Hi.", audio_prompt=clip, audio_prompt_transcription=words))
    assert bytes(admitted[0].text) == b"\x01 Hello this is my own voice. \x01 Hi."
    assert 80 <= admitted[0].prompt.shape[1] <= 130


def test_the_same_recording_is_encoded_once(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codec, calls = engine.pipeline.codec, []
    encode_audio = codec.encode_pieces
    monkeypatch.setattr(codec, "encode_pieces", lambda audio: (calls.append(1), encode_audio(audio))[1])
    clip = wav(tmp_path / "clip.wav", 1.5)
    for n in range(2):
        made = request(audio_prompt=clip, audio_prompt_transcription="[S1] Hello this is me.", request_id=str(n))
        engine.generate(made)
    assert calls == [1]


def test_a_recording_as_bytes_is_the_same_as_a_file(noisy: DiaPipeline, tmp_path: Path) -> None:
    clip = wav(tmp_path / "clip.wav", 1.5)
    plans = [
        noisy.prepare(request(audio_prompt=source, audio_prompt_transcription="[S1] Hello this is me."))
        for source in (clip, clip.read_bytes())
    ]
    np.testing.assert_array_equal(plans[0].voice.audio, plans[1].voice.audio)


def test_a_long_recording_is_cut_with_its_words_and_says_so(noisy: DiaPipeline, tmp_path: Path) -> None:
    words = "[S1] " + " ".join(
        f"This is sentence number {n} of mine." for n in ["one", "two", "three", "four", "five", "six"]
    )
    clip = wav(tmp_path / "clip.wav", 12, gap_every=2.0)
    plan = noisy.prepare(
        request("[S1] Hi.", audio_prompt=clip, audio_prompt_transcription=words, max_audio_prompt_seconds=2)
    )
    assert plan.voice.seconds <= 2
    assert 0 < len(plan.voice.transcript) < 0.4 * len(words)
    (note,) = plan.notes
    assert "cut to" in note
    assert "number six" in note


@pytest.mark.parametrize("words", ["", "   "])
def test_a_recording_without_its_words_is_refused_with_the_reason(
    noisy: DiaPipeline, tmp_path: Path, words: str
) -> None:
    clip = wav(tmp_path / "clip.wav", 1.5)
    with pytest.raises(InvalidRequest, match=r"audio_prompt_text: is missing.*no transcriber"):
        noisy.prepare(request(audio_prompt=clip, audio_prompt_transcription=words))


def test_words_that_cannot_be_the_recordings_are_refused(noisy: DiaPipeline, tmp_path: Path) -> None:
    """Other deployments keep the whole transcript of a prompt they cut, and the model speaks the rest of it."""
    clip = wav(tmp_path / "clip.wav", 1.5)
    with pytest.raises(InvalidRequest, match="audio_prompt_text: takes about"):
        noisy.prepare(request(audio_prompt=clip, audio_prompt_transcription="[S1] " + "many more words " * 20))


def test_a_silent_recording_is_refused(noisy: DiaPipeline, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(44_100), 44_100)
    with pytest.raises(UnreadableAudio, match="audio_prompt: is silent"):
        noisy.prepare(request(audio_prompt=tmp_path / "silent.wav", audio_prompt_transcription="[S1] Hello."))


def test_what_is_no_recording_is_refused(noisy: DiaPipeline) -> None:
    with pytest.raises(UnreadableAudio, match="audio_prompt"):
        noisy.prepare(request(audio_prompt=b"root:x:0:0", audio_prompt_transcription="[S1] Hello."))


def test_stereo_at_another_rate_is_read(noisy: DiaPipeline) -> None:
    buffer = io.BytesIO()
    clip = speechlike(1.5, sample_rate=48_000)
    soundfile.write(buffer, np.stack([clip, clip], axis=1), 48_000, format="FLAC")
    plan = noisy.prepare(
        request("[S1] Hi.", audio_prompt=buffer.getvalue(), audio_prompt_transcription="[S1] Hello this is me.")
    )
    assert plan.voice.audio.shape[0] == 1
    assert 0.8 < plan.voice.seconds <= 1.5


# Long requests

LONG = " ".join(f"[S{1 + n % 2}] This is turn number {n} of a dialogue." for n in range(6))


def test_a_long_script_is_spoken_in_passages_each_carrying_the_voice_before(
    engine: Engine, admitted: list[CodeSequence]
) -> None:
    made = request(LONG, sampling_params=SamplingParams(max_new_tokens=4096, seed=3))
    result = engine.generate(made)
    assert len(admitted) >= 3
    utterances = engine.pipeline.prepare(made).utterances
    assert spoken_words(" ".join(u.text for u in utterances)) == spoken_words(LONG)
    for each, utterance in zip(admitted, utterances, strict=True):
        assert bytes(each.text).endswith(bytes(encode(utterance.text)))
    for before, after in itertools.pairwise(admitted):
        carried = after.prompt.shape[1]
        assert carried > 0
        np.testing.assert_array_equal(after.prompt, before.codes(0, before.frames)[:, :carried])
    assert result.steps_executed == sum(s.frames for s in admitted)
    assert all(s.rows_needed <= 400 for s in admitted)


def test_passages_use_seeds_of_their_own(engine: Engine, admitted: list[CodeSequence]) -> None:
    engine.generate(request(LONG, sampling_params=SamplingParams(max_new_tokens=4096, seed=3)))
    seeds = [s.sampling.seed for s in admitted]
    assert seeds[0] == 3
    assert len(set(seeds)) == len(seeds)


def test_with_a_voice_every_passage_has_that_voice(
    engine: Engine, admitted: list[CodeSequence], tmp_path: Path
) -> None:
    clip = wav(tmp_path / "clip.wav", 1.5)
    engine.generate(
        request(
            LONG,
            audio_prompt=clip,
            audio_prompt_transcription="[S1] Hello this is me.",
            sampling_params=SamplingParams(max_new_tokens=4096, seed=3),
        )
    )
    assert len(admitted) >= 2
    for each in admitted[1:]:
        np.testing.assert_array_equal(each.prompt, admitted[0].prompt)


def test_max_new_tokens_is_kept_over_all_passages_and_the_rest_is_named(engine: Engine) -> None:
    short = request(LONG, sampling_params=SamplingParams(max_new_tokens=1500, seed=3))
    plan = engine.pipeline.prepare(short)
    result = engine.generate(short)
    assert result.steps_executed <= 1500
    if result.status is GenerationStatus.MAXIMUM_LENGTH and result.steps_executed == 1500:
        assert any("max_new_tokens" in note for note in result.notes) or plan.seconds * 86 < 1500


def test_text_that_cannot_fit_max_new_tokens_is_refused_before_any_work(noisy: DiaPipeline) -> None:
    with pytest.raises(
        InvalidRequest, match=r"text: takes about \d+ s to speak.*max_new_tokens allows 3072 \(35\.7 s\)"
    ):
        noisy.prepare(request("[S1] " + "word " * 800, sampling_params=SamplingParams(seed=1)))


# Takes


def test_a_flawed_take_is_taken_again_from_a_derived_seed_and_reported(pipeline: DiaPipeline) -> None:
    seen: list[int] = []
    admit = pipeline.decoder.admit
    pipeline.decoder.admit = lambda s: (seen.append(s.sampling.seed), admit(s))[1]  # type: ignore[method-assign]
    with Engine(pipeline) as engine:
        result = engine.generate(
            request("[S1] Hi.", streaming=False, sampling_params=SamplingParams(max_new_tokens=2000, seed=5))
        )
    assert len(seen) == TAKES  # random weights never speak well
    assert seen[0] == 5
    assert len(set(seen)) == TAKES
    assert len([n for n in result.notes if n.startswith("passage 1, take")]) == TAKES
    assert result.seed == 5


def test_a_stream_reports_a_flawed_take_and_does_not_send_another(pipeline: DiaPipeline) -> None:
    with Engine(pipeline) as engine:
        chunks = list(engine.stream(request("[S1] Hi.", sampling_params=SamplingParams(max_new_tokens=2000, seed=5))))
    notes = [note for c in chunks for note in c.notes]
    assert len([n for n in notes if n.startswith("passage 1, take")]) == 1
