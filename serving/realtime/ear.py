"""The listening side of a session: appended audio, less noise, turns. Knows no event and no item."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import soxr

from serving.realtime.audio_formats import Samples, Sound, to_samples, to_sound
from serving.realtime.buffer import InputAudioBuffer, Stretch
from serving.realtime.settings import AudioInput, wire_of
from serving.realtime.turns import Began, Detector, Ended, TurnTaker
from serving.realtime.workers import HEARING_RATE, Denoiser, Workers, pieces_of

DENOISER_RATE = 24_000  # Hz
HEARD_SECONDS = 1  # at once, of a longer append
JUDGED_SECONDS = 8  # of a turn's end, what the judge of meaning hears


@dataclass(frozen=True, eq=False)
class Turn:
    """One that is over; it has left the buffer."""

    stretch: Stretch


class Ear:
    """One session's. Raises Fault where an append or a commit cannot be; ParleyError where a model is away."""

    def __init__(self, workers: Workers, settings: AudioInput) -> None:
        self._workers = workers
        self._settings = settings
        self._turns: TurnTaker | None = None
        self._is_open = False  # a turn has begun, and nobody hears any more whether it ends
        self.buffer = InputAudioBuffer(wire_of(settings.format))
        self.keep_from: int | None = None  # audio from here on is wanted, whoever speaks
        self.buffer.filter_with(self._noise_filter(settings))
        self._configure_turns(settings, self._detector(settings))

    @property
    def speaking(self) -> bool:
        """Whether a turn has begun and not ended."""
        return self._turns is not None and self._turns.speaking

    @property
    def detects(self) -> bool:
        """Whether it is heard who speaks."""
        return self._turns is not None

    def configure(self, settings: AudioInput) -> None:
        """From the next sample on; `release` first what would be dropped.

        Raises ParleyError where what it takes is not installed; nothing has changed then.
        """
        wire = wire_of(settings.format)
        moves = wire is not self.buffer.wire
        filters = self._filters_anew(settings)
        chosen = self._noise_filter(settings) if filters else None
        detector = self._detector(settings) if moves or self._turns is None else None
        if moves:
            self.buffer.change_format(wire)
            self._stop_hearing_turns()
            self.keep_from = None
        if filters:
            self.buffer.filter_with(chosen)
        self._configure_turns(settings, detector)
        self._settings = settings

    def release(self, settings: AudioInput) -> Iterator[Began | Turn]:
        """What noise reduction still holds, where these settings take another one → what it begins and ends."""
        if self._filters_anew(settings):
            yield from self._hear(self.buffer.settle())

    def accept(self, audio: str) -> Iterable[Samples]:
        """Base64 in the input's format → pieces of at most a second, each to be heard before anything else is done."""
        return pieces_of(self.buffer.accept(audio), HEARD_SECONDS * self.buffer.rate)

    def hear(self, samples: Samples) -> Iterator[Began | Turn]:
        """A piece of what was accepted → what it begins and ends."""
        yield from self._hear(self.buffer.hold(samples))

    def commit(self) -> Stretch:
        """All there is."""
        heard = self.buffer.end
        stretch = self.buffer.commit()
        self._spoken_for(stretch.samples[heard - stretch.start :])
        return stretch

    def take_silence(self) -> Stretch:
        """All there is, however little."""
        late = self.buffer.settle()
        stretch = self.buffer.take(self.buffer.start, self.buffer.end)
        self._spoken_for(late)
        return stretch

    def clear(self) -> None:
        late = self.buffer.settle()
        self.buffer.clear()
        self._spoken_for(late)

    def _hear(self, samples: Samples) -> Iterator[Began | Turn]:
        """Samples that the buffer has just been given."""
        if self._turns is None:
            return
        for event in self._turns.hear(samples):
            position = max(self.buffer.start, min(event.position, self.buffer.end))
            if isinstance(event, Ended):
                yield Turn(self.buffer.take(self.buffer.start, position))
            else:
                self.keep_from = None
                self.buffer.drop_before(position)  # so that a turn is what the buffer holds, until it ends
                yield Began(position)
        if not self.speaking:
            wanted = self._turns.needed_from
            self.buffer.drop_before(wanted if self.keep_from is None else min(wanted, self.keep_from))

    def _spoken_for(self, late: Samples) -> None:
        """late: the last of them, which noise reduction still held. They pass too, or the clock of turns would lag."""
        self.keep_from = None
        self._is_open = False
        if self._turns is not None:
            self._turns.spoken_for()
            for _ in self._turns.hear(late):
                pass
            self._turns.spoken_for()

    def _filters_anew(self, settings: AudioInput) -> bool:
        before = self._settings
        return wire_of(settings.format) is not self.buffer.wire or settings.noise_reduction != before.noise_reduction

    def _noise_filter(self, settings: AudioInput) -> "NoiseFilter | None":
        wanted = settings.noise_reduction
        rate = wire_of(settings.format).rate
        return None if wanted is None else NoiseFilter(self._workers.denoiser(wanted.type), rate)

    def _detector(self, settings: AudioInput) -> Detector | None:
        return None if settings.turn_detection is None else self._workers.detector(wire_of(settings.format).rate)

    def _configure_turns(self, settings: AudioInput, detector: Detector | None) -> None:
        """detector: for the turns that begin to be heard with these settings."""
        wanted = settings.turn_detection
        if wanted is None:
            self._stop_hearing_turns()
        elif detector is not None:
            began = self.buffer.start if self._is_open else None  # a turn that is open is what the buffer holds
            self._turns = TurnTaker(wanted, detector, self.buffer.rate, self.buffer.end, self._finished, began)
            self._is_open = False
        elif self._turns is not None:
            self._turns.configure(wanted)

    def _stop_hearing_turns(self) -> None:
        """One that has begun is kept, for the client to commit or for the next detector to hear its end."""
        self._is_open |= self.speaking
        self._turns = None

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
