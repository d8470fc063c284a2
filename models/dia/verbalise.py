"""Text as people write it → plain words, for a model that reads nothing else.

The result holds lower-case letters, apostrophes inside words, single spaces, the marks , . ? !, the pause "..." as a
word of its own, and the tags [S1] and [S2]. Knows the order of the steps; what a step reads is in the file it is from.
Reading a result again changes nothing, and time is linear in the text.
"""

import re
from collections.abc import Callable

from models.dia.abbreviations import expand_abbreviations
from models.dia.acronyms import read_capitals, read_joined_letters
from models.dia.fold import fold
from models.dia.normalise import CUES
from models.dia.quantities import read_numbers
from models.dia.rules import Match, Rule, apply_rules
from models.dia.web import read_addresses

PAUSE = "..."
MOST_ROUNDS = 6

_TAG = re.compile(r"(\[S[12]\])")
_ALTERNATIVES = "he/she|she/he|him/her|his/her|his/hers|yes/no|true/false|on/off|win/lose|pass/fail|left/right"

SIGN_RULES: tuple[Rule, ...] = (
    (re.compile("|".join(map(re.escape, sorted(CUES)))), f" {PAUSE} "),
    (re.compile(r"\.(?:\s?\.)+"), f" {PAUSE} "),
    (re.compile(r"(?<!\w)(?::|;|=|8)['-]?[()DPpOo/|](?!\w)|<3+(?!\w)|(?<!\w)[xX]D(?!\w)"), " "),  # smileys
    (re.compile(r"[-=]+>|<[-=]+|-{2,}"), " - "),
)
WORD_RULES: tuple[Rule, ...] = (
    (re.compile(r"\s'?n'?\s(?=[A-Za-z])"), " and "),  # rock 'n' roll
    (re.compile(r"\band/or\b", re.IGNORECASE), "and or"),
    (re.compile(rf"\b(?:{_ALTERNATIVES})\b", re.IGNORECASE), lambda m: m[0].replace("/", " or ")),
    (re.compile(r"\bn/a\b", re.IGNORECASE), "not applicable"),
    (re.compile(r"\+\+"), " plus plus "),
    (re.compile(r"(?<=[A-Za-z])\+(?!\w)|(?<=\w)\+(?=\w)|\s\+\s"), " plus "),
    (re.compile(r"(?<=\w)/(?=\w)"), " slash "),
    (re.compile(r"\s/\s"), ", "),
    (re.compile(r"(?<=\b[A-G])#(?!\w)"), " sharp"),
    (re.compile(r"#(?=\w)"), " hashtag "),
    (re.compile(r"&"), " and "),
    (re.compile(r"@"), " at "),
    (re.compile(r"=+"), " equals "),
    (re.compile(r"%"), " percent "),
    (re.compile(r"°"), " degrees "),
    (re.compile(r"×"), " times "),
    (re.compile(r"²"), " squared "),
    (re.compile(r"³"), " cubed "),
    (re.compile(r"\\"), " backslash "),
    (re.compile(r"\$"), " dollars "),
    (re.compile(r"£"), " pounds "),
    (re.compile(r"€"), " euros "),
    (re.compile(r"¥"), " yen "),
    (re.compile(r"₹"), " rupees "),
    (re.compile(r"¢"), " cents "),
    (re.compile(r"(?<=\w )<(?= \w)"), "is less than"),
    (re.compile(r"(?<=\w )>(?= \w)"), "is greater than"),
)
TIDY_RULES: tuple[Rule, ...] = (
    (re.compile(r"(?<=\w)\s?[:;](?!\w)|[:;()\[\]{}|]|\s-(?=\s)|^-(?=\s)"), ", "),
    (re.compile(r"(?<![a-z])'+|'+(?![a-z])"), ""),
    (re.compile(r"[^a-z',.?!]+"), " "),
)
_GAP = re.compile(r"[\s,.?!]*[,.?!][\s,.?!]*")


def closed(words: str) -> str:
    """Plain words with a mark at their end. Training texts all have one: "hi" alone was gone on from, "hi." never."""
    return words if words.endswith((".", "?", "!")) else words.rstrip(",' ") + "."


def verbalise(text: str) -> str:
    """`text`, a line that models/dia/normalise.py made or any other, in plain words; it may be empty."""
    parts = (part if _TAG.fullmatch(part) else _speakable(part) for part in _TAG.split(text))
    return " ".join(filter(None, parts))


def _speakable(text: str) -> str:
    """What stands between two tags.

    A step can uncover what an earlier one reads: 0etc. becomes zero etc. So the steps run until nothing changes, twice
    for all but odd texts.
    """
    for _ in range(MOST_ROUNDS):
        text, before = _read_once(text), text
        if text == before:
            break
    return text


def _read_once(text: str) -> str:
    text = " ".join(fold(text).split())
    text = apply_rules(SIGN_RULES, text)
    text = " ".join(text.split())
    for step in STEPS:
        text = step(text)
    return text


def _read_words(text: str) -> str:
    return apply_rules(WORD_RULES, text)


def _tidy(text: str) -> str:
    text = apply_rules(TIDY_RULES, text)
    text = _GAP.sub(_gap, f" {text} ")
    return " ".join(text.split())


STEPS: tuple[Callable[[str], str], ...] = (
    read_addresses,
    expand_abbreviations,
    read_joined_letters,
    read_numbers,
    _read_words,
    read_capitals,
    _tidy,
)


def _gap(match: Match) -> str:
    """What stands between two words: at most one mark and one pause behind it."""
    marks, pause, _ = match[0].replace(" ", "").partition(PAUSE)
    is_first, is_last = match.start() == 0, match.end() == len(match.string)
    mark = "" if is_first else _strongest(marks)
    if mark == "," and (pause or is_last):
        mark = ""
    return f"{mark} {pause} "


def _strongest(marks: str) -> str:
    return next((mark for mark in "?!.," if mark in marks), "")
