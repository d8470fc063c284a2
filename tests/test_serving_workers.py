"""Several processes on one PostgreSQL: what one loses the others have within seconds, and nobody works on it twice."""

import threading
import time

import httpx
import psycopg
import pytest
from serving_children_fixtures import SLOW, client_of, free_port, nursery, role, wait_until
from serving_fixtures import AUTH, CREATE, Running, ToneBackend, running, wait_for

from serving.storage.lease import NAMESPACE

pytest_plugins = ["postgres_fixtures"]

TAKE_OVER_SECONDS = 10.0  # to find out by the lease and to begin anew; three of them the rescue's own


def ask(url: str, statement: str) -> list[tuple]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


def row(url: str, name: str) -> tuple:
    """status, attempt, the executor that has it."""
    return ask(
        url,
        "SELECT p.status, p.attempt, w.executor_id FROM parley_predictions p "
        f"JOIN dbos.workflow_status w ON w.workflow_uuid = p.id WHERE p.id = '{name}'",
    )[0]


def test_a_killed_workers_prediction_is_made_by_the_other_within_seconds(tmp_path, database_url):
    port = free_port()
    shared = role(tmp_path, port, database_url=database_url, pause=0.1)
    with nursery() as children:
        children.start(**shared, web=True)
        wait_until(port)
        workers = {}
        for number in range(2):
            workers[number] = children.start(**shared, work=True)
            wait_for(lambda number=number: _leases(database_url) == number + 1, SLOW)
        with client_of(port) as client:
            name = client.post(CREATE, json={"input": {"text": "[S1] Over to you."}}).json()["id"]
            wait_for(lambda: row(database_url, name)[:2] == ("processing", 1))
            executor = row(database_url, name)[2]
            children.kill(workers[int(executor.rpartition("-")[2])])
            wait_for(lambda: row(database_url, name)[1] == 2, TAKE_OVER_SECONDS)
            wait_for(lambda: client.get(f"/v1/predictions/{name}").json()["status"] == "succeeded")
    status, attempt, other = row(database_url, name)
    assert (status, attempt) == ("succeeded", 2)
    assert ask(database_url, f"SELECT cut_short FROM parley_predictions WHERE id = '{name}'") == [(1,)]
    assert other != executor


@pytest.mark.slow
def test_a_web_process_alone_keeps_what_it_accepts_for_the_first_worker(tmp_path, database_url):
    """On a new database: before, the queue's tables were made by the first worker only."""
    port = free_port()
    shared = role(tmp_path, port, database_url=database_url)
    with nursery() as children:
        children.start(**shared, web=True)
        wait_until(port)
        with client_of(port) as client:
            late = client.post(
                CREATE, json={"input": {"text": "[S1] Too late."}}, headers={"Cancel-After": "5s"}
            ).json()
            name = client.post(CREATE, json={"input": {"text": "[S1] In time."}}).json()["id"]
            wait_for(lambda: client.get(f"/v1/predictions/{late['id']}").json()["status"] == "canceled")
            children.start(**shared, work=True)
            wait_for(lambda: client.get(f"/v1/predictions/{name}").json()["status"] == "succeeded")


@pytest.fixture
def run(tmp_path, database_url):
    backend = ToneBackend(gate=threading.Event())
    with running(tmp_path, backend, database_url=database_url) as run:
        yield run


def begin(run: Running) -> str:
    with run.client() as client:
        name = client.post(CREATE, json={"input": {"text": "[S1] Hello."}}).json()["id"]
    wait_for(lambda: run.backend.made)
    return name


def test_a_worker_that_loses_its_lease_stops_at_once_and_begins_again_under_a_new_one(run, database_url):
    name = begin(run)
    ask(
        database_url,
        f"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = {NAMESPACE}",
    )
    wait_for(lambda: name in run.backend.cancelled)
    run.backend.cancelled.clear()
    run.backend.gate.set()
    wait_for(lambda: run.service.records.get(name).status.final)
    now = run.service.records.get(name)
    assert (now.status, now.attempt, now.cut_short) == ("succeeded", 2, 0)
    wait_for(lambda: httpx.get(f"{run.url}/ready").status_code == 200)
    assert run.service.worker.error is None


@pytest.mark.slow
def test_a_restart_of_the_database_costs_nothing_but_time(run, postgres):
    name = begin(run)
    postgres.stop()
    with pytest.raises(httpx.HTTPStatusError):
        httpx.get(f"{run.url}/ready").raise_for_status()
    time.sleep(1)
    postgres.start()
    run.backend.cancelled.clear()
    run.backend.gate.set()

    def succeeded() -> bool:
        run.backend.cancelled.clear()  # whoever was given up has heard of it by now
        answer = httpx.get(f"{run.url}/v1/predictions/{name}", headers=AUTH, timeout=30)
        return answer.status_code == 200 and answer.json()["status"] == "succeeded"

    wait_for(succeeded, 60)
    assert httpx.get(f"{run.url}/ready").status_code == 200


def _leases(url: str) -> int:
    return ask(url, f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = {NAMESPACE}")[0][0]
