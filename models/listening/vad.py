"""Where somebody speaks: samples → probabilities (Silero VAD 6) → the samples where turns start and stop.

Silero's network runs as ONNX, the form in which faster-whisper brings it: a run takes any number of frames and the
memory of those before, so that a push is one run. TurnDetector sees probabilities only and knows no network. What
audio a turn consists of is the caller's to keep.
Source: snakers4/silero-vad, utils_vad.py (frames, context, the lower threshold of an end).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from models.errors import InvalidRequest
from models.listening.packaged import PackagedFile
from models.listening.resample import NOTHING, Resampler, Samples

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SAMPLE_RATE = 16_000  # Hz
FRAME_LENGTH = 512  # samples: 32 ms
_CONTEXT = 64  # samples of the frame before, which each frame is seen with
_STATE = (1, 1, 128)  # of the recurrent layer, h and c
_MOST_FRAMES = 256  # of one run, 8 s: bounds its memory
_SAMPLES_A_MS = SAMPLE_RATE // 1000

# A turn ends below a lower probability than it starts at, so that a faint syllable does not split it.
HYSTERESIS = 0.15
LOWEST_THRESHOLD = 0.01  # where the hysteresis would ask for less than nothing

NETWORK = PackagedFile(
    purpose="Voice activity detection",
    package="faster_whisper",
    path="assets/silero_vad_v6.onnx",
    distribution="faster-whisper",
    install="pip install -r requirements.txt",
)


class SpeechDetector:
    """How likely there is speech in each frame of one stream of audio at `sample_rate` Hz.

    Raises WeightsError if the network is not installed. Not for two threads at a time.
    """

    def __init__(self, sample_rate: int = SAMPLE_RATE) -> None:
        self._session = _session()
        self._rates = sample_rate, SAMPLE_RATE
        self.reset()

    def reset(self) -> None:
        """Forget the stream: what comes next is the beginning of another one."""
        self._resampler = Resampler(*self._rates)
        self._h = self._c = np.zeros(_STATE, np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)
        self._waiting = NOTHING  # less than a frame, at SAMPLE_RATE

    def push(self, samples: Samples) -> list[float]:
        """[L] → the probability, 0–1, of each frame of FRAME_LENGTH samples at 16 kHz that is whole by now."""
        assert samples.ndim == 1, samples.shape
        heard = np.concatenate([self._waiting, self._resampler.push(samples.astype(np.float32, copy=False))])
        whole = heard.size // FRAME_LENGTH * FRAME_LENGTH
        self._waiting = heard[whole:].copy()
        frames = heard[:whole].reshape(-1, FRAME_LENGTH)
        runs = range(0, len(frames), _MOST_FRAMES)
        return [probability for start in runs for probability in self._run(frames[start : start + _MOST_FRAMES])]

    def _run(self, frames: Samples) -> list[float]:
        """[N, FRAME_LENGTH] → N probabilities; the stream's memory moves on."""
        before = np.concatenate([self._context[None], frames[:-1, -_CONTEXT:]])  # [N, _CONTEXT]
        inputs = {"input": np.concatenate([before, frames], axis=1), "h": self._h, "c": self._c}
        probabilities, self._h, self._c = self._session.run(None, inputs)
        self._context = frames[-1, -_CONTEXT:].copy()
        return probabilities.reshape(-1).tolist()


@cache
def _session() -> "InferenceSession":
    """The network, once a process: a run changes nothing in it, and streams in any number of threads share it."""
    file = NETWORK.locate()
    import onnxruntime  # late: whoever only may have to listen starts without it

    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1  # 0.3 ms a frame; a second thread only waits
    options.enable_cpu_mem_arena = False  # it would keep the memory of the longest push for good
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


@dataclass(frozen=True)
class Started:
    """A turn began: with its padding it starts at `sample` of everything heard, at 16 kHz."""

    sample: int


@dataclass(frozen=True)
class Stopped:
    """The turn ended: with the silence that was waited for it reaches to `sample` of everything heard, at 16 kHz."""

    sample: int


class TurnDetector:
    """Probabilities of the frames of one stream → starts and stops of turns, in turns.

    threshold: 0–1, the probability a turn starts at; it ends 0.15 lower. prefix_padding_ms: audio before the first
    frame of speech that belongs to the turn. silence_duration_ms: how long nobody speaks at a turn's end. `configure`
    changes them between two pushes. Raises InvalidRequest for a value out of range.
    """

    def __init__(self, threshold: float = 0.5, prefix_padding_ms: int = 300, silence_duration_ms: int = 500) -> None:
        self.configure(threshold, prefix_padding_ms, silence_duration_ms)
        self._heard = 0  # samples
        self._free_from = 0  # no turn starts before: the end of the last one
        self._speaking = False
        self._silent_from: int | None = None  # the sample from which nobody has spoken, while a turn runs

    def configure(self, threshold: float, prefix_padding_ms: int, silence_duration_ms: int) -> None:
        """Other settings from the next push on; a turn that runs, runs on."""
        if not 0 <= threshold <= 1:
            raise InvalidRequest("threshold", f"is {threshold}; it must lie between 0 and 1.")
        for name, value in (("prefix_padding_ms", prefix_padding_ms), ("silence_duration_ms", silence_duration_ms)):
            if value < 0:
                raise InvalidRequest(name, f"is {value}; it must be at least 0.")
        self.threshold = threshold
        self.prefix_padding_ms = prefix_padding_ms
        self.silence_duration_ms = silence_duration_ms

    @property
    def speaking(self) -> bool:
        """Whether a turn has started and not stopped."""
        return self._speaking

    @property
    def silent_samples(self) -> int:
        """How long nobody has spoken in the turn that runs, in samples at 16 kHz; 0 while somebody speaks."""
        return 0 if self._silent_from is None else self._heard - self._silent_from

    def push(self, probabilities: Sequence[float]) -> list[Started | Stopped]:
        """What the next frames, of FRAME_LENGTH samples each, begin and end."""
        events: list[Started | Stopped] = []
        for probability in probabilities:
            start, self._heard = self._heard, self._heard + FRAME_LENGTH
            event = self._within(probability, start) if self._speaking else self._between(probability, start)
            if event is not None:
                events.append(event)
        return events

    def begin_turn(self) -> None:
        """A turn runs, whose start was in audio that this one has not heard; there is no Started for it."""
        self._speaking, self._silent_from = True, None

    def end_turn(self, sample: int | None = None) -> None:
        """The audio up to `sample`, by default all that was heard, is spoken for: a turn that runs is over without a
        Stopped, and none starts before. For a commit by hand, a clear, or a turn that ends early by its meaning.
        """
        self._free_from = self._heard if sample is None else sample
        self._speaking, self._silent_from = False, None

    def _between(self, probability: float, start: int) -> Started | None:
        if probability < max(self.threshold, LOWEST_THRESHOLD):
            return None
        self._speaking = True
        # With long padding a turn would begin inside the one before, whose silence is waited for less long.
        return Started(max(self._free_from, start - self.prefix_padding_ms * _SAMPLES_A_MS))

    def _within(self, probability: float, start: int) -> Stopped | None:
        if probability >= self.threshold:
            self._silent_from = None
        elif self._silent_from is None and probability < max(self.threshold - HYSTERESIS, LOWEST_THRESHOLD):
            self._silent_from = start
        if self._silent_from is None:
            return None
        end = self._silent_from + self.silence_duration_ms * _SAMPLES_A_MS
        if end > self._heard:
            return None
        self.end_turn(end)
        return Stopped(end)
