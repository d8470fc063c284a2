"""How sure Whisper was of each token that it has written: log probabilities by its own decoder. Knows no audio.

Beam search tells the score of a whole hypothesis and of no token. So the decoder reads once more what it wrote, all of
it at once, and says how likely each token was behind the prompt and the tokens before it. Timestamps are left out of
both: CTranslate2's `align`, which reads so, is made for text alone.
"""

import copy
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

# `align` also finds when each token is said, in time that grows with the frames it may look at. That is not wanted.
_FRAMES = 16


@dataclass(frozen=True)
class Token:
    """data: UTF-8, the space before a word included, perhaps a part of a character. logprob: natural, at most 0."""

    data: bytes
    logprob: float

    @property
    def text(self) -> str:
        """With U+FFFD for what is no whole character."""
        return self.data.decode("utf-8", errors="replace")


class TokenScores:
    """Of one transcription, which `model` has to make: the model that was given, with an eye on what it writes."""

    def __init__(self, model: "WhisperModel") -> None:
        self._writer = model
        self._written: _Written | None = None
        self.model = copy.copy(model)  # of its own is only this method; the weights are shared
        self.model.generate_with_fallback = self._generate

    def of(self, tokens: Sequence[int]) -> tuple[Token, ...]:
        """Of the segment that the model has just told, by its ids. Raises RuntimeError as CTranslate2 does."""
        assert self._written is not None, "nothing has been written yet"
        return self._written.scored(tokens)

    def _generate(self, encoded: Any, prompt: list[int], tokenizer: Any, options: Any) -> Any:
        """Thirty seconds of audio at a time."""
        result = self._writer.generate_with_fallback(encoded, prompt, tokenizer, options)
        start = [one for one in prompt if one != tokenizer.no_timestamps]  # `align` puts it there itself
        self._written = _Written(self._writer, encoded, start, tokenizer.eot, result[0].sequences_ids[0])
        return result


class _Written:
    """What was written of one encoded window: ids, timestamps among them, which are above those of text."""

    def __init__(
        self, model: "WhisperModel", encoded: Any, prompt: Sequence[int], end_of_text: int, ids: Sequence[int]
    ) -> None:
        self._model, self._encoded, self._prompt, self._end_of_text = model, encoded, prompt, end_of_text
        self._ids = list(ids)
        self._logprobs: list[float] | None = None  # of those of text
        self._told = 0  # ids, of the segments so far

    def scored(self, ids: Sequence[int]) -> tuple[Token, ...]:
        """Segments are stretches of what was written, in order."""
        segment = list(ids)
        starts = range(self._told, len(self._ids) - len(segment) + 1)
        start = next(n for n in starts if self._ids[n : n + len(segment)] == segment)
        self._told = start + len(segment)
        before = sum(map(self._is_text, self._ids[:start]))
        text = list(filter(self._is_text, segment))
        if self._logprobs is None:  # not sooner: nobody asks for a segment that is dropped
            self._logprobs = self._score()
        logprobs = self._logprobs[before : before + len(text)]
        name = self._model.hf_tokenizer.id_to_token
        return tuple(Token(_bytes_of(name(one)), logprob) for one, logprob in zip(text, logprobs, strict=True))

    def _is_text(self, one: int) -> bool:
        return one < self._end_of_text

    def _score(self) -> list[float]:
        text = list(filter(self._is_text, self._ids))
        (read,) = self._model.model.align(self._encoded, list(self._prompt), [text], _FRAMES)
        least = sys.float_info.min  # what is rounded to 0 is likelier than never
        return [min(0.0, math.log(max(probability, least))) for probability in read.text_token_probs]


def _bytes_of(name: str) -> bytes:
    """A token as GPT-2's vocabulary writes it, a letter for each byte."""
    return bytes(map(_letters().__getitem__, name))


@cache
def _letters() -> dict[str, int]:
    """Bytes that can be printed in Latin-1 stand for themselves; the others are U+0100 and on, in order."""
    printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in set(printed)]
    return {chr(byte): byte for byte in printed} | {chr(0x100 + n): byte for n, byte in enumerate(others)}
