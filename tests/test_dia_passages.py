"""Scripts become passages: no word lost, no limit broken, both voices kept; and transcripts are cut like scripts."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from script_fixtures import (
    MAX_SECONDS,
    MIN_SECONDS,
    SENTENCE,
    any_text,
    dialogue,
    joined,
    scripts,
    speakers,
)

from models.dia.script import (
    Script,
    Turn,
    _Planner,
    _words,
    cut_transcript,
    estimate_seconds,
    parse_script,
    plan_passages,
    spoken_words,
)
from models.dia.tokenizer import byte_length, encode
from models.errors import InvalidRequest


@settings(max_examples=150, deadline=None)
@given(scripts, st.integers(40, 1024))
def test_no_word_is_lost_or_doubled_and_no_limit_broken(script, max_bytes):
    passages = plan_passages(script, max_bytes=max_bytes)
    assert spoken_words(joined(passages)) == spoken_words(script.text)
    for passage in passages:
        assert byte_length(passage.text) <= max_bytes
        assert passage.seconds == pytest.approx(estimate_seconds(passage.text))
        assert passage.seconds <= MAX_SECONDS + 1e-6 or len(spoken_words(passage.text)) == 1


@settings(max_examples=150, deadline=None)
@given(scripts)
def test_every_word_keeps_its_speaker(script):
    def spoken_by(turns):
        return [(turn.speaker, word) for turn in turns for word in spoken_words(turn.text)]

    passages = plan_passages(script, max_bytes=400)
    assert spoken_by(turn for passage in passages for turn in passage.turns) == spoken_by(script.turns)


@settings(max_examples=150, deadline=None)
@given(scripts)
def test_no_passage_is_too_short_unless_the_script_is(script):
    passages = plan_passages(script, max_bytes=1024)
    assert len(passages) == 1 or min(passage.seconds for passage in passages) >= MIN_SECONDS - 1e-6


@settings(max_examples=150, deadline=None)
@given(scripts)
def test_a_script_that_fits_is_one_passage_and_only_that(script):
    passages = plan_passages(script, max_bytes=1024)
    fits = estimate_seconds(script.text) <= MAX_SECONDS and byte_length(script.text) <= 1024
    assert (len(passages) == 1) == fits or len(spoken_words(script.text)) == 1
    assert len(passages) > 1 or passages[0].text == " ".join(script.text.split())


@settings(max_examples=300, deadline=None)
@given(any_text)
def test_any_text_gives_passages_or_an_invalid_request(text):
    try:
        script = parse_script(text)
        passages = plan_passages(script, max_bytes=200)
    except InvalidRequest:
        return
    assert spoken_words(joined(passages)) == spoken_words(script.text)
    for passage in passages:
        assert 1 <= len(encode(passage.text)) <= 200


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["Yes.", "well,", "word", "a", "longer-words-too!"]), min_size=1, max_size=9), st.data()
)
def test_cuts_are_the_cheapest_of_all_cuts(texts, data):
    """The slow twin: every way to cut a few words."""
    who = data.draw(st.lists(st.sampled_from([1, 2]), min_size=len(texts), max_size=len(texts)))
    script = Script(tuple(map(Turn, who, texts)))
    words = _words(script)
    planner = _Planner(script, words, max_bytes=40, max_seconds=1.5, min_seconds=0.4)

    def cost(cuts):
        return sum(planner._cost(start, end) for start, end in pairwise(cuts))

    inner = range(1, len(words))
    every = [(0, *c, len(words)) for n in range(len(words)) for c in combinations(inner, n)]
    allowed = [cuts for cuts in every if all(b - a == 1 or planner._fits(a, b) for a, b in pairwise(cuts))]
    assert cost(planner.cuts()) == pytest.approx(min(map(cost, allowed)))


def test_passages_end_at_turns_and_keep_both_speakers():
    passages = plan_passages(dialogue(*[1] * 14), max_bytes=1024)
    assert sorted(len(passage.turns) for passage in passages) == [2, 3, 3, 3, 3]
    assert all(turn.text == SENTENCE for passage in passages for turn in passage.turns)
    assert all(speakers(passage) == {1, 2} for passage in passages)


def test_passages_are_balanced():
    """A greedy plan would give 18 s and a rest."""
    script = parse_script(" ".join(f"[S{i % 2 + 1}] Yes, I think so too." for i in range(16)))
    lengths = [passage.seconds for passage in plan_passages(script, max_bytes=1024)]
    assert len(lengths) == 2
    assert max(lengths) - min(lengths) < 2


def test_long_turns_are_cut_at_sentences_so_that_both_speakers_stay():
    """Four turns of 14 s: whole turns would make each passage a monologue."""
    passages = plan_passages(dialogue(3, 3, 3, 3), max_bytes=1024)
    assert all(turn.text.endswith("now.") for passage in passages for turn in passage.turns)
    assert sum(speakers(passage) == {1, 2} for passage in passages) >= len(passages) - 2


def test_a_monologue_is_cut_at_sentences_and_has_one_speaker():
    passages = plan_passages(dialogue(12), max_bytes=1024)
    assert [round(passage.seconds) for passage in passages] == [14] * 4
    assert all(speakers(passage) == {1} and passage.text.endswith("now.") for passage in passages)


def test_a_sentence_too_long_is_cut_at_a_clause_and_then_between_words():
    clauses = ", ".join(["and this is a clause that takes some seconds to speak aloud"] * 12)
    assert [p.text[-1] for p in plan_passages(parse_script(clauses), max_bytes=1024)][:-1] == [","] * 2
    assert len(plan_passages(parse_script("word " * 120), max_bytes=1024)) == 3


def test_a_clause_end_far_from_the_middle_is_better_than_the_middle():
    first, rest = "word " * 25 + "here, ", "word " * 50
    assert plan_passages(parse_script(first + rest), max_bytes=1024)[0].text.endswith("here,")


@pytest.mark.parametrize("title", ["Dr.", "J.", "e.g."])
def test_no_sentence_ends_at_a_title_or_initial(title):
    """The title stands in the middle, where a cut would balance best."""
    text = "word " * 25 + "today. " + "word " * 13 + title + " word" * 40
    assert plan_passages(parse_script(text), max_bytes=1024)[0].text.endswith("today.")


def test_a_word_cut_is_better_than_a_passage_too_short():
    """The only sentence end leaves 2 s, which Dia would speak as noise."""
    passages = plan_passages(parse_script("word " * 54 + "end. So it was said."), max_bytes=1024)
    assert [passage.text.endswith("end.") for passage in passages] == [False, False]
    assert min(passage.seconds for passage in passages) >= MIN_SECONDS


def test_a_cue_of_two_words_is_never_cut():
    passages = plan_passages(parse_script("(clears throat) " * 60), max_bytes=1024)
    assert len(passages) > 3
    assert set(spoken_words(joined(passages))) == {"(clears throat)"}


def test_a_short_turn_between_long_ones_is_no_passage_of_its_own():
    script = Script((Turn(1, " ".join([SENTENCE] * 3)), Turn(2, "Yes, quite."), Turn(1, " ".join([SENTENCE] * 3))))
    assert all(passage.seconds >= MIN_SECONDS for passage in plan_passages(script, max_bytes=1024))


def test_few_bytes_make_more_passages():
    script = dialogue(*[1] * 4)
    assert len(plan_passages(script, max_bytes=1024)) < len(plan_passages(script, max_bytes=80))


@pytest.mark.parametrize("max_bytes", [-5, 0, 10])
def test_a_word_that_does_not_fit_is_refused_with_the_room_there_is(max_bytes):
    room = max(0, max_bytes - 2)
    with pytest.raises(InvalidRequest, match=rf"prompt: holds a word of 9 bytes, 'elephants'.* room for {room} at a"):
        plan_passages(parse_script("elephants walk", field="prompt"), max_bytes=max_bytes)


def test_a_word_longer_than_a_passage_stands_alone():
    passages = plan_passages(parse_script(f"well {'x' * 400} well"), max_bytes=1024)
    assert spoken_words(passages[1].text) == ("x" * 400,)


# Cutting a transcript


@settings(deadline=None)
@given(scripts, st.floats(0, 1, exclude_max=True))
def test_a_cut_transcript_keeps_every_word_and_no_more_than_its_share(script, fraction):
    kept, dropped = cut_transcript(script.text, fraction)
    assert spoken_words(kept) + spoken_words(dropped) == spoken_words(script.text)
    assert estimate_seconds(kept) <= fraction * estimate_seconds(script.text) + 1e-9
    assert not kept or kept.startswith("[S")
    assert dropped.startswith("[S")


def test_the_tag_of_a_cut_turn_is_repeated():
    assert cut_transcript("[S1] one two three four [S2] five", 0.5) == ("[S1] one two", "[S1] three four [S2] five")


def test_a_cut_prefers_a_sentence_end_that_is_near():
    text = "[S1] Hello there my old friend. Oh, how are you today? [S2] I am quite fine, thanks to you."
    assert cut_transcript(text, 0.36)[0] == "[S1] Hello there my old friend."
    assert cut_transcript(text, 0.66)[1].startswith("[S2] I am")


def test_a_cut_prefers_a_change_of_speaker_that_is_near():
    text = "[S1] one two three four five six seven eight [S2] nine ten eleven twelve"
    assert cut_transcript(text, 0.68)[0].endswith("eight")


def test_no_sentence_end_near_means_a_cut_between_words():
    assert cut_transcript("Yes. one two three four five six seven eight", 0.5)[0] == "Yes. one two three"


def test_a_whole_fraction_keeps_all_and_none_drops_all():
    assert cut_transcript("[S1] Hi.", 1.0) == ("[S1] Hi.", "")
    assert cut_transcript("[S1] Hi.", 1.5) == ("[S1] Hi.", "")
    assert cut_transcript("[S1] Hi.", 0.0) == ("", "[S1] Hi.")
    assert cut_transcript("", 0.5) == ("", "")
