"""Long scripts, limits, and takes that are taken again."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from dia_fixtures import request, wav

from models.decoding.sequence import CodeSequence
from models.dia.dialogue import TAKES
from models.dia.pipeline import DiaPipeline
from models.dia.script import spoken_words
from models.dia.tokenizer import encode
from models.engine import Engine
from models.errors import GenerationFailed, InvalidRequest
from models.request import GenerationStatus, SamplingParams

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
        assert bytes(each.conditioning).endswith(bytes(encode(utterance.text)))
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


def test_max_new_tokens_is_kept_over_all_passages_and_the_rest_is_named(
    engine: Engine, admitted: list[CodeSequence]
) -> None:
    """Random weights seldom end by themselves, so the passages use the budget up before the script is spoken."""
    result = engine.generate(request(LONG, sampling_params=SamplingParams(max_new_tokens=1200, seed=3)))
    assert 1000 < result.steps_executed == sum(s.frames for s in admitted) <= 1200
    assert result.status is GenerationStatus.MAXIMUM_LENGTH
    assert any("characters were not spoken" in note for note in result.notes)


def test_a_single_passage_that_max_new_tokens_stops_says_so(engine: Engine) -> None:
    result = engine.generate(request(sampling_params=SamplingParams(max_new_tokens=90, seed=11)))
    assert result.status is GenerationStatus.MAXIMUM_LENGTH
    assert result.notes == ("max_new_tokens reached: passage 1 was stopped before its end",)


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


def test_a_stream_judges_its_take_by_all_of_its_audio_and_does_not_send_another(pipeline: DiaPipeline) -> None:
    """It once judged the last chunk alone, which is always too short."""
    flawed = request("[S1] Hi.", sampling_params=SamplingParams(max_new_tokens=2000, seed=5))
    with Engine(pipeline) as engine:
        streamed = [note for chunk in engine.stream(flawed) for note in chunk.notes]
        whole = engine.generate(dataclasses.replace(flawed, streaming=False)).notes
    assert len(streamed) == 1
    assert streamed[0] == whole[0]


def test_takes_without_audio_are_never_chosen(pipeline: DiaPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty take gives way to one that was cut short; where all are empty, the request fails."""
    dialogue = pipeline.speak.__globals__["Dialogue"]
    take_of = dialogue._take
    for empty in (1, TAKES):
        made: list[int] = []

        def cut(self, sequence, *rest, empty=empty, made=made, **options):
            take = yield from take_of(self, sequence, *rest, **options)
            made.append(1)
            if len(made) <= empty:
                sequence._end = sequence.first_row
            return take

        monkeypatch.setattr(dialogue, "_take", cut)
        quick = request("[S1] Hi.", streaming=False, sampling_params=SamplingParams(max_new_tokens=90, seed=5))
        with Engine(pipeline) as engine:
            if empty == TAKES:
                with pytest.raises(GenerationFailed, match="No take of passage 1"):
                    engine.generate(quick)
            else:
                assert engine.generate(quick).audio.shape[1] == 90 * 512


def test_several_passages_streamed_equal_the_same_whole(engine: Engine) -> None:
    made = request(LONG, sampling_params=SamplingParams(max_new_tokens=1800, seed=3))
    whole = engine.generate(dataclasses.replace(made, streaming=False))
    streamed = engine.generate(made)
    np.testing.assert_allclose(streamed.audio, whole.audio, atol=1e-4)
    np.testing.assert_array_equal(streamed.buffer_speech_tokens, whole.buffer_speech_tokens)


def test_4096_tokens_are_allowed_and_4096_characters_are_refused_with_the_way_out(noisy: DiaPipeline) -> None:
    most = SamplingParams(max_new_tokens=4096, seed=1)
    assert len(noisy.prepare(request(LONG, sampling_params=most)).utterances) >= 3
    script = ("[S1] These are some words. [S2] And these are others. " * 80)[:4096]
    with pytest.raises(InvalidRequest, match=r"text: takes about \d+ s.*parts of about \d+ characters"):
        noisy.prepare(request(script, sampling_params=most))


def test_a_prompt_of_ones_own_that_cannot_fit_the_window_is_refused(noisy: DiaPipeline) -> None:
    with pytest.raises(InvalidRequest, match=r"prompt: takes about .* the model's window"):
        noisy.prepare(request(None, prompt="[S1] " + "word " * 60, sampling_params=SamplingParams(seed=1)))


def test_a_recording_of_two_minutes_is_cut_to_what_leaves_room_and_says_so(noisy: DiaPipeline, tmp_path: Path) -> None:
    words = "[S1] " + " ".join(f"This is sentence number {n} of mine, and it goes on." for n in range(40))
    clip = wav(tmp_path / "clip.wav", 120)
    plan = noisy.prepare(
        request(
            "[S1] Hi.",
            audio_prompt=clip,
            audio_prompt_transcription=words,
            max_audio_prompt_seconds=120,
            sampling_params=SamplingParams(seed=1),
        )
    )
    assert plan.voice.seconds <= 2.5
    assert "leaves room to speak" in plan.notes[0]
