"""A whole conversation with a chat server behind the socket: real HTTP, a real engine, OpenAI's own client."""

import base64
import json
import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import websockets.sync.client
from chat_fixtures import PATIENCE, ChatStandIn, call, chat_stand_in, event, written
from realtime_exchange_fixtures import check_tone
from realtime_fixtures import judge, kinds, only
from realtime_service_fixtures import HEARD, TonePipeline, speaking
from serving_fixtures import ALICE, Running

MANUAL = {"type": "realtime", "audio": {"input": {"turn_detection": None}}, "instructions": "Be kind."}
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
FIRST, SECOND = "It is good to hear from you.", " Bye."
Here = tuple[Running, TonePipeline, ChatStandIn]
Socket = websockets.sync.client.ClientConnection


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    with chat_stand_in() as stand_in:
        chat = {"chat_base_url": stand_in.url, "chat_model": "tiny", "chat_api_key": "k"}
        with speaking(tmp_path_factory.mktemp("chat"), **chat) as (running, pipeline):
            yield running, pipeline, stand_in


@pytest.fixture
def here(house: Here) -> Here:
    """Nobody has asked anything yet."""
    _, pipeline, stand_in = house
    pipeline.requests.clear()
    stand_in.forget()
    return house


@pytest.fixture
def socket(here: Here) -> Iterator[Socket]:
    address = f"{here[0].url.replace('http', 'ws')}/v1/realtime"
    headers = {"Authorization": f"Bearer {ALICE}"}
    with websockets.sync.client.connect(address, additional_headers=headers, max_size=None) as socket:
        say(socket, "session.update", session=MANUAL)
        until(socket, "session.updated")
        yield socket


def say(socket: Socket, kind: str, **fields: Any) -> None:
    socket.send(json.dumps({"type": kind, **fields}))


def ask(socket: Socket, words: str, **response: Any) -> None:
    content = [{"type": "input_text", "text": words}]
    say(socket, "conversation.item.create", item={"type": "message", "role": "user", "content": content})
    say(socket, "response.create", response=response)


def until(socket: Socket, last: str) -> list[dict[str, Any]]:
    heard = []
    while not heard or heard[-1]["type"] != last:
        heard.append(json.loads(socket.recv(timeout=PATIENCE)))
        judge(heard[-1])
    return heard


def sound(events: list[dict[str, Any]]) -> bytes:
    return b"".join(base64.b64decode(e["delta"]) for e in events if e["type"] == "response.output_audio.delta")


def test_openais_client_talks_and_is_asked_for_a_function(here: Here) -> None:
    running, pipeline, stand_in = here
    client = openai.OpenAI(base_url=f"{running.url}/v1", api_key=ALICE)
    stand_in.answer = [call(0, "{}", "weather", "call_a"), *written(finish="tool_calls")]
    with client, client.realtime.connect(model="gpt-realtime") as talk:
        talk.session.update(session={**MANUAL, "tools": [TOOL]})  # type: ignore[typeddict-item]
        talk.input_audio_buffer.append(audio=base64.b64encode(bytes(48_000)).decode())
        talk.input_audio_buffer.commit()
        talk.response.create()
        heard: list[dict[str, Any]] = []
        for told in talk:
            judge(told.to_dict())
            heard.append(told.to_dict())
            if told.type == "response.function_call_arguments.done":
                stand_in.answer = written(FIRST, SECOND)
                answer = {"type": "function_call_output", "call_id": told.call_id, "output": "rain"}
                talk.conversation.item.create(item=answer)  # type: ignore[arg-type]
            elif told.type == "response.done":
                if told.response.output and told.response.output[0].type == "message":
                    break
                talk.response.create()
    assert stand_in.asked[0]["messages"] == [
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": " ".join(HEARD)},
    ]  # fmt: skip
    assert stand_in.asked[0]["tools"][0]["function"]["name"] == "weather"
    assert stand_in.asked[1]["messages"][-1] == {"role": "tool", "tool_call_id": "call_a", "content": "rain"}
    assert stand_in.keys == ["Bearer k"] * 2
    assert [request.input for request in pipeline.requests] == [f"[S2] {FIRST}", f"[S2] {SECOND.strip()}"]
    check_tone(sound(heard), f"[S2] {FIRST}[S2] {SECOND.strip()}")


def test_it_is_heard_while_it_is_written(here: Here, socket: Socket) -> None:
    rest = threading.Event()
    here[2].answer = [event(content=f"{FIRST} "), rest, *written(SECOND.strip())]
    ask(socket, "Hello?")
    early = until(socket, "response.output_audio.delta")
    assert not rest.is_set()
    rest.set()
    told = early + until(socket, "rate_limits.updated")
    assert only(told, "response.output_audio_transcript.done")["transcript"] == FIRST + SECOND


@pytest.mark.parametrize("spoken", [True, False])
def test_whoever_cancels_hangs_up_on_it(spoken: bool, here: Here, socket: Socket) -> None:
    here[2].answer = [*([event(content=f"{FIRST} ")] if spoken else []), threading.Event()]
    ask(socket, "Hello?")
    until(socket, "response.output_audio.delta" if spoken else "response.created")
    say(socket, "response.cancel")
    finished = only(until(socket, "response.done"), "response.done")["response"]
    assert finished["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert here[2].hung_up.wait(PATIENCE) or not here[2].asked
    here[2].answer = written(FIRST)
    ask(socket, "Hello?")
    assert only(until(socket, "response.done"), "response.done")["response"]["status"] == "completed"


def test_whoever_leaves_hangs_up_on_it(here: Here, socket: Socket) -> None:
    here[2].answer = [event(content=f"{FIRST} "), threading.Event()]
    ask(socket, "Hello?")
    until(socket, "response.output_audio.delta")
    socket.close()
    assert here[2].hung_up.wait(PATIENCE)


@pytest.mark.parametrize(
    ("status", "answer", "code", "told"),
    [
        (429, [b"{}"], "rate_limit_exceeded", "asked too often"),
        (500, [b"{}"], "server_error", "answered 500"),
        (200, [b"data: {\n\n"], "server_error", "no event of an answer"),
    ],
)
def test_what_goes_wrong_there_is_told_and_the_session_goes_on(
    status: int, answer: list[Any], code: str, told: str, here: Here, socket: Socket
) -> None:
    stand_in = here[2]
    stand_in.status, stand_in.answer = status, answer
    ask(socket, "Hello?")
    heard = until(socket, "rate_limits.updated")
    failed = only(heard, "response.done")["response"]
    assert (failed["status"], failed["output"]) == ("failed", [])
    assert failed["status_details"]["error"]["code"] == code
    assert told in failed["status_details"]["error"]["message"]
    stand_in.status, stand_in.answer = 200, written("Hello.")
    say(socket, "response.create", response={"output_modalities": ["text"]})
    heard = until(socket, "rate_limits.updated")
    assert only(heard, "response.output_text.done")["text"] == "Hello."
    assert "error" not in kinds(heard)
