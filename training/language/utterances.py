"""Coded utterances with their labels, read from disk and joined into examples. Knows no tensors and no network.

On disk, FOLDER/S1/00000.npz and so on: `codes` [frames, K], `char` [frames] (the letter each frame speaks), `phone`
[frames], `letters` [characters] (the phone of each), all utterances in a row, and `meta`, a JSON list of their texts
and lengths in frames. FOLDER/labels.json names the phones and gives each speaker a frame of silence and a translation
of the other's units.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.dia.tokenizer import END
from training.codec.codebooks import parts_of
from training.frames import VOICES

NO_PHONE = -1
UNKNOWN = -1
PAUSE = b"... "
HELD_OUT_SHARE = 100  # one text in so many

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Utterance:
    """One reading of one text by one speaker."""

    speaker: int  # index into VOICES; its tag is the byte after
    text: bytes  # ASCII
    codes: npt.NDArray[np.uint16] | Ints  # [frames, K]; UNKNOWN where a frame's code is not known
    char: npt.NDArray[np.float32]  # [frames], index into text
    phone: npt.NDArray[np.int16]  # [frames]
    letters: npt.NDArray[np.int16]  # [len(text)]

    @property
    def frames(self) -> int:
        return len(self.codes)

    @property
    def held_out(self) -> bool:
        """Decided by the text alone, so that no speaker has read it in training."""
        return int.from_bytes(hashlib.sha256(self.text).digest()[:4], "big") % HELD_OUT_SHARE == 0


@dataclass(frozen=True, eq=False)
class Example:
    """Text as the tokenizer makes it, and frames with labels that point into it."""

    ids: Ints  # [S]
    letters: Ints  # [S]
    codes: Ints  # [T, K]
    char: npt.NDArray[np.float32]  # [T]
    phone: Ints  # [T]
    begins: tuple[int, ...]  # frames in which a voice begins: the first, and the first of each reading in another

    @property
    def frames(self) -> int:
        return len(self.codes)


@dataclass(frozen=True)
class Labels:
    phones: tuple[str, ...]
    silence: tuple[tuple[int, ...], ...]  # [speaker][K]
    borrowed: tuple[tuple[int, ...], ...] = ()  # [speaker][unit of the other] → own unit, UNKNOWN if there is none

    @classmethod
    def load(cls, folder: Path) -> "Labels":
        raw = json.loads((folder / "labels.json").read_text())
        tables = (tuple(tuple(raw[name][s]) for s in VOICES) for name in ("silence", "borrowed"))
        return cls(tuple(raw["phones"]), *tables)


def load_utterances(folder: Path) -> list[Utterance]:
    """Every utterance of every shard that is there now, in the order of speakers and shards."""
    return [
        u for i, name in enumerate(VOICES) for path in sorted((folder / name).glob("*.npz")) for u in _shard(path, i)
    ]


def _shard(path: Path, speaker: int) -> list[Utterance]:
    with np.load(path) as file:
        codes, char, phone, letters = (file[name] for name in ("codes", "char", "phone", "letters"))
        meta = json.loads(str(file["meta"]))
    found, frame, letter = [], 0, 0
    for entry in meta:
        text, frames = entry["text"].encode("ascii"), slice(frame, frame + entry["frames"])
        own = letters[letter : letter + len(text)]
        found.append(Utterance(speaker, text, codes[frames], char[frames], phone[frames], own))
        frame, letter = frames.stop, letter + len(text)
    assert (frame, letter) == (len(codes), len(letters)), (path, frame, len(codes), letter, len(letters))
    return found


def borrow(utterances: Sequence[Utterance], speaker: int, units: Sequence[int]) -> list[Utterance]:
    """The other speaker's readings as `speaker` would say them: the units are known, how they sound is not.

    So the voice with fewer readings learns to read all texts. units: own unit for each of the other's.
    """
    table = np.array(units)
    found = []
    for u in utterances:
        own = table[u.codes[:, 0]]
        if u.speaker != speaker and (own >= 0).all():
            codes = np.full(u.codes.shape, UNKNOWN)
            codes[:, 0] = own
            found.append(Utterance(speaker, u.text, codes, u.char, u.phone, u.letters))
    return found


@dataclass(frozen=True)
class Placed:
    """An utterance of an example, and the silence before it. `pause` writes "..." into the text for it."""

    utterance: Utterance
    gap: int = 0  # frames
    pause: bool = False


def join(parts: Sequence[Placed], silence: Sequence[Sequence[int]], end_pause: int = 0) -> Example:
    """One example of utterances in a row, tagged where the speaker changes. end_pause: frames of a last "..."."""
    maker = _Maker(silence)
    for part in parts:
        maker.add(part)
    if end_pause:
        maker.finish(end_pause)
    return maker.example()


class _Maker:
    """Text and frames so far."""

    def __init__(self, silence: Sequence[Sequence[int]]) -> None:
        self.silence = silence
        self.ids: list[int] = []
        self.letters: list[int] = []
        self.speaker = -1
        self.codes: list[Ints] = []
        self.char: list[npt.NDArray[np.float32]] = []
        self.phone: list[Ints] = []
        self.begins = [0]

    def add(self, part: Placed) -> None:
        u = part.utterance
        before = self.speaker if self.speaker >= 0 else u.speaker  # whose silence the gap is
        where = len(self.ids)  # the space after the last word
        if self.ids:
            self._write(b" ")
        if turns := u.speaker != self.speaker:
            self._write(bytes([u.speaker + 1]) + b" ")
            self.speaker = u.speaker
        if part.pause:
            where = len(self.ids) + 1  # the stop in the middle
            self._write(PAUSE)
        self._rest(before, part.gap, where)
        if turns and self.codes:
            self.begins.append(sum(map(len, self.codes)))
        self.codes.append(u.codes.astype(np.int64))
        self.char.append(u.char + np.float32(len(self.ids)))
        self.phone.append(u.phone.astype(np.int64))
        self._write(u.text, u.letters.tolist())

    def finish(self, frames: int) -> None:
        self._write(b" ")
        self._rest(self.speaker, frames, len(self.ids) + 1)
        self._write(PAUSE.strip())

    def example(self) -> Example:
        self._write(bytes([END]))
        char = np.concatenate(self.char)
        codes, phone = np.concatenate(self.codes), np.concatenate(self.phone)
        return Example(np.array(self.ids), np.array(self.letters), codes, char, phone, tuple(self.begins))

    def _write(self, text: bytes, letters: Sequence[int] | None = None) -> None:
        self.ids += text
        self.letters += letters if letters is not None else [NO_PHONE] * len(text)

    def _rest(self, speaker: int, frames: int, where: int) -> None:
        if frames:
            codes = np.tile(np.array(self.silence[speaker], np.int64), (frames, 1))
            codes[:, 0] += parts_of(frames)  # like the teachers' own pauses: so how far it is can be read off the codes
            self.codes.append(codes)
            self.char.append(np.full(frames, where, np.float32))
            self.phone.append(np.full(frames, NO_PHONE))
