"""A caller's text becomes text as Dia was trained to read it, and every change is told."""

import pytest
from hypothesis import given, settings
from script_fixtures import any_text

from models.dia.normalise import CUES, normalise
from models.dia.script import (
    Turn,
    parse_script,
)
from models.errors import InvalidRequest


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("“Don’t”, she said", '"Don\'t", she said'),
        ("wait… no", "wait... no"),
        ("yes—no", "yes - no"),
        ("5–6 o’clock", "5-6 o'clock"),
        ("a\r\nb\tc\u00a0d\u2028e", "a b c d e"),
        ("of\ufb01ce ＡＢＣ！", "office ABC!"),
        ("zero\u200bwidth\ufeff soft\u00adhyphen", "zerowidth softhyphen"),
        ("cafe\u0301 naïve", "café naïve"),
        ("2½ cups", "2 1/2 cups"),
        ("10² 20 °C", "10² 20 °C"),
        ("hi😀there 1\ufe0f\u20e3", "hi there 1"),
        ("bell\x07 half\ud83d", "bell half"),
        ("a ´quoted´ word, ¨ stays", "a 'quoted' word, ¨ stays"),
    ],
)
def test_characters_become_what_the_model_reads(written, read):
    assert normalise(written)[0] == read


@pytest.mark.parametrize(
    ("written", "note"),
    [
        ("“Hi”", "replaced typographic characters by plain ones (2): '“', '”'"),
        ("Hi\u200b", "removed invisible characters (1): U+200B"),
        ("Hi 😀😀\x07", "removed characters that cannot be spoken (3): '😀', U+0007"),
        ("Hi Пётр", "kept characters that the model, which reads English, may misread (4): 'П', 'ё', 'т', …"),
        ("s1: Hi [ S2 ]", "read speaker labels as tags (2): 's1:', '[ S2 ]'"),
        ("[Laughs] (SIGHS)", "read cues in another spelling (2): '[Laughs]', '(SIGHS)'"),
        (
            "Hi (which is short)",
            "kept text in brackets as words to speak, being no cue of the model (1): '(which is short)'",
        ),
        (
            "Hi [laugh]",
            "kept text in brackets as words to speak, being no cue of the model (1): '[laugh]'. Did you mean (laughs)?",
        ),
    ],
)
def test_each_change_is_told(written, note):
    assert normalise(written)[1] == (note,)


def test_plain_text_is_left_alone_without_notes():
    text = "[S1] Café, 3 o'clock? (laughs) [S2] Yes!"
    assert normalise(text) == (text, ())
    assert normalise(f"  {text}\n\n") == (text, ())


def test_a_note_never_repeats_a_whole_text():
    (note,) = normalise("Hi (" + "long " * 500 + ")")[1]
    assert len(note) < 200


@settings(deadline=None)
@given(any_text)
def test_cleaning_twice_changes_nothing_more(text):
    once, _ = normalise(text)
    assert normalise(once)[0] == once


@pytest.mark.parametrize(
    "text", ["S1: Hi\nS2: Ho", "[s1]Hi[s2]Ho", "[ S1 ] Hi\n[S2]: Ho", "［Ｓ１］Hi 【S2】 Ho", "S1: Hi\n\u00a0S2: Ho"]
)
def test_clear_speaker_labels_are_tags(text):
    assert parse_script(text).turns == (Turn(1, "Hi"), Turn(2, "Ho"))


@pytest.mark.parametrize("tag", ["[S3]", "[S0]", "[ s 12 ]", "[Speaker 1]", "[speaker_2]"])
def test_a_speaker_the_model_lacks_is_refused(tag):
    with pytest.raises(InvalidRequest, match=r"text: names the speakers .* Start each turn with one of these"):
        parse_script(f"[S1] Hi. {tag} Ho.")


def test_a_third_label_is_refused_beside_the_first_two_and_else_a_word():
    with pytest.raises(InvalidRequest, match="'S3:'"):
        parse_script("S1: Hi\nS3: Ho")
    with pytest.raises(InvalidRequest, match="'Speaker 1:'"):
        parse_script("Speaker 1: Hi")
    assert parse_script("S3: a store").turns == (Turn(1, "S3: a store"),)


@pytest.mark.parametrize("cue", sorted(CUES))
def test_every_cue_is_known_in_brackets_too(cue):
    assert normalise(f"[{cue[1:-1].upper()}]")[0] == cue
