"""serving/realtime/buffer.py: what is appended comes out as it went in, wherever it is cut; limits at the byte."""

import base64
import itertools
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from serving.realtime.audio_formats import FORMATS, PCM, PCMA, PCMU, Samples, WireFormat, to_samples, to_sound
from serving.realtime.buffer import MOST_APPENDED, MOST_HELD, InputAudioBuffer
from serving.realtime.faults import Fault

WIRES = tuple(FORMATS.values())


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def append(buffer: InputAudioBuffer, audio: str) -> Samples:
    """In one piece → the samples that can now be read."""
    return buffer.hold(buffer.accept(audio))


def fault_of(buffer: InputAudioBuffer, audio: str) -> Fault:
    with pytest.raises(Fault) as caught:
        append(buffer, audio)
    return caught.value


class Late:
    """A filter that doubles every sample and is always five behind."""

    def __init__(self) -> None:
        self._held = np.zeros(0, np.int16)

    def push(self, samples: Samples) -> Samples:
        self._held = np.concatenate([self._held, 2 * samples])
        ready, self._held = self._held[:-5], self._held[-5:]
        return ready

    def flush(self) -> Samples:
        ready, self._held = self._held, np.zeros(0, np.int16)
        return ready


@settings(deadline=None)
@given(data=st.binary(min_size=1, max_size=400), cuts=st.lists(st.integers(0, 400)), wire=st.sampled_from(WIRES))
def test_audio_cut_anywhere_equals_audio_in_one_piece(data: bytes, cuts: list[int], wire: WireFormat) -> None:
    buffer = InputAudioBuffer(wire)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    heard = [append(buffer, in_base64(data[a:b])) for a, b in itertools.pairwise(edges)]
    whole = wire.decode(data[: len(data) - len(data) % wire.sample_bytes])
    assert np.array_equal(np.concatenate(heard), whole)
    assert np.array_equal(buffer.read(0, buffer.end), whole)


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
def test_100_ms_can_be_committed_and_one_sample_less_cannot(wire: WireFormat) -> None:
    buffer, size = InputAudioBuffer(wire), wire.rate // 10 * wire.sample_bytes
    append(buffer, in_base64(bytes(size - wire.sample_bytes)))
    with pytest.raises(Fault, match=r"Expected at least 100ms of audio, but buffer only has 99\.\d\dms") as caught:
        buffer.commit()
    assert (caught.value.code, caught.value.param) == ("input_audio_buffer_commit_empty", None)
    append(buffer, in_base64(bytes(wire.sample_bytes)))
    assert buffer.commit().seconds == pytest.approx(0.1)
    assert (buffer.start, buffer.end) == (wire.rate // 10, wire.rate // 10)


def test_an_empty_buffer_says_so_in_openais_words() -> None:
    with pytest.raises(Fault) as caught:
        InputAudioBuffer().commit()
    assert caught.value.message == (
        "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer only has "
        "0.00ms of audio."
    )


def test_15_mib_are_appended_and_one_byte_more_is_refused() -> None:
    buffer = InputAudioBuffer()
    assert fault_of(buffer, in_base64(bytes(MOST_APPENDED + 1))).code == "string_above_max_length"
    assert buffer.end == 0
    assert len(append(buffer, in_base64(bytes(MOST_APPENDED)))) == MOST_APPENDED // 2


def test_64_mib_are_held_and_one_sample_more_is_refused() -> None:
    buffer, piece = InputAudioBuffer(), in_base64(bytes(MOST_HELD // 8))
    for _ in range(8):
        append(buffer, piece)
    fault = fault_of(buffer, in_base64(b"\0\0"))
    assert (fault.code, fault.param) == ("input_audio_buffer_full", "audio")
    append(buffer, in_base64(b"\1"))  # half a sample is none yet
    assert fault_of(buffer, in_base64(b"\2")).code == "input_audio_buffer_full"
    assert buffer.end == MOST_HELD // 2
    buffer.drop_before(1)
    assert append(buffer, in_base64(b"\2")).tolist() == [0x0201]  # the refused half changed nothing


@pytest.mark.parametrize("audio", ["*", "AAA", "AA=A", "AAAA AAAA", "ÄÄÄÄ", "data:audio/wav;base64,AAAA"])
def test_what_is_no_base64_is_refused_in_openais_words(audio: str) -> None:
    fault = fault_of(InputAudioBuffer(), audio)
    assert (fault.code, fault.param) == ("invalid_value", "audio")
    assert fault.message == (
        "Invalid 'audio'. Expected base64-encoded audio bytes (mono PCM16 at 24kHz) but got an invalid value."
    )


def test_no_audio_at_all_is_refused() -> None:
    fault = fault_of(InputAudioBuffer(PCMU), "")
    assert fault.message == (
        "Invalid 'audio'. Expected base64-encoded audio bytes (G.711 μ-law at 8kHz) but got empty bytes."
    )


def test_a_turn_leaves_the_buffer_with_what_lies_before_it() -> None:
    buffer = InputAudioBuffer()
    append(buffer, in_base64(np.arange(100, dtype="<i2").tobytes()))
    turn = buffer.take(20, 50)
    assert turn.samples.tolist() == list(range(20, 50))
    assert (turn.start, turn.end, buffer.start, buffer.end) == (20, 50, 50, 100)


def test_clear_forgets_half_a_sample_and_the_clock_goes_on() -> None:
    buffer = InputAudioBuffer()
    append(buffer, in_base64(b"\1\2\3"))
    buffer.clear()
    buffer.clear()
    assert (buffer.start, buffer.end) == (1, 1)
    assert append(buffer, in_base64(b"\4\5")).tolist() == [0x0504]


def test_a_filter_that_is_late_loses_nothing_and_shifts_nothing() -> None:
    buffer, samples = InputAudioBuffer(), np.arange(4000, dtype=np.int16)
    buffer.filter_with(Late())
    for piece in np.split(samples, 8):
        append(buffer, in_base64(piece.tobytes()))
    assert (buffer.end, buffer.written) == (3995, 4000)
    committed = buffer.commit()
    assert (committed.start, committed.end) == (0, 4000)
    assert np.array_equal(committed.samples, 2 * samples)


def test_another_filter_affects_only_what_comes_afterwards() -> None:
    buffer = InputAudioBuffer()
    buffer.filter_with(Late())
    append(buffer, in_base64(np.full(50, 3, "<i2").tobytes()))
    assert buffer.filter_with(None).tolist() == [6] * 5
    append(buffer, in_base64(np.full(50, 3, "<i2").tobytes()))
    assert buffer.read(0, 100).tolist() == [6] * 50 + [3] * 50


def test_the_clock_goes_on_in_milliseconds_when_the_format_changes() -> None:
    buffer = InputAudioBuffer(PCM)
    tone = np.round(8000 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000)).astype("<i2")
    append(buffer, in_base64(tone.tobytes()))
    buffer.drop_before(12_000)
    buffer.change_format(PCMA)
    assert (buffer.ms(buffer.start), buffer.ms(buffer.end)) == (500, 1000)
    expected = 8000 * np.sin(2 * np.pi * 440 * np.arange(4000, 8000) / 8000)
    assert np.abs(buffer.read(4000, 8000)[200:-200] - expected[200:-200]).max() < 40  # of 8,000


def test_samples_survive_the_way_to_floats_and_back() -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    assert np.array_equal(to_samples(to_sound(every)), every)
    assert to_samples(np.array([-1.5, 1.5], np.float32)).tolist() == [-32768, 32767]


def test_many_small_appends_take_no_more_memory_than_they_hold() -> None:
    """What is dropped at the front is given back: a session that listens for an hour stays small."""
    buffer, piece = InputAudioBuffer(), in_base64(bytes(960))
    for _ in range(20_000):
        append(buffer, piece)
        buffer.drop_before(buffer.end - 7200)
    assert buffer.end == 480 * 20_000
    assert sys.getsizeof(buffer._held) < 100_000


class AgainstAList(RuleBasedStateMachine):
    """The buffer beside the simplest thing that could be one: a list of all samples ever written."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = InputAudioBuffer(most_bytes=4000)
        self.all: list[int] = []
        self.rest = b""
        self.start = 0

    @rule(data=st.binary(min_size=1, max_size=900))
    def append(self, data: bytes) -> None:
        joined = self.rest + data
        samples = np.frombuffer(joined[: len(joined) // 2 * 2], "<i2").tolist()
        if 2 * (len(self.all) - self.start + len(samples)) > 4000:
            assert fault_of(self.buffer, in_base64(data)).code == "input_audio_buffer_full"
            return
        self.rest = joined[len(joined) // 2 * 2 :]
        self.all += samples
        assert append(self.buffer, in_base64(data)).tolist() == samples

    @rule(share=st.floats(0, 1.2))
    def drop(self, share: float) -> None:
        position = self.start + int(share * (len(self.all) - self.start))
        self.start = max(self.start, min(position, len(self.all)))
        self.buffer.drop_before(position)

    @rule()
    def clear(self) -> None:
        self.start, self.rest = len(self.all), b""
        self.buffer.clear()

    @precondition(lambda self: len(self.all) - self.start < 2400)
    @rule()
    def commit_too_little(self) -> None:
        with pytest.raises(Fault):
            self.buffer.commit()

    @rule(a=st.floats(0, 1), b=st.floats(0, 1))
    def take(self, a: float, b: float) -> None:
        held = len(self.all) - self.start
        first, last = (self.start + int(share * held) for share in sorted((a, b)))
        assert self.buffer.take(first, last).samples.tolist() == self.all[first:last]
        self.start = last

    @invariant()
    def holds_the_same(self) -> None:
        assert (self.buffer.start, self.buffer.end) == (self.start, len(self.all))
        assert self.buffer.read(self.start, len(self.all)).tolist() == self.all[self.start :]


TestAgainstAList = AgainstAList.TestCase
TestAgainstAList.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
