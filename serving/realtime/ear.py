"""The listening side of a session: appended audio, less noise, turns. Knows no event and no item."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soxr

from serving.realtime.audio_formats import Samples, Sound, to_samples, to_sound
from serving.realtime.buffer import InputAudioBuffer, Stretch
from serving.realtime.settings import AudioInput, wire_of
from serving.realtime.turns import Began, Ended, TurnTaker
from serving.realtime.workers import HEARING_RATE, Denoiser, Workers

DENOISER_RATE = 24_000  # Hz
JUDGED_SECONDS = 8  # of a turn's end, what the judge of meaning hears


@dataclass(frozen=True, eq=False)
class Turn:
    """One that is over; it has left the buffer."""

    stretch: Stretch


class Ear:
    """One session's. Raises Fault where an append or a commit cannot be."""

    def __init__(self, workers: Workers, settings: AudioInput) -> None:
        self._workers = workers
        self._settings = settings
        self._turns: TurnTaker | None = None
        self.buffer = InputAudioBuffer(wire_of(settings.format))
        self.keep_from: int | None = None  # audio from here on is wanted, whoever speaks
        self._configure_noise(settings)
        self._configure_turns(settings)

    @property
    def speaking(self) -> bool:
        """Whether a turn has begun and not ended."""
        return self._turns is not None and self._turns.speaking

    @property
    def detects(self) -> bool:
        """Whether it is heard who speaks."""
        return self._turns is not None

    def configure(self, settings: AudioInput) -> None:
        """From the next sample on."""
        before, self._settings = self._settings, settings
        if wire_of(settings.format) is not self.buffer.wire:
            self.buffer.change_format(wire_of(settings.format))
            self._turns = None
            self.keep_from = None
            self._configure_noise(settings)
        elif settings.noise_reduction != before.noise_reduction:
            self._configure_noise(settings)
        self._configure_turns(settings)

    def append(self, audio: str) -> Iterator[Began | Turn]:
        """What it begins and ends. Base64 in the input's format."""
        samples = self.buffer.append(audio)
        if self._turns is None:
            return
        for event in self._turns.hear(samples):
            position = max(self.buffer.start, min(event.position, self.buffer.end))
            if isinstance(event, Ended):
                yield Turn(self.buffer.take(self.buffer.start, position))
            else:
                self.buffer.drop_before(position)  # so that a turn is what the buffer holds, until it ends
                yield Began(position)
        if not self.speaking:
            wanted = self._turns.needed_from
            self.buffer.drop_before(wanted if self.keep_from is None else min(wanted, self.keep_from))

    def commit(self) -> Stretch:
        """All there is."""
        stretch = self.buffer.commit()
        self._spoken_for()
        return stretch

    def take_silence(self) -> Stretch:
        """All there is, however little."""
        self.buffer.settle()
        stretch = self.buffer.take(self.buffer.start, self.buffer.end)
        self._spoken_for()
        return stretch

    def clear(self) -> None:
        self.buffer.clear()
        self._spoken_for()

    def _spoken_for(self) -> None:
        self.keep_from = None
        if self._turns is not None:
            self._turns.spoken_for()

    def _configure_noise(self, settings: AudioInput) -> None:
        wanted = settings.noise_reduction
        chosen = None if wanted is None else NoiseFilter(self._workers.denoiser(wanted.type), self.buffer.rate)
        late = self.buffer.filter_with(chosen)
        if self._turns is not None:
            for _ in self._turns.hear(late):  # a few milliseconds: what they begin is heard of with the next frame
                pass

    def _configure_turns(self, settings: AudioInput) -> None:
        wanted = settings.turn_detection
        if wanted is None:
            self._turns = None
        elif self._turns is None:
            detector = self._workers.detector(self.buffer.rate)
            self._turns = TurnTaker(wanted, detector, self.buffer.rate, self.buffer.end, self._finished)
        else:
            self._turns.configure(wanted)

    def _finished(self, start: int, end: int) -> float | None:
        last = min(end, self.buffer.end)
        first = max(start, self.buffer.start, last - JUDGED_SECONDS * self.buffer.rate)
        return self._workers.finished(hearable(self.buffer.read(first, last), self.buffer.rate))


class NoiseFilter:
    """A denoiser of 24 kHz as a filter of the buffer's samples, at whichever rate these are."""

    def __init__(self, denoiser: Denoiser, rate: int) -> None:
        self._denoiser, self._rate = denoiser, rate
        self._begin()

    def push(self, samples: Samples) -> Samples:
        self._due += len(samples)
        return self._given(self._out(self._denoiser.push(self._in(to_sound(samples)))))

    def flush(self) -> Samples:
        sound = self._denoiser.push(self._in(to_sound(np.zeros(0, np.int16)), last=True))
        rest = self._out(np.concatenate([sound, self._denoiser.flush()]), last=True)
        given = self._given(rest)
        missing = np.zeros(self._due, np.int16)  # a sample that two changes of rate have rounded away
        self._begin()
        return np.concatenate([given, missing])

    def _begin(self) -> None:
        self._due = 0  # samples that went in and have not come out
        self._resamples = self._rate != DENOISER_RATE
        self._up = soxr.ResampleStream(self._rate, DENOISER_RATE, 1, dtype="float32")
        self._down = soxr.ResampleStream(DENOISER_RATE, self._rate, 1, dtype="float32")

    def _in(self, sound: Sound, *, last: bool = False) -> Sound:
        return self._up.resample_chunk(sound, last=last) if self._resamples else sound

    def _out(self, sound: Sound, *, last: bool = False) -> Sound:
        return self._down.resample_chunk(sound, last=last) if self._resamples else sound

    def _given(self, sound: Sound) -> Samples:
        given = to_samples(sound[: self._due])
        self._due -= len(given)
        return given


def hearable(samples: Samples, rate: int) -> Sound:
    """Samples at the input's rate as those who transcribe and judge want them: 16 kHz, floats."""
    return soxr.resample(to_sound(samples), rate, HEARING_RATE)
