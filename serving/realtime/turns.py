"""Who speaks when: appended samples → where turns begin and end, on the clock of the input buffer.

Two kinds of settings, one detector: server_vad ends a turn after some silence; semantic_vad waits longer, unless what
was said sounds finished. Knows no event and no item.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from models.listening.vad import FRAME_LENGTH, SAMPLE_RATE, Started, TurnDetector
from serving.realtime.audio_formats import Samples, Sound, to_sound
from serving.realtime.settings import SemanticVad, ServerVad

# OpenAI: how long semantic_vad waits at most. Its other settings are those of server_vad.
LONGEST_WAIT_MS = {"low": 8_000, "medium": 4_000, "auto": 4_000, "high": 2_000}
SURE = {"low": 0.9, "medium": 0.7, "auto": 0.7, "high": 0.5}  # of an end, for a turn to end at once
SEMANTIC_PADDING_MS = 300
SEMANTIC_THRESHOLD = 0.5
PAUSE_MS = 200  # of silence before it is asked whether that was the end


class Detector(Protocol):
    """Samples at the input's rate → a probability of speech for each frame of 512 samples at 16 kHz."""

    def push(self, samples: Sound) -> list[float]: ...


@dataclass(frozen=True)
class Began:
    position: int  # the padding before it included


@dataclass(frozen=True)
class Ended:
    position: int  # the silence that was waited for included


class TurnTaker:
    """Of one stretch of the clock at one rate; another format needs another one.

    finished: the samples of a turn so far, from one position to another → how likely it is over; None: nobody knows.
    """

    def __init__(
        self,
        settings: ServerVad | SemanticVad,
        detector: Detector,
        rate: int,
        origin: int,
        finished: Callable[[int, int], float | None],
        began: int | None = None,
    ) -> None:
        """rate: Hz of the clock. origin: the position of the first sample it will hear. began: where a turn that goes
        on did.
        """
        self._detector, self._rate, self._origin, self._finished = detector, rate, origin, finished
        self._turns = TurnDetector()
        self._heard = 0  # samples at 16 kHz
        self._began = origin if began is None else began
        self._asked = False  # about this pause
        self.configure(settings)
        if began is not None:
            self._turns.begin_turn()

    def configure(self, settings: ServerVad | SemanticVad) -> None:
        """From the next samples on; a turn goes on."""
        self.settings = settings
        if isinstance(settings, SemanticVad):
            self._turns.configure(SEMANTIC_THRESHOLD, SEMANTIC_PADDING_MS, LONGEST_WAIT_MS[settings.eagerness])
        else:
            self._turns.configure(settings.threshold, settings.prefix_padding_ms, settings.silence_duration_ms)

    @property
    def speaking(self) -> bool:
        return self._turns.speaking

    @property
    def needed_from(self) -> int:
        """A turn cannot begin before this position any more."""
        if self.speaking:
            return self._began
        padding = self._turns.prefix_padding_ms * SAMPLE_RATE // 1000
        return self._position(max(0, self._heard - padding))

    def hear(self, samples: Samples) -> Iterator[Began | Ended]:
        """What these begin and end. Whoever stops iterating leaves the rest unheard."""
        for probability in self._detector.push(to_sound(samples)):
            self._heard += FRAME_LENGTH
            for event in self._turns.push([probability]):
                yield self._placed(event.sample, isinstance(event, Started))
            if (end := self._ended_by_meaning()) is not None:
                yield end

    def spoken_for(self) -> None:
        """What has been heard is somebody else's now: a turn that runs is over without an end."""
        self._turns.end_turn()

    def _placed(self, sample: int, is_start: bool) -> Began | Ended:
        position = self._position(sample)
        if is_start:
            self._began = position
            return Began(position)
        return Ended(position)

    def _ended_by_meaning(self) -> Ended | None:
        """Asked once a pause, after a moment of it: asking takes a tenth of a second."""
        pause_ms = 1000 * self._turns.silent_samples / SAMPLE_RATE
        if not isinstance(self.settings, SemanticVad) or not self.speaking or pause_ms < PAUSE_MS:
            self._asked = self._asked and pause_ms > 0
            return None
        if self._asked:
            return None
        self._asked = True
        now = self._position(self._heard)
        likely = self._finished(self._began, now)
        if likely is None or likely < SURE[self.settings.eagerness]:
            return None
        self._turns.end_turn()
        return Ended(now)

    def _position(self, sample: int) -> int:
        return self._origin + round(sample * self._rate / SAMPLE_RATE)
