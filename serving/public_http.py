"""An HTTP client for addresses that callers name: it reaches the public internet and nothing else.

Knows connections and deadlines; knows neither files nor webhooks. A host is looked up once for each connection, every
address of the answer is checked, and the connection goes to a checked address and not to the name, so a name that
answers differently a moment later gains nothing. TLS still names and checks the host.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ssl import SSLContext
from typing import Any

import httpcore
import httpx

from serving.addresses import resolve
from serving.urls import without_secrets

WRITE_BYTES = 16_384  # the most that one TLS record holds, and less than a writable socket has room for


@dataclass(frozen=True)
class _Deadline:
    at: float  # of time.monotonic()

    def left(self, late: type[httpcore.TimeoutException]) -> float:
        """Seconds until then, more than 0; raises `late` once it has passed."""
        seconds = self.at - time.monotonic()
        if seconds <= 0:
            raise late("the time for the whole request is over")
        return seconds


class _TimedStream(httpcore.NetworkStream):
    """A connection whose every step ends at one deadline, however little arrives at a time."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # In pieces: a timeout holds for one send, and a receiver may draw a long body out over many.
        for start in range(0, len(buffer), WRITE_BYTES):
            piece = buffer[start : start + WRITE_BYTES]
            self._stream.write(piece, self._deadline.left(httpcore.WriteTimeout))

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        seconds = self._deadline.left(httpcore.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, seconds), self._deadline)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _CheckedNetwork(httpcore.NetworkBackend):
    """Connects to the addresses that it has checked itself. Each connection carries one request, so its deadline."""

    def __init__(self, allow_private: bool, seconds: float) -> None:
        self._allow_private = allow_private
        self._seconds = seconds
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        seconds = self._seconds if timeout is None else min(timeout, self._seconds)
        deadline = _Deadline(time.monotonic() + seconds)
        return _TimedStream(self._connect(self._resolve(host, port, deadline), port, deadline), deadline)

    def _resolve(self, host: str, port: int, deadline: _Deadline) -> list[str]:
        seconds = deadline.left(httpcore.ConnectTimeout)
        try:
            return resolve(host, port, allow_private=self._allow_private, seconds=seconds)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"the host {host!r} was not looked up in time") from error
        except OSError as error:
            raise httpcore.ConnectError(f"the host {host!r} has no address") from error

    def _connect(self, addresses: list[str], port: int, deadline: _Deadline) -> httpcore.NetworkStream:
        """The first address that answers; each gets its share of the time, so that a dead one leaves some."""
        *others, last = addresses
        for position, address in enumerate(others):
            share = deadline.left(httpcore.ConnectTimeout) / (len(addresses) - position)
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return self._sockets.connect_tcp(address, port, share)
        return self._sockets.connect_tcp(last, port, deadline.left(httpcore.ConnectTimeout))


class _Body(httpx.SyncByteStream):
    """A response's body with httpx's errors."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx_errors():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class _CheckedTransport(httpx.BaseTransport):
    """httpx on a network that checks addresses; httpx's own transport offers no place for one."""

    def __init__(self, network: httpcore.NetworkBackend) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=None,
            max_keepalive_connections=0,  # a connection for every request: each is checked, each has its deadline
            network_backend=network,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        if url.scheme not in ("http", "https"):  # httpcore knows ws and wss too
            raise httpx.UnsupportedProtocol(f"the scheme {url.scheme!r} is neither http nor https")
        assert isinstance(request.stream, httpx.SyncByteStream), request.stream
        wanted = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx_errors():
            got = self._pool.handle_request(wanted)
        return httpx.Response(got.status, headers=got.headers, stream=_Body(got), extensions=got.extensions)

    def close(self) -> None:
        self._pool.close()


@contextmanager
def _as_httpx_errors() -> Iterator[None]:
    """httpcore's errors → httpx's, which have the same names."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error


def _hide_secrets(request: httpx.Request) -> None:
    """Keep query and user info out of `request.url`, which httpx logs and hands on in its errors; both still travel."""
    request.extensions["target"] = request.url.raw_path  # the Authorization header is there by now
    request.url = without_secrets(request.url)


def public_client(*, allow_private: bool, seconds: float) -> httpx.Client:
    """A client that connects to public addresses only, over http and https, to any port; close it after use.

    seconds: from the look-up of the name to the last byte of the answer, > 0; the `timeout` of a request may shorten
    it. Redirects are not followed unless asked for, and are checked like first requests. No proxies, no cookies, and
    what it logs has no query. Certificates are checked against certifi's, or SSL_CERT_FILE's when that is set.
    Requests raise AddressRefused, or httpx's errors. allow_private: for tests and closed networks.
    """
    return httpx.Client(
        transport=_CheckedTransport(_CheckedNetwork(allow_private, seconds)),
        timeout=seconds,
        trust_env=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        headers={"User-Agent": "Parley", "Connection": "close"},
        event_hooks={"request": [_hide_secrets]},
    )
