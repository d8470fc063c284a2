"""What callers should not be able to do: send too much, reach inside, name files of ours."""

import io
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import numpy as np
import pytest
import soundfile
from serving_fixtures import Running, ToneBackend, running, wait_for
from serving_http_fixtures import reply, serve, stand_in_network
from serving_replicate_fixtures import alice, asked, created, ended

from models.audio.read import MAX_SECONDS, read_audio
from models.inputs import DialogueInputs
from serving.storage.files import Files
from serving.work.backend import Listener, MadeFile

__all__ = ["alice"]  # a fixture

MOST = 100_000  # bytes of an upload
WORDS = "[S1] Hey."
HOURS = 3


@dataclass
class ReadingBackend(ToneBackend):
    """Reads the recording as the model does."""

    def make(
        self, attempt_id: str, inputs: DialogueInputs, folder: Path, streaming: bool, listener: Listener
    ) -> MadeFile:
        if inputs.audio_prompt is not None:
            read_audio(inputs.audio_prompt, field="audio_prompt", sample_rate=44_100)
        return super().make(attempt_id, inputs, folder, streaming, listener)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("house"), ReadingBackend(), allow_private=False, upload_bytes=MOST) as found:
        yield found


def uploaded(client: httpx.Client, content: bytes, name: str = "voice.flac") -> str:
    answer = client.post("/v1/files", files={"content": (name, content)})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["urls"]["get"])


def spoken(client: httpx.Client, prompt: str) -> dict[str, Any]:
    """How a prediction with this recording ended."""
    inputs = {"text": "[S1] Hey", "audio_prompt": prompt, "audio_prompt_text": WORDS}
    return ended(client, created(client, input=inputs))


def flac(seconds: float, rate: int = 1000) -> bytes:
    """Of silence, hours of which are a few kilobytes."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(int(seconds * rate), np.int16), rate, format="FLAC")
    return file.getvalue()


def test_a_recording_that_unfolds_to_hours_is_refused_by_its_length(alice: httpx.Client) -> None:
    bomb = flac(HOURS * 3600)
    assert len(bomb) < MOST
    failed = spoken(alice, uploaded(alice, bomb))
    limit = f"audio_prompt: is longer than {MAX_SECONDS:g} seconds, the most that is read. Cut it."
    assert (failed["status"], failed["error"]) == ("failed", limit)
    said = {"name": "anna", "consent": "I, Anna, agree."}
    answer = alice.post("/v1/audio/voices", files={"audio_sample": bomb}, data=said)
    assert answer.status_code == 400
    assert "is longer than 60 seconds" in answer.json()["error"]["message"]


def test_a_link_of_ours_is_read_where_no_private_address_may_be(alice: httpx.Client) -> None:
    assert spoken(alice, uploaded(alice, flac(2)))["status"] == "succeeded"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254", "2130706433", "0"])
def test_addresses_inside_are_neither_told_nor_read(alice: httpx.Client, host: str) -> None:
    with serve() as inside:
        url = f"http://{host}:{inside.port}/secret"
        refused = alice.post("/v1/predictions", json=asked() | {"webhook": url})
        assert refused.json()["invalid_fields"][0]["field"] == "webhook"
        failed = spoken(alice, url)
        assert failed["status"] == "failed"
        assert re.match(r"audio_prompt: is at http://\S+, which is not on the public internet\.", failed["error"])
        assert inside.asked == []


@pytest.mark.parametrize("scheme", ["file:///etc/passwd", "ftp://example.org/x", "/etc/passwd", "gopher://127.0.0.1/"])
def test_only_http_and_data_are_addresses(alice: httpx.Client, scheme: str) -> None:
    inputs = {"text": "[S1] Hey", "audio_prompt": scheme, "audio_prompt_text": WORDS}
    answer = alice.post("/v1/predictions", json=asked() | {"input": inputs})
    assert answer.json()["invalid_fields"][0]["field"] == "audio_prompt"


def test_a_redirect_leads_inside_no_more_than_an_address(
    house: Running, alice: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.get("/health")  # its connection stays open, and is not stood in for
    with serve() as outside:
        outside.answers["/voice.wav"] = outside.answers["/hook"] = reply(status=302, location=outside.url("/secret"))
        network = stand_in_network(monkeypatch, everywhere=outside.port)
        network.names["public.example"] = [["93.184.216.34"]]
        body = asked(audio_prompt="http://public.example/voice.wav", audio_prompt_text=WORDS)
        body |= {"webhook": "http://public.example/hook", "webhook_events_filter": ["start"]}
        made = alice.post("/v1/predictions", json=body).json()["id"]
        failed = wait_for(lambda: found if (found := house.service.records.get(made)).status.final else None)
        assert "is not on the public internet" in failed.error
        wait_for(lambda: len(outside.asked) >= 2)
        assert {one.target for one in outside.asked} == {"/voice.wav", "/hook"}
        assert set(network.connected) == {"93.184.216.34"}


def test_an_upload_is_as_large_as_the_limit_and_no_larger(alice: httpx.Client) -> None:
    uploaded(alice, bytes(MOST))
    answer = alice.post("/v1/files", files={"content": bytes(MOST + 1)})
    assert (answer.status_code, answer.json()["title"]) == (413, "Content too large")
    assert str(MOST) in answer.json()["detail"]
    data = "data:audio/wav;base64," + "A" * (MOST * 4 // 3 + 8)
    (field,) = alice.post("/v1/predictions", json=asked(audio_prompt=data, audio_prompt_text=WORDS)).json()[
        "invalid_fields"
    ]
    assert f"at most {MOST} are taken" in field["description"]


@pytest.mark.parametrize("told", [True, False], ids=["its length told", "in pieces without a length"])
def test_a_body_is_no_larger_than_the_limit(alice: httpx.Client, told: bool) -> None:
    body = b'{"version": "' + b"a" * 3 * 2**20 + b'"}'
    content = body if told else (body[at : at + 65_536] for at in range(0, len(body), 65_536))
    with alice.stream("POST", "/v1/predictions", content=content, headers={"Content-Type": "application/json"}) as said:
        assert said.status_code == 413
        assert said.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/v1/files", "/v1/predictions", "/v1/audio/voices", "/ai/audio_generation"])
def test_a_stranger_is_refused_before_any_of_the_body_is_read(house: Running, path: str) -> None:
    """Before, a body of a hundred megabytes was taken in first."""
    host, port = house.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        kind = "multipart/form-data; boundary=x" if path in ("/v1/files", "/v1/audio/voices") else "application/json"
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: 90000\r\n\r\n"
        connection.sendall(head.encode())  # and nothing more
        answer = b""
        while b"Send your token" not in answer and (piece := connection.recv(65_536)):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"www-authenticate: bearer" in answer.lower()


@pytest.mark.parametrize("kept", [(500, 0), (1, 4 << 30)], ids=["files", "bytes"])
def test_nobody_keeps_more_files_than_the_limit_however_they_came(
    alice: httpx.Client, monkeypatch: pytest.MonkeyPatch, kept: tuple[int, int]
) -> None:
    monkeypatch.setattr(Files, "count", lambda *_: kept)
    answers = [
        alice.post("/v1/files", files={"content": b"x"}),
        alice.post(
            "/v1/predictions", json=asked(audio_prompt="data:audio/wav;base64,UklGRg==", audio_prompt_text=WORDS)
        ),
    ]
    for answer in answers:
        assert answer.status_code == 429
        assert answer.json()["detail"].startswith(f"You have {kept[0]} files of {kept[1]} bytes here")


NAMES = {
    "../../etc/passwd": "passwd", "..\\..\\boot.ini": "boot.ini", "a\r\nSet-Cookie: x=1": "aSet-Cookie: x=1",
    "日本 é.wav": "日本 é.wav", "\0": "file", "/": "file", 'x"; filename="y.html': 'x"; filename="y.html',
    "a\u202egpj.exe": "agpj.exe", "n" * 5000: "n" * 200,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_is_shown_and_never_used(house: Running, alice: httpx.Client, name: str) -> None:
    answer = alice.post("/v1/files", files={"content": b"x"}, data={"filename": name, "type": "text/html"})
    assert answer.json()["name"] == NAMES[name]
    got = alice.get(answer.json()["urls"]["get"])
    how, _, shown = got.headers["content-disposition"].partition("; filename*=UTF-8''")
    assert (how, unquote(shown)) == ("attachment", NAMES[name])
    assert "set-cookie" not in got.headers
    stored = [path.relative_to(house.service.settings.data / "files") for path in _files(house)]
    assert stored
    assert all(re.fullmatch(r"[a-z2-7]{2}/[a-z2-7]{26}", str(path)) for path in stored)


def _files(house: Running) -> list[Path]:
    return [path for path in (house.service.settings.data / "files").rglob("*") if path.is_file()]
