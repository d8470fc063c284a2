"""Written short forms → the words they stand for: Dr., e.g., U.S., p.m. A period that ends the sentence stays.

Works on text with its capitals, before numbers are read: some forms mean something only beside a digit or a name.
Knows neither numbers nor acronyms without periods.
"""

import re
from collections.abc import Callable

from models.dia.acronyms import BEFORE_A_LETTER, letter_names
from models.dia.short_forms import (
    BEFORE_A_DAY,
    CAPITAL_TITLES,
    COUNTED,
    DAYS_BEFORE_MORE,
    LOWER_CASE_ONLY,
    ONLY_WITH_PERIOD,
    SAINTS,
    SHORT_MONTHS,
    STARTERS,
    TITLES,
    WORDS,
)

STREET_NUMBERS = re.compile(r"\d(?:st|nd|rd|th)$", re.IGNORECASE)
_STARTER = "|".join(sorted(STARTERS, key=len, reverse=True))
_SENTENCE_END = re.compile(rf"[\"')\]]*(?:\s*$|\s+[\"'(\[]*(?:{_STARTER})\b(?![.'])|[?!])")
_LATIN = (
    (re.compile(r"\be\.?\s?g\.(?!\w)|\be\.g\b", re.IGNORECASE), "for example"),
    (re.compile(r"\bi\.\s?e\.(?!\w)|\bi\.e\b", re.IGNORECASE), "that is"),
    (re.compile(r"\bet al\.(?=\s|[,)]|$)", re.IGNORECASE), "et al"),
    (re.compile(r"\bw/o\b", re.IGNORECASE), "without"),
    (re.compile(r"\bw/(?=\s|[a-z])"), "with "),
    (re.compile(r"\by/o\b", re.IGNORECASE), "years old"),
    (re.compile(r"\bph\.\s?d\b", re.IGNORECASE), "P.H.D"),
)
_DOTTED = re.compile(r"(?<![\w.'])[A-Za-z](?:\.[A-Za-z]){1,8}(?![A-Za-z0-9])(\.)?")
_INITIAL = re.compile(rf"(?<![\w.'])([A-HJ-Z])\.(?=\s?[A-Z])(?!\s(?:{_STARTER})\b)")
_SHORT = re.compile(r"(?<![\w.'])([A-Za-z]{1,6})\b(\.?)(?!\w)")
_NUMBERED = re.compile(rf"(?<![\w.'])({'|'.join(COUNTED)})\.?\s?(?=\d)", re.IGNORECASE)
_BEFORE = re.compile(r"(\S+)\s*$")
_NEXT = re.compile(r"\s*([,A-Za-z0-9][\w']*)?")

LOOK_BACK = 40  # characters


def expand_abbreviations(text: str) -> str:
    """`text` with every short form written out."""
    for pattern, words in _LATIN:
        text = pattern.sub(words, text)
    text = _DOTTED.sub(_read_dotted, text)
    text = _INITIAL.sub(_read_initial, text)
    text = _NUMBERED.sub(_read_numbered, text)
    return _SHORT.sub(_read_short, text)


def ends_sentence(match: re.Match[str]) -> bool:
    """Whether a period at the end of `match` ends its sentence too, to judge by what follows."""
    return bool(_SENTENCE_END.match(match.string, match.end()))


def _read_dotted(match: re.Match[str]) -> str:
    letters = match[0].replace(".", "")
    period = "." if match[1] and ends_sentence(match) else ""
    return letter_names(letters) + period


def _read_initial(match: re.Match[str]) -> str:
    """John F. Kennedy, but not: Take plan B. Doctors agree."""
    return match[0] if _before(match).lower() in BEFORE_A_LETTER else f"{letter_names(match[1])} "


def _read_numbered(match: re.Match[str]) -> str:
    """No. 5, p. 12. Without a period, only those that are nothing else."""
    low = match[1].lower()
    has_period = "." in match[0]
    if not has_period and low in ("app", "c", "ca", "ed", "no", "p", "pt", "sec", "ch"):
        return match[0]
    return f"{COUNTED[low]} "


def _read_short(match: re.Match[str]) -> str:
    for rule in SHORT_RULES:
        if words := rule(match):
            return words + ("." if _keeps_period(match, rule) else "")
    return match[0]


def _keeps_period(match: re.Match[str], rule: Callable[[re.Match[str]], str]) -> bool:
    if not match[2] or rule in TITLE_RULES or (rule is _doctor and not _before(match)):  # Dr. Who
        return False
    return ends_sentence(match)


def _title(match: re.Match[str]) -> str:
    return "" if _before(match)[-1:].isdigit() else TITLES.get(match[1].lower(), "")  # 5 ms


def _capital_title(match: re.Match[str]) -> str:
    is_title = match[1].istitle() and match[2] and _next(match)[:1].isupper()
    return CAPITAL_TITLES.get(match[1].lower(), "") if is_title else ""


def _doctor(match: re.Match[str]) -> str:
    """Or drive: behind a name, and not before one."""
    if match[1].lower() != "dr":
        return ""
    after = _next(match)
    if _is_behind_name(match) and match[1] != "dr" and (not after[:1].isupper() or after in STARTERS):
        return "drive"
    return "doctor"


def _saint(match: re.Match[str]) -> str:
    """Or street: behind a name or a number, and not before a saint's name."""
    if match[1].lower() != "st":
        return ""
    before, after = _before(match), _next(match)
    if after.lower().removesuffix("'s") in SAINTS:
        return "saint"
    if _is_behind_name(match) or STREET_NUMBERS.search(before) or match[1] == "st" or not after[:1].isupper():
        return "street"
    return "street" if after in STARTERS else "saint"


def _word(match: re.Match[str]) -> str:
    return "" if match[1].isupper() and not match[2] and len(match[1]) > 3 else WORDS.get(match[1].lower(), "")


def _word_with_period(match: re.Match[str]) -> str:
    low = match[1].lower()
    if not match[2] or low not in ONLY_WITH_PERIOD or _before(match)[-1:].isdigit():
        return ""
    return ONLY_WITH_PERIOD[low] if match[1].islower() == (low in LOWER_CASE_ONLY) else ""


def _date_word(match: re.Match[str]) -> str:
    low, after = match[1].lower(), _next(match)
    if not match[1].istitle():
        return ""
    if low in BEFORE_A_DAY and (after[:1].isdigit() or _before(match)[:1].isdigit()):
        return BEFORE_A_DAY[low]
    if match[2] and ((not after[:1].isupper() and after) or after.lower().startswith(SHORT_MONTHS)):
        return DAYS_BEFORE_MORE.get(low, "")
    return ""


SHORT_RULES: tuple[Callable[[re.Match[str]], str], ...] = (
    _title,
    _capital_title,
    _doctor,
    _saint,
    _word,
    _word_with_period,
    _date_word,
)
TITLE_RULES = (_title, _capital_title)


def _is_behind_name(match: re.Match[str]) -> bool:
    before = _before(match)
    return before[:1].isupper() and before not in STARTERS


def _before(match: re.Match[str]) -> str:
    """The word in front, without what stands around it."""
    found = _BEFORE.search(match.string[max(0, match.start() - LOOK_BACK) : match.start()])
    return found[1].strip("\"'()[]") if found else ""


def _next(match: re.Match[str]) -> str:
    """The word that follows, or the comma."""
    found = _NEXT.match(match.string, match.end())
    return (found[1] or "") if found else ""
