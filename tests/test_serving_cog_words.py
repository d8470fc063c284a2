"""What comes from where a container should be, and is not what coglet says: it is never taken for an answer."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from models.errors import GenerationFailed, InvalidRequest
from serving.cog.container import AWAY, Container, Died, NotTaken

Ask = Callable[[Container, httpx.AsyncClient], Coroutine[Any, Any, Any]]
NO_DOCUMENT = [b"", b"<html>", b"[]", b"{}"]


def predict(container: Container, client: httpx.AsyncClient) -> Coroutine[Any, Any, Any]:
    return container.predict(client, "p", b"{}")


def told(ask: Ask, answer: Callable[[httpx.Request], httpx.Response]) -> Any:
    async def asked() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await ask(Container("http://user:secret@cog"), client)

    return asyncio.run(asked())


def says(status: int, content: bytes = b"") -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: httpx.Response(status, content=content)


def breaks(error: type[httpx.TransportError]) -> Callable[[httpx.Request], httpx.Response]:
    def broken(request: httpx.Request) -> httpx.Response:
        raise error("gone", request=request)

    return broken


@pytest.mark.parametrize("content", NO_DOCUMENT)
def test_a_success_without_a_document_is_a_failure(content: bytes) -> None:
    with pytest.raises(GenerationFailed, match="The container answered 200"):
        told(predict, says(200, content))


@pytest.mark.parametrize(
    "content", [*NO_DOCUMENT, b'{"detail": "no"}', b'{"detail": []}', b'{"detail": [{"msg": "no"}]}']
)
def test_a_refusal_without_reasons_is_still_one(content: bytes) -> None:
    with pytest.raises(InvalidRequest, match="input: was refused by the container"):
        told(predict, says(422, content))


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (says(409), NotTaken),
        (says(503), NotTaken),
        (says(502), Died),
        (says(504), Died),
        (says(418), GenerationFailed),
        (breaks(httpx.ConnectError), NotTaken),
        (breaks(httpx.ConnectTimeout), NotTaken),
        (breaks(httpx.ReadError), Died),
        (breaks(httpx.RemoteProtocolError), Died),
    ],
)
def test_whether_a_prediction_may_have_begun_there_is_known(answer: Any, raised: type[Exception]) -> None:
    """NotTaken: it has not. Died counts against it."""
    with pytest.raises(raised):
        told(predict, answer)


@pytest.mark.parametrize(
    ("answer", "logs"),
    [
        (says(202, b'{"logs": "seed: 7"}'), "seed: 7"),
        (says(202, b"{}"), ""),
        (says(202, b"<html>"), ""),
        (says(422, b'{"logs": "of no running one"}'), None),
        (breaks(httpx.ReadTimeout), None),
    ],
)
def test_logs_are_those_of_one_that_runs(answer: Any, logs: str | None) -> None:
    assert told(lambda container, client: container.logs(client, "p"), answer) == logs


@pytest.mark.parametrize("answer", [breaks(httpx.ConnectError), *(says(200, content) for content in NO_DOCUMENT)])
def test_what_says_nothing_of_its_health_is_away(answer: Any) -> None:
    assert told(lambda container, client: container.status(client), answer) == AWAY


def test_who_cannot_be_told_to_end_did_not_hear_it() -> None:
    for answer in (breaks(httpx.ReadTimeout), says(404)):
        assert told(lambda container, client: container.cancel(client, "p"), answer) is False


def test_a_container_is_named_without_its_password() -> None:
    assert "secret" not in str(Container("http://user:secret@cog:5000"))
