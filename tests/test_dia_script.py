"""Scripts become turns, and their speaking time is estimated."""

import pytest

from models.dia.script import (
    Script,
    Turn,
    estimate_seconds,
    parse_script,
    spoken_words,
)
from models.errors import InvalidRequest


def test_words_before_the_first_tag_are_speaker_1s():
    assert parse_script("Hi. [S2] Ho.").turns == (Turn(1, "Hi."), Turn(2, "Ho."))
    assert parse_script("Hi.") == Script((Turn(1, "Hi."),))


def test_turns_of_one_speaker_in_a_row_are_kept():
    assert parse_script("[S1] A. [S1] B.").turns == (Turn(1, "A."), Turn(1, "B."))


def test_empty_turns_are_left_out_with_a_note():
    script = parse_script("[S1] [S2] hi [S1] ...", field="prompt")
    assert script == Script((Turn(2, "hi"),), ("prompt: left out turns without words (2)",), "prompt")


@pytest.mark.parametrize("text", ["", " \n", "[S1]", "[S1] ... [S2] ?!", "😀", "\u200b"])
def test_a_text_without_words_is_refused(text):
    with pytest.raises(InvalidRequest, match="input: holds nothing that can be spoken"):
        parse_script(text, field="input")


def test_a_script_reads_back_as_its_text():
    text = "[S1] A. (laughs) [S2] B."
    assert parse_script(text).text == text


def test_a_cue_of_two_words_is_one_word():
    assert spoken_words("[S1] Well(clears throat), hi there.[S2] Ho") == ("Well(clears throat),", "hi", "there.", "Ho")


def test_ordinary_prose_takes_a_second_for_14_to_16_characters():
    prose = (
        "It was a bright cold day in spring, and the clock of the old town hall was striking one. "
        "Would you like to come along to the market, or do you have to be at home before the rain starts?"
    )
    assert 14 < len(prose) / estimate_seconds(prose) < 16


def test_tags_take_no_time_and_words_add_up():
    assert estimate_seconds("[S1] Hi there. [S2] Ho.") == pytest.approx(
        estimate_seconds("Hi there.") + estimate_seconds("Ho.")
    )


def test_digits_signs_cues_and_pauses_take_longer_than_letters():
    assert estimate_seconds("1984") > 3 * estimate_seconds("year")
    assert estimate_seconds("+1 +1 +1") > 3 * estimate_seconds("a1 b1 c1") / 2
    assert estimate_seconds("hi (clears throat)") == pytest.approx(estimate_seconds("hi") + 1.0, abs=0.1)
    assert estimate_seconds("Oh. No") > estimate_seconds("Oh, No") > estimate_seconds("Oho No")
