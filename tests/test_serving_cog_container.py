"""coglet's own server answers as the backend takes it to, and a service in front of the real container works."""

import asyncio
import base64
import io
import json
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest
import soundfile
from container_fixtures import write_toy
from serving_fixtures import CREATE, running, wait_for

from container.server import CogServer
from models.errors import InvalidRequest
from serving.cog.backend import CogBackend
from serving.cog.container import Container, NotTaken, failure, open_client

ROOT = Path(__file__).parent.parent
MODEL = {"PARLEY_MODEL": "dia-random", "OMP_NUM_THREADS": "1"}
LONG = "[S1] One more sentence of the same kind, please. [S2] Here it is, as long as the one before. " * 7

Talk = Callable[[Container, httpx.AsyncClient], Coroutine[Any, Any, None]]


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    with CogServer(directory=write_toy(tmp_path_factory.mktemp("toy"))) as server:
        yield server


def url_of(server: CogServer) -> str:
    return f"http://127.0.0.1:{server.client.port}"


def talk(server: CogServer, about: Talk) -> None:
    async def talked() -> None:
        async with open_client(ssl.create_default_context()) as client:
            await asyncio.wait_for(about(Container(url_of(server)), client), 30)

    asyncio.run(talked())


def body(**inputs: Any) -> bytes:
    return json.dumps({"input": inputs}).encode()


async def until(condition: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    while not await condition():
        await asyncio.sleep(0.01)


async def busy(container: Container, client: httpx.AsyncClient, name: str) -> "asyncio.Task[dict[str, Any]]":
    task = asyncio.create_task(container.predict(client, name, body(text="sleep", seconds=20)))

    async def runs() -> bool:
        return "begin" in (await container.logs(client, name) or "")

    await until(runs)
    return task


async def free(container: Container, client: httpx.AsyncClient) -> None:
    """Until it takes work again: coglet answers a moment before the slot of what it answers is free."""

    async def is_free() -> bool:
        return await container.status(client) == "READY"

    await until(is_free)


def test_the_second_question_tells_what_was_printed_and_begins_nothing(toy):
    async def about(container, client):
        task = await busy(container, client, "a")
        assert await container.logs(client, "a") == "begin sleep\n"
        assert await container.logs(client, "b") is None
        assert await container.cancel(client, "a")
        assert (await task)["status"] == "canceled"
        assert await container.logs(client, "a") is None
        assert not await container.cancel(client, "a")
        await free(container, client)

    talk(toy, about)


def test_a_busy_container_takes_nothing_and_who_hangs_up_frees_it(toy):
    async def about(container, client):
        task = await busy(container, client, "c")
        assert await container.status(client) == "BUSY"
        with pytest.raises(NotTaken):
            await container.predict(client, "d", body(text="say"))
        task.cancel()
        await free(container, client)

    talk(toy, about)


def test_it_refuses_and_fails_in_these_words(toy):
    async def about(container, client):
        with pytest.raises(InvalidRequest) as refused:
            await container.predict(client, "e", body(seconds=-1))
        assert {field for field, _ in refused.value.problems} == {"text", "seconds"}
        answer = await container.predict(client, "f", body(text="fail"))
        assert str(failure(answer)) == "ValueError: text: is 'fail'; say something else."

    talk(toy, about)


def test_a_crashed_predictor_leaves_a_container_that_says_so(tmp_path):
    with CogServer(directory=write_toy(tmp_path)) as server:

        async def about(container, client):
            answer = await container.predict(client, "a", body(text="crash"))
            assert answer["status"] == "failed"
            assert await container.status(client) == "UNHEALTHY"

        talk(server, about)


def sound() -> str:
    file = io.BytesIO()
    soundfile.write(file, [((i * i) % 200 - 100) / 400 for i in range(16_000)], 16_000, format="WAV")
    return "data:audio/wav;base64," + base64.b64encode(file.getvalue()).decode()


@pytest.mark.slow
def test_a_service_in_front_of_the_real_container(tmp_path):
    """Whose model has random weights: a format, a voice, a seed, a mistake of the caller, and a cancel."""
    with (
        CogServer(directory=ROOT, environment=MODEL) as server,
        running(tmp_path, CogBackend([url_of(server)])) as service,
        service.client() as client,
    ):
        asked = {"text": "[S1] Hi.", "max_new_tokens": 500, "output_format": "flac", "seed": 1}
        voice = {"audio_prompt": sound(), "audio_prompt_text": "[S1] Some words."}

        def made(**more: Any) -> dict[str, Any]:
            wanted = {"input": {**asked, **more}}
            answer: dict[str, Any] = client.post(CREATE, json=wanted, headers={"Prefer": "wait=60"}).json()
            assert answer["status"] == "succeeded", answer
            return answer

        first, second = made(), made(**voice)
        audio, rate = soundfile.read(io.BytesIO(client.get(first["output"]).content))
        assert (rate, first["metrics"]["seed"], first["metrics"]["sample_rate"]) == (44_100, 1, 44_100)
        assert first["metrics"]["audio_seconds"] == pytest.approx(len(audio) / rate, abs=0.001)
        assert first["logs"].startswith("seed: 1\n")
        assert client.get(made()["output"]).content == client.get(first["output"]).content
        assert client.get(second["output"]).content != client.get(first["output"]).content
        unreadable = {**asked, **voice, "audio_prompt": "data:audio/wav;base64,AAAA"}
        failed = client.post(CREATE, json={"input": unreadable}, headers={"Prefer": "wait"}).json()
        assert failed["error"].startswith("audio_prompt: ")
        name = client.post(CREATE, json={"input": {"text": LONG, "max_new_tokens": 4096}}).json()["id"]
        wait_for(lambda: client.get(f"/v1/predictions/{name}").json()["metrics"]["audio_seconds"] > 0, 60)
        client.post(f"/v1/predictions/{name}/cancel")
        wait_for(lambda: server.client.health()["status"] == "READY", 2)
