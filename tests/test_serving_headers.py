"""What browsers are told with every answer, which sites and names may call, and an answer that breaks."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving_fixtures import AUTH, served
from serving_replicate_fixtures import asked
from starlette.testclient import TestClient

from models.errors import InvalidRequest
from serving.__main__ import main
from serving.access import Keys
from serving.settings import LOOPBACK, Settings
from serving.web.middleware import REQUEST_ID, SAFE_HEADERS

SITE = "https://intake.example.org"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with served(tmp_path_factory.mktemp("closed")) as found:
        yield found


ASKED = [
    ("GET", "/", 200), ("GET", "/nothing", 404), ("GET", "/v1/models", 200), ("DELETE", "/v1/models", 405),
    ("GET", "/v1/predictions/none", 404), ("POST", "/v1/predictions", 422), ("GET", "/openapi.json", 200),
    ("GET", "/health", 200), ("GET", "/ai/tasks", 200), ("POST", "/v1/audio/speech", 400),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "status"), ASKED)
def test_every_answer_keeps_browsers_safe_and_has_a_name(
    client: TestClient, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path, headers=AUTH)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in SAFE_HEADERS} == SAFE_HEADERS
    assert len(answer.headers[REQUEST_ID]) == 16


def test_an_answer_that_breaks_tells_nothing_and_is_logged_under_its_name(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Before, it left without the headers and without the name."""

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the inner matter")

    monkeypatch.setattr(client.app.state.service.history, "page", broken)
    caplog.set_level(logging.INFO, "parley.http")
    answer = client.get("/v1/predictions", headers=AUTH)
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "inner matter" not in answer.text
    assert {name: answer.headers.get(name) for name in SAFE_HEADERS} == SAFE_HEADERS
    name = answer.headers[REQUEST_ID]
    assert any(record.message.startswith(f"{name} GET /v1/predictions 500") for record in caplog.records)
    assert "inner matter" in caplog.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"\\ud800": 1}', 422),
        (b'{"input": {"\\ud800": 1}, "version": "parley/dia"}', 422),
        (b"\xff", 400),
        (b"[", 422),
    ],
)
def test_a_body_that_is_hardly_one_is_a_mistake_of_the_caller(client: TestClient, body: bytes, status: int) -> None:
    """Half a character of a caller's own name for a field once broke the answer that told of it."""
    answer = client.post("/v1/predictions", content=body, headers=AUTH | {"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.json()["title"]


@pytest.mark.parametrize(
    "inputs",
    [{f"input{n}": 1 for n in range(101)}, {"text": "[S1] \ud800"}, {"text": "a", "audio_prompt": "http://x/\ud800"}],
    ids=["too many", "half a character", "half a character of a URL"],
)
def test_inputs_that_no_model_has_are_told_of_in_short(client: TestClient, inputs: dict[str, Any]) -> None:
    body = json.dumps(asked() | {"input": inputs})
    answer = client.post("/v1/predictions", content=body, headers=AUTH | {"Content-Type": "application/json"})
    assert (answer.status_code, len(answer.json()["invalid_fields"])) == (422, 1)
    assert len(answer.text) < 1000


def test_settings_that_no_task_has_are_told_of_in_short(client: TestClient) -> None:
    body = {"prompt": "Hey", "configs": {f"setting{n}": n for n in range(101)}}
    answer = client.post("/ai/audio_generation", json=body, headers=AUTH)
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 1)


@pytest.mark.parametrize("metadata", ['{"a": NaN}', '{"a": 1e999}', '"text"', "[1]", "{", '{"a": "\\ud800"}'])
def test_metadata_that_is_no_json_object_is_a_mistake(client: TestClient, metadata: str) -> None:
    answer = client.post("/v1/files", files={"content": b"x"}, data={"metadata": metadata}, headers=AUTH)
    assert answer.json()["invalid_fields"][0]["field"] == "metadata"


def test_metadata_is_neither_deep_nor_long(client: TestClient) -> None:
    for metadata in ('{"a": ' * 500 + "1" + "}" * 500, f'{{"a": "{"a" * 10_000}"}}'):
        answer = client.post("/v1/files", files={"content": b"x"}, data={"metadata": metadata}, headers=AUTH)
        assert (answer.status_code, len(answer.text) < 1000) == (422, True)


RANGES = {
    "bytes=1-2": (206, b"23", "bytes 1-2/5"), "bytes=3-": (206, b"45", "bytes 3-4/5"),
    "bytes=-2": (206, b"45", "bytes 3-4/5"), "bytes=-9": (206, b"12345", "bytes 0-4/5"),
    "Bytes = 0-0": (206, b"1", "bytes 0-0/5"), f"bytes=4-{'9' * 5000}": (206, b"5", "bytes 4-4/5"),
    "bytes=9-": (416, None, "bytes */5"), "bytes=-0": (416, None, "bytes */5"),
    f"bytes={'9' * 5000}-": (416, None, "bytes */5"),
    **dict.fromkeys(
        ("bytes=5-2", "bytes=-", "bytes=0-1,3-4", "bytes=0-1, 9-", "lines=1-2", "bytes", "²", ""), (200, b"12345", None)
    ),
}  # fmt: skip


@pytest.mark.parametrize("wanted", RANGES, ids=range(len(RANGES)))
def test_one_range_of_bytes_is_kept_to_and_what_is_none_is_passed_over(client: TestClient, wanted: str) -> None:
    """RFC 9110, section 14.2: an unknown unit or several ranges may be ignored, and what is invalid must be."""
    link = client.post("/v1/files", files={"content": b"12345"}, headers=AUTH).json()["urls"]["get"]
    answer = client.get(link, headers={"Range": wanted.encode()})
    status, content, told = RANGES[wanted]
    assert (answer.status_code, answer.headers.get("content-range")) == (status, told)
    assert content is None or answer.content == content


def test_a_download_can_be_asked_for_its_head_and_is_not_read_for_it(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = client.post("/v1/files", files={"content": b"12345"}, headers=AUTH).json()["urls"]["get"]
    whole = client.get(link)
    monkeypatch.setattr(client.app.state.service.store, "read", lambda *_: pytest.fail("it was read"))
    head = client.head(link)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "content-disposition", "etag", "accept-ranges"):
        assert head.headers[name] == whole.headers[name]
    assert client.head(link.replace("signature=", "signature=0")).status_code == 404


def test_a_link_with_an_expiry_that_is_no_number_is_no_link_of_ours(client: TestClient) -> None:
    for expiry in ("²", "9" * 5000, "-1"):
        link = f"http://127.0.0.1/v1/files/{'a' * 26}/download?owner=alice&signature=x&expiry={expiry}"
        assert client.app.state.service.links.file_of(link) is None


def test_no_other_site_may_call_unless_it_is_named(client: TestClient, tmp_path: Path) -> None:
    asks = {"Origin": SITE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    assert "access-control-allow-origin" not in client.options("/v1/predictions", headers=asks).headers
    with served(tmp_path, cors_origins=f"{SITE}, https://other.example.org") as open_to_some:
        allowed = open_to_some.options("/v1/predictions", headers=asks)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, SITE)
        assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
        got = open_to_some.get("/v1/models", headers=AUTH | {"Origin": SITE})
        assert got.headers["access-control-allow-origin"] == SITE
        other = open_to_some.get("/v1/models", headers=AUTH | {"Origin": "https://evil.example.org"})
        assert "access-control-allow-origin" not in other.headers
        assert "access-control-allow-credentials" not in got.headers


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.2", "::", "speech.example.org", ""])
def test_without_tokens_only_loopback_is_served(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidRequest, match="only loopback"):
        Settings(no_auth=True, host=host)
    assert main(["web", "--no-auth", "--host", host]) == 2
    assert "no_auth" in capsys.readouterr().err
    assert all(Settings(no_auth=True, host=one).no_auth for one in LOOPBACK)


def test_without_tokens_the_service_answers_to_its_own_names_alone(tmp_path: Path) -> None:
    """Else a page of another site could call under a name of that site's that leads to this machine."""
    with served(tmp_path, tokens="", no_auth=True, public_url="https://speech.example.org/tts") as client:
        for host in ("127.0.0.1:8000", "localhost", "[::1]:8000", "speech.example.org"):
            assert client.get("/v1/models", headers={"Host": host}).status_code == 200
        for host in ("evil.example.org", "127.0.0.1.evil.example.org", ""):
            answer = client.get("/v1/models", headers={"Host": host})
            assert (answer.status_code, answer.headers.get("x-frame-options")) == (400, "DENY")
            # Before, plain text.
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["detail"].startswith(f"It is called {host!r} here, and answers to 127.0.0.1, [::1], ")
        for path in ("/ai/tasks", "/v1/audio/voices"):
            told = client.get(path, headers={"Host": "evil.example.org"}).json()
            assert told.keys() & {"errors", "error"}
        for host in ("localhost:8000@evil.example.org", "evil.example.org#localhost", "[::1", "localhost:x"):
            assert client.get("/v1/models", headers={"Host": host}).status_code == 400


PAGES = [
    ({}, 201), ({"Sec-Fetch-Site": "same-origin"}, 201), ({"Sec-Fetch-Site": "none"}, 201),
    ({"Origin": "http://127.0.0.1"}, 201), ({"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"}, 201),
    ({"Origin": SITE, "Sec-Fetch-Site": "cross-site"}, 201), ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403), ({"Origin": "http://127.0.0.1:8080"}, 403), ({"Origin": "null"}, 403),
    ({"Origin": "https://evil.example.org", "Sec-Fetch-Site": "cross-site"}, 403),
]  # fmt: skip


@pytest.fixture(scope="module")
def without_tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with served(tmp_path_factory.mktemp("open"), tokens="", no_auth=True, cors_origins=SITE) as found:
        yield found


@pytest.mark.parametrize(("headers", "status"), PAGES)
def test_without_tokens_pages_of_other_sites_change_nothing(
    without_tokens: TestClient, headers: dict[str, str], status: int
) -> None:
    """A form of any page could send a file here through its visitor's browser, or a recording to clone."""
    answer = without_tokens.post("/v1/files", files={"content": b"x"}, headers=headers)
    assert answer.status_code == status
    assert status != 403 or answer.json()["title"] == "Forbidden"
    assert without_tokens.get("/v1/files", headers=headers).status_code == 200


def test_with_tokens_pages_of_other_sites_are_kept_out_by_those(client: TestClient) -> None:
    foreign = {"Origin": "https://evil.example.org", "Sec-Fetch-Site": "cross-site"}
    assert client.post("/v1/files", files={"content": b"x"}, headers=AUTH | foreign).status_code == 201
    assert client.post("/v1/files", files={"content": b"x"}, headers=foreign).status_code == 401


def test_no_token_at_all_must_be_asked_for() -> None:
    with pytest.raises(InvalidRequest, match="are not given"):
        Keys.of("", "", no_auth=False)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_who_comes_to_the_socket_without_one_is_told_so(client: TestClient, method: str) -> None:
    """Before, there was nothing at its address."""
    answer = client.request(method, "/v1/realtime?model=gpt-realtime", headers=AUTH)
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
    assert answer.json()["error"]["message"].startswith("Only a WebSocket is answered here: open it as ws://")
