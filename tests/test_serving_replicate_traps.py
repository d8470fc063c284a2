"""Door 2 where clients are easily lost: headers that say how to wait, names of versions, ids, events, limits."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import sqlalchemy as sa
from replicate.client import Client
from serving_fixtures import ALICE, AUTH, BOB, Running, served, wait_for
from serving_replicate_fixtures import (
    MODEL,
    TEXT,
    VERSION,
    alice,
    asked,
    created,
    ended,
    house,
    now,
)
from starlette.testclient import TestClient

from serving.doors.predictions import routes as predictions
from serving.service import Service
from serving.storage.files import Files
from serving.storage.prediction import Status
from serving.storage.tables import predictions as table

__all__ = ["alice", "house"]  # fixtures

PREDICTIONS = "/v1/predictions"


@pytest.fixture(scope="module")
def bob(house: Running) -> Iterator[httpx.Client]:
    with house.client(BOB) as client:
        yield client


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Of an answer that is one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return dict(body)


def begun(house: Running, prediction: dict[str, Any]) -> None:
    wait_for(lambda: house.service.records.get(prediction["id"]).status is Status.PROCESSING)


def test_a_wait_that_is_over_says_starting_never_processing(house: Running, alice: httpx.Client) -> None:
    """Both clients take "processing" for the end."""
    with house.closed():
        answer = alice.post(PREDICTIONS, json=asked(), headers={"Prefer": "wait=1"})
        assert (answer.status_code, answer.json()["status"]) == (202, "starting")
        assert now(alice, answer.json())["status"] == "processing"


def test_a_wait_that_sees_the_end_is_answered_with_it(alice: httpx.Client) -> None:
    answer = alice.post(PREDICTIONS, json=asked(), headers={"Prefer": "wait"})
    assert (answer.status_code, answer.json()["status"]) == (201, "succeeded")


def test_a_wait_counts_from_when_it_was_asked_for(
    house: Running, alice: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients give up half a second after the seconds they asked for, however long accepting took."""
    accept, ended_of, left = house.service.intake.accept, predictions.ended, []

    def slow(*given: Any) -> Any:
        time.sleep(0.6)
        return accept(*given)

    async def heard(service: Service, prediction: Any, seconds: float) -> Any:
        left.append(seconds)
        return await ended_of(service, prediction, seconds)

    monkeypatch.setattr(house.service.intake, "accept", slow)
    monkeypatch.setattr(predictions, "ended", heard)
    created(alice, prefer="wait=1")
    assert left[0] <= 0.4


@pytest.mark.parametrize("prefer", ["respond-async", "return=minimal", "handling=lenient", "waiting", "wait-not", ""])
def test_who_does_not_ask_to_wait_is_answered_at_once(house: Running, alice: httpx.Client, prefer: str) -> None:
    with house.closed():
        answer = alice.post(PREDICTIONS, json=asked(), headers={"Prefer": prefer})
        assert (answer.status_code, answer.json()["output"]) == (201, None)


@pytest.mark.parametrize("prefer", ["respond-async, wait=9", "WAIT=9", "handling=strict,wait"])
def test_a_wait_among_other_wishes_is_a_wait(alice: httpx.Client, prefer: str) -> None:
    assert created(alice, prefer=prefer)["status"] == "succeeded"


@pytest.mark.parametrize("prefer", ["wait=0", "wait=61", "wait=-1", "wait=1.5", "wait=", "wait=long", "wait =5"])
def test_a_wait_that_cannot_be_is_a_mistake(alice: httpx.Client, prefer: str) -> None:
    (field,) = problem(alice.post(PREDICTIONS, json=asked(), headers={"Prefer": prefer}), 422)["invalid_fields"]
    assert field["field"] == "Prefer"


@pytest.mark.parametrize("after", ["4s", "4", "25h", "soon", "", "-5s", "5m m", "1d"])
def test_a_cancel_after_that_cannot_be_is_a_mistake(alice: httpx.Client, after: str) -> None:
    (field,) = problem(alice.post(PREDICTIONS, json=asked(), headers={"Cancel-After": after}), 422)["invalid_fields"]
    assert field["field"] == "Cancel-After"


def test_a_deadline_ends_what_runs_and_what_waits_and_the_client_can_read_both(
    house: Running, alice: httpx.Client
) -> None:
    """Replicate would say "aborted" of what waited: its Python client fails at that, its JavaScript client waits on."""
    with house.closed():
        after = {"Cancel-After": "5m"}
        running = [created(alice, prefer="respond-async") for _ in range(2)]
        for one in running:
            begun(house, one)
        late = [alice.post(PREDICTIONS, json=asked(), headers=after).json() for _ in range(2)]
        assert all(one["deadline"] > one["created_at"] for one in late)
        assert set(house.service.records.expire(time.time() + 301)) == {one["id"] for one in late}
        alice.post(running[0]["urls"]["cancel"])
        shown = [now(alice, one) for one in (*late, running[0])]
        assert [one["status"] for one in shown] == ["canceled"] * 3
        assert [one["error"] for one in shown] == ["Its deadline passed before it was begun."] * 2 + [None]
    client = Client(ALICE, base_url=house.url)
    assert client.predictions.get(late[0]["id"]).status == "canceled"
    client._client.close()


def test_inputs_that_are_null_are_as_if_left_out(alice: httpx.Client) -> None:
    """Cog's own server refuses them."""
    prediction = created(alice, input={"text": TEXT, "seed": None, "audio_prompt": None, "audio_prompt_text": None})
    assert (prediction["status"], prediction["input"]) == ("succeeded", {"text": TEXT})


def test_events_without_a_webhook_that_is_told_of_them_are_a_mistake(alice: httpx.Client) -> None:
    """Before, they were passed over."""
    body = asked() | {"webhook_events_filter": ["completed"]}
    (field,) = problem(alice.post(PREDICTIONS, json=body), 422)["invalid_fields"]
    assert (field["field"], "without a webhook" in field["description"]) == ("webhook_events_filter", True)
    assert alice.post(PREDICTIONS, json=asked() | {"webhook_events_filter": None}).status_code == 201


def test_every_event_has_an_id_and_none_says_it_twice(house: Running, alice: httpx.Client) -> None:
    """Both clients drop events without one."""
    made = {text: created(alice, text) for text in (TEXT, "[S1] Hey!")}
    with house.closed():
        made["cancelled"] = created(alice, prefer="respond-async")
        alice.post(made["cancelled"]["urls"]["cancel"])
    names = []
    for prediction in made.values():
        answer = httpx.get(prediction["urls"]["stream"])
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [part.split("\n") for part in answer.text.split("\n\n") if part and not part.startswith(":")]
        fields = [dict(line.partition(": ")[::2] for line in event) for event in events]
        assert all({"event", "id", "data"} <= one.keys() for one in fields)
        assert len({one["id"] for one in fields}) == len(fields)
        names.append([(one["event"], one["data"]) for one in fields if one["event"] not in ("logs", "output")])
    assert names[0] == [("done", "{}")]
    assert [name for name, _ in names[1]] == ["error", "done"]
    assert "exclamation mark" in json.loads(names[1][0][1])["detail"]
    assert names[2] == [("done", '{"reason": "canceled"}')]


def test_no_character_of_the_logs_ends_an_event_early(house: Running, alice: httpx.Client) -> None:
    """The client takes U+2028 and others for ends of lines."""
    prediction = created(alice)
    strange = sa.update(table).where(table.c.id == prediction["id"])
    with house.service.engine.begin() as connection:
        connection.execute(strange.values(logs="a\rdata: b\u2028event: done\x85\nc\n"))
    client = Client(ALICE, base_url=house.url)
    logs, *_, done = client.predictions.get(prediction["id"]).stream()
    client._client.close()
    assert (logs.event.value, logs.data.split("\n")) == ("logs", ["a", "data: b", "event: done", "", "c"])
    assert done.event.value == "done"


def test_what_is_over_stays_as_it_ended(alice: httpx.Client) -> None:
    for text, status in ((TEXT, "succeeded"), ("[S1] Hey!", "failed")):
        prediction = ended(alice, created(alice, text))
        answer = alice.post(prediction["urls"]["cancel"])
        assert (answer.status_code, answer.json()["status"]) == (200, status)
        assert answer.json()["completed_at"] == prediction["completed_at"]


def test_somebody_elses_is_not_there(alice: httpx.Client, bob: httpx.Client) -> None:
    prediction = created(alice)["id"]
    path = f"{PREDICTIONS}/{prediction}"
    file = alice.post("/v1/files", files={"content": b"hers"}).json()["id"]
    asks = [("GET", path), ("POST", f"{path}/cancel"), ("GET", f"{path}/stream"), ("GET", f"{path}/audio")]
    asks += [("GET", f"/v1/files/{file}"), ("DELETE", f"/v1/files/{file}")]
    for method, one in asks:
        problem(bob.request(method, one), 404)
    for listed, own in ((PREDICTIONS, prediction), ("/v1/files", file)):
        assert own in alice.get(listed).text
        assert own not in bob.get(listed).text
        problem(bob.get(listed, params={"cursor": f"after-{own}"}), 422)


@pytest.mark.parametrize("version", [VERSION, MODEL, f"{MODEL}:{VERSION}"])
def test_a_version_has_three_names(alice: httpx.Client, version: str) -> None:
    assert created(alice, version=version)["version"] == VERSION


@pytest.mark.parametrize(
    "version", ["", "dia", VERSION[:-1], "0" * 64, f"other/dia:{VERSION}", f"{MODEL}:", f":{VERSION[1:]}", f"{MODEL}:0"]
)
def test_any_other_version_is_a_mistake_that_tells_what_there_is(alice: httpx.Client, version: str) -> None:
    (field,) = problem(alice.post(PREDICTIONS, json=asked() | {"version": version}), 422)["invalid_fields"]
    assert field["field"] == "version"
    assert f"{MODEL}:{VERSION}" in field["description"]


def test_audio_that_will_not_come_is_a_conflict_and_what_is_deleted_is_gone(
    house: Running, alice: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with house.closed():
        cancelled = created(alice, prefer="respond-async")
        alice.post(cancelled["urls"]["cancel"])
        problem(alice.get(f"{PREDICTIONS}/{cancelled['id']}/audio"), 409)
    problem(alice.get(f"{PREDICTIONS}/{created(alice, '[S1] Hey!')['id']}/audio"), 409)
    made = created(alice)
    house.service.live.forget(time.time() + 1)
    assert alice.get(f"{PREDICTIONS}/{made['id']}/audio").status_code == 200
    monkeypatch.setattr(Files, "get", lambda *_: None)
    problem(alice.get(f"{PREDICTIONS}/{made['id']}/audio"), 410)


STRANGE = ("\0", "a\0b", "x" * 10_000, "é", "' OR 1=1 --", "%2e%2e", "\ud800".encode(errors="surrogatepass"))


@pytest.mark.parametrize("name", STRANGE, ids=range(len(STRANGE)))
def test_an_id_that_cannot_be_is_not_there_and_is_not_looked_for(
    house: Running, alice: httpx.Client, name: str | bytes
) -> None:
    """PostgreSQL raises at a NUL, and a name of 10 kB need not be looked for."""
    heard: list[str] = []

    def hear(*given: Any) -> None:
        heard.append(repr(given[3]))

    sa.event.listen(house.service.engine, "before_cursor_execute", hear)
    strange = quote(name, safe="")
    for method, path in (
        ("GET", f"{PREDICTIONS}/{strange}"), ("POST", f"{PREDICTIONS}/{strange}/cancel"),
        ("GET", f"{PREDICTIONS}/{strange}/audio"), ("GET", f"{PREDICTIONS}/{strange}/stream?expiry=1&signature=x"),
        ("GET", f"/v1/files/{strange}"), ("DELETE", f"/v1/files/{strange}"), ("GET", f"/v1/models/parley/{strange}"),
        ("GET", f"/v1/models/{MODEL}/versions/{strange}"),
    ):  # fmt: skip
        problem(alice.request(method, path), 404)
    for path in (PREDICTIONS, "/v1/files"):
        problem(alice.get(f"{path}?cursor=after-{strange}"), 422)
    sa.event.remove(house.service.engine, "before_cursor_execute", hear)
    assert not any("\\x00" in given or len(given) > 5000 for given in heard)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "BREW"])
def test_other_methods_are_told_which_there_are(alice: httpx.Client, method: str) -> None:
    answer = alice.request(method, f"{PREDICTIONS}/{'a' * 26}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert method == "HEAD" or answer.json()["title"] == "Method not allowed"


@pytest.fixture(scope="module")
def unhurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service that nobody works for, with small limits."""
    folder: Path = tmp_path_factory.mktemp("unhurried")
    limits: dict[str, Any] = {"requests_per_minute": 3, "creations_per_minute": 2, "most_waiting": 1}
    with served(folder, **limits) as client:
        client.headers.update(AUTH)
        yield client


def test_who_calls_too_often_is_told_when_to_come_again(unhurried: TestClient) -> None:
    """In the words that clients know, so that what they do for Replicate they do here."""
    for _ in range(3):
        assert unhurried.get("/v1/models").status_code == 200
    answer = unhurried.get("/v1/models")
    seconds = int(answer.headers["retry-after"])
    assert 0 < seconds <= 60
    assert problem(answer, 429)["detail"] == f"Request was throttled. Your rate limit resets in ~{seconds}s."
    assert unhurried.get("/v1/models", headers={"Authorization": f"Bearer {BOB}"}).status_code == 200


def test_who_has_too_many_under_way_waits_and_who_creates_too_often_too(unhurried: TestClient) -> None:
    assert unhurried.post(PREDICTIONS, json=asked()).status_code == 201
    answer = unhurried.post(PREDICTIONS, json=asked())
    assert "1 predictions of yours are not over yet" in problem(answer, 429)["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert problem(unhurried.post(PREDICTIONS, json=asked()), 429)["detail"].startswith("Request was throttled.")
