"""Files that come as addresses: how much is taken, how long it may take, what is told when it is not."""

import base64
import gzip
import time
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving_http_fixtures import StandInServer, drip, reply, serve, stand_in_network

from models.errors import InvalidRequest
from serving.fetch import FetchLimits, decode_data_uri, fetch_url

FIELD = "audio_prompt"
LIMITS = FetchLimits(max_bytes=100_000, seconds=5.0, allow_private=True)
SOUND = bytes(range(256)) * 300  # 76,800 bytes, more than one piece


@pytest.fixture
def server() -> Iterator[StandInServer]:
    with serve() as state:
        yield state


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "given.by.us"


def refusal(url: str, destination: Path, limits: FetchLimits = LIMITS) -> str:
    """What is told of a URL that is refused; nothing may be left of it."""
    with pytest.raises(InvalidRequest) as refused:
        fetch_url(url, FIELD, destination, limits)
    assert refused.value.field == FIELD
    assert list(destination.parent.iterdir()) == []
    return refused.value.problem


def test_a_file_arrives_whole(server: StandInServer, destination: Path) -> None:
    server.answers["/voices/Anna%201.wav"] = reply(SOUND)
    fetch_url(server.url("/voices/Anna%201.wav?key=secret"), FIELD, destination, LIMITS)
    assert destination.read_bytes() == SOUND
    assert server.asked[0].target == "/voices/Anna%201.wav?key=secret"
    assert server.asked[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("told", [True, False], ids=["told", "found while reading"])
def test_a_file_may_be_as_large_as_the_limit_and_no_larger(
    server: StandInServer, destination: Path, told: bool
) -> None:
    for path, size in (("/fits", 100_000), ("/larger", 100_001)):
        server.answers[path] = reply(bytes(size), content_length=str(size) if told else "")
    fetch_url(server.url("/fits"), FIELD, destination, LIMITS)
    assert destination.stat().st_size == 100_000
    destination.unlink()
    problem = refusal(server.url("/larger"), destination)
    assert "at most 100000 are taken" in problem
    assert ("has 100001 bytes" in problem) is told


def test_an_endless_file_is_left_at_the_limit(server: StandInServer, destination: Path) -> None:
    server.answers["/"] = drip(b"HTTP/1.1 200 OK\r\n\r\n", bytes(50_000), server)
    assert "at most 100000" in refusal(server.url(), destination)


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_packed_file_is_unpacked_and_counts_unpacked(
    server: StandInServer, destination: Path, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    server.answers["/fits"] = reply(pack(SOUND), content_encoding=encoding)
    server.answers["/bomb"] = reply(pack(bytes(80_000_000)), content_encoding=encoding)
    assert len(pack(bytes(80_000_000))) < LIMITS.max_bytes
    fetch_url(server.url("/fits"), FIELD, destination, LIMITS)
    assert destination.read_bytes() == SOUND
    destination.unlink()
    assert "at most 100000" in refusal(server.url("/bomb"), destination)


@pytest.mark.parametrize(
    ("encoding", "body", "problem"),
    [
        ("br", SOUND, "packed as 'br'"),
        ("gzip, gzip", gzip.compress(gzip.compress(SOUND)), "packed as 'gzip, gzip'"),
        ("gzip", SOUND, "packed, and damaged"),
        ("gzip", gzip.compress(SOUND)[:-9], "does not end where it should"),
        ("gzip", gzip.compress(SOUND) + bytes(9), "does not end where it should"),
        ("gzip", b"", "does not end where it should"),
    ],
)
def test_a_file_that_cannot_be_unpacked_whole_is_refused(
    server: StandInServer, destination: Path, encoding: str, body: bytes, problem: str
) -> None:
    server.answers["/"] = reply(body, content_encoding=encoding)
    assert problem in refusal(server.url(), destination)


def test_a_packed_file_with_an_endless_tail_is_not_read_on(server: StandInServer, destination: Path) -> None:
    packed = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + gzip.compress(SOUND)
    server.answers["/"] = drip(packed, bytes(1000), server)
    assert "does not end where it should" in refusal(server.url(), destination)


def test_a_transfer_that_breaks_off_is_refused(server: StandInServer, destination: Path) -> None:
    server.answers["/"] = reply(SOUND, content_length="90000")
    assert "could not be read (RemoteProtocolError" in refusal(server.url(), destination)


def test_redirects_are_followed_as_far_as_the_limit(server: StandInServer, destination: Path) -> None:
    for hop, status in ((1, 301), (2, 302), (3, 303), (4, 307)):
        server.answers[f"/{hop}"] = reply(status=status, location=f"{hop - 1}?at={hop}")
    server.answers["/0"] = reply(SOUND)
    fetch_url(server.url("/3"), FIELD, destination, LIMITS)
    assert destination.read_bytes() == SOUND
    assert server.asked[-1].target == "/0?at=1"
    destination.unlink()
    assert "redirects more than 3 times" in refusal(server.url("/4"), destination)


@pytest.mark.parametrize("location", ["", "file:///etc/passwd", "ftp://127.0.0.1/", "https:///", "http://127.0.0.1:0/"])
def test_a_redirect_to_anything_but_http_is_refused(server: StandInServer, destination: Path, location: str) -> None:
    server.answers["/"] = reply(status=302, location=location)
    assert "redirects to no http or https address" in refusal(server.url(), destination)


def test_private_hosts_are_refused_at_first_and_after_a_redirect(
    server: StandInServer, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = FetchLimits(max_bytes=100_000, seconds=5.0)
    assert "not on the public internet" in refusal(server.url(), destination, limits)
    stand_in_network(monkeypatch, everywhere=server.port).names["public.test"] = [["93.184.215.14"]]
    server.answers["/"] = reply(status=302, location="http://169.254.169.254/latest")
    problem = refusal("http://public.test/", destination, limits)
    assert "is at http://public.test/, which is not on the public internet" in problem
    assert len(server.asked) == 1


def test_password_and_query_are_sent_but_never_told(server: StandInServer, destination: Path) -> None:
    server.answers["/a.wav"] = reply(status=403)
    url = f"http://me:hunter2@127.0.0.1:{server.port}/a.wav?token=secret#part"
    assert refusal(url, destination) == (
        f"is at {server.url('/a.wav')}, which answered with status 403; only 200 brings a file. "
        "Use a URL that anyone may open."
    )
    assert server.asked[0].headers["authorization"].startswith("Basic ")


def test_a_password_does_not_travel_on_with_a_redirect(server: StandInServer, destination: Path) -> None:
    server.answers |= {"/from": reply(status=302, location=server.url("/to")), "/to": reply(SOUND)}
    fetch_url(f"http://me:hunter2@127.0.0.1:{server.port}/from", FIELD, destination, LIMITS)
    assert ["authorization" in asked.headers for asked in server.asked] == [True, False]


@pytest.mark.parametrize("status", [204, 206, 304, 404, 500])
def test_only_200_brings_a_file(server: StandInServer, destination: Path, status: int) -> None:
    server.answers["/"] = reply(status=status)
    assert f"answered with status {status}" in refusal(server.url(), destination)


def test_the_time_limit_holds_for_all_redirects_together(server: StandInServer, destination: Path) -> None:
    def slow(handler: BaseHTTPRequestHandler) -> None:
        server.stopped.wait(0.25)
        reply(status=302, location="/")(handler)

    server.answers["/"] = slow
    began = time.monotonic()
    problem = refusal(server.url(), destination, FetchLimits(seconds=0.6, max_redirects=50, allow_private=True))
    assert "took longer than 0.6 s, the limit" in problem
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("url", ["", "a.wav", "/etc/passwd", "file:///etc/passwd", "https://", "gs://bucket/a.wav"])
def test_anything_but_a_web_address_is_refused(url: str, destination: Path) -> None:
    assert "Write it like https://example.com/path." in refusal(url, destination)


def test_nobody_listening_is_told(destination: Path) -> None:
    assert "could not be read (ConnectError" in refusal("http://127.0.0.1:1/a.wav", destination)


def test_a_failure_of_ours_leaves_no_file_and_is_no_mistake_of_the_caller(
    server: StandInServer, tmp_path: Path
) -> None:
    server.answers["/"] = reply(SOUND)
    with pytest.raises(FileNotFoundError):
        fetch_url(server.url(), FIELD, tmp_path / "missing" / "file", LIMITS)


@given(st.binary(max_size=200), st.booleans(), st.booleans())
def test_a_data_uri_holds_its_bytes(content: bytes, padded: bool, escaped: bool) -> None:
    text = base64.b64encode(content).decode()
    text = text if padded else text.rstrip("=")
    text = quote(text, safe="") if escaped else text
    assert decode_data_uri(f"data:Audio/WAV;base64,{text}", FIELD, len(content)) == (content, "audio/wav")
    assert decode_data_uri(f"data:;x=1,{quote(content)}", FIELD, len(content)) == (content, "text/plain")


@given(st.binary(min_size=1, max_size=50))
def test_a_data_uri_larger_than_the_limit_is_refused(content: bytes) -> None:
    for uri in (f"data:;base64,{base64.b64encode(content).decode()}", f"data:,{quote(content)}"):
        with pytest.raises(InvalidRequest, match=f"holds {len(content)} bytes; at most {len(content) - 1} are taken"):
            decode_data_uri(uri, FIELD, len(content) - 1)


def test_a_recorder_of_a_browser_is_understood() -> None:
    uri = "DATA:audio/webm;codecs=opus;BASE64,T2dn\r\nUw=="
    assert decode_data_uri(uri, FIELD, 100) == (b"OggS", "audio/webm")


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("https://example.com/,", "is no data: URI"),
        ("data:audio/wav;base64", "is no data: URI"),
        ("data:audio;base64,AAAA", "media type 'audio'"),
        ("data:audio/wav;base64,AAAAA", "is no base64"),
        ("data:audio/wav;base64,AA==AA==", "is no base64"),
        ("data:audio/wav;base64,AA-_", "is no base64"),
        ("data:audio/wav;base64,AAAä", "is no base64"),
        ("data:,100%", "holds what no URI may"),
        ("data:,%zz", "holds what no URI may"),
        ("data:,ä", "holds what no URI may"),
    ],
)
def test_a_data_uri_that_cannot_be_decoded_is_refused(uri: str, problem: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode_data_uri(uri, FIELD, 100)
    assert problem in refused.value.problem


@given(st.text(max_size=30).map("data:".__add__) | st.text(max_size=30).map("data:;base64,".__add__))
def test_any_data_uri_is_decoded_or_a_mistake_of_the_caller(uri: str) -> None:
    try:
        content, _ = decode_data_uri(uri, FIELD, 20)
    except InvalidRequest:
        return
    assert len(content) <= 20
