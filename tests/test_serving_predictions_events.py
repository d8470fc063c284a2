"""Door 2's events: no line of the logs is lost, whatever became of the attempt that said it."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from serving_records_fixtures import OnePrediction

from serving.doors.predictions.events import LOST, events_of, unsaid
from serving.kept_audio import DELETED
from serving.storage.prediction import Status
from serving.storage.records import LONGEST_LOGS

LINE = "note: passage 2, take 1: it ended in noise\n"


class House(OnePrediction):
    output: str | None = "link"  # to what it made

    def said(self, meanwhile: Callable[[int], object]) -> list[tuple[str, str]]:
        """(name, data) of all events but comments. meanwhile: called with how many there were, first with 0."""
        service = SimpleNamespace(
            records=self.records, changes=self.changes, json=SimpleNamespace(show=lambda now: {"output": self.output})
        )

        async def listen() -> list[tuple[str, str]]:
            self.changes.attach()
            found = []
            meanwhile(0)
            async for text in events_of(self.asked, service):
                if not text.startswith(":"):
                    lines = text.strip("\n").split("\n")
                    found.append((lines[0].removeprefix("event: "), "\n".join(x[6:] for x in lines[2:])))
                    meanwhile(len(found))
            return found

        return asyncio.run(asyncio.wait_for(listen(), 10))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.engine.dispose()


def test_a_second_attempt_says_its_lines_anew(house: House) -> None:
    """Before, as many characters as the first had said were missing."""
    first = house.begin()

    def go_on(number: int) -> None:
        if number == 0:
            house.records.report(first, 0.1, 0.0, "seed: 5\nfirst, of some length\n")
        if number == 1:
            second = house.begin()
            house.records.report(second, 0.1, 0.0, "seed: 5\nagain\n")
            house.records.finish(second, Status.SUCCEEDED)

    assert house.said(go_on) == [
        ("logs", "seed: 5\nfirst, of some length"),
        ("logs", "seed: 5\nagain"),
        ("output", "link"),
        ("done", "{}"),
    ]


def test_lines_beyond_what_is_kept_of_the_logs_are_said(house: House) -> None:
    """Before, nothing more was said once there were as many characters as are kept."""
    now = house.begin()
    lines = [f"line {number:>94}\n" for number in range(LONGEST_LOGS // 100 + 50)]

    def go_on(number: int) -> None:
        if number == 0:
            house.records.report(now, 0.1, 0.0, "".join(lines[:-50]))
        if number == 1:
            house.records.report(now, 0.2, 0.0, "".join(lines[:-20]))
        if number == 2:
            house.records.report(now, 0.3, 0.0, "".join(lines))
            house.records.finish(now, Status.SUCCEEDED)

    said = [data for name, data in house.said(go_on) if name == "logs"]
    assert "\n".join(said) + "\n" == "".join(lines)


def test_one_whose_audio_is_deleted_ends_in_an_error(house: House) -> None:
    """Before, with an output of no characters, as if it had made that."""
    house.records.finish(house.begin(), Status.SUCCEEDED)
    house.output = None
    assert house.said(lambda number: None) == [
        ("error", json.dumps({"detail": DELETED})),
        ("done", '{"reason": "error"}'),
    ]


@pytest.mark.parametrize(
    ("before", "logs", "new"),
    [
        ("", "", ""),
        ("", "a\n", "a\n"),
        ("a\n", "a\nb\n", "b\n"),
        ("a\nb\n", "a\nb\n", ""),
        (f"a\n{LINE}c\n", f"{LINE}c\nd\n", "d\n"),
        (f"{LINE}{LINE}b\n", f"{LINE}b\nc\n", "c\n"),
        (f"a\n{LINE}b\n", f"{LINE[9:]}b\nc\n", "c\n"),
        ("a\nb\n", "x\ny\n", LOST + "x\ny\n"),
        ("a\nb\n", "", ""),
    ],
)
def test_what_is_new_in_logs_is_found_where_old_ones_go_on(before: str, logs: str, new: str) -> None:
    assert unsaid(before, logs) == new
