"""The client for callers' addresses: what it refuses to reach, whom it believes, and when it gives up."""

import base64
import ipaddress
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from serving_http_fixtures import StandInServer, drip, reply, serve, stand_in_network

from models.errors import InvalidRequest
from serving.addresses import AddressRefused, is_public, resolve
from serving.public_http import public_client
from serving.urls import check_public_url, parse_url

PUBLIC = "93.184.215.14"
REFUSED = (
    "0.0.0.0 10.1.2.3 100.64.0.1 100.100.100.200 127.0.0.1 127.8.8.8 168.63.129.16 169.254.169.254 172.16.0.1 "
    "192.0.0.9 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 "
    "239.255.255.250 240.0.0.1 255.255.255.255 :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 "
    "::ffff:0:127.0.0.1 64:ff9b::10.0.0.1 64:ff9b:1::1 100::1 2001::1 2001:2::1 2001:10::1 2001:db8::1 "
    "2002:7f00:1::1 2002:a9fe:a9fe::1 3fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%1 fec0::1 ff02::1"
)
ALLOWED = (
    "1.1.1.1 93.184.215.14 172.15.255.255 172.32.0.1 192.169.0.1 223.255.255.254 2606:4700::1111 2a00:1450:4001::200e "
    "::ffff:1.1.1.1 64:ff9b::1.1.1.1 2002:101:101::1"
)


@pytest.fixture
def server() -> Iterator[StandInServer]:
    with serve() as state:
        state.answers["/"] = reply(b"here")
        yield state


@pytest.fixture
def private() -> Iterator[httpx.Client]:
    with public_client(allow_private=True, seconds=5) as client:
        yield client


@pytest.fixture
def public() -> Iterator[httpx.Client]:
    with public_client(allow_private=False, seconds=5) as client:
        yield client


@pytest.mark.parametrize("address", REFUSED.split())
def test_an_address_outside_the_internet_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ALLOWED.split())
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses())
def test_nothing_is_public_that_python_knows_to_be_special(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    special = not ip.is_global or ip.is_multicast or ip.is_private or ip.is_link_local or ip.is_unspecified
    assert not (is_public(str(ip)) and special)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_an_ipv6_address_counts_as_itself(ip: ipaddress.IPv4Address) -> None:
    six_to_four = ipaddress.IPv6Address((0x2002 << 112) | (int(ip) << 80))
    inside = [f"::ffff:{ip}", f"64:ff9b::{ip}", str(six_to_four)]
    assert {is_public(address) for address in inside} == {is_public(str(ip))}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "0", "[::ffff:127.0.0.1]"])
def test_this_machine_is_refused_however_it_is_spelled(server: StandInServer, public: httpx.Client, host: str) -> None:
    with pytest.raises(AddressRefused):
        public.get(server.url(host=host))
    assert server.asked == []


def test_a_refusal_does_not_tell_what_a_name_resolves_to(public: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_network(monkeypatch).names["intranet.test"] = [["10.11.12.13"]]
    with pytest.raises(AddressRefused, match=r"intranet\.test") as refused:
        public.get("http://intranet.test/")
    assert "10.11" not in str(refused.value)


def test_one_private_address_among_public_ones_is_enough_to_refuse(
    public: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = stand_in_network(monkeypatch)
    network.names["mixed.test"] = [[PUBLIC, "10.0.0.1"]]
    with pytest.raises(AddressRefused):
        public.get("http://mixed.test/")
    assert network.connected == []


def test_the_connection_goes_to_the_address_that_was_checked_each_time_anew(
    server: StandInServer, public: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that answers with a public address when it is checked, and with a private one a moment later."""
    network = stand_in_network(monkeypatch, everywhere=server.port)
    network.names["rebind.test"] = [[PUBLIC], ["127.0.0.1"]]
    assert public.get("http://rebind.test/").content == b"here"
    assert (network.looked_up, network.connected) == (["rebind.test"], [PUBLIC])
    assert server.asked[0].headers["host"] == "rebind.test"
    with pytest.raises(AddressRefused):
        public.get("http://rebind.test/")
    assert len(server.asked) == 1


def test_a_redirect_to_a_private_address_is_refused(
    server: StandInServer, public: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in_network(monkeypatch, everywhere=server.port).names["public.test"] = [[PUBLIC]]
    server.answers["/away"] = reply(status=302, location="http://169.254.169.254/latest/meta-data/")
    assert public.get("http://public.test/away").status_code == 302
    with pytest.raises(AddressRefused):
        public.get("http://public.test/away", follow_redirects=True)
    assert [asked.target for asked in server.asked] == ["/away", "/away"]


def test_a_dead_address_leaves_time_for_the_next(
    server: StandInServer, private: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = stand_in_network(monkeypatch)
    network.names["two.test"] = [["127.0.0.2", "127.0.0.1"]]  # nothing listens at the first
    assert private.get(server.url(host="two.test")).content == b"here"
    assert network.connected == ["127.0.0.2", "127.0.0.1"]


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".test", "nowhere.test"])
def test_a_name_without_an_address_is_a_connection_that_failed(
    private: httpx.Client, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in_network(monkeypatch).names["nowhere.test"] = [[]]
    with pytest.raises(httpx.ConnectError, match="has no address"):
        private.get(f"http://{host}/")


@pytest.mark.parametrize("url", ["ws://127.0.0.1/", "ftp://127.0.0.1/", "file:///etc/passwd", "/relative"])
def test_only_http_is_spoken(private: httpx.Client, url: str) -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        private.get(url)


def test_query_and_password_travel_but_are_not_logged(
    server: StandInServer, private: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        response = private.get(f"http://me:hunter2@127.0.0.1:{server.port}/?token=secret#part")
    assert server.asked[0].target == "/?token=secret"
    assert server.asked[0].headers["authorization"] == "Basic " + base64.b64encode(b"me:hunter2").decode()
    assert "127.0.0.1" in caplog.text
    assert str(response.url) == server.url()
    assert "secret" not in caplog.text
    assert "hunter2" not in caplog.text


def test_proxies_of_the_environment_are_not_used(server: StandInServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with public_client(allow_private=True, seconds=5) as client:
        assert client.get(server.url()).content == b"here"


def test_cookies_are_not_kept(server: StandInServer, private: httpx.Client) -> None:
    server.answers["/"] = reply(set_cookie="who=me; Path=/")
    private.get(server.url())
    private.get(server.url())
    assert [asked.headers.get("cookie") for asked in server.asked] == [None, None]


@pytest.mark.parametrize(
    ("start", "piece"),
    [(b"HTTP/1.1 200 OK\r\nx: ", b"y"), (b"HTTP/1.1 200 OK\r\n\r\n", b"y"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n")],
    ids=["header", "body", "informational"],
)
def test_an_answer_that_trickles_ends_at_the_deadline(server: StandInServer, start: bytes, piece: bytes) -> None:
    server.answers["/"] = drip(start, piece, server)
    began = time.monotonic()
    with public_client(allow_private=True, seconds=0.3) as client, pytest.raises(httpx.ReadTimeout):
        client.get(server.url())
    assert 0.25 < time.monotonic() - began < 2


def test_a_request_may_shorten_the_deadline_and_not_lengthen_it(server: StandInServer) -> None:
    server.answers["/"] = drip(b"HTTP/1.1 200 OK\r\n\r\n", b"y", server)
    for seconds, timeout in ((30.0, 0.2), (0.2, 30.0), (0.2, None)):
        began = time.monotonic()
        with public_client(allow_private=True, seconds=seconds) as client, pytest.raises(httpx.ReadTimeout):
            client.get(server.url(), timeout=timeout)
        assert time.monotonic() - began < 2


def test_a_body_that_nobody_reads_ends_at_the_deadline() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as deaf,
        public_client(allow_private=True, seconds=0.3) as client,
        pytest.raises(httpx.WriteTimeout),
    ):
        client.post(f"http://127.0.0.1:{deaf.getsockname()[1]}/", content=bytes(20_000_000))


def test_a_name_server_that_is_slow_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def slow(*args: Any, **options: Any) -> list[Any]:
        answered.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    try:
        with public_client(allow_private=True, seconds=0.2) as client, pytest.raises(httpx.ConnectTimeout):
            client.get("http://slow.test/")
        with pytest.raises(TimeoutError):
            resolve("slow.test", 80, allow_private=True, seconds=0.05)
    finally:
        answered.set()


def _tls(authority: trustme.CA, name: str, asked: list[str | None]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    context.sni_callback = lambda connection, server_name, used: asked.append(server_name)
    return context


def test_tls_names_and_checks_the_host_and_not_the_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority, asked = trustme.CA(), list[str | None]()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    network = stand_in_network(monkeypatch)
    network.names |= {"files.test": [["127.0.0.1"]], "other.test": [["127.0.0.1"]]}
    with serve(_tls(authority, "files.test", asked)) as server:
        server.answers["/"] = reply(b"here")
        with public_client(allow_private=True, seconds=5) as client:
            assert client.get(server.url(host="files.test", scheme="https")).content == b"here"
            for host in ("other.test", "127.0.0.1"):
                with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                    client.get(server.url(host=host, scheme="https"))
    assert asked[:2] == ["files.test", "other.test"]


def test_a_certificate_of_an_unknown_authority_is_refused() -> None:
    with (
        serve(_tls(trustme.CA(), "localhost", [])) as server,
        public_client(allow_private=True, seconds=5) as client,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.get(server.url(host="localhost", scheme="https"))


def test_a_public_url_is_taken_for_a_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_network(monkeypatch).names["hooks.test"] = [[PUBLIC]]
    for url in ("https://hooks.test/?id=1", "http://hooks.test:8080", f"https://hooks.test/{'a' * 2029}"):
        check_public_url(url, "webhook", allow_private=False)
    check_public_url("http://127.0.0.1:1/hook", "webhook", allow_private=True)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "scheme ''"),
        ("hooks.test/x", "scheme ''"),
        ("//hooks.test/x", "scheme ''"),
        ("ftp://hooks.test/x", "scheme 'ftp'"),
        ("javascript:alert(1)", "scheme 'javascript'"),
        ("https:///x", "names no host"),
        ("https://me:hunter2@hooks.test/", "user name or password"),
        ("https://hooks.test:70000/", "has the port 70000"),
        ("https://hooks.test:0/", "has the port 0"),
        ("https://hooks.test:port/", "is no URL"),
        ("https://hooks.test/\n", "is no URL"),
        (f"https://hooks.test/{'a' * 2030}", "is 2049 characters long; at most 2048"),
        ("https://127.0.0.1/", "no address on the public internet"),
        ("https://[fe80::1]/", "no address on the public internet"),
        ("https://10.test/", "no address on the public internet"),
        ("https://nowhere.test/", "no address on the public internet"),
        ("https://a..b/", "no address on the public internet"),
    ],
)
def test_a_url_that_may_not_be_called_is_refused_when_it_is_given(
    url: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in_network(monkeypatch).names |= {"hooks.test": [[PUBLIC]], "10.test": [["10.0.0.1"]], "nowhere.test": [[]]}
    with pytest.raises(InvalidRequest) as refused:
        check_public_url(url, "webhook", allow_private=False)
    assert problem in str(refused.value)
    assert refused.value.field == "webhook"
    assert "hunter2" not in str(refused.value)


@given(st.text(max_size=40).map("http".__add__) | st.text(max_size=40).map("https://".__add__))
def test_any_text_is_a_url_or_a_mistake_of_the_caller(text: str) -> None:
    with suppress(InvalidRequest):
        assert parse_url(text, "webhook").scheme in ("http", "https")
