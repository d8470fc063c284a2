"""What the tests of scripts share: words, turns and whole scripts, the odd ones too."""

from hypothesis import strategies as st

from models.dia.script import Script, Turn

SENTENCE = "This is one sentence of about four seconds, which I say to you now."  # 4.6 s
MAX_SECONDS, MIN_SECONDS = 18, 5

words = st.text(st.characters(categories=["L", "N"], max_codepoint=0x4FF), min_size=1, max_size=10)
word_marks = st.sampled_from(["", "", "", ".", ",", "?", "...", ";", ' "'])
spoken = st.lists(st.tuples(words, word_marks).map("".join), min_size=1, max_size=60).map(" ".join)
turns = st.builds(Turn, st.sampled_from([1, 2]), spoken)
scripts = st.lists(turns, min_size=1, max_size=12).map(lambda given: Script(tuple(given)))
pieces = st.sampled_from(
    [
        "[S1] ",
        "[S2]",
        " [ s1 ] ",
        "\nS2: ",
        "(laughs)",
        "[clears throat]",
        "(aside)",
        "“",
        "—",
        "…",
        "😀",
        "\x01",
        "\r\n",
    ]
)
any_text = st.lists(st.one_of(pieces, st.text(max_size=12), words), max_size=40).map("".join)


def joined(passages) -> str:
    return " ".join(passage.text for passage in passages)


def speakers(passage) -> set[int]:
    return {turn.speaker for turn in passage.turns}


def dialogue(*sentences: int) -> Script:
    """Speakers in turn, the n-th with so many sentences."""
    return Script(tuple(Turn(i % 2 + 1, " ".join([SENTENCE] * n)) for i, n in enumerate(sentences)))
