"""Which sentences can be used for training: plain words the model will read. Knows no sources."""

import re

from models.dia.verbalise import closed

ALPHABET = " '!,.?abcdefghijklmnopqrstuvwxyz"  # what the verbaliser leaves of any text, "..." being three stops

_SENTENCE = re.compile(r"[a-z][a-z' ,.?!]*[.?!]")
_BROKEN = re.compile(r"[,.?!']{2}|\s[,.?!']|'\s|\s{2}|[,.?!][a-z]")
_UNWORDED = re.compile(r"(?<![a-z'])[b-hj-z](?![a-z'])")  # a lone letter, which the verbaliser would spell out
SHORTEST, LONGEST = 2, 150  # characters


def plain(sentence: str) -> str:
    """The sentence in the form the model reads it, or "" if it holds what the model does not read (digits, signs)."""
    text = " ".join(sentence.lower().replace("-", " ").replace(";", ",").replace('"', "").split())
    text = closed(text) if text else ""
    usable = SHORTEST <= len(text) <= LONGEST and _SENTENCE.fullmatch(text)
    return text if usable and not _BROKEN.search(text) and not _UNWORDED.search(text) else ""


def words(text: str) -> tuple[str, ...]:
    """The bare words, by which two sentences are the same."""
    return tuple(re.findall(r"[a-z']+", text.lower()))
