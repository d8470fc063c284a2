"""The input audio buffer: what a client has appended and nobody has committed yet, on the session's sample clock.

The clock counts every sample that was written since the session began, at the rate of the input, whatever became of
it; `start` and `end` are positions on it. Knows no event, no turn and no asyncio. Appending costs what is appended:
samples lie in one bytearray, which grows by shares of its size and gives its beginning away without moving the rest.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import soxr

from serving.realtime.audio_formats import PCM, Samples, WireFormat, to_samples, to_sound
from serving.realtime.faults import Fault, invalid_value

MOST_APPENDED = 15 << 20  # bytes of audio in one event, before base64
MOST_LETTERS = (MOST_APPENDED + 2) // 3 * 4  # the same in base64
MOST_HELD = 64 << 20  # bytes of 16-bit samples: 23 minutes at 24 kHz
SHORTEST_MS = 100  # what may be committed

_BYTES = 2  # of a sample held


class Filter(Protocol):
    """Noise reduction, for one: as many samples come out as went in, some of them later."""

    def push(self, samples: Samples) -> Samples: ...

    def flush(self) -> Samples:
        """What is still to come; it begins anew afterwards."""
        ...


@dataclass(frozen=True, eq=False)
class Stretch:
    """Samples that were committed, and where on the clock they lie."""

    start: int
    samples: Samples
    wire: WireFormat

    @property
    def end(self) -> int:
        return self.start + len(self.samples)

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.wire.rate


class InputAudioBuffer:
    """One client's. Raises Fault, and stays as it was, for what cannot be done."""

    def __init__(self, wire: WireFormat = PCM, most_bytes: int = MOST_HELD) -> None:
        self._most_bytes = most_bytes
        self._held = bytearray()
        self._rest = b""  # of a sample whose other bytes are still to come
        self._filter: Filter | None = None
        self._filtered = 0  # samples that the filter has not given back yet
        self.wire = wire
        self.start = 0  # of what is held

    @property
    def end(self) -> int:
        """Behind the last sample that can be read."""
        return self.start + len(self._held) // _BYTES

    @property
    def written(self) -> int:
        """Behind the last sample that has come: `end`, unless a filter still holds some."""
        return self.end + self._filtered

    @property
    def rate(self) -> int:
        """Hz of the clock."""
        return self.wire.rate

    def ms(self, position: int) -> int:
        """A position on the clock in milliseconds."""
        return round(1000 * position / self.rate)

    def accept(self, audio: str) -> Samples:
        """Base64 of audio in the wire's format, cut anywhere → its samples, for `hold`, in one piece or in several."""
        data = self._rest + decoded(audio, self.wire)
        whole = len(data) - len(data) % self.wire.sample_bytes
        samples = self.wire.decode(data[:whole])
        if (self.written - self.start + len(samples)) * _BYTES > self._most_bytes:
            raise Fault(
                "input_audio_buffer_full",
                f"The input audio buffer holds {(self.written - self.start) / self.rate:.1f} s of audio; at most "
                f"{self._most_bytes / _BYTES / self.rate:.1f} s are kept. Commit or clear it first.",
                "audio",
            )
        self._rest = data[whole:]
        return samples

    def hold(self, samples: Samples) -> Samples:
        """The next of those that were accepted → the samples that can now be read, none perhaps."""
        self._filtered += len(samples)
        return self._keep(samples if self._filter is None else self._filter.push(samples))

    def filter_with(self, wanted: Filter | None) -> Samples:
        """What is appended from now on passes this filter → what the one before it still held."""
        last = self.settle()
        self._filter = wanted
        return last

    def settle(self) -> Samples:
        """Let the filter give back what it holds, so that `end` is `written`."""
        return self._keep(self._filter.flush()) if self._filter is not None else np.zeros(0, np.int16)

    def change_format(self, wire: WireFormat) -> None:
        """Of what is appended from now on. What is held is converted, and the clock goes on at the new rate.

        The half of a sample whose other half has not come is dropped; a filter has to be chosen anew.
        """
        self.filter_with(None)
        self._rest = b""
        if wire.rate != self.rate:
            held = self.read(self.start, self.end)
            self.start = round(self.start * wire.rate / self.rate)
            self._held = bytearray(to_samples(soxr.resample(to_sound(held), self.rate, wire.rate)).tobytes())
        self.wire = wire

    def read(self, start: int, end: int) -> Samples:
        """A copy of what lies between two positions, both within what is held."""
        assert self.start <= start <= end <= self.end, (self.start, start, end, self.end)
        with memoryview(self._held) as held:  # let go at once: while it is looked at, it cannot grow
            return np.frombuffer(bytes(held[(start - self.start) * _BYTES : (end - self.start) * _BYTES]), np.int16)

    def commit(self) -> Stretch:
        """All that has been written; the buffer is empty then. Raises Fault for less than 100 ms."""
        held = self.written - self.start
        if held * 1000 < SHORTEST_MS * self.rate:
            raise Fault(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"{SHORTEST_MS}ms of audio, but buffer only has {1000 * held / self.rate:.2f}ms of audio.",
            )
        self.settle()
        return self.take(self.start, self.end)

    def take(self, start: int, end: int) -> Stretch:
        """A turn that was heard; it leaves the buffer, and what lies before it too."""
        stretch = Stretch(start, self.read(start, end), self.wire)
        self.drop_before(end)
        return stretch

    def drop_before(self, position: int) -> None:
        """Forget what lies before a position. One that is past is none."""
        dropped = min(position, self.end) - self.start
        if dropped > 0:
            del self._held[: dropped * _BYTES]
            self.start += dropped

    def clear(self) -> None:
        """Forget everything, half a sample too."""
        self.settle()
        self.drop_before(self.end)
        self._rest = b""

    def _keep(self, samples: Samples) -> Samples:
        self._held += samples.tobytes()
        self._filtered -= len(samples)
        return samples


def decoded(audio: str, wire: WireFormat, param: str = "audio") -> bytes:
    """Base64 of at most 15 MiB → the bytes, at least one. Raises Fault, in OpenAI's words."""
    expected = f"Invalid '{param}'. Expected base64-encoded audio bytes ({wire.described}) but got"
    if len(audio) > MOST_LETTERS:
        raise Fault(
            "string_above_max_length",
            f"Invalid '{param}': string too long. Expected a string with maximum length {MOST_LETTERS} "
            f"({MOST_APPENDED >> 20} MiB of audio), but got a string with length {len(audio)} instead.",
            param,
        )
    try:
        data = base64.b64decode(audio, validate=True)
    except (binascii.Error, ValueError) as error:  # ValueError: letters that are not ASCII
        raise invalid_value(param, f"{expected} an invalid value.") from error
    if not data:
        raise invalid_value(param, f"{expected} empty bytes.")
    return data
