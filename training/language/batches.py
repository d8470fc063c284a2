"""The stream of training batches: examples of similar length, delayed and padded, a function of seed and place alone.

Place is (chunk, batch): a chunk takes the next utterances of an endless run of shuffles, joins them into examples and
sorts these by length. So a run that goes on where another stopped sees what that one would have seen.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.language.recipe import DELAYS, Mixing
from training.language.utterances import UNKNOWN, Example, Placed, Utterance, borrow, join

IGNORE = -100  # of targets: what is not learned
DROPPED = -1  # of codes: what the decoder reads as nothing
NOWHERE = -1e4  # of char: near no letter
VALIDATION_EXAMPLES = 96


@dataclass(frozen=True)
class Batch:
    """What the network reads and what it should say."""

    ids: Tensor  # int64 [B, S]
    mask: Tensor  # bool [B, S]: what may be attended to
    codes: Tensor  # int64 [B, T, K], delayed; DROPPED where hidden
    targets: Tensor  # int64 [B, T, K]: the next row, IGNORE where the rules of the grid write it
    char: Tensor  # float32 [B, T], where the row to come is in the text
    guided: Tensor  # bool [B, T]: rows whose attention is guided
    phones: Tensor  # int64 [B, T]
    letters: Tensor  # int64 [B, S]
    begins: Tensor  # bool [B, T]: rows after which a voice begins

    @property
    def frames(self) -> int:
        return int((self.targets[..., 0] != IGNORE).sum())


@dataclass(frozen=True)
class Specials:
    """Ids above the codes."""

    eos: int
    pad: int
    bos: int


class Stream:
    """All utterances but the held-out, endlessly, in batches."""

    def __init__(
        self,
        utterances: Sequence[Utterance],
        silence: Sequence[Sequence[int]],
        mixing: Mixing,
        seed: int,
        borrowed: Sequence[Sequence[int]] = (),
    ) -> None:
        usable = [u for u in utterances if not u.held_out and u.frames <= mixing.most_frames]
        self.utterances = balanced(usable, mixing.most_repeats)
        if borrowed:
            self.utterances += lend(usable, borrowed, round(mixing.borrowed_share * len(self.utterances)), seed)
        assert self.utterances, "nothing to train on"
        self.silence, self.mixing, self.seed = silence, mixing, seed

    def batches(self, chunk: int = 0, batch: int = 0) -> Iterator[tuple[tuple[int, int], list[Example]]]:
        """Examples of one batch each, with the place of the next, from a place on."""
        while True:
            groups = self._chunk(chunk)
            while batch < len(groups):
                after = (chunk, batch + 1) if batch + 1 < len(groups) else (chunk + 1, 0)
                yield after, groups[batch]
                batch += 1
            chunk, batch = chunk + 1, 0

    def _chunk(self, chunk: int) -> list[list[Example]]:
        random = np.random.default_rng((self.seed, 0, chunk))
        size = self.mixing.utterances_per_chunk
        utterances = [self._nth(n) for n in range(chunk * size, (chunk + 1) * size)]
        groups = group(mix(utterances, self.silence, self.mixing, random), self.mixing.batch_rows)
        return [groups[i] for i in random.permutation(len(groups))]

    def _nth(self, n: int) -> Utterance:
        epoch, index = divmod(n, len(self.utterances))
        if getattr(self, "_epoch", None) != epoch:
            self._epoch = epoch
            self._order = np.random.default_rng((self.seed, 1, epoch)).permutation(len(self.utterances))
        return self.utterances[self._order[index]]


def balanced(utterances: Sequence[Utterance], most_repeats: int) -> list[Utterance]:
    """All of them, those of the voice that has less as often as it takes to come near the other's frames."""
    frames = _frames_by_speaker(utterances)
    if not all(frames):
        return list(utterances)
    repeats = [min(most_repeats, max(1, round(max(frames) / own))) for own in frames]
    return [u for u in utterances for _ in range(repeats[u.speaker])]


def _frames_by_speaker(utterances: Sequence[Utterance]) -> list[int]:
    return [sum(u.frames for u in utterances if u.speaker == speaker) for speaker in (0, 1)]


def lend(utterances: Sequence[Utterance], borrowed: Sequence[Sequence[int]], count: int, seed: int) -> list[Utterance]:
    """`count` readings of the voice that has more, lent to the one that has less."""
    frames = _frames_by_speaker(utterances)
    poorer = int(frames[1] <= frames[0])
    lent = borrow(utterances, poorer, borrowed[poorer])
    order = np.random.default_rng((seed, 4)).permutation(len(lent))
    return [lent[i] for i in order[:count]]


def mix(
    utterances: Sequence[Utterance], silence: Sequence[Sequence[int]], mixing: Mixing, random: np.random.Generator
) -> list[Example]:
    """Join utterances, each used once, into examples of one, of one speaker's, and of both speakers'."""
    left = [deque(u for u in utterances if u.speaker == s) for s in range(len(silence))]
    examples = []
    while any(left):
        share = np.array([len(queue) for queue in left], float)
        speaker = int(random.choice(len(left), p=share / share.sum()))
        turns = _speakers(speaker, mixing, random)
        chosen = _choose(left, turns, mixing, random)
        parts, end = _place(chosen, mixing, random)
        examples.append(join(parts, silence, end))
    return examples


def _speakers(first: int, mixing: Mixing, random: np.random.Generator) -> list[int]:
    kind = random.random()
    if kind < mixing.one:
        return [first]
    if kind < mixing.one + mixing.same_speaker:
        return [first] * int(random.integers(2, mixing.most_joined + 1))
    turns = [(first + i) % 2 for i in range(int(random.integers(2, mixing.most_turns + 1)))]
    return [speaker for speaker in turns for _ in range(1 + (random.random() < mixing.longer_turns))]


def _choose(
    left: list[deque[Utterance]], speakers: Sequence[int], mixing: Mixing, random: np.random.Generator
) -> list[Utterance]:
    """The next utterance of each speaker, as far as there are any and they fit."""
    long = random.random() < mixing.most_frames_share
    room = mixing.most_frames if long else mixing.usual_frames
    chosen: list[Utterance] = []
    for speaker in speakers:
        if not left[speaker]:
            break
        room -= left[speaker][0].frames + mixing.pause_gap[1]
        if chosen and room < 0:
            break
        chosen.append(left[speaker].popleft())
    return chosen


def _place(chosen: Sequence[Utterance], mixing: Mixing, random: np.random.Generator) -> tuple[list[Placed], int]:
    """Draw the silences: between utterances always, with "..." now and then, there also at both ends."""
    parts, last = [], None
    for u in chosen:
        pause = random.random() < mixing.pause_share
        if pause:
            gap = _draw(mixing.pause_gap, random)
        elif last is None:
            gap = 0
        else:
            gap = _draw(mixing.join_gap if last.speaker == u.speaker else mixing.turn_gap, random)
        parts.append(Placed(u, gap, pause))
        last = u
    return parts, _draw(mixing.pause_gap, random) if random.random() < mixing.pause_share else 0


def _draw(limits: tuple[int, int], random: np.random.Generator) -> int:
    return int(random.integers(limits[0], limits[1] + 1))


def group(examples: Sequence[Example], rows: int) -> list[list[Example]]:
    """Batches of neighbours in length, each of at most `rows` rows with padding, or of one example."""
    groups: list[list[Example]] = []
    for example in sorted(examples, key=lambda e: -e.frames):
        if groups and (len(groups[-1]) + 1) * _rows(groups[-1][0].frames, example.codes.shape[1]) <= rows:
            groups[-1].append(example)
        else:
            groups.append([example])
    return groups


def validation(
    utterances: Sequence[Utterance], silence: Sequence[Sequence[int]], mixing: Mixing
) -> list[list[Example]]:
    """Held-out texts, always the same mixture of the same."""
    held_out = [u for u in utterances if u.held_out and u.frames <= mixing.most_frames]
    examples = mix(held_out, silence, mixing, np.random.default_rng(0))
    return group(examples[:VALIDATION_EXAMPLES], mixing.batch_rows)


def collate(examples: Sequence[Example], specials: Specials) -> Batch:
    """Delay, pad and shift by one row. Rows end with the last one that has something to learn."""
    B, K = len(examples), examples[0].codes.shape[1]
    T = max(_rows(e.frames, K) for e in examples)
    S = max(len(e.ids) for e in examples)
    ids, letters = np.zeros((B, S), np.int64), np.full((B, S), IGNORE)
    codes, targets = np.full((B, T, K), specials.pad), np.full((B, T, K), IGNORE)
    char, phones = np.full((B, T), NOWHERE, np.float32), np.full((B, T), IGNORE)
    begins = np.zeros((B, T), bool)
    for b, e in enumerate(examples):
        s, n = len(e.ids), e.frames
        ids[b, :s], letters[b, :s] = e.ids, _known(e.letters)
        rows = delayed(e.codes, specials)
        rows = rows[: T + 1]
        codes[b, : len(rows) - 1] = rows[:-1]
        targets[b] = _targets(e.codes, T, specials)
        char[b, :n], phones[b, :n] = e.char, _known(e.phone)
        begins[b, list(e.begins)] = True
        char[b, n] = s - 1  # where it ends, attention belongs on the mark that says so
    to = torch.from_numpy
    parts = (to(ids), to(ids != 0), to(codes), to(targets), to(char), to(char >= 0), to(phones), to(letters))
    return Batch(*parts, to(begins))


def _rows(frames: int, codebooks: int) -> int:
    """Rows the decoder reads for an example: the one before the last code of the codebook that runs furthest behind."""
    return frames + max(1, DELAYS[codebooks - 1])


def delayed(codes: npt.NDArray[np.int64], specials: Specials) -> npt.NDArray[np.int64]:
    """codes [T, K] → the grid [T + 2 + largest delay, K]: BOS, codes, one EOS and PAD, each codebook by its delay."""
    T, K = codes.shape
    grid = np.full((T + 2 + DELAYS[-1], K), specials.pad)
    for k, delay in enumerate(DELAYS[:K]):
        grid[: 1 + delay, k] = specials.bos
        grid[1 + delay : 1 + delay + T, k] = codes[:, k]
        grid[1 + delay + T, k] = specials.eos
    return grid


def _targets(codes: npt.NDArray[np.int64], rows: int, specials: Specials) -> npt.NDArray[np.int64]:
    """What to learn of the grid's next rows [rows, K]: the codes, and the end where it is free, in codebook 0."""
    n, K = codes.shape
    targets = np.full((rows, K), IGNORE)
    for k, delay in enumerate(DELAYS[:K]):
        targets[delay : delay + n, k] = np.where(codes[:, k] == UNKNOWN, IGNORE, codes[:, k])
    targets[n, 0] = specials.eos
    return targets


def _known(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.where(labels < 0, IGNORE, labels)
