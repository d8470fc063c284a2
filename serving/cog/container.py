"""One Cog container over HTTP, as coglet 0.23.1 answers. Knows its routes; knows no other container and no audio.

A prediction is one PUT that is answered at its end, and hanging up cancels it: coglet keeps nothing of an ended
prediction to be asked for, and its webhooks need an address that the container can reach. Meanwhile a second PUT of
the same id tells what was printed so far. That one brings an input which no predictor takes, so where the prediction is
over it is refused (422) and begins nothing.
"""

import logging
import socket
import ssl
from dataclasses import dataclass
from typing import Any

import httpx

from models.errors import GenerationFailed, InvalidRequest, MissingInput, ParleyError, UnreadableAudio, WeightsError
from serving.urls import without_secrets

log = logging.getLogger("parley.cog")

READY, BUSY, AWAY = "READY", "BUSY", "AWAY"
ALIVE = (READY, BUSY)  # else it takes no prediction, now or ever
CONNECT_SECONDS, ANSWER_SECONDS, CANCEL_SECONDS = 2.0, 5.0, 0.5
UPLOAD_SECONDS = 60.0  # for each piece of what is sent
SHOWN_CHARACTERS = 500  # of the container's words: coglet repeats the whole of a value that it refuses
JSON_TYPE = {"Content-Type": "application/json"}
REFUSED_INPUT = {"seed": -2}  # below the least of every predictor, of which one takes an empty input

# A connection is silent for as long as a prediction runs: what lies between must not forget it, and a machine that
# vanished is to be noticed.
_KEPT_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
_FAILED = "Prediction failed: "  # before an error, once for each layer of Cog
_REFUSED = {kind.__name__ for kind in (InvalidRequest, MissingInput, UnreadableAudio)}  # "KIND: field: problem"

Document = dict[str, Any]


class NotTaken(Exception):
    """The container began nothing: it is busy, or takes no prediction at all."""


class Died(Exception):
    """The prediction ended with its container, or the container with it."""


def open_client(tls: ssl.SSLContext) -> httpx.AsyncClient:
    """For the operator's own addresses: asked directly, whatever proxies the environment names."""
    transport = httpx.AsyncHTTPTransport(verify=tls, socket_options=_KEPT_ALIVE)
    return httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS))


@dataclass(frozen=True)
class Container:
    """url: without a slash at its end."""

    url: str

    def __str__(self) -> str:
        return str(without_secrets(httpx.URL(self.url)))

    async def status(self, client: httpx.AsyncClient) -> str:
        """READY, BUSY, STARTING, SETUP_FAILED, DEFUNCT or UNHEALTHY; AWAY where no Cog server answers."""
        try:
            return str((await client.get(f"{self.url}/health-check")).json()["status"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return AWAY

    async def predict(self, client: httpx.AsyncClient, name: str, body: bytes) -> Document:
        """Its answer when it has ended, however long that takes.

        Raises NotTaken, Died, InvalidRequest, and GenerationFailed for what no Cog server says.
        """
        patience = httpx.Timeout(UPLOAD_SECONDS, connect=CONNECT_SECONDS, read=None)
        try:
            response = await client.put(self._url(name), content=body, headers=JSON_TYPE, timeout=patience)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NotTaken(AWAY) from error
        except httpx.TransportError as error:
            raise Died(f"the connection ended: {type(error).__name__}") from error
        return _answer(response)

    async def logs(self, client: httpx.AsyncClient, name: str) -> str | None:
        """What it has printed so far; None where it does not run, or nobody answers."""
        try:
            response = await client.put(self._url(name), json={"input": REFUSED_INPUT})
        except httpx.TransportError:
            return None
        return str(_document(response).get("logs", "")) if response.status_code == 202 else None

    async def cancel(self, client: httpx.AsyncClient, name: str) -> bool:
        """Whether it ran and was told to end."""
        try:
            response = await client.post(f"{self._url(name)}/cancel", timeout=CANCEL_SECONDS)
        except httpx.TransportError:
            return False
        return response.status_code == 200

    def _url(self, name: str) -> str:
        return f"{self.url}/predictions/{name}"


def failure(answer: Document) -> ParleyError:
    """Why it failed, in the predictor's words, without what Cog puts before them."""
    words = str(answer.get("error") or f"The container's prediction ended as {answer.get('status')}.")
    while words.startswith(_FAILED):
        words = words.removeprefix(_FAILED)
    kind, _, said = words.partition(": ")
    field, _, problem = said.partition(": ")
    if kind == WeightsError.__name__:
        return WeightsError(said)
    return InvalidRequest(field, problem) if kind in _REFUSED else GenerationFailed(words)


def _answer(response: httpx.Response) -> Document:
    match response.status_code:
        case 200 if answer := _document(response):
            return answer
        case 409 | 503:
            raise NotTaken(BUSY)
        case 422:
            raise _refusal(response)
        case 502 | 504:
            raise Died(f"what stands before the container answered {response.status_code}")
        case status:
            log.error("the container answered %d: %s", status, response.text[:SHOWN_CHARACTERS])
            raise GenerationFailed(f"The container answered {status}. The log of this server says what.")


def _document(response: httpx.Response) -> Document:
    """An object of JSON; empty where it is none."""
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _refusal(response: httpx.Response) -> InvalidRequest:
    try:
        told = [(str(d["loc"][-1]), str(d["msg"])[:SHOWN_CHARACTERS]) for d in _document(response)["detail"]]
        return InvalidRequest.of(told)
    except (ValueError, TypeError, LookupError):
        log.error("the container refused a prediction: %s", response.text[:SHOWN_CHARACTERS])
        return InvalidRequest("input", "was refused by the container. The log of this server says why.")
