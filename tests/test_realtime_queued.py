"""serving/realtime/queued_speech.py: a socket of a process without an engine speaks with what works on the queue."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.client
from chat_fixtures import chat_stand_in, written
from realtime_exchange_fixtures import LETTER_SECONDS, RATE, audio_of, check_tone
from realtime_fixtures import judge, kinds, only
from realtime_service_fixtures import HEARD, Hearing
from serving_children_fixtures import client_of, free_port, nursery, role, wait_until
from serving_fixtures import ALICE, Running, running, served, wait_for
from speech_fixtures import Speaker, recording, speaker

from serving.catalog import DIA
from serving.realtime import local_workers
from serving.storage.files import UPLOAD
from serving.storage.prediction import Status

MANUAL = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
FRAME = base64.b64encode(bytes(24_000)).decode()  # half a second
HALTING = "Hello | there."  # waits for the gate in its middle
PATIENCE = 60.0  # seconds; a busy machine is no failure
Socket = websockets.sync.client.ClientConnection


Here = tuple[Running, Speaker]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    backend = speaker()
    with pytest.MonkeyPatch.context() as patch, running(tmp_path_factory.mktemp("queued"), backend) as house:
        patch.setattr(local_workers, "shared_transcriber", lambda model: Hearing())
        yield house, backend


@pytest.fixture
def here(house: Here) -> Here:
    house[1].asked.clear()
    return house


@pytest.fixture
def socket(here: Here) -> Iterator[Socket]:
    with opened(here[0].url) as socket:
        yield socket


def opened(url: str) -> Socket:
    headers = {"Authorization": f"Bearer {ALICE}"}
    socket = websockets.sync.client.connect(
        f"{url.replace('http', 'ws')}/v1/realtime", additional_headers=headers, max_size=None
    )
    say(socket, "session.update", session=MANUAL)
    until(socket, "session.updated")
    return socket


def say(socket: Socket, kind: str, **fields: Any) -> None:
    socket.send(json.dumps({"type": kind, **fields}))


def until(socket: Socket, last: str) -> list[dict[str, Any]]:
    heard = []
    while not heard or heard[-1]["type"] != last:
        heard.append(json.loads(socket.recv(timeout=PATIENCE)))
        judge(heard[-1])
    return heard


def speak(socket: Socket, **response: Any) -> tuple[dict[str, Any], bytes]:
    """The response at its end, and what was heard of it."""
    say(socket, "response.create", response=response)
    told = until(socket, "rate_limits.updated")
    response = only(told, "response.done")["response"]
    return response, audio_of(told, response["id"])


def test_the_queue_speaks_and_its_words_go_along(here: Here, socket: Socket) -> None:
    finished, audio = speak(socket, instructions="Hello there.")
    check_tone(audio, "[S2] Hello there.")
    assert finished["status"] == "completed"
    assert finished["output"][0]["content"][0]["transcript"] == "Hello there."
    seconds = LETTER_SECONDS * len("[S2] Hello there.")
    assert finished["usage"]["output_token_details"]["audio_tokens"] == round(90 * seconds)  # as it says itself
    assert here[1].asked[0].text == "[S2] Hello there."


def test_it_is_heard_while_it_is_made(here: Here, socket: Socket) -> None:
    running, backend = here
    with running.closed() as gate:
        say(socket, "response.create", response={"instructions": HALTING})
        told = until(socket, "response.output_audio.delta")
        gate.set()
        told += until(socket, "response.done")
    assert kinds(told)[-1] == "response.done"
    assert only(told, "response.output_audio_transcript.done")["transcript"] == HALTING
    assert len(backend.asked) == 1


@pytest.mark.parametrize("awaited", ["response.created", "response.output_audio.delta"])
def test_whoever_cancels_ends_the_prediction(awaited: str, here: Here, socket: Socket) -> None:
    running, _ = here
    with running.closed():
        say(socket, "response.create", response={"instructions": HALTING})
        until(socket, awaited)
        say(socket, "response.cancel")
        finished = only(until(socket, "response.done"), "response.done")["response"]
        assert finished["status"] == "cancelled"
        wait_for(lambda: not running.service.records.active(), PATIENCE)


def test_whoever_leaves_ends_the_prediction(here: Here, socket: Socket) -> None:
    running, _ = here
    with running.closed():
        say(socket, "response.create", response={"instructions": HALTING})
        until(socket, "response.output_audio.delta")
        socket.close()
        wait_for(lambda: not running.service.records.active(), PATIENCE)


def test_a_limit_is_kept_to_the_sample(here: Here, socket: Socket) -> None:
    finished, audio = speak(socket, instructions="Hello there.", max_output_tokens=30)
    assert finished["status_details"]["reason"] == "max_output_tokens"
    assert finished["usage"]["output_token_details"]["audio_tokens"] == 30
    assert len(audio) / 2 == pytest.approx(RATE * 30 / DIA.tokens_per_second, abs=3)


def test_speed_is_the_sessions(here: Here, socket: Socket) -> None:
    say(socket, "session.update", session={"type": "realtime", "audio": {"output": {"speed": 1.5}}})
    until(socket, "session.updated")
    _, audio = speak(socket, instructions="Hello there, everybody.")
    whole = LETTER_SECONDS * len("[S2] Hello there, everybody.")
    assert len(audio) / 2 / RATE == pytest.approx(whole / 1.5, abs=0.05)


def test_an_items_voice_is_handed_in_once(here: Here, socket: Socket) -> None:
    running, backend = here
    kept_before, _ = running.service.files.count("alice", UPLOAD)
    say(socket, "input_audio_buffer.append", audio=FRAME)
    say(socket, "input_audio_buffer.commit")
    item_id = until(socket, "input_audio_buffer.committed")[-1]["item_id"]
    for _ in range(2):
        finished, _ = speak(socket, instructions="[S1] Hello.", audio={"output": {"voice": {"id": item_id}}})
        assert finished["status"] == "completed"
    assert [asked.audio_prompt_text for asked in backend.asked] == [f"[S1] {' '.join(HEARD)}"] * 2
    assert all(isinstance(asked.audio_prompt, Path) for asked in backend.asked)
    assert running.service.files.count("alice", UPLOAD)[0] == kept_before + 1


def test_an_items_voice_that_was_deleted_is_handed_in_anew(here: Here, socket: Socket) -> None:
    """It stands among its owner's files, and expires like them. Before, the session could not speak in it any more."""
    files = here[0].service.files
    say(socket, "input_audio_buffer.append", audio=base64.b64encode(b"\1\0" * 12_000).decode())
    say(socket, "input_audio_buffer.commit")
    item_id = until(socket, "input_audio_buffer.committed")[-1]["item_id"]
    for _ in range(2):
        finished, _ = speak(socket, instructions="[S1] Hello.", audio={"output": {"voice": {"id": item_id}}})
        assert finished["status"] == "completed", finished["status_details"]
        (newest,) = files.page("alice", UPLOAD, limit=1)
        assert newest.name == "voice.wav"
        files.delete(newest)


def test_a_stored_voice_is_handed_in_as_it_lies(here: Here, socket: Socket, tmp_path: Path) -> None:
    running, backend = here
    with running.client() as client:
        form = {"name": "Ann", "transcript": "Hello, it is me.", "consent": "Ann agreed."}
        assert client.post(
            "/v1/audio/voices", data=form, files={"audio_sample": ("ann.wav", recording(tmp_path), "audio/wav")}
        ).is_success
    kept_before = running.service.files.count("alice", UPLOAD)
    finished, _ = speak(socket, instructions="Hello.", audio={"output": {"voice": "Ann"}})
    assert finished["status"] == "completed"
    assert (backend.asked[0].text, backend.asked[0].audio_prompt_text) == ("[S1] Hello.", "Hello, it is me.")
    assert running.service.files.count("alice", UPLOAD) == kept_before


@pytest.mark.parametrize(
    ("text", "told"),
    [("Hello##", "The model gave noise."), ("word " * 900, "at most 4096")],
    ids=["by the worker", "before any work"],
)
def test_what_cannot_be_spoken_is_told(text: str, told: str, here: Here, socket: Socket) -> None:
    finished, audio = speak(socket, instructions=text)
    assert (finished["status"], audio) == ("failed", b"")
    error = finished["status_details"]["error"]
    assert error["type"] == ("server_error" if "#" in text else "invalid_request_error")
    assert told in error["message"]


def test_sentences_of_a_chat_server_are_made_one_after_the_other(here: Here) -> None:
    """By the worker of one service, for the socket of another beside it."""
    running, backend = here
    with (
        chat_stand_in() as stand_in,
        served(running.service.settings.data, chat_base_url=stand_in.url, chat_model="tiny") as client,
        client.websocket_connect("/v1/realtime", headers={"Authorization": f"Bearer {ALICE}"}) as socket,
    ):
        stand_in.answer = written("It is good to hear ", "from you. And how ", "have you been?")
        socket.send_json({"type": "response.create", "response": {"instructions": "Be kind."}})
        told = [socket.receive_json()]
        while told[-1]["type"] != "response.done":
            told.append(socket.receive_json())
    finished = told[-1]["response"]
    assert finished["status"] == "completed"
    spoken = ["[S2] It is good to hear from you.", "[S2] And how have you been?"]
    assert [asked.text for asked in backend.asked] == spoken
    audio = audio_of(told, finished["id"])
    assert len(audio) / 2 == pytest.approx(RATE * LETTER_SECONDS * len("".join(spoken)), abs=6)


def test_where_nobody_works_a_response_waits_and_can_be_cancelled(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        headers = {"Authorization": f"Bearer {ALICE}"}
        with client.websocket_connect("/v1/realtime", headers=headers) as socket:
            socket.send_json({"type": "response.create", "response": {"instructions": "Hello."}})
            assert [socket.receive_json()["type"] for _ in range(2)] == ["session.created", "response.created"]
            records = client.app.state.service.records  # type: ignore[attr-defined]
            (waiting,) = wait_for(lambda: records.active())
            assert (waiting.door, waiting.status) == ("realtime", Status.STARTING)
            socket.send_json({"type": "response.cancel"})
            assert socket.receive_json()["response"]["status"] == "cancelled"
            wait_for(lambda: not records.active())


def test_where_no_model_speaks_a_response_says_so(tmp_path: Path) -> None:
    with served(tmp_path, models="audiogen") as client:
        headers = {"Authorization": f"Bearer {ALICE}"}
        with client.websocket_connect("/v1/realtime", headers=headers) as socket:
            socket.send_json({"type": "response.create", "response": {"instructions": "Hello."}})
            failed = [socket.receive_json() for _ in range(3)][2]["response"]
    assert failed["status_details"]["error"]["message"] == "No model that speaks is served here."


def test_a_process_that_only_serves_http_speaks_with_a_worker(tmp_path: Path) -> None:
    """Two processes, as they are run. The worker takes a tenth of a second for a tenth of a second."""
    port = free_port()
    shared = role(tmp_path, port, pause=0.1)
    with nursery() as children:
        children.start(**shared, web=True)
        children.start(**shared, work=True)
        wait_until(port, "/health")
        with opened(f"http://127.0.0.1:{port}") as socket:
            say(socket, "response.create", response={"instructions": "It is good to hear from you again."})
            told = until(socket, "response.output_audio.delta")
            with client_of(port) as client:
                metrics = client.get("/metrics").text
            told += until(socket, "response.done")
    finished = only(told, "response.done")["response"]
    assert finished["status"] == "completed"
    letters = len("[S2] It is good to hear from you again.")
    audio = audio_of(told, finished["id"])
    assert len(audio) / 2 == pytest.approx(RATE * LETTER_SECONDS * letters, abs=3)
    assert 'parley_predictions{door="realtime"' in metrics
