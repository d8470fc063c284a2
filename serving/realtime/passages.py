"""A text that is still being written → passages to speak, each as soon as it is whole. Knows no model and no sound.

A passage ends where a sentence or a line does, unless it is too short to be spoken well alone; a sentence that does not
end is cut behind a clause, or between two words. The passages together are the text, to the letter.
"""

import re
from collections.abc import Iterator

from models.dia.normalise import normalise
from models.dia.script import ends_clause, ends_sentence

SHORTEST = 24  # characters; a second and a half: less is noise in some voices, and one that waits in all
LONGEST = 300  # characters: 20 s, as much as a model speaks well at once

_WORD = re.compile(r"\S+(?=(\s))")  # one that is over, and what is behind it
_CLOSING = "”’»*_`)"  # behind what ends a sentence
_MARKUP = (
    (re.compile(r"```[^\n`]*\n?|`"), ""),
    (re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)"), r"\1"),  # a link's words stay
    (re.compile(r"^[ \t]*(?:#{1,6}|>|[-*+•])[ \t]+", re.MULTILINE), ""),
    (re.compile(r"(?<!\w)[*_]+(?=\S)|(?<=\S)[*_]+(?!\w)"), ""),  # of emphasis; 2 * 3 and snake_case stay
)


class Passages:
    """Of one text. Where it is cut does not depend on how its pieces were."""

    def __init__(self) -> None:
        self._held = ""

    def push(self, text: str) -> Iterator[str]:
        self._held += text
        while (end := _end_of_passage(self._held)) is not None:
            passage, self._held = self._held[:end], self._held[end:]
            yield passage

    def flush(self) -> Iterator[str]:
        """What is left: the text is over."""
        rest, self._held = self._held, ""
        if rest:
            yield rest


def spoken_form(passage: str) -> str:
    """Without the markup that language models write; "" where nothing is left that can be spoken."""
    for pattern, stays in _MARKUP:
        passage = pattern.sub(stays, passage)
    clean = " ".join(passage.split())
    return clean if any(letter.isalnum() for letter in normalise(clean, "response")[0]) else ""


def _end_of_passage(text: str) -> int | None:
    """Where the first one ends; None: more must be written before that is known."""
    if len(text) < SHORTEST:
        return None
    clause = word = 0
    for found in _WORD.finditer(text, 0, LONGEST + 1):
        word = found.end()
        if word < SHORTEST:
            continue
        if found[1] == "\n" or _ends_sentence(found[0]):
            return word
        clause = word if ends_clause(found[0]) else clause
    if len(text) <= LONGEST:
        return None
    return clause or word or LONGEST


def _ends_sentence(word: str) -> bool:
    bare = word.rstrip(_CLOSING)
    return bare.endswith("…") or (ends_sentence(bare) and not bare[:-1].isdigit())
