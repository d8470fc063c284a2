"""Asked to end, a process takes on nothing more, ends what it can in time, hands back the rest and says it did well."""

import os
import signal
import threading
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from serving_child import write_spoken
from serving_children_fixtures import SLOW, client_of, free_port, nursery, role, wait_until
from serving_fixtures import CREATE, wait_for

from serving.storage import database, tables
from serving.storage.prediction import Prediction
from serving.storage.records import Records

TEXT = "[S1] A little longer."


@pytest.fixture(scope="module")
def children():
    with nursery() as children:
        yield children


def row(folder: Path, prediction_id: str) -> Prediction:
    engine = sa.create_engine(database.sqlite_url(folder / "parley.db"), poolclass=sa.NullPool)
    found = Records(engine).get(prediction_id)
    assert found is not None
    return found


def begin(client: httpx.Client, folder: Path) -> str:
    """→ the id of a prediction whose audio is being made."""
    name: str = client.post(CREATE, json={"input": {"text": TEXT}}).json()["id"]
    wait_for(lambda: row(folder, name).audio_seconds > 0, SLOW)
    return name


def test_what_runs_is_finished_and_answered_while_new_callers_are_refused(tmp_path, children):
    port = free_port()
    answers: list[httpx.Response] = []

    def ask() -> None:
        with client_of(port) as client:
            answers.append(client.post(CREATE, json={"input": {"text": TEXT}}, headers={"Prefer": "wait"}))

    pid = children.start(**role(tmp_path, port), web=True, work=True, pause=0.15)
    wait_until(port)
    asking = threading.Thread(target=ask)
    asking.start()
    wait_for(lambda: _made(tmp_path) > 0, SLOW)
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: _is_refused(port))
    assert not answers  # that is, while the first one still waits
    asking.join(SLOW)
    assert children.wait(pid) == 0
    assert answers[0].json()["status"] == "succeeded"
    assert row(tmp_path, answers[0].json()["id"]).attempt == 1


def test_what_does_not_end_in_time_is_begun_anew_by_the_next_process_with_the_same_seed(tmp_path, children):
    port = free_port()
    patient = role(tmp_path, port, grace_seconds=1.0)
    pid = children.start(**patient, web=True, work=True, pause=30.0 / len(TEXT))
    wait_until(port)
    with client_of(port) as client:
        name = begin(client, tmp_path)
        with client.stream("GET", f"/v1/predictions/{name}/audio") as listening:
            assert listening.status_code == 200
            assert children.end(pid) < 20  # nor does it wait for who listens
    left = row(tmp_path, name)
    assert (left.status, left.attempt) == ("processing", 1)
    children.start(**patient, web=True, work=True)
    wait_until(port, "/health")
    with client_of(port) as client:
        wait_for(lambda: client.get(f"/v1/predictions/{name}").json()["status"] == "succeeded", SLOW)
        audio = client.get(client.get(f"/v1/predictions/{name}").json()["output"]).content
    now = row(tmp_path, name)
    assert (now.attempt, now.cut_short, now.settled) == (2, 0, left.settled)
    write_spoken(tmp_path / "expected", TEXT, now.settled["seed"])
    assert audio == (tmp_path / "expected").read_bytes()


@pytest.mark.slow
def test_a_worker_alone_ends_well_and_what_it_left_is_done_by_another(tmp_path, children):
    """Two processes on one SQLite file."""
    port = free_port()
    shared = role(tmp_path, port, grace_seconds=1.0)
    children.start(**shared, web=True)
    wait_until(port)
    pid = children.start(**shared, work=True, pause=30.0 / len(TEXT))
    with client_of(port) as client:
        name = begin(client, tmp_path)
    children.end(pid)
    children.start(**shared, work=True)
    wait_for(lambda: row(tmp_path, name).status == "succeeded", SLOW)
    assert list((tmp_path / "work").glob("*/*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_models_that_are_still_loading_are_not_waited_for(tmp_path, children, number):
    port = free_port()
    pid = children.start(**role(tmp_path, port), web=True, work=True, loading=60.0)
    wait_until(port, "/health")
    assert httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 503
    assert children.end(pid, number) < 20


@pytest.mark.slow
@pytest.mark.parametrize("web", [True, False])
def test_a_process_whose_models_cannot_be_loaded_ends_and_says_so(tmp_path, children, web):
    pid = children.start(**role(tmp_path, free_port()), web=web, work=True, broken=True)
    assert children.wait(pid) == 1
    assert "no weights here" in (tmp_path / "child.log").read_text()


def _made(folder: Path) -> float:
    engine = sa.create_engine(database.sqlite_url(folder / "parley.db"), poolclass=sa.NullPool)
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.max(tables.predictions.c.audio_seconds))).scalar_one() or 0.0


def _is_refused(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 503
    except httpx.TransportError:
        return True


@pytest.mark.parametrize("web", [True, False])
def test_the_second_ctrl_c_ends_what_the_first_one_waits_for(tmp_path, children, web):
    """Before, it was passed over for all of the grace, half a minute, and nobody said what was waited for."""
    port, health_port = free_port(), free_port()
    if not web:
        serving = children.start(**role(tmp_path, port), web=True, work=False)
    given = role(tmp_path, port, grace_seconds=SLOW, health_port=0 if web else health_port)
    pid = children.start(**given, web=web, work=True, pause=30.0 / len(TEXT))
    wait_until(port)
    if not web:
        wait_until(health_port)
    with client_of(port) as client:
        name = begin(client, tmp_path)
    os.kill(pid, signal.SIGINT)
    wait_for(lambda: "Ctrl-C once more ends it at once" in (tmp_path / "child.log").read_text())
    assert row(tmp_path, name).status == "processing"
    os.kill(pid, signal.SIGINT)
    assert children.wait(pid) == 130
    assert row(tmp_path, name).status == "processing"  # for the next to begin anew, as what was killed is
    if not web:
        children.end(serving)
