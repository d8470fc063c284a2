"""Time-stretch: another tempo at the same pitch, as a stream.

Works on any float32 [C, L]; knows neither speech nor files. The work is done by ffmpeg's `rubberband` (a phase
vocoder) or, where ffmpeg is built without it, by its `atempo` (WSOLA).
"""

import functools
import math
from typing import Any, Self

import numpy as np

from models.audio.ffmpeg_process import FfmpegProcess, ffmpeg_command
from models.audio.pcm import FloatParser, float_bytes, pcm_input
from models.errors import InvalidRequest
from models.request import Audio

SLOWEST, FASTEST = 0.25, 4.0
TAIL_SECONDS = 0.5  # silence pushed behind the audio, longer than the look-ahead of either filter at any speed
# Silence pushed before it, and dropped again: rubberband divides its first windows by weights near zero, which made
# peaks of 41 from a tone of 0.3, and atempo loses its first half window.
LEAD_SECONDS = 0.25


class TimeStretcher:
    """A stream of audio at `speed_factor` times its tempo: push(), …, flush(); then close(), or use it in a `with`.

    speed_factor: 0.25–4; 2 halves the duration. At 1 the audio passes untouched and no process is started.
    All pieces together have round(L / speed_factor) samples, the same numbers however the input is cut. From 0.5 to 2
    clicks come out within 16 ms of their place (atempo: 60 ms); output runs about 0.1 s behind the input.
    Raises InvalidRequest for a speed_factor out of range.
    """

    def __init__(self, speed_factor: float, sample_rate: int, channels: int) -> None:
        check_speed_factor(speed_factor)
        self._speed_factor = speed_factor
        self._channels = channels
        self._taken = self._given = 0  # samples
        self._held = np.zeros((channels, 0), np.float32)
        lead = np.zeros((channels, math.ceil(LEAD_SECONDS * sample_rate)), np.float32)
        self._tail = np.zeros((channels, math.ceil(TAIL_SECONDS * sample_rate)), np.float32)
        self._to_drop = round(lead.shape[1] / speed_factor)  # samples of output
        self._parser = FloatParser(channels)
        self.process = None
        if speed_factor != 1:
            self.process = _start(speed_factor, sample_rate, channels)
            self._hold(self.process.push(float_bytes(lead)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def push(self, audio: Audio) -> Audio:
        """[C, L] in; returns [C, any], what is ready. Raises ParleyError where ffmpeg fails."""
        assert audio.shape[0] == self._channels, (audio.shape, self._channels)
        if self.process is None:
            return audio
        self._taken += audio.shape[1]
        self._hold(self.process.push(float_bytes(audio)))
        return self._give(math.floor(self._taken / self._speed_factor))

    def flush(self) -> Audio:
        """The rest, [C, any]. Nothing can be pushed afterwards."""
        if self.process is None:
            return np.zeros((self._channels, 0), np.float32)
        length = round(self._taken / self._speed_factor)
        self._hold(self.process.push(float_bytes(self._tail)))
        self._hold(self.process.flush())
        self.close()
        missing = length - self._given - self._held.shape[1]
        assert missing <= 0, (missing, self._taken, self._speed_factor)
        return self._give(length)

    def close(self) -> None:
        """End the process, whatever state it is in. May be called twice."""
        if self.process is not None:
            self.process.close()

    def _hold(self, output: bytes) -> None:
        audio = self._parser.push(output)
        dropped = min(self._to_drop, audio.shape[1])
        self._to_drop -= dropped
        self._held = np.concatenate([self._held, audio[:, dropped:]], axis=1)

    def _give(self, length: int) -> Audio:
        """What is held, but no more than makes `length` samples in all."""
        size = min(length - self._given, self._held.shape[1])
        audio, self._held = self._held[:, :size], self._held[:, size:]
        self._given += size
        return audio


def time_stretch(audio: Audio, speed_factor: float, sample_rate: int) -> Audio:
    """Change tempo and keep pitch: [C, L] → [C, round(L / speed_factor)]; at 1 returns `audio` itself.

    This is TimeStretcher's stream, collected. Raises InvalidRequest for a speed_factor outside 0.25–4.
    """
    with TimeStretcher(speed_factor, sample_rate, audio.shape[0]) as stretcher:
        if stretcher.process is None:
            return audio
        return np.concatenate([stretcher.push(audio), stretcher.flush()], axis=1)


def check_speed_factor(speed_factor: float) -> None:
    """Raises InvalidRequest outside 0.25–4."""
    if not SLOWEST <= speed_factor <= FASTEST:
        raise InvalidRequest(
            "speed_factor", f"is {speed_factor}; it must lie between {SLOWEST:g} and {FASTEST:g}. 1 is unchanged."
        )


@functools.cache
def has_filter(name: str) -> bool:
    """Whether this ffmpeg was built with the filter."""
    with FfmpegProcess(["ffmpeg", "-hide_banner", "-filters"], has_input=False) as process:
        return name.encode() in process.flush().split()


def _start(speed_factor: float, sample_rate: int, channels: int) -> FfmpegProcess:
    stretch = _rubberband if has_filter("rubberband") else _atempo
    stretched = stretch(pcm_input(sample_rate, channels), speed_factor)
    return FfmpegProcess(ffmpeg_command(stretched.output("pipe:1", f="f32le", flush_packets=1)), has_input=True)


def _rubberband(stream: Any, speed_factor: float) -> Any:
    # Of 13 settings, a short window with smoothing gave back three voices best after a stretch and its inverse (mean
    # log-mel distance 1.6 dB at 0.94, default 1.9 dB), and the short window halves the smear of clicks in time.
    return stream.filter("rubberband", tempo=speed_factor, window="short", smoothing="on", channels="together")


def _atempo(stream: Any, speed_factor: float) -> Any:
    if 0.5 <= speed_factor <= 2:
        return stream.filter("atempo", speed_factor)
    # Below 0.5 there is no atempo, and above 2 it skips samples: two equal steps do it.
    return stream.filter("atempo", math.sqrt(speed_factor)).filter("atempo", math.sqrt(speed_factor))
