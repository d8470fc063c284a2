"""One append of many seconds: others have their turn while it is heard, and it is heard as many short ones are."""

import base64
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from realtime_fixtures import Client, Loudness, kinds
from serving_fixtures import wait_for

from serving.realtime.audio_formats import Sound
from serving.realtime.ear import HEARD_SECONDS
from serving.realtime.fair_lock import FairLock
from serving.realtime.faults import Fault

RATE = 24_000  # Hz
VAD = {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}


def in_base64(samples: np.ndarray) -> str:
    return base64.b64encode(samples.astype("<i2").tobytes()).decode()


def loud(*seconds: tuple[float, int]) -> np.ndarray:
    """So many seconds of such a level, one after the other."""
    return np.concatenate([np.full(round(length * RATE), level) for length, level in seconds])


class Interrupted(Loudness):
    """With each piece that it hears, somebody else is given the time to have the lock."""

    def __init__(self, during: Callable[[], None]) -> None:
        super().__init__(RATE)
        self._during, self.pieces = during, 0

    def push(self, samples: Sound) -> list[float]:
        assert len(samples) <= HEARD_SECONDS * RATE
        self.pieces += 1
        self._during()
        return super().push(samples)


def listening(during: Callable[[], None], settings: dict[str, Any] = VAD) -> tuple[Client, Interrupted]:
    client, detector = Client(), Interrupted(during)
    client.workers.detector = lambda rate: detector  # type: ignore[method-assign,assignment]
    client.updates(audio={"input": {"turn_detection": None}})
    client.updates(audio=settings)
    return client, detector


def test_others_are_heard_while_a_long_append_is() -> None:
    said = threading.Event()

    def say() -> None:
        client.session.refuse(Fault("nothing", "Of somebody else."))
        said.set()

    other = threading.Thread(target=say)

    def during() -> None:
        if not other.ident:
            other.start()
        said.wait(0.05)

    client, detector = listening(during)
    told = client.says("input_audio_buffer.append", audio=in_base64(loud((60, 0), (1, 3000), (2, 0))))
    other.join()
    assert kinds(told) == ["error", "speech_started", "speech_stopped", "committed", "item.added", "item.done"]
    assert detector.pieces == 63


def test_the_event_after_a_long_append_is_that_of_all_of_it() -> None:
    client = Client()
    client.listens_by_hand()
    samples = np.arange(10 * RATE) % 1000
    told = client.says("input_audio_buffer.append", audio=in_base64(samples))
    told += client.says("input_audio_buffer.commit")
    assert kinds(told) == ["committed", "item.added", "item.done"]
    (retrieved,) = client.says("conversation.item.retrieve", item_id=told[0]["item_id"])
    assert retrieved["item"]["content"][0]["audio"] == in_base64(samples)


def test_one_long_append_is_heard_as_many_short_ones() -> None:
    samples = loud((3.3, 0), (1.7, 3000), (2.45, 0), (0.6, 3000), (1.25, 0))
    seen = []
    for pieces in (1, 7, 100):
        client = Client()
        client.updates(audio=VAD)
        told = []
        for piece in np.array_split(samples, pieces):
            told += client.says("input_audio_buffer.append", audio=in_base64(piece))
        seen.append([(event["type"], event.get("audio_start_ms"), event.get("audio_end_ms")) for event in told])
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) == 10


def test_who_speaks_later_in_what_is_being_heard_is_not_idle() -> None:
    waited: list[threading.Thread] = []

    def during() -> None:
        if client.now > late and not waited:
            waited.append(threading.Thread(target=client.session.tick))
            waited[0].start()
            wait_for(lambda: client.session._lock._waiting)

    late = float("inf")
    client, _detector = listening(
        during, {"input": {"turn_detection": VAD["input"]["turn_detection"] | {"idle_timeout_ms": 5000}}}
    )
    client.says("response.create", response={"instructions": "Hello."})
    client.hears_after_work()
    late = client.now
    client.now += 3000
    told = client.says("input_audio_buffer.append", audio=in_base64(loud((3, 0), (1, 3000))))
    waited[0].join()
    assert kinds(told + client.hears()) == ["speech_started"]


def test_a_session_that_is_closed_hears_no_more_of_an_append() -> None:
    closing: list[threading.Thread] = []

    def during() -> None:
        if not closing:
            closing.append(threading.Thread(target=client.session.close))
            closing[0].start()
            wait_for(lambda: client.session._lock._waiting)

    client, detector = listening(during)
    client.says("input_audio_buffer.append", audio=in_base64(loud((20, 0))))
    assert detector.pieces == 1


def test_an_append_that_does_not_fit_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    monkeypatch.setattr(client.session._ear.buffer, "_most_bytes", 5 * RATE * 2)
    client.listens_by_hand()
    client.says("input_audio_buffer.append", audio=in_base64(loud((2, 1))))
    assert client.error("input_audio_buffer.append", audio=in_base64(loud((4, 2))))["code"] == "input_audio_buffer_full"
    committed = client.says("input_audio_buffer.commit")[0]
    (retrieved,) = client.says("conversation.item.retrieve", item_id=committed["item_id"])
    assert retrieved["item"]["content"][0]["audio"] == in_base64(loud((2, 1)))


def test_a_fair_lock_goes_to_those_that_wait_in_their_order() -> None:
    lock, order = FairLock(), list[int]()

    def take(number: int) -> None:
        with lock, lock:
            order.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(3)]
    with lock:
        with lock:
            for waiting, thread in enumerate(threads, 1):
                thread.start()
                wait_for(lambda waiting=waiting: len(lock._waiting) == waiting)
            lock.let_others()
            order.append(99)
        lock.let_others()
        order.append(100)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 99, 100]


def test_a_fair_lock_excludes() -> None:
    """Two threads that read, let others run, and write back lose nothing."""
    lock, count = FairLock(), [0]

    def add() -> None:
        for _ in range(200):
            with lock:
                seen = count[0]
                threading.Event().wait(0)
                count[0] = seen + 1

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == [800]
