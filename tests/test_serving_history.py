"""What owners see of their predictions: pages that lead to each other, places in the queue, few questions for both."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from serving.catalog import DIA
from serving.doors.tasks.task_json import TaskJson
from serving.links import Links
from serving.prediction_json import PredictionJson
from serving.storage.database import open_database
from serving.storage.files import OUTPUT, UPLOAD, Files
from serving.storage.history import History, Page
from serving.storage.prediction import Prediction
from serving.storage.records import Records
from serving.storage.store import FolderStore
from serving.storage.workspace import Workspace

pytest_plugins = ["postgres_fixtures"]


class House:
    def __init__(self, folder, url: str) -> None:
        self.folder = folder
        self.engine = open_database(url)
        self.records, self.history = Records(self.engine), History(self.engine)
        self.files = Files(self.engine, FolderStore(folder / "files"), Workspace(folder / "arriving"))
        self.json = PredictionJson(self.history, self.files, Links("https://speech.example.org", b"secret"))
        self.questions = 0
        sa.event.listen(self.engine, "before_cursor_execute", self._count)

    def accept(self, number: int, owner: str = "alice", door: str = "predictions", **values: Any) -> Prediction:
        """Created at second `number`."""
        given = {"model": DIA.full_name, "version": "v", "input": {"text": "[S1] Hi."}, **values}
        return self.records.create(Prediction(f"{owner[0]}{number}", owner, door, created_at=number, **given))

    def file(self, kind: str) -> str:
        """→ its id."""
        path = self.folder / "source"
        path.write_bytes(b"x")
        file = self.files.stage(path, owner="alice", kind=kind, name="a.wav", content_type="audio/wav")
        with self.engine.begin() as connection:
            return self.files.publish(file, connection).id

    def make(self, number: int) -> Prediction:
        """One that succeeded, with a file that it was given and one that it made."""
        given = {"text": "[S1] Hi.", "audio_prompt": f"file:{self.file(UPLOAD)}", "seed": None}
        now = self.records.begin(self.accept(number, input=given).id)
        self.records.finish(now, "succeeded", output=self.file(OUTPUT))
        return self.records.get(now.id)

    def asked_for(self, do: Callable[[], Any]) -> int:
        """How many questions to the database it takes."""
        before = self.questions
        do()
        return self.questions - before

    def _count(self, *_: Any) -> None:
        self.questions += 1


@pytest.fixture
def house(tmp_path, either_url):
    house = House(tmp_path, either_url)
    yield house
    house.engine.dispose()


def shown(page: Page) -> tuple[str, bool, bool]:
    return "".join(p.id[1:] for p in page.rows), page.has_newer, page.has_older


def test_pages_lead_to_each_other_both_ways(house):
    made = {number: house.accept(number) for number in (1, 2, 3, 4, 5)}
    house.accept(6, owner="bob")
    house.accept(7, door="tasks")

    def page(**place) -> tuple[str, bool, bool]:
        return shown(house.history.page("alice", limit=2, door="predictions", **place))

    assert page() == ("54", False, True)
    assert page(after=made[4]) == ("32", True, True)
    assert page(after=made[2]) == ("1", True, False)
    assert page(after=made[1]) == ("", False, False)
    assert page(before=made[1]) == ("32", True, True)
    assert page(before=made[3]) == ("54", False, True)
    assert page(before=made[4]) == ("5", False, True)
    assert page(before=made[5]) == ("", False, False)
    assert shown(house.history.page("alice", limit=5)) == ("75432", False, True)
    assert shown(house.history.page("alice", limit=6)) == ("754321", False, False)


def test_a_period_has_its_first_moment_and_not_its_last(house):
    made = {number: house.accept(number) for number in (1, 2, 3, 4, 5)}

    def page(**place) -> tuple[str, bool, bool]:
        return shown(house.history.page("alice", limit=2, period=(2, 5), **place))

    assert page() == ("43", False, True)
    assert page(after=made[3]) == ("2", True, False)
    assert page(before=made[3]) == ("4", False, True)
    assert shown(house.history.page("alice", limit=9, period=(4, None))) == ("54", False, False)
    assert shown(house.history.page("alice", limit=9, period=(None, 2))) == ("1", False, False)


def test_those_of_the_same_moment_are_each_on_one_page(house):
    for name in "abc":
        house.records.create(Prediction(f"x{name}", "alice", "predictions", DIA.full_name, "v", {}, created_at=1.0))
    first = house.history.page("alice", limit=2)
    assert shown(first) == ("cb", False, True)
    assert shown(house.history.page("alice", limit=2, after=first.rows[-1])) == ("a", True, False)


def test_who_waits_knows_how_many_of_the_same_model_are_to_be_begun_first(house):
    waiting = [house.accept(number) for number in (1, 2, 3)]
    house.accept(0, model="parley/other")
    assert house.history.queue_positions(waiting) == {"a1": 1, "a2": 2, "a3": 3}
    assert house.history.queue_positions([waiting[1]]) == {"a2": 2}
    begun = house.records.begin("a1")
    assert house.history.queue_positions([begun, *waiting[1:]]) == {"a2": 1, "a3": 2}
    assert house.history.queue_positions(waiting[:1]) == {}  # it has been begun since it was looked at
    assert house.history.queue_positions([]) == {}


def test_many_are_shown_as_each_alone_is_with_no_more_questions_than_one(house, monkeypatch):
    """Before, a page of a hundred asked three hundred."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)  # else links of two calls may differ
    some = [*(house.make(number) for number in range(4)), *(house.accept(number) for number in (10, 11))]
    assert house.json.show_all(some) == [house.json.show(p) for p in some]
    for made in house.json.show_all(some[:4]):
        assert "/download?" in made["output"]
        assert "/download?" in made["input"]["audio_prompt"]
    assert [house.asked_for(lambda these=these: house.json.show_all(these)) for these in (some, some[3:5])] == [2, 2]
    tasks = TaskJson(house.json, house.files, Links("https://speech.example.org", b"secret"))
    assert tasks.show_all(some) == [tasks.show(p) for p in some]
    assert house.asked_for(lambda: tasks.show_all(some)) == 3


def test_files_that_are_gone_are_shown_as_none(house):
    now = house.make(1)
    for file_id in (now.output, now.input["audio_prompt"].removeprefix("file:")):
        house.files.delete(house.files.get(file_id))
    shown = house.json.show(now)
    assert (shown["output"], shown["input"]["audio_prompt"], shown["input"]["seed"]) == (None, None, None)
