"""serving/realtime/client_secrets.py: keys that a browser may have, good for sockets alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai.types.realtime import ClientSecretCreateResponse
from serving_fixtures import ALICE, AUTH, served
from starlette.testclient import TestClient

from serving.realtime import client_secrets

PATH = "/v1/realtime/client_secrets"
SECRET = bytes(32)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with served(tmp_path_factory.mktemp("secrets")) as client:
        yield client


def draw(client: TestClient, **wanted: Any) -> dict[str, Any]:
    answer = client.post(PATH, json=wanted, headers=AUTH)
    assert answer.status_code == 200, answer.text
    ClientSecretCreateResponse.model_validate(answer.json(), strict=True)
    return dict(answer.json())


def opened(client: TestClient, key: str) -> dict[str, Any]:
    """The first event of a socket that a browser opens with it."""
    with client.websocket_connect(
        "/v1/realtime", subprotocols=["realtime", f"openai-insecure-api-key.{key}"]
    ) as socket:
        return dict(socket.receive_json())


def test_a_key_opens_a_session_that_is_set_as_its_owner_said(client: TestClient) -> None:
    session = {"type": "realtime", "model": "gpt-realtime", "audio": {"output": {"voice": "echo"}}}
    drawn = draw(client, session=session)
    assert drawn["value"].startswith("ek_")
    assert drawn["session"]["audio"]["output"]["voice"] == "echo"
    event = opened(client, drawn["value"])
    assert (event["session"]["model"], event["session"]["audio"]["output"]["voice"]) == ("gpt-realtime", "echo")


def test_a_key_for_transcription_opens_no_other_session(client: TestClient) -> None:
    drawn = draw(client, session={"type": "transcription"})
    assert opened(client, drawn["value"])["session"]["object"] == "realtime.transcription_session"


def test_a_key_is_good_for_ten_minutes_unless_another_time_is_asked_for(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_secrets.time, "time", lambda: 1_800_000_000.5)
    usual, short = draw(client), draw(client, expires_after={"anchor": "created_at", "seconds": 10})
    assert (usual["expires_at"], short["expires_at"]) == (1_800_000_600, 1_800_000_010)
    monkeypatch.setattr(client_secrets.time, "time", lambda: 1_800_000_010.0)
    assert opened(client, short["value"])["error"]["code"] == "invalid_api_key"
    assert opened(client, usual["value"])["type"] == "session.created"


def test_a_key_opens_nothing_else(client: TestClient) -> None:
    key = draw(client)["value"]
    for path in ("/v1/audio/voices", "/v1/predictions"):
        assert client.get(path, headers={"Authorization": f"Bearer {key}"}).status_code == 401
    assert client.post(PATH, json={}, headers={"Authorization": f"Bearer {key}"}).status_code == 401


@pytest.mark.parametrize("change", [lambda key: key[:-1] + "x", lambda key: key[:5] + "A" + key[6:], lambda key: "ek_"])
def test_a_key_that_was_changed_opens_nothing(client: TestClient, change: Any) -> None:
    assert opened(client, change(draw(client)["value"]))["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"session": {"type": "realtime", "bogus": 1}}, "session.bogus"),
        ({"session": {"type": "realtime", "model": "gpt-9"}}, "session.model"),
        ({"session": {"type": "realtime", "instructions": "".join(map(chr, range(256, 20_000)))}}, "session"),
        ({"expires_after": {"seconds": 9}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "expires_after.seconds"),
        ({"bogus": 1}, "bogus"),
    ],
)
def test_a_mistake_is_told_as_openai_does(client: TestClient, wanted: dict[str, Any], param: str) -> None:
    answer = client.post(PATH, json=wanted, headers=AUTH)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_only_a_caller_with_a_token_draws_keys(client: TestClient) -> None:
    assert client.post(PATH, json={}).status_code == 401
    assert ALICE not in draw(client)["value"]


def test_openais_client_draws_one(tmp_path: Path) -> None:
    openai = pytest.importorskip("openai", reason="the client is not installed")
    with (
        served(tmp_path) as client,
        openai.OpenAI(base_url="http://127.0.0.1/v1", api_key=ALICE, http_client=client) as sdk,
    ):
        drawn = sdk.realtime.client_secrets.create(session={"type": "realtime", "model": "gpt-realtime"})
    assert drawn.session.type == "realtime"
    assert drawn.value.startswith("ek_")
