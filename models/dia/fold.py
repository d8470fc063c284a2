"""Characters → ASCII, as far as they have an English reading: é is e, ß is ss, π is its name. Knows no words."""

import re
import unicodedata

_LETTERS = {
    letter: plain
    for plain, letters in (
        ("ae", "æ"),
        ("Ae", "Æ"),
        ("oe", "œ"),
        ("Oe", "Œ"),
        ("o", "ø"),
        ("O", "Ø"),
        ("ss", "ß"),
        ("SS", "ẞ"),
        ("l", "ł"),
        ("L", "Ł"),
        ("d", "đ"),
        ("D", "Đ"),
        ("th", "ðþ"),
        ("Th", "ÐÞ"),
        ("i", "ı"),
        ("ng", "ŋ"),
        ("NG", "Ŋ"),
        ("h", "ħ"),
        ("H", "Ħ"),
        ("t", "ŧ"),
        ("T", "Ŧ"),
        ("e", "ə"),
        ("E", "Ə"),
        ("k", "ĸ"),
        ("'", "ʻʼ"),
        ("f", "ƒ"),
    )
    for letter in letters
}
_MARKS = {
    **dict.fromkeys("“”„‟«»″", '"'),
    **dict.fromkeys("‘’‚‛‹›´′`", "'"),
    **dict.fromkeys("‐‑‒–−", "-"),
    **dict.fromkeys("—―→⇒", " - "),
    **dict.fromkeys("。．", "."),
    **dict.fromkeys("、，", ","),
    "…": "...",
    "？": "?",
    "！": "!",
    "⁄": "/",
}
_NAMES = {
    sign: name
    for name, signs in {
        "copyright": "©",
        "plus or minus": "±",
        "divided by": "÷",
        "section": "§",
        "pi": "π",
        "micro": "µμ",
        "about": "≈",
        "is not": "≠",
        "at most": "≤",
        "at least": "≥",
        "root": "√",
        "infinity": "∞",
        "ohm": "Ω",
    }.items()
    for sign in signs
}
AS_THEY_ARE = frozenset("°£€¥₹¢×²³")  # read later, beside their numbers
WITHOUT_LOSS = frozenset("¡¿®™¨¯¸ªº¶¤¦¬·•")  # say nothing

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def fold(text: str) -> str:
    """`text` in ASCII and the signs of AS_THEY_ARE; what has no reading becomes a space."""
    return _NOT_ASCII.sub(lambda m: _fold(m[0]), unicodedata.normalize("NFC", text))


def is_unreadable(character: str) -> bool:
    """Whether fold leaves nothing of a letter, a digit or a sign of money."""
    if unicodedata.category(character)[0] not in "LN" and unicodedata.category(character) != "Sc":
        return False
    return not character.isascii() and character not in WITHOUT_LOSS and not _fold(character).strip()


def _fold(character: str) -> str:
    if character in AS_THEY_ARE:
        return character
    if character in WITHOUT_LOSS:
        return " "
    for table in (_LETTERS, _MARKS):
        if character in table:
            return table[character]
    if character in _NAMES:
        return f" {_NAMES[character]} "
    if (digit := unicodedata.decimal(character, None)) is not None:
        return str(digit)
    if unicodedata.category(character) == "Mn":
        return ""
    base = "".join(_LETTERS.get(c, c) for c in unicodedata.normalize("NFKD", character))
    kept = "".join(_MARKS.get(c, c) for c in base if not unicodedata.combining(c))
    # A fraction in one character stands beside a whole number: 2½.
    kept = f" {kept}" if unicodedata.decomposition(character).startswith("<fraction>") else kept
    kept = "".join(_MARKS.get(c, c) for c in kept)
    return kept if kept.isascii() else " "
