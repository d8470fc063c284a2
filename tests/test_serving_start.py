"""How processes start: the address that their links have, the sockets they open, and what they make on the disk."""

import inspect
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn.protocols.http.h11_impl
from serving_children_fixtures import free_port, nursery, role, wait_until
from serving_fixtures import AUTH, TOKENS, served
from serving_replicate_fixtures import WORDS, asked

from models.errors import InvalidRequest
from serving.__main__ import main
from serving.processes import UNFINISHED_ANSWER, listen
from serving.service import Service
from serving.settings import LOOPBACK, Settings

EVERYWHERE = ["0.0.0.0", "::", "192.168.0.2", "fd00::1", "speech.example.org", ""]


@pytest.mark.parametrize("host", EVERYWHERE)
def test_who_listens_for_others_must_say_where_they_find_it(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before, links in answers led to http://0.0.0.0:8000."""
    with pytest.raises(InvalidRequest, match=r"public_url: is not given, and .*PARLEY_PUBLIC_URL"):
        Settings(host=host).base_url(8000)
    data = tmp_path / "data"
    for command in ("web", "worker"):
        assert main([command, "--host", host, "--tokens", TOKENS, "--data", str(data)]) == 2
        assert "public_url" in capsys.readouterr().err
    assert not data.exists()
    assert Settings(host=host, public_url="https://speech.example.org/tts/").base_url(1) == (
        "https://speech.example.org/tts"
    )


def test_a_worker_of_a_shared_database_must_say_where_callers_find_the_service(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before, its webhooks led to http://127.0.0.1:8000."""
    shared = "postgresql://parley@db.example.org/parley"
    assert main(["worker", "--database-url", shared, "--data", str(tmp_path / "data")]) == 2
    assert "public_url" in capsys.readouterr().err
    known = Settings(database_url=shared, public_url="https://speech.example.org")
    assert known.worker_base_url == "https://speech.example.org"
    assert Settings().worker_base_url == "http://127.0.0.1:8000"
    with pytest.raises(InvalidRequest, match="public_url"):
        Settings(public_url="speech.example.org")


@pytest.mark.parametrize("host", LOOPBACK)
def test_every_loopback_can_be_listened_on_and_is_written_as_urls_are(host: str) -> None:
    """Before, ::1 was opened as an address of IPv4."""
    try:
        listening = listen(host, 0)
    except OSError as error:
        pytest.skip(f"this machine has no {host}: {error}")
    with listening:
        port = listening.getsockname()[1]
        parts = urlsplit(Settings(host=host).base_url(port))
        assert (parts.hostname, parts.port) == (host, port)
        with socket.create_connection((parts.hostname, parts.port), timeout=5):
            pass


def test_no_answer_waits_for_more_to_send() -> None:
    """Before, each answer took 40 ms more: its body was held back until the caller had told that the head had come."""
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname(), timeout=5):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_settings_make_nothing_and_the_service_makes_its_database_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    settings = Settings(data=data, tokens=TOKENS)
    assert settings.database == f"sqlite:///{data / 'parley.db'}"
    assert not data.exists()
    with Service(settings, "http://127.0.0.1:1"):
        assert (data / "parley.db").stat().st_mode & 0o777 == 0o600
        assert data.stat().st_mode & 0o777 == 0o700


def test_a_process_that_only_serves_http_is_asked_for_by_name() -> None:
    assert Settings.from_environ({"PARLEY_HTTP_ONLY": "1"}).http_only
    assert not Settings.from_environ({}).http_only


def test_a_link_of_ours_that_has_expired_is_told_as_such(tmp_path: Path) -> None:
    """Before, the worker fetched it, and told of its own answer 404."""
    with served(tmp_path) as client:
        link = httpx.URL(client.post("/v1/files", files={"content": b"x"}, headers=AUTH).json()["urls"]["get"])
        past = int(time.time()) - 1
        signed = client.app.state.service.links.signature("alice", link.path.split("/")[3], past)
        old = link.copy_set_param("expiry", str(past)).copy_set_param("signature", signed)
        forged = old.copy_set_param("signature", "0" * 64)
        answers = [
            client.post("/v1/predictions", json=asked(audio_prompt=str(one), audio_prompt_text=WORDS), headers=AUTH)
            for one in (old, forged)
        ]
        assert [answer.status_code for answer in answers] == [422, 201]
        (field,) = answers[0].json()["invalid_fields"]
        assert field["field"] == "audio_prompt"
        assert field["description"].startswith("is a link of ours that has expired. Ask for the file again")


def test_what_is_left_out_of_the_log_is_what_the_server_says_of_an_answer_that_broke_off() -> None:
    assert UNFINISHED_ANSWER in inspect.getsource(uvicorn.protocols.http.h11_impl)


def test_a_worker_alone_can_be_asked_how_it_is(tmp_path: Path) -> None:
    port = free_port()
    with nursery() as children:
        pid = children.start(**role(tmp_path, free_port(), health_port=port), work=True)
        wait_until(port)
        url = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{url}/health").json() == {"status": "alive"}
        assert httpx.get(f"{url}/metrics").status_code == 401
        numbers = httpx.get(f"{url}/metrics", headers=AUTH)
        assert "parley_predictions_running 0.0" in numbers.text
        assert httpx.get(f"{url}/v1/models", headers=AUTH).status_code == 404
        children.end(pid)
