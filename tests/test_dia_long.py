"""Long scripts, limits, and takes that are taken again."""

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
from models.errors import InvalidRequest
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


def test_a_stream_reports_a_flawed_take_and_does_not_send_another(pipeline: DiaPipeline) -> None:
    with Engine(pipeline) as engine:
        chunks = list(engine.stream(request("[S1] Hi.", sampling_params=SamplingParams(max_new_tokens=2000, seed=5))))
    notes = [note for c in chunks for note in c.notes]
    assert len([n for n in notes if n.startswith("passage 1, take")]) == 1
    spoken = sum(c.audio.shape[1] for c in chunks) / 44_100
    assert not any("too short" in note or "ended after" in note for note in notes), (notes, spoken)
