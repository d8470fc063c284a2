"""How much may be sent: bytes by the door, values by the body, and how little of it is repeated in an answer."""

import json
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from serving_fixtures import AUTH, served
from serving_replicate_fixtures import asked
from starlette.testclient import TestClient

from models.errors import InvalidRequest, shown
from models.inputs import DialogueInputs
from serving.web.app import SMALL_BODY
from serving.web.json_bodies import MOST_COMMAS, MOST_MEMBERS

DOCUMENTS = ["/v1/audio/speech", "/v1/audio/voices/voice_1", "/v1/predictions", "/ai/audio_generation"]
UPLOADS = ["/v1/files", "/v1/audio/voices"]
JSON, FORM = "application/json", "multipart/form-data; boundary=x"
BROKEN = [
    *(
        (path, body, JSON)
        for path in [*DOCUMENTS, "/v1/models/parley/dia/predictions"]
        for body in (b"{", b"\xff", b"")
    ),
    *((path, body, FORM) for path in UPLOADS for body in (b"no form", b"")),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with served(tmp_path_factory.mktemp("bodies")) as found:
        yield found


def sent(client: TestClient, path: str, body: bytes, kind: str = JSON) -> Any:
    return client.post(path, content=body, headers=AUTH | {"Content-Type": kind})


@pytest.mark.parametrize(("path", "body", "kind"), BROKEN)
def test_of_what_a_stranger_sends_nothing_is_told(client: TestClient, path: str, body: bytes, kind: str) -> None:
    """FastAPI would judge a body before it asks who sent it. Who is known is told what is wrong with it."""
    for token in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}):
        answer = client.post(path, content=body, headers={"Content-Type": kind, **token})
        assert (answer.status_code, answer.headers.get("www-authenticate")) == (401, "Bearer")
    assert sent(client, path, body, kind).status_code in (400, 422)


@pytest.mark.parametrize("path", ["/ai/tasks?limit=x", "/v1/predictions/x/audio?format=midi"])
def test_of_what_a_stranger_asks_nothing_is_told(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 401
    assert client.get(path, headers=AUTH).status_code == 422


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_million_members_are_refused_in_short_and_soon(client: TestClient, path: str) -> None:
    """Before, each became an error of its own: minutes in which nobody else was answered."""
    body = json.dumps({f"{number}": 1 for number in range(80_000)}).encode()
    assert len(body) < SMALL_BODY
    bodies = [body] if path.startswith("/v1/audio") else [body, json.dumps(dict.fromkeys(range(10**6))).encode()]
    for one in bodies:
        began = time.monotonic()
        answer = sent(client, path, one)
        assert answer.status_code == (400 if path.startswith("/v1/audio") else 422)
        assert len(answer.text) < 1000
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_limit_of_members_is_named(client: TestClient, path: str) -> None:
    answer = sent(client, path, json.dumps({f"{number}": 1 for number in range(MOST_MEMBERS + 1)}).encode())
    assert f"has {MOST_MEMBERS + 1} members; at most {MOST_MEMBERS} are read" in answer.text
    few = sent(client, path, json.dumps({f"{number}": 1 for number in range(MOST_MEMBERS)}).encode())
    assert "members" not in few.text


def test_values_anywhere_are_counted(client: TestClient) -> None:
    body = asked() | {"webhook_events_filter": ["start"] * (MOST_COMMAS + 10)}
    answer = sent(client, "/v1/predictions", json.dumps(body).encode())
    assert (answer.status_code, answer.json()["invalid_fields"][0]["field"]) == (422, "body")
    assert f"at most {MOST_COMMAS} are read" in answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/audio/speech", 413), ("/v1/audio/voices/voice_1", 413), ("/v1/predictions", 422)],
)
def test_only_doors_whose_inputs_may_be_files_take_more_than_a_document(
    client: TestClient, path: str, status: int
) -> None:
    answer = sent(client, path, json.dumps({"input": "a" * SMALL_BODY}).encode())
    assert answer.status_code == status
    assert status != 413 or str(SMALL_BODY) in answer.text


def test_a_form_without_files_is_as_small_as_a_document(client: TestClient) -> None:
    form = b"name=a&consent=" + b"b" * SMALL_BODY
    assert sent(client, "/v1/audio/voices", form, "application/x-www-form-urlencoded").status_code == 413


@pytest.mark.parametrize("value", ["a" * 10**7, b"\xff" * 10**7, {"name": "a" * 10**7}, ["a" * 10**7] * 1000])
def test_a_long_value_is_not_written_out_to_be_cut(value: Any) -> None:
    """Before, of a hundred megabytes the whole was written out for sixty characters of it."""
    tracemalloc.start()
    text = shown(value)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(text) == 60
    assert peak < 10**5


def test_a_value_is_told_by_its_beginning() -> None:
    assert shown("short") == "'short'"
    assert shown({"name": "s1"}) == "{'name': 's1'}"
    assert shown("ab" * 100) == "'" + "ab" * 29 + "…"
    with pytest.raises(InvalidRequest, match="seed: is 'aaa"):
        DialogueInputs.parse(text="Hey.", seed="a" * 10**6)


@pytest.mark.parametrize(("path", "status"), [("/v1/predictions", 422), ("/v1/audio/speech", 400)])
def test_answers_repeat_no_more_than_the_beginning_of_names_and_values(
    client: TestClient, path: str, status: int
) -> None:
    body = {"n" * 10**5: "v" * 10**5, "input": ["w" * 10**5]}
    answer = sent(client, path, json.dumps(body).encode())
    assert (answer.status_code, len(answer.text) < 3000) == (status, True)
    assert len(sent(client, path, b"z" * 10**6, "text/plain").text) < 1000


def test_a_field_that_a_form_does_not_have_is_refused_with_those_it_has(client: TestClient) -> None:
    """Before, the file was kept by the name of its part."""
    sent = {"content": ("a.wav", b"x"), "filname": (None, "Anna.wav")}
    answer = client.post("/v1/files", files=sent, headers=AUTH)
    assert answer.status_code == 422
    told = "is no field of this form, which takes content, filename, type, metadata."
    assert answer.json()["invalid_fields"] == [{"type": "invalid", "field": "filname", "description": told}]
    assert client.get("/v1/files", headers=AUTH).json()["results"] == []
    forms = [
        form for name, form in client.get("/openapi.json").json()["components"]["schemas"].items() if "Body_" in name
    ]
    assert [form["additionalProperties"] for form in forms] == [False, False]


@pytest.mark.parametrize("path", DOCUMENTS)
@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        (b'{"a": 1}', "application/x-www-form-urlencoded", "with Content-Type: application/json"),
        (b'{"a": 1}', "text/plain", "with Content-Type: application/json"),
        (b"{bad", JSON, "is no JSON: Expecting property name enclosed in double quotes, at character 2"),
        (b"[]", JSON, "is []; it must be a JSON object"),
        (b'"a"', JSON, "is 'a'; it must be a JSON object"),
        (b'{"a": "\xff"}', JSON, "is not UTF-8"),
        (b"[" * 50_000, JSON, "too deep within each other"),
        (b'{"a": ' + b"9" * 5000 + b"}", JSON, "more than 4300 digits"),
    ],
)
def test_a_body_that_is_no_document_is_told_what_it_should_be(
    client: TestClient, path: str, body: bytes, kind: str, told: str
) -> None:
    """Before: "Input should be a valid dictionary or object to extract fields from", or only that it cannot be read."""
    answer = sent(client, path, body, kind)
    assert answer.status_code in (400, 422)
    assert told in answer.json().get("detail", answer.text), answer.text
    assert "body" in answer.text


def test_where_nothing_is_it_is_said_what_is_elsewhere(client: TestClient) -> None:
    for path in ("/v1/prediction", "/ai/tasks/x/y", "/v1/audio/speeches"):
        answer = client.get(path, headers=AUTH)
        assert (answer.status_code, "/openapi.json" in answer.text) == (404, True), answer.text
