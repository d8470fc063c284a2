"""Many listeners: each has its place, and however slowly they listen, the routes and the memory are not theirs."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from serving_fixtures import BOB, CREATE, Running, running, wait_for
from speech_fixtures import Speaker, body, speaker

from models.errors import Overloaded
from serving.hand_over import MOST_PIECES, HandOver
from serving.listeners import Listeners
from serving.web import app

MOST = 4  # listeners of one caller, and threads of the routes


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(app, "THREADS", MOST)
        with running(tmp_path_factory.mktemp("listeners"), speaker(), most_listeners=MOST, at_once=MOST + 1) as here:
            yield here


@pytest.fixture
def gate(service: Running) -> Iterator[threading.Event]:
    """Closed until the test opens it, or ends."""
    assert isinstance(service.backend, Speaker)
    with service.closed() as gate:
        yield gate
    wait_for(lambda: not service.service.listeners._listening)


@contextmanager
def spoken(service: Running, **changes: Any) -> Iterator[httpx.Response]:
    with service.client() as client, client.stream("POST", "/v1/audio/speech", json=body(**changes)) as answer:
        yield answer


def begin(service: Running, text: str) -> str:
    """→ the id of a prediction."""
    with service.client() as client:
        asked = {"input": {"text": text}, "stream": True}
        return str(client.post(CREATE, json=asked).json()["id"])


@contextmanager
def many(service: Running, response_format: str) -> Iterator[None]:
    """As many listeners as one caller may have, all of whom wait for more."""
    with ExitStack() as stack:
        for _ in range(MOST):
            answer = stack.enter_context(spoken(service, input="A|b", response_format=response_format))
            assert answer.status_code == 200, answer.read()
        yield


def test_listeners_whose_encoders_wait_leave_the_routes_their_threads(service: Running, gate: threading.Event) -> None:
    """Before, each took a thread of the routes for as long as it listened, and hanging up did not give it back."""
    with many(service, "mp3"), service.client() as client:
        client.timeout = httpx.Timeout(10)
        assert client.get("/v1/models").status_code == 200
        gate.set()
    wait_for(lambda: not service.service.listeners._listening)


def test_who_hangs_up_while_the_encoder_waits_gives_the_place_back(service: Running, gate: threading.Event) -> None:
    with many(service, "opus"):
        pass
    wait_for(lambda: not service.service.listeners._listening)
    wait_for(lambda: not service.service.records.active())
    wait_for(lambda: service.service.listeners._threads.borrowed_tokens == 0)
    with many(service, "opus"):
        gate.set()


def test_one_more_than_the_most_is_refused_with_the_limit_and_others_are_not(
    service: Running, gate: threading.Event
) -> None:
    waiting = begin(service, "[S1] ||")
    with many(service, "pcm"):
        made = len(service.service.history.page("alice", limit=100).rows)
        with spoken(service, input="A") as refused:
            answer = refused.read().decode()
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
            assert f"You listen {MOST} times at once" in answer
        assert len(service.service.history.page("alice", limit=100).rows) == made  # nothing was begun for it
        with service.client() as client:
            for path in ("audio", "stream"):
                assert client.get(f"/v1/predictions/{waiting}/{path}").status_code == 429
        gate.set()
        with service.client(BOB) as client:
            assert client.post("/v1/audio/speech", json=body(input="A")).status_code == 200


def test_nobody_waits_any_more_for_the_first_sound_once_the_listener_has_left(
    service: Running, gate: threading.Event
) -> None:
    """Before, the database was asked four times a second for as long as the prediction waited."""
    waiting = begin(service, "[S1] ||")
    with service.client() as client:
        client.timeout = httpx.Timeout(10, read=0.3)
        for output_format in ("wav", "mp3"):
            with pytest.raises(httpx.ReadTimeout):
                client.get(f"/v1/predictions/{waiting}/audio", params={"format": output_format})
    wait_for(lambda: not service.service.changes._waiting)
    wait_for(lambda: not service.service.listeners._listening)


def test_places_are_counted_for_each_and_for_all() -> None:
    listeners = Listeners(2, most=3)
    with listeners.place("alice"), listeners.place("alice"):
        with pytest.raises(Overloaded, match="You listen 2 times at once"), listeners.place("alice"):
            pass
        with (
            listeners.place("bob"),
            pytest.raises(Overloaded, match="3 listen here at once"),
            listeners.place("carol"),
        ):
            pass
        with listeners.place("carol"):
            pass
    with listeners.place("alice"):
        assert listeners._listening == {"alice": 1}


def test_who_makes_audio_waits_for_who_hears_it() -> None:
    """Before, all of a long dialogue lay in memory for a listener who took none of it."""

    async def made_unheard() -> int:
        way, made = HandOver(), 0

        async def make() -> None:
            nonlocal made
            for number in range(10 * MOST_PIECES):
                await way.put(b"%d" % number)
                made += 1
            way.end()

        making = asyncio.create_task(make())
        for _ in range(10 * MOST_PIECES):  # turns of the loop, one for each piece
            await asyncio.sleep(0)
        unheard = made
        heard = await asyncio.to_thread(lambda: list(way))
        assert heard == [b"%d" % number for number in range(10 * MOST_PIECES)]
        await making
        return unheard

    assert asyncio.run(made_unheard()) == MOST_PIECES


def test_a_thread_that_waits_for_more_ends_at_once_when_nobody_listens() -> None:
    heard: list[bytes] = []
    first = threading.Event()

    async def leave_after_the_first() -> None:
        way = HandOver()

        def hear() -> None:
            for piece in way:
                heard.append(piece)
                first.set()

        hearing = asyncio.create_task(asyncio.to_thread(hear))
        await way.put(b"a")
        assert await asyncio.to_thread(first.wait, 20)
        way.close()
        await asyncio.wait_for(hearing, 20)

    asyncio.run(leave_after_the_first())
    assert heard == [b"a"]
