"""OpenAI's own Python client, unchanged, before the socket: sync, async and beta; how sockets are opened and end."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import websockets.sync.client
from audio_fixtures import pitch
from realtime_fixtures import judge, kinds
from realtime_service_fixtures import HEARD, TonePipeline, speaking
from serving_fixtures import ALICE, Running, served
from speech_fixtures import recording
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

MANUAL = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
HELLO = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]}
Sockets = websockets.sync.client.ClientConnection


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, TonePipeline]]:
    with speaking(tmp_path_factory.mktemp("realtime")) as running:
        yield running


@pytest.fixture
def opened(here: tuple[Running, TonePipeline]) -> Iterator[Callable[..., Sockets]]:
    """Opens sockets as any client could, closes them at the end."""
    opened: list[Sockets] = []

    def connect(query: str = "", key: str | None = ALICE, **options: Any) -> Sockets:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        address = f"{here[0].url.replace('http', 'ws')}/v1/realtime{query}"
        options["additional_headers"] = headers | options.get("additional_headers", {})
        opened.append(websockets.sync.client.connect(address, max_size=None, **options))
        return opened[-1]

    yield connect
    for socket in opened:
        socket.close()


def hear(socket: Sockets) -> dict[str, Any]:
    event = json.loads(socket.recv(timeout=20))
    judge(event)
    return dict(event)


def say(socket: Sockets, kind: str, **fields: Any) -> None:
    socket.send(json.dumps({"type": kind, **fields}))


def ends_with(socket: Sockets) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=20)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


def until(events: Iterator[Any], last: str) -> list[dict[str, Any]]:
    heard = []
    for event in events:
        heard.append(event.to_dict())
        if event.type == last:
            return heard
    raise AssertionError(f"{last} never came")


def check_hello(events: list[dict[str, Any]], delta: str = "response.output_audio.delta") -> None:
    audio = b"".join(base64.b64decode(event["delta"]) for event in events if event["type"] == delta)
    samples = np.frombuffer(audio, "<i2").astype(np.float32)[None] / 32768
    assert samples.shape[1] == pytest.approx(24_000 * 0.1 * len("[S2] Hello."), abs=3)
    assert pitch(samples, 24_000) == pytest.approx(440, rel=0.01)


def test_the_sync_client_hears_what_it_wrote(here: tuple[Running, TonePipeline]) -> None:
    client = openai.OpenAI(base_url=f"{here[0].url}/v1", api_key=ALICE)
    with client, client.realtime.connect(model="gpt-realtime") as connection:
        connection.session.update(session=MANUAL)
        connection.conversation.item.create(item=HELLO)
        connection.response.create()
        heard = until(iter(connection), "response.done")
    for event in heard:
        judge(event)
    assert kinds(heard)[:4] == ["session.created", "session.updated", "item.added", "item.done"]
    assert heard[0]["session"]["model"] == "gpt-realtime"
    check_hello(heard)


def test_the_async_client_hears_the_first_sound_before_the_last_is_made(here: tuple[Running, TonePipeline]) -> None:
    async def talk() -> list[dict[str, Any]]:
        client = openai.AsyncOpenAI(base_url=f"{here[0].url}/v1", api_key=ALICE)
        async with client, client.realtime.connect(model="gpt-realtime") as connection:
            await connection.response.create(response={"instructions": "Hello."})
            heard = []
            async for event in connection:
                heard.append(event.to_dict())
                if event.type == "response.done":
                    return heard
        raise AssertionError("no end")

    heard = asyncio.run(talk())
    check_hello(heard)
    assert kinds(heard).count("response.output_audio.delta") >= len("[S2] Hello.") - 1


def test_the_beta_client_hears_betas_names(here: tuple[Running, TonePipeline]) -> None:
    address = here[0].url.replace("http", "ws")
    client = openai.OpenAI(base_url=f"{here[0].url}/v1", api_key=ALICE, websocket_base_url=f"{address}/v1")
    with client, client.beta.realtime.connect(model="gpt-4o-realtime-preview") as connection:
        connection.session.update(session={"turn_detection": None, "voice": "alloy"})
        connection.conversation.item.create(item=HELLO)
        connection.response.create()
        heard = until(iter(connection), "response.done")
    for event in heard:
        judge(event, beta=True)
    assert heard[0]["session"]["model"] == "gpt-4o-realtime-preview"
    check_hello(heard, "response.audio.delta")


def test_the_beta_client_only_transcribes(here: tuple[Running, TonePipeline]) -> None:
    address = here[0].url.replace("http", "ws")
    client = openai.OpenAI(base_url=f"{here[0].url}/v1", api_key=ALICE, websocket_base_url=f"{address}/v1")
    intent = {"intent": "transcription"}
    with client, client.beta.realtime.connect(model="gpt-4o-realtime-preview", extra_query=intent) as connection:
        wanted = {"input_audio_transcription": {"model": "whisper-1"}, "turn_detection": None}
        connection.transcription_session.update(session=wanted)
        connection.input_audio_buffer.append(audio=base64.b64encode(bytes(48_000)).decode())
        connection.input_audio_buffer.commit()
        heard = until(iter(connection), "conversation.item.input_audio_transcription.completed")
    for event in heard:
        judge(event, beta=True)
    assert kinds(heard)[:4] == [
        "transcription_session.created", "transcription_session.updated", "committed", "item.created",
    ]  # fmt: skip
    assert heard[-1]["transcript"] == " ".join(HEARD)


def test_a_committed_item_is_the_voice_prompt_of_the_request(
    here: tuple[Running, TonePipeline], opened: Callable[..., Sockets]
) -> None:
    item = {
        "id": "item_mine", "type": "message", "role": "user",
        "content": [{"type": "input_audio", "audio": base64.b64encode(bytes(96_000)).decode(), "transcript": "Hm."}],
    }  # fmt: skip
    socket = opened()
    say(socket, "conversation.item.create", item=item)
    asked = {"instructions": "[S1] Hi.", "audio": {"output": {"voice": {"id": "item_mine"}}}}
    say(socket, "response.create", response=asked)
    while hear(socket)["type"] != "response.done":
        pass
    request = here[1].requests[-1]
    assert (request.input, request.audio_prompt_transcription) == ("[S1] Hi.", "[S1] Hm.")
    assert isinstance(request.audio_prompt, bytes)
    assert request.audio_prompt[:4] == b"RIFF"


@pytest.mark.parametrize("transcript", ["[S1] Hm.", ""])
def test_a_stored_voice_is_named_or_told_by_its_id(
    here: tuple[Running, TonePipeline], opened: Callable[..., Sockets], tmp_path: Path, transcript: str
) -> None:
    name = f"Ann {bool(transcript)}"
    with here[0].client() as client:
        form = {"name": name, "consent": "Ann agreed.", "transcript": transcript}
        stored = client.post("/v1/audio/voices", data=form, files={"audio_sample": recording(tmp_path)})
        assert stored.status_code == 200, stored.text
    socket = opened()
    for voice in (name, {"id": stored.json()["id"]}):
        say(socket, "response.create", response={"instructions": "Hi.", "audio": {"output": {"voice": voice}}})
        while (event := hear(socket))["type"] != "response.done":
            pass
        assert event["response"]["status"] == "completed", event
        request = here[1].requests[-1]
        assert (request.input, request.audio_prompt_transcription) == ("[S1] Hi.", transcript)
        assert isinstance(request.audio_prompt, bytes)
        assert request.audio_prompt[:4] == b"fLaC"


# How a socket is opened


def test_no_model_need_be_named(opened: Callable[..., Sockets]) -> None:
    assert hear(opened())["session"]["model"] == "parley/dia"


def test_a_session_that_only_transcribes_is_asked_for_in_the_query(opened: Callable[..., Sockets]) -> None:
    assert hear(opened("?intent=transcription"))["session"]["type"] == "transcription"


def test_a_browser_brings_its_key_as_a_subprotocol(opened: Callable[..., Sockets]) -> None:
    offered = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{ALICE}")]
    socket = opened(key=None, subprotocols=offered)
    assert socket.subprotocol == "realtime"
    assert hear(socket)["type"] == "session.created"


@pytest.mark.parametrize(
    ("options", "code", "close"),
    [
        ({"key": None}, None, (3000, "invalid_request_error")),
        ({"key": "sk-of-somebody-else-entirely"}, "invalid_api_key", (3000, "invalid_request_error.invalid_api_key")),
        ({"query": "?model=gpt-9"}, "invalid_model", (4000, "invalid_request_error.invalid_model")),
        ({"query": "?call_id=rtc_1"}, "invalid_value", (4000, "invalid_request_error.invalid_value")),
    ],
)
def test_a_wrong_opening_is_told_and_closed(
    opened: Callable[..., Sockets], options: dict[str, Any], code: str | None, close: tuple[int, str]
) -> None:
    socket = opened(**options)
    event = hear(socket)
    assert (event["type"], event["error"]["code"]) == ("error", code)
    assert ends_with(socket) == close


# Frames


def test_binary_frames_and_what_is_no_json_leave_the_session_open(opened: Callable[..., Sockets]) -> None:
    socket = opened()
    hear(socket)
    socket.send(b"\0\1")
    assert hear(socket)["error"]["message"] == NO_BINARY
    socket.send("{")
    assert hear(socket)["error"]["code"] == "invalid_json"
    say(socket, "input_audio_buffer.clear")
    assert hear(socket)["type"] == "input_audio_buffer.cleared"


NO_BINARY = "Expected a text WebSocket message; binary frames are not supported."


def test_half_a_character_comes_back_as_json_says_it(opened: Callable[..., Sockets]) -> None:
    socket = opened()
    hear(socket)
    socket.send('{"type": "\\ud800"}')
    assert hear(socket)["error"]["code"] == "invalid_value"


def test_15_mib_pass_in_one_event_and_more_is_an_error(opened: Callable[..., Sockets]) -> None:
    socket = opened()
    hear(socket)
    say(socket, "session.update", session=MANUAL)
    hear(socket)
    say(socket, "input_audio_buffer.append", audio=base64.b64encode(bytes(15 << 20)).decode())
    say(socket, "input_audio_buffer.append", audio=base64.b64encode(bytes((15 << 20) + 1)).decode())
    assert hear(socket)["error"]["code"] == "string_above_max_length"
    say(socket, "input_audio_buffer.commit")
    assert hear(socket)["type"] == "input_audio_buffer.committed"


def test_a_frame_that_no_event_needs_ends_the_socket(opened: Callable[..., Sockets]) -> None:
    socket = opened()
    hear(socket)
    socket.send("x" * (33 << 20))
    assert ends_with(socket)[0] == 1009


def test_sessions_do_not_hear_each_other(opened: Callable[..., Sockets]) -> None:
    first, second = opened(), opened()
    assert hear(first)["session"]["id"] != hear(second)["session"]["id"]
    say(first, "conversation.item.create", item=HELLO | {"id": "mine"})
    hear(first), hear(first)
    say(second, "conversation.item.retrieve", item_id="mine")
    assert hear(second)["error"]["code"] == "item_retrieve_invalid_item_id"


# A process without tokens


def test_pages_of_other_sites_open_no_socket_where_no_tokens_are_asked_for(tmp_path: Any) -> None:
    address = "ws://127.0.0.1/v1/realtime"
    with served(tmp_path, tokens="", no_auth=True) as client:
        with client.websocket_connect(address, headers={"Origin": "http://127.0.0.1"}) as socket:
            assert socket.receive_json()["type"] == "session.created"
        with (
            pytest.raises(WebSocketDisconnect) as refused,
            client.websocket_connect(address, headers={"Origin": "https://evil.example"}),
        ):
            pass
    assert refused.value.code == 1008
