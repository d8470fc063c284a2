"""The way of Dia-1.6B from the hub to audio, with a checkpoint of the same form and toy size on the stand-in hub."""

from pathlib import Path

import pytest
import weights_fixtures
from weights_fixtures import serve_hub, small_manifest

from models.decoding.runtime import Runtime
from models.dia.pipeline import DiaPipeline
from models.engine import Engine
from models.request import AudioGenerationRequest, SamplingParams
from models.weights import choose


def test_a_checkpoint_in_shards_is_fetched_verified_loaded_and_speaks(
    dia_directory: Path, dac_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {"makers/voice": dia_directory, "makers/codec": dac_directory}
    files = {(repo, path.name): path.read_bytes() for repo, folder in folders.items() for path in folder.iterdir()}
    assert sum(1 for repo, name in files if repo == "makers/voice" and name.startswith("model-")) > 1
    monkeypatch.setattr(weights_fixtures, "FILES", files)
    said: list[str] = []
    with serve_hub(monkeypatch):
        environ = {"PARLEY_MODEL": "dia", "PARLEY_DEVICE": "cpu"}
        choice = choose(environ, tmp_path, make_random=pytest.fail, progress=said.append, manifest=small_manifest())
    assert choice.paths.name == "dia"
    assert said
    pipeline = DiaPipeline.load(choice.paths, Runtime.from_environ(environ))
    with Engine(pipeline) as engine:
        sampling = SamplingParams(max_new_tokens=90, seed=1)
        result = engine.generate(AudioGenerationRequest("r", "dia", "[S1] Hi.", sampling_params=sampling))
    assert result.audio.shape == (1, 512 * result.steps_executed)
    assert result.steps_executed == 90
