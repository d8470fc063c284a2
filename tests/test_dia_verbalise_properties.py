"""Whatever comes in, plain words come out, reading them again changes nothing, in linear time."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from script_fixtures import any_text

from models.dia import numerals
from models.dia.fold import is_unreadable
from models.dia.normalise import normalise
from models.dia.verbalise import verbalise
from models.errors import InvalidRequest

WORD = r"[a-z]+(?:'[a-z]+)*[,.?!]?"
PLAIN = re.compile(rf"(?:(?:\[S[12]\]|\.\.\.|{WORD})(?: (?=.)|$))*")

signs = st.sampled_from([*"abcixstBIAUSTX0123459.,:;'\"-/()$£€%°#&@+=~*×²\\_<>[]| ", "…", "½", "—", "٣", "你", "🙂"])
forms = st.sampled_from(
    [
        *("Dr.", "St.", "no.", "Jan.", "etc.", "a.m.", "U.S.", "e.g.", "i.e", "vs", "Mr", "ft", " min ", "mon", "w/"),
        *("[S1]", "[S2]", "(laughs)", "...", "it's", "'s", "st", "th", "pm", " n ", " 'n' ", "o'clock", "I", "it"),
        *("www.", "http://", ".com", "tv", "ok", "US", "Henry V", "WW", "5 km", "$5", "3:30", "1/2", "x2", "1990s"),
    ]
)
odd_texts = st.one_of(
    any_text,
    st.text(max_size=40),
    st.lists(st.one_of(signs, forms), max_size=25).map("".join),
    st.lists(st.one_of(signs, forms), max_size=15).map(" ".join),
)


@settings(deadline=None, max_examples=300)
@given(odd_texts)
def test_any_text_gives_plain_words_that_stay_as_they_are(text):
    words = verbalise(text)
    assert PLAIN.fullmatch(words)
    assert verbalise(words) == words


@settings(deadline=None, max_examples=100)
@given(odd_texts)
def test_what_normalise_gives_becomes_plain_words(text):
    try:
        clean, _ = normalise(text, plain=True)
    except InvalidRequest:
        return
    assert PLAIN.fullmatch(verbalise(clean))


@pytest.mark.parametrize(
    "unit",
    ["1", "1,", "1.", "1-", "1/", "a", "A", "a.", "'", '"', ".", "-", "$", "@", "www.", "a@", "1 ", "St. ", "hm", "é"],
)
def test_time_is_linear_in_the_text(unit):
    """Four times the text takes about four times as long; quadratic rules would take sixteen times."""

    def seconds(length: int) -> float:
        text = (unit * length)[:length]
        return min(_timed(text) for _ in range(2))

    assert seconds(8000) < 10 * seconds(2000) + 0.02


def _timed(text: str) -> float:
    start = time.process_time()
    verbalise(text)
    return time.process_time() - start


@pytest.mark.parametrize("text", ["", " ", "?!", "你好", "🙂", "[", "'", "^^^", "---"])
def test_what_says_nothing_is_empty(text):
    assert verbalise(text) == ""


@given(st.integers(0, 10**21 - 1))
def test_every_number_has_a_name_of_its_own(number):
    assert _value(numerals.cardinal(str(number))) == number


def _value(words: str) -> int:
    """The inverse of cardinal."""
    total = group = 0
    for word in words.split():
        if word in numerals.ONES:
            group += numerals.ONES.index(word)
        elif word in numerals.TENS:
            group += 10 * numerals.TENS.index(word)
        elif word == "hundred":
            group *= 100
        else:
            total += group * 1000 ** numerals.SCALES.index(word)
            group = 0
    return total + group


@pytest.mark.parametrize(
    ("digits", "said"),
    [("1", "first"), ("12", "twelfth"), ("20", "twentieth"), ("100", "one hundredth"), ("1002", "one thousand second")],
)
def test_ordinals(digits, said):
    assert numerals.ordinal(digits) == said


@pytest.mark.parametrize(
    ("character", "expected"), [("你", True), ("п", True), ("₿", True), ("é", False), ("€", False)]
)
def test_unreadable_is_what_has_no_english_reading(character, expected):
    assert is_unreadable(character) is expected
