"""Door 2 as Replicate's own Python client sees it, unchanged: only the address of the service is another."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import soundfile
from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError
from replicate.helpers import FileOutput
from replicate.pagination import paginate
from replicate.stream import ServerSentEvent
from replicate.webhook import InvalidSignatureError, Webhooks
from serving_fixtures import ALICE, BOB, PIECE, RATE, Running, wait_for
from serving_http_fixtures import reply, serve
from serving_replicate_fixtures import (
    MODEL,
    PROMPT,
    TEXT,
    VERSION,
    WORDS,
    HearingBackend,
    house,
)

from serving.doors.predictions import routes as predictions
from serving.work.webhooks import EVENTS

__all__ = ["house"]  # a fixture

INPUT = {"text": TEXT, "seed": 1}
EVENT = ServerSentEvent.EventType


def client_of(house: Running, token: str = ALICE, **options: Any) -> Client:
    client = Client(token, base_url=house.url, **options)
    client.poll_interval = 0.02
    return client


@pytest.fixture
def client(house: Running) -> Iterator[Client]:
    client = client_of(house)
    yield client
    client._client.close()


def in_loop(house: Running, work: Callable[[Client], Awaitable[Any]]) -> Any:
    """What the work gives with a client of a loop of its own."""

    async def run() -> Any:
        client = client_of(house)
        try:
            return await work(client)
        finally:
            await client._async_client.aclose()

    return asyncio.run(run())


def assert_is_the_tone(output: Any) -> None:
    assert isinstance(output, str)
    audio, rate = soundfile.read(io.BytesIO(httpx.get(output).content))
    assert (rate, len(audio)) == (RATE, len(TEXT) * PIECE)


def refusal(call: Callable[[], Any]) -> ReplicateError:
    with pytest.raises(ReplicateError) as refused:
        call()
    return refused.value


@pytest.mark.parametrize("named", [MODEL, f"{MODEL}:{VERSION}"])
def test_run_gives_a_link_as_text_for_the_client_makes_file_outputs_of_https_alone(client: Client, named: str) -> None:
    assert_is_the_tone(client.run(named, INPUT))


def test_run_gives_a_file_output_where_the_service_is_reached_by_https(
    house: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS is ended before the service; here by a transport that does not begin it."""
    links = replace(house.service.links, base="https://speech.example.org")
    monkeypatch.setattr(house.service.json, "_links", links)

    class Plain(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            here = httpx.URL(house.url)
            request.url = request.url.copy_with(scheme=here.scheme, host=here.host, port=here.port)
            return super().handle_request(request)

    client = client_of(house, transport=Plain())
    output = client.run(MODEL, INPUT)
    assert isinstance(output, FileOutput)
    assert soundfile.info(io.BytesIO(output.read())).frames == len(TEXT) * PIECE
    assert b"".join(output) == output.read()
    client._client.close()


@pytest.mark.parametrize("wait", [False, 1])
def test_run_asks_again_where_the_wait_was_too_short(house: Running, client: Client, wait: bool | int) -> None:
    with house.closed():
        begun = client.models.predictions.create(MODEL, INPUT, wait=wait)
        assert begun.status in ("starting", "processing") if wait is False else begun.status == "starting"
    begun.wait()
    assert_is_the_tone(begun.output)
    assert_is_the_tone(client.run(MODEL, INPUT, wait=wait))


def test_run_works_in_a_loop_too(house: Running) -> None:
    assert_is_the_tone(in_loop(house, lambda client: client.async_run(MODEL, INPUT)))


def assert_is_the_stream(events: list[ServerSentEvent]) -> None:
    assert [e.event for e in events][-2:] == [EVENT.OUTPUT, EVENT.DONE]
    assert "".join(e.data for e in events if e.event == EVENT.LOGS) == "seed: 1"
    assert len({e.id for e in events}) == len(events)
    assert_is_the_tone(events[-2].data)


@pytest.mark.parametrize("named", [MODEL, f"{MODEL}:{VERSION}"])
def test_stream_brings_logs_output_and_done(client: Client, named: str) -> None:
    assert_is_the_stream(list(client.stream(named, input=INPUT)))


def test_stream_works_in_a_loop_too(house: Running) -> None:
    async def work(client: Client) -> list[ServerSentEvent]:
        return [event async for event in await client.async_stream(MODEL, INPUT)]

    assert_is_the_stream(in_loop(house, work))


def test_stream_raises_what_made_the_prediction_fail(client: Client) -> None:
    with pytest.raises(RuntimeError, match="exclamation mark"):
        list(client.stream(MODEL, input={"text": "[S1] Hey!"}))


def test_a_prediction_is_created_read_again_and_waited_for(house: Running, client: Client) -> None:
    with house.closed():
        prediction = client.predictions.create(VERSION, INPUT)
        assert (prediction.model, prediction.version, prediction.input) == (MODEL, VERSION, INPUT)
        wait_for(lambda: house.service.records.get(prediction.id).status == "processing")
        prediction.reload()
        assert (prediction.status, prediction.output, prediction.error) == ("processing", None, None)
    prediction.wait()
    assert_is_the_tone(prediction.output)
    again = client.predictions.get(prediction.id)
    assert (again.status, again.logs, again.metrics["seed"]) == ("succeeded", "seed: 1\n", 1)
    assert again.metrics["total_time"] >= again.metrics["predict_time"] > 0


def test_a_running_prediction_is_cancelled_and_may_be_again(house: Running, client: Client) -> None:
    with house.closed():
        prediction = client.predictions.create(VERSION, INPUT)
        prediction.cancel()
        assert prediction.status == "canceled"
    assert without_links(client.predictions.cancel(prediction.id)) == without_links(prediction)


def without_links(prediction: Any) -> dict[str, Any]:
    """That to the stream is signed anew each time, and is another one a second later."""
    return {name: value for name, value in prediction.dict().items() if name != "urls"}


def test_predictions_are_listed_page_by_page_newest_first(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "PAGE_SIZE", 2)
    made = [client.predictions.create(VERSION, INPUT).id for _ in range(5)]
    pages = []
    for page in paginate(client.predictions.list):
        pages.append(page)
        if len(pages) == 3:
            break
    assert [len(page) for page in pages] == [2, 2, 2]
    assert [p.id for page in pages for p in page][:5] == made[::-1]
    back = client.predictions.list(pages[2].previous)
    assert [p.id for p in back] == [p.id for p in pages[1]]
    assert pages[0].previous is None


def test_the_model_and_its_version_are_described(client: Client) -> None:
    model = client.models.get(MODEL)
    assert (f"{model.owner}/{model.name}", model.latest_version.id) == (MODEL, VERSION)
    assert [found.id for found in client.models.list()] == [model.id]
    (version,) = model.versions.list()
    assert version == model.versions.get(VERSION)
    assert "text" in version.openapi_schema["components"]["schemas"]["Input"]["properties"]
    assert refusal(lambda: client.models.get("parley/none")).status == 404
    assert refusal(lambda: model.versions.get("0" * 64)).status == 404


def test_files_are_uploaded_looked_at_listed_and_deleted(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "Anna's voice.wav"
    path.write_bytes(PROMPT)
    file = client.files.create(path, metadata={"who": "Anna"})
    assert (file.name, file.content_type, file.size) == ("Anna's voice.wav", "audio/x-wav", len(PROMPT))
    assert (file.metadata, client.files.get(file.id).checksums) == ({"who": "Anna"}, file.checksums)
    assert httpx.get(file.urls["get"]).content == PROMPT
    assert file.id in [found.id for found in client.files.list()]
    assert client.files.delete(file.id)
    assert refusal(lambda: client.files.get(file.id)).status == 404
    assert httpx.get(file.urls["get"]).status_code == 404


@pytest.mark.parametrize("strategy", ["url", "base64"])
def test_an_open_file_is_what_the_model_hears(house: Running, client: Client, tmp_path: Path, strategy: Any) -> None:
    assert isinstance(house.backend, HearingBackend)
    house.backend.heard.clear()
    path = tmp_path / "voice.wav"
    path.write_bytes(PROMPT)
    with path.open("rb") as file:
        spoken = {**INPUT, "audio_prompt": file, "audio_prompt_text": WORDS}
        assert_is_the_tone(client.run(MODEL, spoken, file_encoding_strategy=strategy))
    assert house.backend.heard == [PROMPT]


def test_the_environment_says_where_the_service_is(house: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATE_BASE_URL", house.url)
    monkeypatch.setenv("REPLICATE_API_TOKEN", ALICE)
    client = Client()
    assert_is_the_tone(client.run(MODEL, INPUT))
    client._client.close()


def test_webhooks_are_signed_with_the_secret_that_the_client_fetches(house: Running, client: Client) -> None:
    secret = client.webhooks.default.secret()
    with serve() as receiver:
        receiver.answers["/hook"] = reply()
        prediction = client.predictions.create(
            VERSION, INPUT, webhook=receiver.url("/hook"), webhook_events_filter=list(EVENTS)
        )
        told = wait_for(lambda: receiver.asked if len(receiver.asked) == len(EVENTS) else None)
    for one in told:
        Webhooks.validate(headers=one.headers, body=one.body.decode(), secret=secret, tolerance=60)
    assert {one.headers["webhook-id"].split("-")[1] for one in told} == set(EVENTS)
    assert prediction.id in told[0].body.decode()
    bob = client_of(house, BOB)
    with pytest.raises(InvalidSignatureError):
        Webhooks.validate(headers=told[0].headers, body=told[0].body.decode(), secret=bob.webhooks.default.secret())
    bob._client.close()


def test_a_mistake_is_told_with_title_detail_and_status(client: Client) -> None:
    error = refusal(lambda: client.run(MODEL, {"text": TEXT, "cfg_scale": 9}))
    assert (error.title, error.status) == ("Input validation failed", 422)
    assert error.detail == "- cfg_scale: is 9; it must lie between 1 and 5."


def test_a_token_that_is_not_known_is_told_so(house: Running) -> None:
    client = client_of(house, "nobody's")
    error = refusal(lambda: client.run(MODEL, INPUT))
    assert (error.title, error.detail, error.status) == ("Unauthenticated", "This token is not known here.", 401)
    client._client.close()


def test_a_failure_is_the_models_error(client: Client) -> None:
    with pytest.raises(ModelError, match="holds an exclamation mark") as failed:
        client.run(MODEL, {"text": "[S1] Hey!"})
    assert (failed.value.prediction.status, failed.value.prediction.output) == ("failed", None)
