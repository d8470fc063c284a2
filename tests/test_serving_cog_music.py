"""A container of music, Cog's real server before the real predictor: it is asked, heard, cancelled and understood.

Its models are constants that play their seed.
"""

import asyncio
import io
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from music_server_fixtures import REFERENCE, write_constant_predictor
from serving_cog_fixtures import Heard, fake_cogs
from serving_fixtures import running, wait_for

from container.server import CogServer
from models.errors import Cancelled, InvalidRequest, WeightsError
from models.inputs import Inputs, MusicInputs, SoundInputs
from serving import __main__ as command
from serving.catalog import AUDIOGEN, MUSICGEN
from serving.cog.backend import CogBackend
from serving.cog.container import REFUSED_INPUT, Container, failure, open_client
from serving.cog.order import order_of
from serving.settings import Settings
from serving.work.backend import MadeFile

SHORT = {"prompt": "piano", "duration": 2, "output_format": "wav", "normalization_strategy": "clip", "seed": 7}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CogServer]:
    with CogServer(REFERENCE, write_constant_predictor(tmp_path_factory.mktemp("music"))) as server:
        yield server


@pytest.fixture(scope="module")
def backend(server: CogServer) -> CogBackend:
    return CogBackend([url_of(server)])


def url_of(server: CogServer) -> str:
    return f"http://127.0.0.1:{server.client.port}"


def made(backend: CogBackend, folder: Path, inputs: Inputs, heard: Heard | None = None) -> MadeFile:
    return backend.make("p1-1", inputs, folder, False, heard or Heard())


def sent(inputs: Inputs) -> dict[str, Any]:
    return dict(json.loads(order_of(inputs).body)["input"])


@pytest.mark.parametrize(
    ("inputs", "name", "model"),
    [
        (MusicInputs.parse(**SHORT, model_version="small"), "music.wav", "musicgen-small"),
        (SoundInputs.parse(**SHORT), "sound.wav", "audiogen-medium"),
    ],
)
def test_music_and_sounds_are_taken_over(
    tmp_path: Path, backend: CogBackend, inputs: Inputs, name: str, model: str
) -> None:
    """Before, no container of music could stand behind a service."""
    heard = Heard()
    file = made(backend, tmp_path, inputs, heard)
    samples, rate = soundfile.read(file.path)
    assert (len(samples), file.name, file.content_type) == (2 * rate, name, "audio/wav")
    assert np.allclose(samples, 0.07, atol=1e-3)
    told = {"model": model, "seed": 7, "audio_seconds": 2.0, "sample_rate": rate}
    assert {key: file.metrics[key] for key in told} == told
    assert heard.pcm == np.round(samples * 32768).astype("<i2").tobytes()
    assert "seed: 7" in heard.logs
    assert "note: a note" in heard.logs
    assert heard.shares[-1][0] == 1.0


def test_it_is_followed_and_cancelled_while_it_plays(tmp_path: Path, server: CogServer, backend: CogBackend) -> None:
    heard, ends = Heard(), []

    def work() -> None:
        try:
            made(backend, tmp_path, MusicInputs.parse(prompt="endless", duration=300, seed=3), heard)
        except Cancelled as end:
            ends.append(end)

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: "seed: 3" in heard.logs)
    assert ends == []
    backend.cancel("p1-1")
    thread.join(20)
    assert len(ends) == 1
    assert made(backend, tmp_path, MusicInputs.parse(**SHORT)).metrics["seed"] == 7


@pytest.mark.parametrize(
    ("inputs", "kind", "told"),
    [
        ({"prompt": "refused"}, InvalidRequest, "prompt: is 'refused'; ask for something else."),
        ({"prompt": "rain", "model_version": "large"}, WeightsError, "musicgen-large is not here."),
    ],
)
def test_why_it_failed_there_is_known_here(
    tmp_path: Path, backend: CogBackend, inputs: dict[str, Any], kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind) as failed:
        made(backend, tmp_path, MusicInputs.parse(**inputs))
    assert str(failed.value) == told


def test_to_look_at_what_has_ended_begins_nothing(server: CogServer) -> None:
    """Everything may be left out of what it takes: an empty input would begin a prediction."""

    async def look() -> str | None:
        async with open_client(ssl.create_default_context()) as client:
            return await Container(url_of(server)).logs(client, "of-nobody")

    assert asyncio.run(look()) is None
    assert server.client.predict(REFUSED_INPUT).status == 422


def test_a_service_in_front_of_it_serves_as_one_with_a_model(tmp_path: Path, backend: CogBackend) -> None:
    others = dict.fromkeys((MUSICGEN.full_name, AUDIOGEN.full_name), backend)
    with running(tmp_path, others=others, models="dia,musicgen,audiogen") as house, house.client() as client:
        asked = {"input": {"prompt": "piano", "duration": 2, "output_format": "wav", "seed": 7}}
        answer = client.post("/v1/models/parley/musicgen/predictions", json=asked, headers={"Prefer": "wait"}).json()
        assert (answer["status"], answer["metrics"]["model"]) == ("succeeded", "musicgen-melody")
        assert soundfile.info(io.BytesIO(client.get(answer["output"]).content)).duration == 2.0


def test_a_sound_is_asked_for_in_the_words_of_music(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    begun.write_bytes(b"abc")
    plain = sent(SoundInputs.parse(prompt="rain", duration=5.0))
    assert (plain["model_version"], plain["duration"], plain["continuation"]) == ("audiogen-medium", 5, False)
    assert sent(SoundInputs.parse(prompt="rain", input_audio=begun))["continuation"] is True
    assert None not in plain.values()
    assert MusicInputs.parse(**plain).model_name == "audiogen-medium"
    with pytest.raises(InvalidRequest, match=r"^duration: is 1.5; a container makes whole seconds. Send 2.$"):
        order_of(SoundInputs.parse(prompt="rain", duration=1.5))


def test_what_it_cannot_load_is_told_apart() -> None:
    error = failure({"error": "Prediction failed: WeightsError: it is not in /weights", "status": "failed"})
    assert isinstance(error, WeightsError)


# --- settings --------------------------------------------------------------------------------------------------------


def test_each_model_has_containers_of_its_own() -> None:
    urls = "http://a:1, musicgen=http://b:1,http://c:1/?x=y,audiogen=http://b:1"
    settings = Settings(models="dia,musicgen,audiogen", cog_urls=urls)
    assert settings.containers == {
        "parley/dia": ("http://a:1", "http://c:1/?x=y"),
        "parley/musicgen": ("http://b:1",),
        "parley/audiogen": ("http://b:1",),
    }


@pytest.mark.parametrize(
    ("models", "urls", "problem"),
    [
        ("dia", "musik=http://b:1", r"cog_urls: names 'musik'; the models are dia, musicgen, audiogen\."),
        ("dia", "musicgen=b:1", r"cog_urls: "),
        ("dia", "musicgen=http://b:1", r"models: is 'dia', and cog_urls has containers for musicgen\."),
        ("musicgen", "http://b:1", r"models: is 'musicgen', and cog_urls has containers for dia\."),
    ],
)
def test_what_is_no_container_of_a_served_model_is_refused(models: str, urls: str, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{problem}"):
        Settings(models=models, cog_urls=urls)


def test_models_of_the_same_container_share_its_places() -> None:
    with fake_cogs(2, lambda inputs: {}) as (speech, music):
        urls = f"{speech.url},musicgen={music.url},audiogen={music.url}"
        backends = command.load_backends(Settings(models="dia,musicgen,audiogen", cog_urls=urls))
    assert backends.keys() == {"parley/dia", "parley/musicgen", "parley/audiogen"}
    assert backends["parley/musicgen"] is backends["parley/audiogen"]
    assert backends["parley/dia"] is not backends["parley/musicgen"]
