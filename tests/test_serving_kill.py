"""Accepted means kept: processes are killed at random moments, and nothing is lost, half done or told twice."""

import hashlib
import itertools
import random
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from serving_child import write_spoken
from serving_children_fixtures import Nursery, client_of, free_port, nursery, role
from serving_fixtures import CREATE, wait_for
from serving_http_fixtures import StandInServer, reply, serve

from serving.storage import database, tables
from serving.storage.files import ARRIVAL_SECONDS, UNSEEN, Files
from serving.storage.store import FolderStore
from serving.storage.workspace import Workspace

pytest_plugins = ["postgres_fixtures"]

TEXT = "[S1] Oh"
EVENTS = ["start", "completed"]
REFUSED_SHARE = 0.1  # of messages, which the receiver does not take the first time
ONE_PROCESS = ({"web": True, "work": True},)
ONE_WEB_TWO_WORKERS = ({"web": True}, {"work": True}, {"work": True})


@dataclass
class Campaign:
    """children: one process for each of `roles`, killed and started again; callers post to the web one meanwhile."""

    children: Nursery
    receiver: StandInServer
    folder: Path
    roles: tuple[dict[str, Any], ...]
    database_url: str
    draw: random.Random
    kills: int
    predictions: int
    posts_a_second: float
    accepted: list[str] = field(default_factory=list)
    unanswered: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.shared = role(self.folder, free_port(), database_url=self.database_url, pause=0.02, most_attempts=1000)
        self.hook = self.receiver.answers["/hook"] = _Flaky(self.draw.random())

    def client(self) -> httpx.Client:
        return client_of(self.shared["port"])

    def run(self) -> None:
        posting = threading.Thread(target=self._post_all)
        running = [self.children.start(**self.shared, **one) for one in self.roles]
        posting.start()
        try:
            for _ in range(self.kills):
                self._kill_one(running)
            posting.join(120)
        finally:
            self.over.set()
        assert len(self.accepted) == self.predictions, self.unanswered
        wait_for(self._all_over, 120)
        wait_for(lambda: set(self.accepted) <= {p for p, event in self.told() if event == "completed"}, 120)

    def _kill_one(self, running: list[int]) -> None:
        """And start another in its place."""
        if self.draw.random() < 0.6:  # else it may be killed while it starts
            self._wait_for_work()
        time.sleep(self.draw.uniform(0.0, 1.2))
        victim = self.draw.randrange(len(running))
        self.children.kill(running[victim])
        running[victim] = self.children.start(**self.shared, **self.roles[victim])

    def _wait_for_work(self) -> None:
        """Until something is being made, or so long that there may be nothing to make."""
        end = time.monotonic() + 4
        while time.monotonic() < end and not self._is_working():
            time.sleep(0.02)

    def _is_working(self) -> bool:
        working = sa.select(sa.func.count()).where(tables.predictions.c.status == "processing")
        with self.engine().connect() as connection:
            has_table = sa.inspect(connection).has_table(tables.predictions.name)  # it may have been killed before
            return has_table and connection.execute(working).scalar_one() > 0

    def _post_all(self) -> None:
        hook = self.receiver.url("/hook")
        asked = {"input": {"text": TEXT}, "webhook": hook, "webhook_events_filter": EVENTS}
        pauses = random.Random(self.predictions)
        with self.client() as client:
            while len(self.accepted) < self.predictions and not self.over.is_set():
                try:
                    answer = client.post(CREATE, json=asked)
                except httpx.TransportError:
                    self.unanswered += 1
                    time.sleep(0.05)
                    continue
                assert answer.status_code == 201, answer.text
                self.accepted.append(answer.json()["id"])
                time.sleep(pauses.uniform(0, 2 / self.posts_a_second))

    def _all_over(self) -> bool:
        rows = self.rows(tables.predictions)
        return all(rows[p].status not in ("starting", "processing") for p in self.accepted)

    def rows(self, table: sa.Table) -> dict[str, Any]:
        with self.engine().connect() as connection:
            return {row.id: row for row in connection.execute(sa.select(table))}

    def engine(self) -> sa.Engine:
        url = self.database_url or database.sqlite_url(self.folder / "parley.db")
        return sa.create_engine(database.sqlalchemy_url(url), poolclass=sa.NullPool)

    def told(self) -> dict[tuple[str, str], list[str]]:
        """The ids of the messages that came, for each prediction and event."""
        told = defaultdict(list)
        for asked in list(self.receiver.asked):
            prediction, event, _ = asked.headers["webhook-id"].rsplit("-", 2)
            told[prediction, event].append(asked.headers["webhook-id"])
        return told


class _Flaky:
    """Takes most messages at once, the others when they come again."""

    def __init__(self, seed: float) -> None:
        self._draw, self._seen, self.refused = random.Random(seed), Counter[str](), 0

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        message = handler.headers["webhook-id"]
        self._seen[message] += 1
        refuses = self._seen[message] == 1 and self._draw.random() < REFUSED_SHARE
        self.refused += refuses
        reply(status=500 if refuses else 200)(handler)


def check(campaign: Campaign, folder: Path) -> None:
    rows, files = campaign.rows(tables.predictions), campaign.rows(tables.files)
    assert {rows[p].status for p in campaign.accepted} == {"succeeded"}
    with campaign.client() as client:
        for prediction in campaign.accepted:
            row = rows[prediction]
            assert_output_is_whole(client, row, files[row.output], folder / prediction)
    assert_told_once(campaign)
    assert_nothing_else_is_stored(campaign)


def assert_output_is_whole(client: httpx.Client, row: Any, file: Any, path: Path) -> None:
    """Its bytes are the row's, and what the seed says, however often it was begun."""
    audio = client.get(client.get(f"/v1/predictions/{row.id}").json()["output"]).content
    assert (hashlib.sha256(audio).hexdigest(), len(audio)) == (file.sha256, file.size)
    write_spoken(path, TEXT, row.settled["seed"])
    assert audio == path.read_bytes()


def assert_told_once(campaign: Campaign) -> None:
    """Of each event of each prediction one message, perhaps delivered more than once."""
    told = campaign.told()
    for prediction, event in itertools.product(campaign.accepted, EVENTS):
        assert len(set(told[prediction, event])) == 1, (prediction, event)


def assert_nothing_else_is_stored(campaign: Campaign) -> None:
    """After a sweep the store's folder holds the files of the rows, and no byte more."""
    store = FolderStore(campaign.folder / "files")
    files = Files(campaign.engine(), store, Workspace(campaign.folder / "work" / "arriving"))
    later = time.time() + ARRIVAL_SECONDS
    store.sweep(later)
    files.delete_expired(later)
    rows = campaign.rows(tables.files)
    assert UNSEEN not in {row.kind for row in rows.values()}
    stored = {path.name: path for path in (campaign.folder / "files").rglob("*") if path.is_file()}
    assert stored.keys() == rows.keys()
    for row in rows.values():
        assert hashlib.sha256(stored[row.id].read_bytes()).hexdigest() == row.sha256


def summary(campaign: Campaign) -> str:
    deliveries = Counter(asked.headers["webhook-id"] for asked in campaign.receiver.asked)
    attempts = Counter(row.attempt for row in campaign.rows(tables.predictions).values())
    again = deliveries.total() - len(deliveries)
    return (
        f"{campaign.kills} kills; {len(campaign.accepted)} predictions accepted, {campaign.unanswered} posts "
        f"unanswered; begun {dict(sorted(attempts.items()))}; {deliveries.total()} webhooks delivered of "
        f"{len(deliveries)} messages, {again} again, {campaign.hook.refused} of these because the receiver had refused"
    )


def carry_out(folder: Path, record: Any, **campaign: Any) -> None:
    (folder / "data").mkdir()
    with serve() as receiver, nursery() as children:
        this = Campaign(children, receiver, folder / "data", **campaign)
        started = time.monotonic()
        this.run()
        record("summary", f"{summary(this)}; {time.monotonic() - started:.0f} s")
        check(this, folder)


def test_a_few_kills_lose_nothing(tmp_path, record_property):
    carry_out(
        tmp_path, record_property, roles=ONE_PROCESS, database_url="", draw=random.Random(1), kills=3, predictions=5,
        posts_a_second=4,
    )  # fmt: skip


@pytest.mark.slow
def test_fifty_kills_of_the_one_process_lose_nothing(tmp_path, record_property):
    carry_out(
        tmp_path, record_property, roles=ONE_PROCESS, database_url="", draw=random.Random(2), kills=55, predictions=200,
        posts_a_second=8,
    )  # fmt: skip


@pytest.mark.slow
def test_fifty_kills_of_web_and_workers_on_postgresql_lose_nothing(tmp_path, database_url, record_property):
    carry_out(
        tmp_path, record_property, roles=ONE_WEB_TWO_WORKERS, database_url=database_url, draw=random.Random(3),
        kills=60, predictions=200, posts_a_second=8,
    )  # fmt: skip
