"""Every field of a request is honoured, and what cannot be is refused before any work."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from dia_fixtures import FRAMES, HOP, SAMPLING, request

from models.decoding.sequence import CodeSequence
from models.dia.pipeline import DiaPipeline
from models.dia.tokenizer import encode
from models.engine import Engine
from models.errors import InvalidRequest, MissingInput
from models.request import AudioGenerationRequest, SamplingParams


def test_text_goes_in_as_bytes_with_speaker_ids(engine: Engine, admitted: list[CodeSequence]) -> None:
    engine.generate(request("[S1] Hi. [S2] Oh."))
    assert bytes(admitted[0].conditioning) == b"\x01 Hi. \x02 Oh."


def test_prompt_string_replaces_the_built_text_as_it_stands(engine: Engine, admitted: list[CodeSequence]) -> None:
    engine.generate(request(None, prompt="no “tag” [S2] here"))
    assert list(admitted[0].conditioning) == encode("no “tag” [S2] here")


def test_prompt_ids_go_in_as_they_are(engine: Engine, admitted: list[CodeSequence]) -> None:
    engine.generate(request(None, prompt=[1, 72, 105, 46]))
    assert admitted[0].conditioning == (1, 72, 105, 46)


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
    assert bytes(admitted[0].conditioning) == b"\x01 This is what I said. \x01 More."
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
    samples = 0
    for chunk in engine.stream(request(streaming=True)):
        samples += chunk.audio.shape[1]
        end = samples // HOP  # no more of the codes than of the audio
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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("buffer_speech_tokens", np.full((5, 9), 1.9)),
        ("audio_prompt_tokens", [[1, 2], [3]]),
        ("audio_prompt_tokens", "123456789"),
        ("prompt", [1.9, 65.7]),
        ("max_audio_prompt_seconds", 0),
        ("max_audio_prompt_seconds", 121),
    ],
)
def test_a_field_that_holds_something_else_is_refused_and_never_rounded(field: str, value: object) -> None:
    with pytest.raises(InvalidRequest, match=field):
        request(**{field: value})


@pytest.mark.parametrize(("field", "value"), [("seed", 1.5), ("max_new_tokens", 90.5), ("cfg_filter_top_k", 20.5)])
def test_sampling_in_fractions_of_a_step_is_refused(noisy: DiaPipeline, field: str, value: float) -> None:
    with pytest.raises(InvalidRequest, match=f"{field}: is {value}.*whole"):
        noisy.prepare(request(sampling_params=dataclasses.replace(SAMPLING, **{field: value})))


@pytest.mark.parametrize("empty", [[], np.zeros((0, 9), np.int64)])
def test_empty_buffer_tokens_are_no_context(engine: Engine, empty: object) -> None:
    np.testing.assert_allclose(
        engine.generate(request(buffer_speech_tokens=empty)).audio, engine.generate(request()).audio, atol=1e-4
    )


def test_flat_buffer_tokens_are_the_same_as_frames(engine: Engine) -> None:
    tail = engine.generate(request()).buffer_speech_tokens
    flat, frames = (engine.generate(request(buffer_speech_tokens=t)).audio for t in (tail.ravel(), tail))
    np.testing.assert_array_equal(flat, frames)


def test_an_object_like_maxs_request_is_taken_by_its_attributes() -> None:
    sampling = SimpleNamespace(top_k=20, top_p=0.9, temperature=0.7, max_new_tokens=500, seed=3, min_p=0.0)
    theirs = SimpleNamespace(
        request_id="m",
        model="tiny",
        input="[S1] Hi.",
        audio_prompt_tokens=[],
        audio_prompt_transcription="",
        sampling_params=sampling,
        prompt=None,
        streaming=False,
        buffer_speech_tokens=None,
    )
    ours = AudioGenerationRequest.from_attributes(theirs)
    assert (ours.request_id, ours.input, ours.streaming) == ("m", "[S1] Hi.", False)
    expected = SamplingParams(max_new_tokens=500, temperature=0.7, top_p=0.9, cfg_filter_top_k=20, seed=3)
    assert ours.sampling_params == expected
    sampling.repetition_penalty = 1.2
    with pytest.raises(InvalidRequest, match=r"repetition_penalty: is 1\.2"):
        AudioGenerationRequest.from_attributes(theirs)
