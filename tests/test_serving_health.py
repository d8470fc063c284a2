"""Whoever runs the service is told whether it lives, whether it works, and its numbers, and nobody else their sum."""

import threading
from collections.abc import Iterator

import httpx
import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families
from serving_fixtures import ALICE, CREATE, Running, ToneBackend, running, wait_for

from serving.doors import health as health_door
from serving.web.metrics import NO_ROUTE


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("health"), ToneBackend()) as run:
        yield run


def numbers(run: Running) -> dict[tuple[str, ...], float]:
    """name and the values of the labels → the number."""
    answer = httpx.get(f"{run.url}/metrics", headers={"Authorization": f"Bearer {ALICE}"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {(s.name, *(s.labels[name] for name in sorted(s.labels))): s.value for f in families for s in f.samples}


def make(run: Running, text: str) -> str:
    with run.client() as client:
        return client.post(CREATE, json={"input": {"text": text}}, headers={"Prefer": "wait"}).json()["status"]


def test_the_process_says_without_a_token_that_it_lives_and_works(run):
    assert httpx.get(f"{run.url}/health").json() == {"status": "alive"}
    assert httpx.get(f"{run.url}/ready").json() == {"status": "ready"}


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_a_probe_may_ask_for_the_head_alone(run, path):
    answer = httpx.head(f"{run.url}{path}")
    assert (answer.status_code, answer.content) == (200, b"")


def test_numbers_need_a_token(run):
    assert httpx.get(f"{run.url}/metrics").status_code == 401


def test_predictions_are_counted_by_status_and_door_with_their_audio_and_time(run):
    before = numbers(run)
    assert [make(run, "[S1] Hi."), make(run, "[S1] No!")] == ["succeeded", "failed"]
    after = numbers(run)

    def more(*of: str) -> float:
        return after[of] - before.get(of, 0)

    assert more("parley_predictions", "predictions", "succeeded") == 1
    assert more("parley_predictions", "predictions", "failed") == 1
    assert more("parley_audio_seconds_total", "predictions") == pytest.approx(0.8)
    assert more("parley_predict_seconds_count", "predictions") == 1
    assert more("parley_predict_seconds_bucket", "predictions", "1800.0") == 1
    assert 0 < more("parley_predict_seconds_sum", "predictions") < 60
    assert after["parley_predictions_waiting",] == after["parley_predictions_running",] == 0


def test_what_waits_and_what_runs_are_counted(run):
    gate = run.backend.gate = threading.Event()
    with run.client() as client:
        ids = [client.post(CREATE, json={"input": {"text": "[S1] Hi."}}).json()["id"] for _ in range(6)]
    try:
        wait_for(lambda: numbers(run)["parley_predictions_running",] == run.service.settings.at_once)
        assert numbers(run)["parley_predictions_waiting",] == 6 - run.service.settings.at_once
    finally:
        gate.set()
        run.backend.gate = None
    wait_for(lambda: all(run.service.records.get(name).status.final for name in ids))


def test_requests_are_timed_by_the_template_of_their_route(run):
    """Not by their paths, of which there are as many as predictions."""
    with run.client() as client:
        for name in ("a", "b"):
            assert client.get(f"/v1/predictions/{name}").status_code == 404
        client.get("/nothing-there")
        client.request("INVENTED", "/health")
    found = numbers(run)
    assert found["parley_http_request_seconds_count", "GET", "/v1/predictions/{prediction_id}", "404"] == 2
    assert found["parley_http_request_seconds_count", "GET", "/health", "200"] >= 1
    assert found["parley_http_request_seconds_count", "other", "/health", "405"] == 1
    assert not [labels for labels in found if "INVENTED" in labels]
    assert found["parley_http_request_seconds_count", "GET", NO_ROUTE, "404"] == 1
    assert not [labels for labels in found if "nothing-there" in "".join(labels)]


def test_not_ready_without_a_database(run, monkeypatch):
    def away(engine: sa.Engine) -> None:
        raise sa.exc.OperationalError("SELECT 1", {}, OSError("gone"))

    monkeypatch.setattr(health_door, "_ask", away)
    answer = httpx.get(f"{run.url}/ready")
    assert answer.status_code == 503
    assert "database" in answer.json()["detail"]
    assert answer.headers["retry-after"]


def test_not_ready_with_a_database_that_does_not_answer(run, monkeypatch):
    answered = threading.Event()
    monkeypatch.setattr(health_door, "DATABASE_SECONDS", 0.1)
    monkeypatch.setattr(health_door, "_ask", lambda engine: answered.wait(10))
    assert httpx.get(f"{run.url}/ready").status_code == 503
    answered.set()


def test_not_ready_while_nothing_is_worked_on(run, monkeypatch):
    """Models that load, or a lease that was lost."""
    monkeypatch.setattr(run.service.worker, "launched", False)
    answer = httpx.get(f"{run.url}/ready")
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert httpx.get(f"{run.url}/health").status_code == 200


def test_not_ready_when_the_models_could_not_be_loaded(run, monkeypatch):
    monkeypatch.setattr(run.service.worker, "error", OSError("no weights"))
    answer = httpx.get(f"{run.url}/ready")
    assert answer.status_code == 503
    assert "weights" not in answer.json()["detail"]


def test_a_process_that_only_serves_is_ready_when_its_database_is(run, monkeypatch):
    monkeypatch.setattr(run.service, "worker", None)
    assert httpx.get(f"{run.url}/ready").status_code == 200
