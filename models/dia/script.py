"""A dialogue's text → turns → passages of a length that Dia speaks well. Knows text and seconds; no model, no audio.

Dia was trained on 5–20 s of dialogue: it gives noise for less, and for more it speaks ever faster (README of
nari-labs/dia, its issues 35 and 149). A long script is therefore spoken as several passages. Each keeps both speakers
where it can, because the voice of a speaker who is absent from a passage is not carried over to the next.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

from models.dia.normalise import CUES, normalise
from models.dia.tokenizer import SPEAKER_IDS, byte_length
from models.dia.verbalise import closed, verbalise
from models.errors import InvalidRequest

# Speaking time. Fitted to 134 recorded telephone announcements of 40 characters or more and 60 sentences of five
# synthetic voices (13.5–16.4 characters per second). Estimate / recording of the announcements: median 1.1, since the
# pause after the last word counts here and not there; 90 % lie within 0.92–1.35. With the pauses of ordinary prose it
# is 15 characters per second, which is English at 150 words a minute.
CHARACTERS_PER_SECOND = 16.0  # spaces and punctuation included, pauses left out
CHARACTERS_PER_DIGIT = 6.0  # "7" is spoken as "seven", "47" as "forty seven"; the same fits signs such as % and +
SENTENCE_PAUSE_SECONDS = 0.25
CLAUSE_PAUSE_SECONDS = 0.12
CUE_SECONDS = 1.0  # a laugh, a cough

# What a boundary between passages costs at the end of a word, against the square of the relative deviation from equal
# lengths, which is at most about 1 a passage. Each price outweighs a few of the next lower one.
TOO_SHORT_COST = 1000.0  # noise
WORD_CUT_COST = 100.0  # audible in any voice
CLAUSE_CUT_COST = 30.0
ONE_SPEAKER_COST = 10.0  # the other voice is lost
SENTENCE_CUT_COST = 3.0  # inside a turn; between turns a cut is free
CUT_TOLERANCE = 0.1  # cut_transcript gives up this share of the kept text to end at a sentence

# No sentence ends at these, nor at an initial such as "J." ("No." is left out: more often it is a sentence.)
ABBREVIATIONS = frozenset({"mr.", "mrs.", "ms.", "dr.", "prof.", "sr.", "jr.", "st.", "mt.", "vs.", "e.g.", "i.e."})

_TAG = re.compile(r"(\[S[12]\])")
_CUE = re.compile("|".join(map(re.escape, sorted(CUES))))
# A word is what stands between spaces, but "(clears throat)" is one word and a tag is none.
_TOKEN = re.compile(rf"\[S[12]\]|(?:{_CUE.pattern}|(?!\[S[12]\])\S)+")
_SENTENCE_END = re.compile(r"[.!?]+[\"')\]]*$")
_CLAUSE_END = re.compile(r"(?:[,;:][\"')\]]*|^-+)$")
_INITIAL = re.compile(r"[A-HJ-Z]\.$")  # "I." ends a sentence
_SPOKEN_SIGN = re.compile(r"[\d%$€£¥&@#+=*/\\°]")


@dataclass(frozen=True)
class Turn:
    """What one speaker says without a break; the text holds no tags."""

    speaker: int  # 1 or 2
    text: str

    @property
    def script(self) -> str:
        return f"[S{self.speaker}] {self.text}"


@dataclass(frozen=True)
class Script:
    """A dialogue as turns, the notes its caller should get, and the name of the input it came from."""

    turns: tuple[Turn, ...]
    notes: tuple[str, ...] = ()
    field: str = "text"

    @property
    def text(self) -> str:
        return _join(self.turns)


@dataclass(frozen=True)
class Passage:
    """A part of a script that is spoken in one generation."""

    turns: tuple[Turn, ...]
    seconds: float  # estimated

    @property
    def text(self) -> str:
        return _join(self.turns)


@dataclass(frozen=True)
class _Word:
    turn: int  # index in the script
    text: str
    seconds: float
    size: int  # bytes
    cut_cost: float  # of ending a passage after this word


def parse_script(text: str, field: str = "text", *, plain: bool = False) -> Script:
    """Turns of a caller's text, cleaned by normalise; words before the first tag are speaker 1's.

    plain: in the words of verbalise, for a model that reads nothing else and knows no turn without a mark at its end.
    Turns without a letter or digit are dropped with a note. Raises InvalidRequest for `field` if none is left, or if
    another speaker than [S1] and [S2] is named.
    """
    clean, notes = normalise(text, field, plain=plain)
    if plain:
        clean = verbalise(clean)
    head, *rest = _TAG.split(clean)
    pairs = [("[S1]", head)] if head.strip() else []
    pairs += zip(rest[::2], rest[1::2], strict=True)
    turns = [Turn(SPEAKER_IDS[tag], closed(words.strip()) if plain else words.strip()) for tag, words in pairs]
    spoken = tuple(turn for turn in turns if any(c.isalnum() for c in turn.text))
    if not spoken:
        raise InvalidRequest(field, "holds nothing that can be spoken. Write at least one word.")
    if len(spoken) < len(turns):
        notes += (f"left out turns without words ({len(turns) - len(spoken)})",)
    return Script(spoken, tuple(f"{field}: {note}" for note in notes), field)


def spoken_words(text: str) -> tuple[str, ...]:
    """The words of `text` in order, cues included, speaker tags left out."""
    return tuple(m[0] for m in _TOKEN.finditer(text) if m[0] not in SPEAKER_IDS)


def estimate_seconds(text: str) -> float:
    """How long `text` takes to speak at an ordinary pace; tags take no time. Additive over words."""
    return sum(_word_seconds(word) for word in spoken_words(text))


def implausible_seconds(words: str, seconds: float) -> float | None:
    """How long `words` take to say, if they cannot be those of so many seconds of speech."""
    estimate = estimate_seconds(words)
    return None if seconds / 5 - 2 <= estimate <= 2.5 * seconds + 2 else estimate


def plan_passages(
    script: Script, *, max_bytes: int, max_seconds: float = 18, min_seconds: float = 5
) -> tuple[Passage, ...]:
    """The script in passages of about equal length, each of at most `max_bytes` ids and `max_seconds`.

    One passage if the script fits. Else, in falling order of weight: no passage is shorter than `min_seconds`, none
    ends inside a clause or a sentence, none leaves a speaker out, none ends inside a turn. A turn that is cut goes on
    in the next passage under its tag. A single word longer than `max_seconds` stands alone.

    Raises InvalidRequest if a word alone exceeds `max_bytes`.
    """
    words = _words(script)
    assert words, script
    assert max_seconds > 0, max_seconds
    for word in words:
        if word.size + len("1 ") > max_bytes:  # a tag is one id
            raise InvalidRequest(
                script.field,
                f"holds a word of {word.size} bytes, {word.text[:30]!r}…; beside what the model must hear "
                f"first there is room for {max(0, max_bytes - 2)} at a time. Break it up.",
            )
    planner = _Planner(script, words, max_bytes, max_seconds, min_seconds)
    return tuple(_passage(script, words[start:end]) for start, end in pairwise(planner.cuts()))


class _Planner:
    """Cheapest way to cut a row of words, by dynamic programming over the word a passage ends with."""

    def __init__(
        self, script: Script, words: Sequence[_Word], max_bytes: int, max_seconds: float, min_seconds: float
    ) -> None:
        self.words, self.max_bytes, self.max_seconds, self.min_seconds = words, max_bytes, max_seconds, min_seconds
        speakers = [script.turns[word.turn].speaker for word in words]
        # Sums over the words before each index, so that any span is a difference.
        self.seconds = [0.0, *accumulate(word.seconds for word in words)]
        self.sizes = [0, *accumulate(word.size + 1 for word in words)]  # a space follows
        self.second = [0, *accumulate(int(speaker == 2) for speaker in speakers)]
        self.two_speakers = 0 < self.second[-1] < len(words)
        passages = max(self.seconds[-1] / max_seconds, self._size(0, len(words)) / max_bytes)
        self.target = self.seconds[-1] / max(1, math.ceil(passages - 1e-9))

    def cuts(self) -> list[int]:
        """Where passages begin and end: 0, …, len(words)."""
        costs, previous = [0.0], [0]
        for end in range(1, len(self.words) + 1):
            cost, start = min((costs[start] + self._cost(start, end), start) for start in self._starts(end))
            costs.append(cost)
            previous.append(start)
        cuts = [len(self.words)]
        while cuts[-1]:
            cuts.append(previous[cuts[-1]])
        return cuts[::-1]

    def _starts(self, end: int) -> range:
        """Where a passage that ends at `end` may start; a word alone always may."""
        start = end - 1
        while start > 0 and self._fits(start - 1, end):
            start -= 1
        return range(start, end)

    def _fits(self, start: int, end: int) -> bool:
        seconds = self.seconds[end] - self.seconds[start]
        return seconds <= self.max_seconds + 1e-9 and self._size(start, end) <= self.max_bytes

    def _size(self, start: int, end: int) -> int:
        """Bytes of the passage: words and the spaces between them, and a tag and a space for each turn."""
        turns = self.words[end - 1].turn - self.words[start].turn + 1
        return self.sizes[end] - self.sizes[start] - 1 + 2 * turns

    def _cost(self, start: int, end: int) -> float:
        seconds = self.seconds[end] - self.seconds[start]
        cost = (seconds / self.target - 1) ** 2
        if seconds < self.min_seconds:
            cost += TOO_SHORT_COST
        if self.two_speakers and self.second[end] - self.second[start] in (0, end - start):
            cost += ONE_SPEAKER_COST
        return cost + (self.words[end - 1].cut_cost if end < len(self.words) else 0.0)


def cut_transcript(text: str, fraction: float) -> tuple[str, str]:
    """(kept, dropped): the first `fraction` of the time that `text` takes to speak, and the rest.

    Cuts between words, never keeps more than the fraction, and keeps up to CUT_TOLERANCE less if a sentence or a turn
    ends there. `dropped` begins with the tag of its first speaker, if `text` names one.
    """
    if fraction >= 1:
        return text, ""
    tokens = list(_TOKEN.finditer(text))
    words = [i for i, token in enumerate(tokens) if token[0] not in SPEAKER_IDS]
    ends = list(accumulate(_word_seconds(tokens[i][0]) for i in words))
    limit = fraction * ends[-1] if ends else 0.0
    fitting = bisect_right(ends, limit)  # less than all words, since no word takes no time
    if fitting == 0:
        return "", text
    good = bisect_right(ends, (1 - CUT_TOLERANCE) * limit)
    last = next((k for k in range(fitting, good, -1) if _ends_well(tokens, words[k - 1])), fitting)
    cut = words[last - 1]
    kept, dropped = text[: tokens[cut].end()], text[tokens[cut].end() :].lstrip()
    tag = next((t[0] for t in reversed(tokens[:cut]) if t[0] in SPEAKER_IDS), "")
    return kept, dropped if not tag or _TAG.match(dropped) else f"{tag} {dropped}"


def _ends_well(tokens: Sequence[re.Match[str]], index: int) -> bool:
    return ends_sentence(tokens[index][0]) or tokens[index + 1][0] in SPEAKER_IDS


def _words(script: Script) -> list[_Word]:
    words = []
    for index, turn in enumerate(script.turns):
        texts = spoken_words(turn.text)
        costs = [*map(_cut_cost, texts[:-1]), 0.0]
        words += [_Word(index, t, _word_seconds(t), byte_length(t), c) for t, c in zip(texts, costs, strict=True)]
    return words


def _passage(script: Script, words: Sequence[_Word]) -> Passage:
    turns = tuple(
        Turn(script.turns[index].speaker, " ".join(word.text for word in group))
        for index, group in groupby(words, key=lambda word: word.turn)
    )
    return Passage(turns, sum(word.seconds for word in words))


def _join(turns: Sequence[Turn]) -> str:
    return " ".join(turn.script for turn in turns)


def _word_seconds(word: str) -> float:
    speech, cues = _CUE.subn("", word)
    pause = SENTENCE_PAUSE_SECONDS * ends_sentence(speech) or CLAUSE_PAUSE_SECONDS * ends_clause(speech)
    signs = len(_SPOKEN_SIGN.findall(speech))
    characters = len(speech) - signs + signs * CHARACTERS_PER_DIGIT + 1  # the space that follows
    return characters / CHARACTERS_PER_SECOND + pause + cues * CUE_SECONDS


def _cut_cost(word: str) -> float:
    if ends_sentence(word):
        return SENTENCE_CUT_COST
    return CLAUSE_CUT_COST if ends_clause(word) else WORD_CUT_COST


def ends_sentence(word: str) -> bool:
    """Of what stands between spaces."""
    if word.casefold() in ABBREVIATIONS or _INITIAL.match(word):
        return False
    return bool(_SENTENCE_END.search(word))


def ends_clause(word: str) -> bool:
    """As ends_sentence."""
    return bool(_CLAUSE_END.search(word))
