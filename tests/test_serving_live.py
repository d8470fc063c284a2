"""What is made is heard in order, once, and to its end or to an error."""

import asyncio
import time

import pytest
from serving_records_fixtures import OnePrediction

from models.errors import GenerationFailed
from serving.storage.live import MOST_PIECES, LiveAudio, Piece, follow
from serving.storage.prediction import Prediction, Status

RATE = 8000


class House(OnePrediction):
    def __init__(self, folder) -> None:
        super().__init__(folder)
        self.live = LiveAudio(self.engine, self.changes.tell)

    def append(self, now: Prediction, *pieces: tuple[int, bytes]) -> None:
        for start, pcm in pieces:
            self.live.append(now, start, RATE, pcm)

    def heard(self, now: Prediction, meanwhile=lambda number: None) -> list[bytes | Status]:
        """All that a listener hears. meanwhile: called after each piece with how many there were."""

        async def listen():
            self.changes.attach()
            found = []
            async for piece in follow(now, self.records, self.live, self.changes):
                found.append(piece.pcm if isinstance(piece, Piece) else piece.status)
                meanwhile(len(found))
            return found

        return asyncio.run(asyncio.wait_for(listen(), 10))


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    house.engine.dispose()


def test_pieces_are_given_in_order_from_where_the_listener_is(house):
    now = house.begin()
    house.append(now, (2, b"ccdd"), (0, b"aabb"))
    assert house.live.after(now, 0) == [Piece(0, RATE, b"aabb"), Piece(2, RATE, b"ccdd")]
    assert house.live.after(now, 1) == [Piece(1, RATE, b"bb"), Piece(2, RATE, b"ccdd")]
    assert house.live.after(now, 3) == [Piece(3, RATE, b"dd")]
    assert house.live.after(now, 4) == []


def test_a_listener_hears_all_and_then_the_end(house):
    now = house.begin()
    house.append(now, (0, b"aa"))

    def go_on(number):
        if number == 1:
            house.append(now, (1, b"bb"))
            house.records.finish(now, Status.SUCCEEDED)

    assert house.heard(now, go_on) == [b"aa", b"bb", Status.SUCCEEDED]


def test_who_comes_late_hears_all_in_many_looks(house):
    """Before, all that had been made came into memory at once."""
    now = house.begin()
    house.append(now, *((number, b"%02d" % number) for number in range(2 * MOST_PIECES + 5)))
    house.records.finish(now, Status.SUCCEEDED)
    assert [piece.start for piece in house.live.after(now, 3)] == list(range(3, 3 + MOST_PIECES))
    assert house.heard(now) == [b"%02d" % number for number in range(2 * MOST_PIECES + 5)] + [Status.SUCCEEDED]


def test_a_listener_goes_on_where_a_second_attempt_comes_to_what_it_has_not_heard(house):
    """The worker was killed; the seed is kept, so the samples are the same in other pieces."""
    first = house.begin()
    house.append(first, (0, b"aabb"))

    def begin_anew(number):
        if number == 1:
            second = house.begin()
            house.append(second, (0, b"aa"), (1, b"bbcc"))
            house.records.finish(second, Status.SUCCEEDED)

    assert house.heard(first, begin_anew) == [b"aabb", b"cc", Status.SUCCEEDED]


def test_what_is_still_made_is_never_forgotten_in_part(house):
    """A listener who comes late to a long dialogue hears it from its beginning."""
    now = house.begin()
    house.append(now, (0, b"aa"), (1, b"bb"))
    house.live.forget(time.time() + 60)
    assert len(house.live.after(now, 0)) == 2
    house.records.finish(now, Status.SUCCEEDED)
    house.live.forget(time.time() - 60)
    assert len(house.live.after(now, 0)) == 2
    house.live.forget(time.time() + 60)
    assert house.live.after(now, 0) == []
    assert not house.live.is_kept(now)


def test_a_listener_too_slow_for_the_rest_is_told_so(house):
    now = house.begin()
    house.append(now, (0, b"aa"))

    def forget(number):
        house.records.finish(now, Status.SUCCEEDED)
        house.live.forget(time.time() + 60)

    with pytest.raises(GenerationFailed, match="too slowly"):
        house.heard(now, forget)


def test_one_who_comes_when_all_is_forgotten_is_given_the_end_at_once(house):
    now = house.begin()
    house.records.finish(now, Status.SUCCEEDED)
    assert house.heard(now) == [Status.SUCCEEDED]
