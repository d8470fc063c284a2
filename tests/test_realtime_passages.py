"""serving/realtime/passages.py: what is written, as soon as it can be spoken."""

import random

import pytest

from models.errors import InvalidRequest
from serving.realtime.passages import LONGEST, SHORTEST, Passages, spoken_form

SENTENCES = (
    "Hi! It is good to hear from you again. Dr. Brown, who lives at 4.5 km from here, says hello… Would you like to "
    "come on 3. May? She said: “Do come.” He did\n\n1. Bring bread\n2. Bring wine\n"
)
TEXT = SENTENCES + "and more, " * 60 + "x" * 400


def cut(*pieces: str) -> list[str]:
    passages = Passages()
    return [*(passage for piece in pieces for passage in passages.push(piece)), *passages.flush()]


def test_a_passage_ends_with_a_sentence_or_a_line_and_is_not_too_short() -> None:
    assert cut(SENTENCES) == [
        "Hi! It is good to hear from you again.",
        " Dr. Brown, who lives at 4.5 km from here, says hello…",
        " Would you like to come on 3. May?",
        " She said: “Do come.” He did",
        "\n\n1. Bring bread\n2. Bring wine",
        "\n",
    ]


@pytest.mark.parametrize("seed", range(20))
def test_in_pieces_is_as_in_one(seed: int) -> None:
    draw, pieces, rest = random.Random(seed), [], TEXT
    while rest:
        size = draw.choice((1, 2, 5, 40, 400))
        pieces.append(rest[:size])
        rest = rest[size:]
    whole = cut(TEXT)
    assert cut(*pieces) == whole
    assert "".join(whole) == TEXT
    assert max(map(len, whole)) <= LONGEST
    assert min(map(len, whole[:-1])) >= SHORTEST


def test_a_sentence_is_there_as_soon_as_the_next_begins() -> None:
    passages = Passages()
    assert list(passages.push("It is good to hear from you.")) == []
    assert list(passages.push(" ")) == ["It is good to hear from you."]
    assert list(passages.flush()) == [" "]


def test_a_sentence_without_an_end_is_cut_behind_a_clause_or_a_word_or_anywhere() -> None:
    clauses, words, letters = "and more, " * 40, "and more " * 40, "x" * 400
    assert cut(clauses)[0] == ("and more, " * 30).rstrip()
    assert cut(words)[0] == words[: LONGEST + 1].rpartition(" ")[0]
    assert cut(letters)[0] == "x" * LONGEST


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("**Hello**, _you_ there.", "Hello, you there."),
        ("\n## A heading\n", "A heading"),
        ("- one\n* two\n> three", "one two three"),
        ("See [the page](https://example.org/a_b) and `snake_case`.", "See the page and snake_case."),
        ("```python\nprint\n```", "print"),
        ("2 * 3 is 6, a - b is c.", "2 * 3 is 6, a - b is c."),
        ("[S1] Hello. [S2] (laughs) Hi.", "[S1] Hello. [S2] (laughs) Hi."),
        ("Good 🙂", "Good 🙂"),
        ("🙂 …", ""),
        ("***\n", ""),
    ],
)
def test_markup_is_not_spoken(written: str, spoken: str) -> None:
    assert spoken_form(written) == spoken


def test_a_speaker_whom_no_model_has_is_told() -> None:
    with pytest.raises(InvalidRequest, match="names the speakers"):
        spoken_form("[S3] Hello.")
