"""Addresses of the web and of mail → words: "john dot smith at example dot com". Knows no sentence around them."""

import re

from models.dia.rules import Match, Rule, apply_rules

SIGNS = {
    ".": "dot",
    "/": "slash",
    "-": "dash",
    "_": "underscore",
    "@": "at",
    ":": "colon",
    "?": "question mark",
    "&": "and",
    "=": "equals",
    "#": "hash",
    "+": "plus",
    "%": "percent",
    "~": "tilde",
}
DOMAINS = "com|org|net|edu|gov|mil|int|io|ai|dev|app|info|biz|tv|uk|de|fr|eu|ca|au|nz"

_TAIL = re.compile(r"[.,?!;:)\]\"'/]+$")  # of the sentence, not of the address


def read_addresses(text: str) -> str:
    return apply_rules(RULES, text)


def _address(match: Match) -> str:
    written = match[0]
    tail = _TAIL.search(written[-8:])
    end = tail[0].replace("/", "") if tail else ""
    body = written[: len(written) - len(tail[0])] if tail else written
    body = re.sub(r"^[a-z]{3,6}://", "", body, flags=re.IGNORECASE)
    return f" {''.join(f' {SIGNS[c]} ' if c in SIGNS else c for c in body)}{end} "


RULES: tuple[Rule, ...] = (
    (re.compile(r"(?<![\w.+@-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}"), _address),
    (re.compile(r"(?<!\w)(?:https?://|ftp://|www\.)\S+", re.IGNORECASE), _address),
    (
        re.compile(
            rf"(?<![\w.@-])[A-Za-z0-9](?:[\w-]{{0,62}}\.){{1,4}}(?:{DOMAINS})\b(?!\.\w)(?:/[^\s,;)]*)?", re.IGNORECASE
        ),
        _address,
    ),
)
