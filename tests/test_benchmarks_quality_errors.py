"""Word errors: what counts as one, what does not, and what an alignment always keeps."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.quality.errors import LastWord, align, count_errors, normalise

WORDS = st.lists(st.sampled_from(["a", "b", "ab", "c", "cab", "d"]), max_size=8)


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("She is twenty-five.", "she's 25"),
        ("Meet me at five thirty p.m.", "Meet me at 5:30 PM."),
        ("On March 3, 1998", "on March third, nineteen ninety eight"),
        ("It costs three dollars and fifty cents.", "It costs $3.50."),
        ("a hundred and one dalmatians", "101 dalmatians"),
        ("I can't take it any more.", "I cannot take it anymore"),
        ("Send me an e-mail, okay?", "send me an email OK"),
        ("Call 555 0142 now.", "call five five five oh one four two now"),
        ("Dr. Hall and Mrs. Stone", "doctor Hall and missus stone"),
        ("one of them", "1 of them"),
        ("Room 1207", "room twelve oh seven"),
        ("Valparaíso", "Valparaiso"),
        ("Hmm, uh, well then", "well then"),
        ("He said ’twas mine. It’s not!", "he said 'twas mine it's not"),
    ],
)
def test_spelling_that_no_ear_can_tell_apart_is_no_error(written: str, heard: str) -> None:
    for reference, hypothesis in ((written, heard), (heard, written)):
        assert count_errors(reference, hypothesis).total == 0, (normalise(reference), normalise(hypothesis))


@pytest.mark.parametrize(
    ("reference", "hypothesis", "substitutions", "deletions", "insertions"),
    [
        ("the cat sat", "the cat sat", 0, 0, 0),
        ("the cat sat", "the hat sat", 1, 0, 0),
        ("the cat sat", "the sat", 0, 1, 0),
        ("the cat sat", "the big cat sat", 0, 0, 1),
        ("the cat sat", "", 0, 3, 0),
        ("the cat sat", "a dog ran away", 3, 0, 1),
        ("room 12", "room 13", 1, 0, 0),
        ("nine dollars", "$8", 1, 0, 0),
        ("see you tomorrow", "see you tomorrow tomorrow", 0, 0, 1),
    ],
)
def test_errors_are_counted_by_kind(
    reference: str, hypothesis: str, substitutions: int, deletions: int, insertions: int
) -> None:
    errors = count_errors(reference, hypothesis)
    assert (errors.substitutions, errors.deletions, errors.insertions) == (substitutions, deletions, insertions)
    assert errors.words == len(normalise(reference))


@pytest.mark.parametrize(
    ("hypothesis", "fate"),
    [
        ("see you tomorrow", "right"),
        ("we see you to morrow", "right"),
        ("see you tomato", "misheard"),
        ("see you tomorrow tomorrow", "repeated"),
        ("see you tomorrow see you tomorrow", "repeated"),
        ("see you tomorrow then", "repeated"),
        ("see you tomato tomato", "repeated"),
        ("see you", "missing"),
        ("see you in the park", "missing"),
        ("", "missing"),
    ],
)
def test_of_the_last_word_it_is_known_what_became(hypothesis: str, fate: str) -> None:
    assert count_errors("See you tomorrow.", hypothesis).last_word == fate


def test_a_last_word_that_stands_twice_may_be_heard_twice() -> None:
    assert count_errors("no no", "no no").last_word is LastWord.RIGHT
    assert count_errors("no no", "no no no").last_word is LastWord.REPEATED


def test_a_word_that_is_heard_as_another_is_there_and_one_that_is_said_again_is_not() -> None:
    assert [fate.there for fate in LastWord] == [True, True, False, False]


def test_a_reference_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="no words to compare"):
        count_errors("(laughs)", "ha ha")


@settings(max_examples=60, deadline=None)
@given(WORDS, WORDS)
def test_an_alignment_covers_both_sides_once_and_in_order(reference: list[str], hypothesis: list[str]) -> None:
    steps = align(reference, hypothesis)
    assert [i for step in steps for i in step.reference] == list(range(len(reference)))
    assert [j for step in steps for j in step.hypothesis] == list(range(len(hypothesis)))
    for step in steps:
        said, heard = (
            "".join(reference[i] for i in step.reference),
            "".join(hypothesis[j] for j in step.hypothesis),
        )
        assert step.matches == (said == heard)


@settings(max_examples=60, deadline=None)
@given(WORDS, WORDS)
def test_an_alignment_costs_no_more_than_levenshtein_and_the_same_from_either_side(
    reference: list[str], hypothesis: list[str]
) -> None:
    cost = sum(step.cost for step in align(reference, hypothesis))
    assert cost == sum(step.cost for step in align(hypothesis, reference))
    assert cost <= levenshtein(reference, hypothesis)


@settings(max_examples=60, deadline=None)
@given(*[st.lists(st.sampled_from(["x", "y", "z"]), max_size=8)] * 2)
def test_without_compounds_an_alignment_is_levenshteins(reference: list[str], hypothesis: list[str]) -> None:
    assert sum(step.cost for step in align(reference, hypothesis)) == levenshtein(reference, hypothesis)


def levenshtein(a: list[str], b: list[str]) -> int:
    """The textbook's, row by row."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]
