"""Checkpoints that nobody of a deployment can load are refused before anything is kept, in each door's words."""

from pathlib import Path
from typing import Any

import pytest
from serving_fixtures import AUTH, served

from models.errors import InvalidRequest, WeightsError
from serving.__main__ import lacks_of, load_backends
from serving.catalog import MUSICGEN
from serving.settings import Settings

ALL = "dia,musicgen,audiogen"
THERE = ("musicgen-small", "musicgen-stereo-large")
OFFLINE = {"PARLEY_OFFLINE": "1", "PARLEY_MUSIC_MODEL": ""}


def lacks(checkpoint: str) -> bool:
    return checkpoint not in THERE


@pytest.mark.parametrize(
    ("model", "inputs", "problem"),
    [
        (
            "musicgen",
            {"prompt": "rain", "model_version": "large"},
            "model_version: asks for musicgen-large, which this server has not and may not fetch. "
            "Available: musicgen-small, musicgen-stereo-large.",
        ),
        ("musicgen", {"prompt": "rain"}, "model_version: asks for musicgen-melody, which this server has not"),
        (
            "audiogen",
            {"prompt": "rain"},
            "model: asks for audiogen-medium, which this server has not and may not fetch. Ask for another model.",
        ),
    ],
)
def test_a_prediction_is_refused(tmp_path: Path, model: str, inputs: dict[str, Any], problem: str) -> None:
    """Before, it was accepted, and failed with the folders and settings of the server."""
    with served(tmp_path, lacks=lacks, models=ALL) as client:
        refused = client.post(f"/v1/models/parley/{model}/predictions", json={"input": inputs}, headers=AUTH)
        assert refused.status_code == 422
        assert problem in refused.json()["detail"]
        assert client.get("/v1/predictions", headers=AUTH).json()["results"] == []
        inputs = {"prompt": "rain", "model_version": "small"}
        assert client.post("/v1/models/parley/musicgen/predictions", json={"input": inputs}, headers=AUTH).is_success


@pytest.mark.parametrize("model", ["musicgen-large", "audiogen"])
def test_a_task_is_refused_by_the_name_that_it_gave(tmp_path: Path, model: str) -> None:
    with served(tmp_path, lacks=lacks, models=ALL) as client:
        body = {"prompt": "rain", "configs": {"model": model}}
        refused = client.post("/ai/audio_generation", json=body, headers=AUTH)
        assert refused.status_code == 422
        (error,) = refused.json()["errors"]
        assert error["field"] == "configs.model"
        assert error["message"].startswith("asks for ")
        body["configs"]["model"] = "musicgen-small"
        assert client.post("/ai/audio_generation", json=body, headers=AUTH).status_code == 200


def test_none_of_them_may_be_there(tmp_path: Path) -> None:
    with served(tmp_path, lacks=lambda checkpoint: True, models=ALL) as client:
        inputs = {"input": {"prompt": "rain"}}
        refused = client.post("/v1/models/parley/musicgen/predictions", json=inputs, headers=AUTH)
        assert refused.json()["detail"].endswith("Available: none.")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        ({"http_only": True}, False),  # its workers may have them
        ({"database_url": "postgresql://parley@/parley"}, False),
    ],
)
def test_it_is_known_where_no_other_machine_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], expected: bool
) -> None:
    for name, value in {**OFFLINE, "PARLEY_WEIGHTS_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    assert lacks_of(Settings(models="musicgen", **settings))("musicgen-small") is expected


def test_a_setting_that_cannot_be_honoured_is_not_told_as_its_callers_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_MUSIC_MODEL", "musicgen-random")
    monkeypatch.setenv("PARLEY_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("PARLEY_DEVICE", "abacus")
    backend = load_backends(Settings(models="musicgen"))[MUSICGEN.full_name]
    with pytest.raises(WeightsError, match="abacus") as failed:
        backend.make("p1-1", MUSICGEN.inputs.parse(prompt="rain"), tmp_path, False, None)
    assert isinstance(failed.value.__cause__, InvalidRequest)
