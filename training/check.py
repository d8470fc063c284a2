"""A quick look at a language model while it trains: does it say the right phones? No codec, no recogniser.

Book 0 of the codes names the voice and the phone of every frame, so what was said can be read off it and compared with
what espeak-ng says should have been.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.decoding.cache import KeyValuePool
from models.decoding.runtime import Runtime
from models.decoding.sequence import CodeSequence
from models.dia.generate import DiaDecoder
from models.dia.layers import Packs
from models.dia.model import DiaNetwork
from models.dia.tokenizer import encode
from models.dia.verbalise import verbalise
from models.request import SamplingParams
from training.codec.codebooks import BOOKS, LEVELS, NAMES, PARTS, PHASE_BOOK, Codebooks
from training.codec.features import PHASES, PITCHES, scale
from training.frames import FRAME_RATE, VOICES
from training.phones import PAUSES, phones_of

SLOTS = 8  # scripts spoken side by side
MOST_FRAMES = 1000  # of a script
_TURN = re.compile(rf"\[({'|'.join(VOICES)})\]([^\[]*)")

Said = list[tuple[int, str]]  # index of the voice, and phone


@dataclass(frozen=True)
class Score:
    """phone_errors: share of the phones that should have been said. ended: share that stopped by itself.

    voiced: share of the frames. phase_slip: how far, in periods, a phase is from where the pitch should have moved the
    one before, on average over voiced frames; 0.25 is chance.
    """

    phone_errors: float
    ended: float
    frames: int
    voiced: float
    phase_slip: float


def scripts_of(lines: Sequence[str], limit: int | None = None) -> list[str]:
    """The first `limit` lines; the voices take turns at those without a tag."""
    return [
        line if _TURN.match(line) else f"[{VOICES[i % len(VOICES)]}] {line}" for i, line in enumerate(lines[:limit])
    ]


def check(run: Path, model: Path, scripts: Sequence[str], sampling: SamplingParams) -> Score:
    """Speak the scripts in codes and compare phones, the voice included. run: whose codebooks the model speaks in."""
    books = Codebooks.load(run / "codebooks.npz")
    expected = [_expected(script, books) for script in scripts]
    if not all(expected):
        raise ValueError(f"nothing to say: {scripts[expected.index([])]!r}. Leave such lines out.")
    sequences = speak(model, scripts, sampling)
    codes = [s.codes(0, s.frames)[:BOOKS] for s in sequences]
    wrong = sum(distance(phones, said(c[0], books)) for phones, c in zip(expected, codes, strict=True))
    ended = sum(s.ended_by_itself for s in sequences) / len(sequences)
    voiced = np.concatenate([c[PHASE_BOOK] > 0 for c in codes])
    slips = np.concatenate([phase_slips(c) for c in codes])
    return Score(
        phone_errors=round(wrong / sum(map(len, expected)), 4),
        ended=round(ended, 3),
        frames=len(voiced),
        voiced=round(float(voiced.mean()), 3),
        phase_slip=round(float(slips.mean()), 4) if len(slips) else 0.25,
    )


def speak(model: Path, scripts: Sequence[str], sampling: SamplingParams) -> list[CodeSequence]:
    """One finished sequence for each script, SLOTS at a time."""
    decoder = _decoder(model)
    delays, marked = decoder.network.config.delays, decoder.network.config.end_mark
    nothing = np.zeros((len(delays), 0), np.int64)
    most = min(MOST_FRAMES, decoder.max_frames)
    sequences = [
        CodeSequence(tuple(encode(verbalise(script), end_mark=marked)), nothing, sampling.with_seed(i), most, delays)
        for i, script in enumerate(scripts)
    ]
    _finish(sequences, decoder)
    return sequences


def _decoder(model: Path) -> DiaDecoder:
    runtime = Runtime.from_environ({"PARLEY_DEVICE": "cpu"})
    network = DiaNetwork.load(model, dtype=runtime.dtype, device=runtime.device, packs=Packs.of(runtime))
    return DiaDecoder(network, KeyValuePool(network.cache_shape, SLOTS, runtime.device))


def _finish(sequences: Sequence[CodeSequence], decoder: DiaDecoder) -> None:
    waiting = list(sequences)
    running: list[CodeSequence] = []
    while waiting or running:
        while waiting and decoder.free_slots:
            running.append(waiting.pop(0))
            decoder.admit(running[-1])
        decoder.step()
        for sequence in [s for s in running if s.done]:
            decoder.release(sequence)
            running.remove(sequence)


def phase_slips(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """codes [BOOKS, frames] → for every two voiced frames in a row how far the second is off, in periods, 0 to 0.5."""
    pitches, phases = codes[1] // (len(LEVELS) + 1), (codes[PHASE_BOOK] - 1) % PHASES / PHASES
    voiced = (pitches > 0) & (codes[PHASE_BOOK] > 0)
    hertz = scale()[np.clip(pitches, 1, PITCHES) - 1]
    moved = np.diff(phases) - (hertz[1:] + hertz[:-1]) / 2 / FRAME_RATE
    slips: npt.NDArray[np.float64] = np.abs((moved + 0.5) % 1 - 0.5)
    return slips[voiced[1:] & voiced[:-1]]


def said(units: npt.NDArray[np.int64], books: Codebooks) -> Said:
    """The voices and phones of a row of units [frames]; pauses left out."""
    found: Said = []
    before = -1
    for unit in units.tolist():
        phone, part = divmod(unit, PARTS)
        if before < 0 or phone != before // PARTS or part < before % PARTS:
            voice, name = divmod(phone, NAMES)
            if voice < len(books.names) and name < len(books.names[voice]) and books.names[voice][name] not in PAUSES:
                found.append((voice, books.names[voice][name]))
        before = unit
    return found


def _expected(script: str, books: Codebooks) -> Said:
    found: Said = []
    for name, text in _TURN.findall(verbalise(script)):
        voice = VOICES.index(name)
        for phone in (phone for sentence in phones_of(text) for phone in sentence if not phone.pause):
            index = (books.unit(voice, phone.name) // PARTS) % NAMES
            found.append((voice, books.names[voice][index]))
    return found


def distance(a: Said, b: Said) -> int:
    """Insertions, deletions and substitutions between two rows."""
    row = np.arange(len(b) + 1)
    for i, x in enumerate(a, 1):
        costs = np.array([x != y for y in b], np.int64)
        step = np.minimum(row[1:] + 1, row[:-1] + costs)
        # Insertions run along the row: the least of (value - place) so far, plus the place.
        places = np.arange(len(b) + 1)
        row = np.minimum.accumulate(np.concatenate([[i], step]) - places) + places
    return int(row[-1])
