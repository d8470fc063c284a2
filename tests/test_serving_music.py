"""Music and sounds through the doors of the hosting service, played by a pipeline of a few lines."""

import io
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import soundfile
from engine_fixtures import ConstantPipeline
from serving_fixtures import AUTH, Running, running, served, wait_for

from models.engine_pool import EnginePool
from models.errors import WeightsError
from models.inputs import MusicInputs, SoundInputs
from serving.__main__ import load_backends
from serving.catalog import AUDIOGEN, MUSICGEN
from serving.doors.speech.request import OPENAI_MODELS
from serving.doors.tasks.dialects import DIALECTS
from serving.settings import Settings
from serving.storage.retention import Retention
from serving.work.music_backend import MusicBackend

ALL = "dia,musicgen,audiogen"


@dataclass
class Stage:
    """Which checkpoints were loaded, and what plays them."""

    loaded: list[ConstantPipeline] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def load(self, name: str) -> ConstantPipeline:
        pipeline = ConstantPipeline(name)
        pipeline.decoder.gate = self.gate
        self.loaded.append(pipeline)
        return pipeline


@pytest.fixture(scope="module")
def stage() -> Stage:
    stage = Stage()
    stage.gate.set()
    return stage


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, stage: Stage) -> Iterator[Running]:
    pool = EnginePool(stage.load, capacity=2)
    music = MusicBackend(pool)
    backends = {MUSICGEN.full_name: music, AUDIOGEN.full_name: music}
    with running(tmp_path_factory.mktemp("music"), others=backends, models=ALL) as house:
        yield house
    pool.close()


def predict(client: httpx.Client, model: str, **inputs: Any) -> dict[str, Any]:
    answer = client.post(f"/v1/models/parley/{model}/predictions", json={"input": inputs}, headers={"Prefer": "wait"})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def heard(content: bytes) -> tuple[Any, int]:
    return soundfile.read(io.BytesIO(content))


def test_music_is_made_by_the_checkpoint_that_is_asked_for(house: Running, stage: Stage) -> None:
    with house.client() as client:
        made = predict(
            client, "musicgen", prompt="strings", duration=3, model_version="small", output_format="wav", seed=7
        )
        assert made["status"] == "succeeded", made
        assert "musicgen-small" in [pipeline.name for pipeline in stage.loaded]
        assert made["metrics"]["model"] == "musicgen-small"
        assert (made["metrics"]["seed"], made["metrics"]["audio_seconds"]) == (7, 3.0)
        assert made["logs"].startswith("seed: 7\nnote: a note\n")
        audio, rate = heard(client.get(made["output"]).content)
        assert len(audio) == 3 * rate
        assert 0 < abs(audio).max() <= 1
        assert (
            made["output"].endswith(".wav") or "music.wav" in client.get(made["output"]).headers["content-disposition"]
        )


def test_a_sound_is_made_and_heard_by_who_streams(house: Running) -> None:
    with house.client() as client:
        made = predict(
            client, "audiogen", prompt="rain", duration=1.5, output_format="flac", normalization_strategy="peak"
        )
        assert made["metrics"]["model"] == "audiogen-medium"
        audio, rate = heard(client.get(made["output"]).content)
        assert len(audio) == 1.5 * rate
        assert abs(audio).max() == pytest.approx(10 ** (-1 / 20), abs=0.01)


def test_what_is_not_as_it_was_asked_for_is_in_the_logs(house: Running) -> None:
    given = {"prompt": "rain", "duration": 1, "seed": 120, "top_k": 15, "top_p": 0.9}
    with house.client() as client:
        logs = predict(client, "audiogen", **given)["logs"]
    assert "note: top_p is 0.9, which takes the place of top_k: 15 says nothing" in logs
    assert "note: loudness took 100 of 100 samples past full scale" in logs


def test_a_seed_of_minus_one_is_drawn_once_and_kept(house: Running) -> None:
    with house.client() as client:
        made = predict(client, "musicgen", prompt="drums", duration=1, seed=-1, output_format="wav")
        drawn = made["metrics"]["seed"]
        assert drawn >= 0
        assert made["input"]["seed"] == -1
        assert house.service.records.get(made["id"]).settled == {"seed": drawn}


def test_a_loop_is_as_long_as_was_asked(house: Running) -> None:
    with house.client() as client:
        made = predict(client, "musicgen", prompt="drums", duration=2, loop=True, output_format="wav")
        audio, rate = heard(client.get(made["output"]).content)
        assert len(audio) == 2 * rate


def test_what_only_the_plan_can_refuse_fails_with_the_field(house: Running) -> None:
    with house.client() as client:
        made = predict(client, "musicgen", prompt="refused", duration=1)
        assert made["status"] == "failed"
        assert made["error"] == "prompt: is 'refused'; ask for something else."
        assert [one["field"] for one in made["metrics"]["invalid_fields"]] == ["prompt"]


def test_one_that_plays_can_be_cancelled(house: Running, stage: Stage) -> None:
    with house.client() as client:
        stage.gate.clear()
        try:
            begun = client.post("/v1/models/parley/musicgen/predictions", json={"input": {"prompt": "long"}}).json()
            wait_for(lambda: client.get(f"/v1/predictions/{begun['id']}").json()["status"] == "processing")
            assert client.post(f"/v1/predictions/{begun['id']}/cancel").json()["status"] == "canceled"
        finally:
            stage.gate.set()
        wait_for(lambda: not any(engine for engine in house.service.records.active()))
        assert client.get(f"/v1/predictions/{begun['id']}").json()["output"] is None


@pytest.mark.parametrize(
    ("configs", "checkpoint"),
    [({}, "audiogen-medium"), ({"model": "musicgen-stereo-small", "duration": 2}, "musicgen-stereo-small")],
)
def test_the_names_of_the_task_door_are_alive(house: Running, configs: dict[str, Any], checkpoint: str) -> None:
    with house.client() as client:
        task = client.post("/ai/audio_generation", json={"prompt": "rain", "configs": configs}).json()["data"]
        name = configs.get("model", "audiogen")
        assert task["config"]["model"] == name
        assert task["config"]["task_name"] == f"tasks.{name}"
        assert (task["config"]["top_k"], task["config"]["top_p"]) == (15, 0.9)
        assert "model_version" not in task["config"]

        def status() -> dict[str, Any]:
            return dict(client.get(task["urls"]["status"]).json()["data"])

        wait_for(lambda: status()["status"] not in ("PENDING", "RUNNING"))
        assert status()["status"] == "SUCCEEDED", status()
        assert house.service.records.get(task["task_id"]).metrics["model"] == checkpoint
        result = client.get(task["urls"]["result"])
        assert result.headers["content-type"] == "audio/mpeg"
        assert len(result.content) > 1000


def test_tasks_of_every_name_are_shown_when_their_data_is_removed(house: Running) -> None:
    """Before, those of MusicGen were answered 500, and so was the page of the history that held one."""
    with house.client() as client:
        ids = []
        for name in DIALECTS:
            body = {"prompt": "[S1] Hey.", "configs": {"model": name, "duration": 6}}
            ids.append(client.post("/ai/audio_generation", json=body).json()["data"]["task_id"])
        refused = {"prompt": "refused", "configs": {"model": "musicgen-small"}}
        ids.append(client.post("/ai/audio_generation", json=refused).json()["data"]["task_id"])
        wait_for(lambda: not house.service.records.active())
        Retention(house.service.engine).remove_data(time.time() + 1)
        told = [client.get(f"/ai/audio_generation/{task_id}").json()["data"] for task_id in ids]
        assert [task["config"]["model"] for task in told] == [
            *(DIALECTS[name].model.name for name in DIALECTS), "musicgen",
        ]  # fmt: skip
        assert {task["prompt"] for task in told} == {None}
        assert {task["status"] for task in told[:-1]} == {"EXPIRED"}
        assert told[-1]["error"] == "prompt: is 'refused'; ask for something else."
        history = client.get("/ai/tasks").json()["data"]["tasks"]
        assert [task["task_id"] for task in history[: len(ids)]] == ids[::-1]
        for task in told:
            assert task == next(one for one in history if one["task_id"] == task["task_id"])


def test_every_model_is_listed_with_its_own_schema(house: Running) -> None:
    with house.client() as client:
        shown = client.get("/v1/models").json()
        assert [one["id"] for one in shown["data"]] == ["dia", "musicgen", "audiogen", *OPENAI_MODELS]
        for one in shown["results"]:
            schema = client.get(
                f"/v1/models/parley/{one['name']}/versions/{one['latest_version']['id']}/openapi_schema"
            ).json()
            assert schema == one["latest_version"]["openapi_schema"]


def test_a_service_of_music_alone_does_not_speak(tmp_path: Path) -> None:
    with served(tmp_path, models="musicgen") as client:
        client.headers |= AUTH
        body = {"model": "tts-1", "voice": "alloy", "input": "Hello."}
        refused = client.post("/v1/audio/speech", json=body)
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "model"
        assert "no model that speaks is served here" in refused.json()["error"]["message"]
        assert client.get("/v1/models/parley/dia").status_code == 404
        assert [one["id"] for one in client.get("/v1/models").json()["data"]] == ["musicgen"]
        assert client.get("/v1/models/tts-1").json()["error"]["message"].endswith("Served: musicgen.")
        told = client.post("/v1/predictions", json={"version": "parley/dia", "input": {"text": "Hey."}}).json()
        assert "parley/musicgen" in told["detail"]


@dataclass
class Notes:
    """Hears what a backend tells."""

    logs: list[str] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def progress(self, share: float, seconds: float) -> None:
        self.shares.append(share)

    def log(self, line: str) -> None:
        self.logs.append(line)

    def audio(self, pcm: bytes, sample_rate: int) -> None:
        self.seconds += len(pcm) / 2 / sample_rate


def test_one_that_plays_for_every_version_is_loaded_once_and_named_each_time(tmp_path: Path) -> None:
    stage = Stage()
    stage.gate.set()
    pool = EnginePool(stage.load)
    backend = MusicBackend(pool, find=lambda name: "my-tune")
    for attempt, version in enumerate(("small", "stereo-large")):
        heard_of = Notes()
        inputs = MusicInputs.parse(prompt="a", duration=1, model_version=version, loop=True)
        backend.make(f"p{attempt}", inputs, tmp_path, False, heard_of)
        assert f"note: my-tune plays here, though musicgen-{version} was asked for" in heard_of.logs
        assert "note: players leave a gap between repeats of an mp3; wav, flac and ogg have none" in heard_of.logs
    assert len(stage.loaded) == 1
    pool.close()


def test_a_checkpoint_that_is_not_to_be_had_takes_none_out_of_memory(tmp_path: Path) -> None:
    def find(name: str) -> str:
        if name == "musicgen-large":
            raise WeightsError("musicgen-large is not here.")
        return name

    stage = Stage()
    stage.gate.set()
    pool = EnginePool(stage.load)
    backend = MusicBackend(pool, find)
    backend.make("a", MusicInputs.parse(prompt="a", duration=1), tmp_path, False, Notes())
    with pytest.raises(WeightsError, match="is not here"):
        backend.make("b", MusicInputs.parse(prompt="a", model_version="large"), tmp_path, False, Notes())
    assert pool.names == ("musicgen-melody",)
    pool.close()


def test_what_a_process_loads_makes_music_and_sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights, the real way: fetched by name, made into codes, decoded, levelled, written."""
    monkeypatch.setenv("PARLEY_MUSIC_MODEL", "musicgen-random")
    monkeypatch.setenv("PARLEY_WEIGHTS_DIR", str(tmp_path / "weights"))
    backends = load_backends(Settings(models="musicgen,audiogen"))
    assert backends.keys() == {"parley/musicgen", "parley/audiogen"}
    music = {"prompt": "strings", "duration": 1, "output_format": "wav", "seed": 1}
    for model, inputs, channels, rate in (
        (MUSICGEN, MusicInputs.parse(**music), 1, 32_000),
        (MUSICGEN, MusicInputs.parse(**music, model_version="stereo-melody"), 2, 32_000),
        (AUDIOGEN, SoundInputs(prompt="rain", duration=1.0, output_format="wav", seed=1), 1, 16_000),
    ):
        heard_of = Notes()
        made = backends[model.full_name].make("p1-1", inputs, tmp_path, False, heard_of)
        audio, found = soundfile.read(made.path, always_2d=True)
        assert (found, audio.shape) == (rate, (rate, channels))
        assert heard_of.seconds == pytest.approx(1.0)
        assert heard_of.shares[-1] == 1.0
        assert heard_of.logs[0] == "seed: 1"
        assert made.metrics["model"].endswith("-random")
