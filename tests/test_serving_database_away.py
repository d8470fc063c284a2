"""A database that goes away for a while: callers are told to come again, and what was kept for them is not lost."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from serving_fixtures import AUTH, served
from serving_replicate_fixtures import asked
from starlette.testclient import TestClient

PREDICTIONS = "/v1/predictions"
AWAY = {
    "not there": sa.exc.OperationalError("SELECT a secret", {}, OSError("connection refused")),
    "read-only": sa.exc.InternalError("SELECT a secret", {}, OSError("cannot execute UPDATE")),
    "no connection free": sa.exc.TimeoutError("QueuePool limit of size 5 overflow 10 reached"),
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Nobody works for it."""
    with served(tmp_path_factory.mktemp("away")) as found:
        yield found


def away(error: Exception) -> Callable[..., Any]:
    def asked(*_: Any, **__: Any) -> Any:
        raise error

    return asked


@pytest.mark.parametrize("kind", AWAY)
@pytest.mark.parametrize("path", [f"{PREDICTIONS}/{'a' * 26}", f"/ai/audio_generation/{'a' * 32}"])
def test_who_asks_is_told_to_come_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str, kind: str
) -> None:
    """Before: 500, something broke."""
    monkeypatch.setattr(client.app.state.service.records, "get", away(AWAY[kind]))
    answer = client.get(path, headers=AUTH)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "database is away" in answer.text
    assert "secret" not in answer.text + caplog.text
    assert not any(record.exc_info for record in caplog.records)


def test_speech_is_told_in_its_own_words(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.app.state.service.intake, "accept", away(AWAY["not there"]))
    body = {"model": "dia", "input": "Hey.", "voice": "s1"}
    answer = client.post("/v1/audio/speech", json=body, headers=AUTH)
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "server_error")


def test_who_has_a_task_hears_its_id_too(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(client.app.state.service.history, "queue_positions", away(AWAY["not there"]))
        answer = client.post("/ai/audio_generation", json={"prompt": "Hey.", "configs": {"model": "dia"}}, headers=AUTH)
    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "PENDING")
    assert client.get(answer.json()["data"]["urls"]["status"], headers=AUTH).status_code == 200


@pytest.mark.parametrize("prefer", ["wait", "wait=1", "respond-async"])
@pytest.mark.parametrize("kind", AWAY)
def test_who_has_a_prediction_hears_its_id_whatever_happens_then(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, prefer: str, kind: str
) -> None:
    """Before, the prediction was kept, and its caller was told that something broke."""
    with monkeypatch.context() as patched:
        patched.setattr(client.app.state.service.records, "get", away(AWAY[kind]))
        patched.setattr(client.app.state.service.history, "queue_positions", away(AWAY[kind]))
        answer = client.post(PREDICTIONS, json=asked(), headers=AUTH | {"Prefer": prefer})
    assert (answer.status_code, answer.json()["status"]) == (202, "starting")
    kept = client.get(answer.json()["urls"]["get"], headers=AUTH).json()
    assert kept["id"] == answer.json()["id"]
    assert {**answer.json(), "metrics": {}, "urls": {}} == {**kept, "metrics": {}, "urls": {}}
