"""When its time has come nothing that was asked, made or told of a prediction is left in any table."""

import time
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from serving_fixtures import CREATE, Running, running, wait_for
from serving_http_fixtures import reply, serve

from serving.storage.retention import Retention
from serving.work import sweep as sweep_module
from serving.work.sweep import Sweep

SECRET = "zq7-nobodys-business"
EVENTS = ["start", "output", "logs", "completed"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with running(tmp_path_factory.mktemp("forgetting")) as run:
        yield run


def rows(run: Running) -> dict[str, str]:
    """All that each table of the database holds, ours and the queue's."""
    with run.service.engine.connect() as connection:
        tables = sa.inspect(connection).get_table_names()
        return {name: repr(connection.exec_driver_sql(f'SELECT * FROM "{name}"').all()) for name in tables}


def holding(run: Running, text: str) -> set[str]:
    """The tables in which it is."""
    return {name for name, found in rows(run).items() if text in found}


def sweep(run: Running) -> Sweep:
    service = run.service
    nothing = SimpleNamespace()
    settings = service.settings
    return Sweep(
        service.records, Retention(service.engine), service.tallies, service.files, nothing, service.live,
        service.queue, settings.keep_seconds, settings.forget_seconds,
    )  # fmt: skip


def test_nothing_is_left_of_what_was_asked_made_and_told(run, monkeypatch):
    """Before, bodies of webhooks lay in the queue for a day, and errors and webhooks' URLs in the row for ever."""
    with serve() as receiver, run.client() as client:
        receiver.answers["/hook"] = reply()
        hook = receiver.url(f"/hook?token={SECRET}")
        ids = []
        for text in (f"[S1] Hi {SECRET}.", f"[S1] No, {SECRET}!"):
            asked = {"input": {"text": text}, "webhook": hook, "webhook_events_filter": EVENTS}
            ids.append(client.post(CREATE, json=asked, headers={"Prefer": "wait"}).json()["id"])
        wait_for(lambda: not run.service.queue.untold() and not run.service.records.unannounced())
        assert any("completed" in one.headers["webhook-id"] for one in receiver.asked)
        assert holding(run, SECRET) == {"parley_predictions"}
        assert "parley_live_audio" in holding(run, ids[0])
        later = time.time() + run.service.settings.keep_seconds + 1
        monkeypatch.setattr(sweep_module.time, "time", lambda: later)
        for chore in sweep(run).chores()[:-2]:  # but for those of files
            chore.do()
        assert holding(run, SECRET) == set()
        assert [client.get(f"/v1/predictions/{name}").json()["data_removed"] for name in ids] == [True, True]
        later += run.service.settings.forget_seconds
        for chore in sweep(run).chores()[:-2]:
            chore.do()
        assert [holding(run, name) for name in ids] == [set(), set()]
        assert [client.get(f"/v1/predictions/{name}").status_code for name in ids] == [404, 404]
        assert client.get("/v1/models/parley/dia").json()["run_count"] == 2
