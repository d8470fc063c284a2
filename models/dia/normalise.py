"""A caller's text → text as Dia was trained to read it, and notes on what was changed. Knows no limits and no turns.

Dia reads raw UTF-8 bytes and speaks English only. Typographic characters become ASCII, because they are three rare
bytes each. Accented Latin letters stay: é → e would be another spelling. What cannot be spoken (emoji, control
characters) leaves a space. Each change has a note, except those that change no word: white space, and Unicode's
composed and decomposed forms of one letter.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from difflib import get_close_matches

from models.dia.fold import is_unreadable
from models.errors import InvalidRequest

# The sounds listed in the README of nari-labs/dia. It warns that others give artefacts; mostly they are read out.
CUES = frozenset(
    f"({sound})"
    for sound in (
        *("applause", "beep", "burps", "chuckle", "claps", "clears throat", "coughs", "exhales", "gasps", "groans"),
        *("humming", "inhales", "laughs", "mumbles", "screams", "sighs", "singing", "sings", "sneezes", "sniffs"),
        "whistles",
    )
)

ASCII_FORMS = {
    form: ascii_form
    for ascii_form, forms in {
        '"': "“”„‟«»″「」『』",
        "'": "‘’‚‛‹›ʼ´′",
        "-": "‐‑‒–−",
        " - ": "—―",
        "[": "【〔",
        "]": "】〕",
        "/": "⁄",
    }.items()
    for form in forms
}
# Forms that say something: 10² is not 102, and ™ is not the word TM.
MEANINGFUL_FORMS = ("<super>", "<sub>")
UNSPEAKABLE_CATEGORIES = frozenset({"Cc", "Cs", "Co", "Cn", "So", "Sk", "Me"})  # control … symbol, keycap
LATIN_1 = range(0x100)  # its few symbols (° © ® ¤ …) have English names: they stay

_LINE_END = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_TAG = re.compile(r"\[\s*S\s*([12])\s*\]:?|^[ \t]*S([12])[ \t]*:", re.IGNORECASE | re.MULTILINE)
_OTHER_TAG = re.compile(r"\[\s*S(?:peaker)?[\s_#-]*[0-9]+\s*\]|^[ \t]*Speaker[ _#-]*[0-9]+[ \t]*:", re.I | re.M)
_LABEL = re.compile(r"^[ \t]*S([0-9]+)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_ASIDE = re.compile(r"\((?P<round>[^()]*)\)|\[(?!S[12]\])(?P<square>[^\[\]]*)\]")

SAMPLES = 3  # of what a note is about
SAMPLE_LENGTH = 30  # characters

Cleaned = tuple[str, str]  # the text, and a note or ""
Rule = Callable[[str], Cleaned]


def normalise(text: str, field: str = "text", *, plain: bool = False) -> tuple[str, tuple[str, ...]]:
    """The text in one line with plain [S1], [S2] and (cues), and what a caller should know about the changes.

    plain: for a model that reads plain words only. What has no English reading is left out, and the notes tell of it.

    The result may be empty. Raises InvalidRequest for `field` if a speaker is named whom the model does not have.
    """
    text, character_notes = _apply(PLAIN_CHARACTER_RULES if plain else CHARACTER_RULES, text)
    _refuse_other_speakers(text, field)
    text, tag_notes = _apply(PLAIN_TAG_RULES if plain else TAG_RULES, text)
    return " ".join(text.split()), character_notes + tag_notes


def _apply(rules: Iterable[Rule], text: str) -> tuple[str, tuple[str, ...]]:
    notes = []
    for rule in rules:
        text, note = rule(text)
        notes.append(note)
    return text, tuple(filter(None, notes))


def _typography(text: str) -> Cleaned:
    forms = {form: _ascii_form(form) for form in set(text) if not form.isascii()}
    replaced = [c for c in text if forms.get(c, c) != c and not c.isspace()]
    text = "".join(forms.get(c, c) for c in text)
    return text, _note("replaced typographic characters by plain ones", replaced)


def _ascii_form(form: str) -> str:
    if form in ASCII_FORMS:
        return ASCII_FORMS[form]
    if unicodedata.category(form) == "Zs":
        return " "
    tag = unicodedata.decomposition(form).partition(" ")[0]
    plain = unicodedata.normalize("NFKC", form)
    # A free-standing accent would decompose to a space and an accent that sits on nothing.
    if tag in MEANINGFUL_FORMS or " " in plain:
        return form
    space = " " if tag == "<fraction>" else ""  # 2½ is not 21/2
    return space + "".join(ASCII_FORMS.get(c, c) for c in plain)


def _line_ends(text: str) -> Cleaned:
    return _LINE_END.sub("\n", text), ""


def _invisible(text: str) -> Cleaned:
    removed = [c for c in text if _is_invisible(c)]
    text = unicodedata.normalize("NFC", "".join(c for c in text if not _is_invisible(c)))
    return text, _note("removed invisible characters", removed)


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) == "Cf" or "VARIATION SELECTOR" in unicodedata.name(character, "")


def _unspeakable(text: str) -> Cleaned:
    removed = [c for c in text if _is_unspeakable(c)]
    text = "".join(" " if _is_unspeakable(c) else c for c in text)
    return text, _note("removed characters that cannot be spoken", removed)


def _is_unspeakable(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cc":
        return character not in "\t\n"
    return category in UNSPEAKABLE_CATEGORIES and ord(character) not in LATIN_1


def _foreign(text: str) -> Cleaned:
    """Changes nothing, warns only."""
    foreign = [c for c in text if not c.isascii() and not c.isspace() and "LATIN" not in unicodedata.name(c, "")]
    return text, _note("kept characters that the model, which reads English, may misread", foreign)


def _unreadable(text: str) -> Cleaned:
    removed = [c for c in text if is_unreadable(c)]
    text = "".join(" " if is_unreadable(c) else c for c in text)
    return text, _note("left out characters that this model cannot read", removed)


def _tags(text: str) -> Cleaned:
    odd = [m[0].strip() for m in _TAG.finditer(text) if m[0] not in ("[S1]", "[S2]")]
    text = _TAG.sub(lambda m: f" [S{m[1] or m[2]}] ", text)
    return text, _note("read speaker labels as tags", odd)


def _refuse_other_speakers(text: str, field: str) -> None:
    others = [m[0].strip() for m in _OTHER_TAG.finditer(text) if not _TAG.fullmatch(m[0])]
    labels = {m[1]: m[0].strip() for m in _LABEL.finditer(text)}
    if not labels.keys().isdisjoint({"1", "2"}):  # without these "S3:" may be a word of the text
        others += [label for number, label in labels.items() if number not in ("1", "2")]
    if others:
        raise InvalidRequest(
            field,
            f"names the speakers {_sample(others)}; the model has only [S1] and [S2]. "
            "Start each turn with one of these.",
        )


def _cues(text: str) -> Cleaned:
    changed = [m[0] for m in _ASIDE.finditer(text) if _cue(m) in CUES and _cue(m) != m[0]]
    text = _ASIDE.sub(lambda m: _cue(m) if _cue(m) in CUES else m[0], text)
    return text, _note("read cues in another spelling", changed)


def _cue(aside: re.Match[str]) -> str:
    inner = aside["square"] if aside["round"] is None else aside["round"]
    return f"({' '.join(inner.casefold().split())})"


def _asides(text: str) -> Cleaned:
    """Changes nothing, warns only."""
    unknown = [m for m in _ASIDE.finditer(text) if m[0] not in CUES]
    near = [c for m in unknown[:SAMPLES] for c in get_close_matches(_cue(m), sorted(CUES), n=1, cutoff=0.8)]
    hint = f". Did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""
    note = _note("kept text in brackets as words to speak, being no cue of the model", [m[0] for m in unknown])
    return text, note and note + hint


def _silent_cues(text: str) -> Cleaned:
    """Changes nothing, warns only."""
    cues = [m[0] for m in _ASIDE.finditer(text) if m[0] in CUES]
    return text, _note("left out cues, which this model does not know; each is a pause", cues)


# Line ends are found before control characters go, and labels such as "S1:" while there still are lines.
CHARACTER_RULES = (_typography, _line_ends, _invisible, _unspeakable, _foreign)
TAG_RULES = (_tags, _cues, _asides)
PLAIN_CHARACTER_RULES = (*CHARACTER_RULES[:-1], _unreadable)
PLAIN_TAG_RULES = (*TAG_RULES, _silent_cues)


def _note(what: str, found: list[str]) -> str:
    return f"{what} ({len(found)}): {_sample(found)}" if found else ""


def _sample(found: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(found))
    shown = ", ".join(_shown(text) for text in distinct[:SAMPLES])
    return f"{shown}, …" if len(distinct) > SAMPLES else shown


def _shown(text: str) -> str:
    if len(text) == 1 and not text.isprintable():
        return f"U+{ord(text):04X}"
    return repr(text if len(text) <= SAMPLE_LENGTH else f"{text[:SAMPLE_LENGTH]}…")
