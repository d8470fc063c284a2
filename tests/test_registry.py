from pathlib import Path

import pytest

from models.engine import Engine
from models.errors import WeightsError
from models.registry import FAMILIES, load_dialogue
from models.request import AudioGenerationRequest, SamplingParams
from models.weights import NAMES


def test_every_checkpoint_that_can_be_chosen_can_be_loaded() -> None:
    assert set(NAMES) <= set(FAMILIES)


def test_random_weights_speak_through_the_engine_and_are_called_what_they_are(tmp_path: Path) -> None:
    environ = {"PARLEY_MODEL": "dia-random", "PARLEY_WEIGHTS_DIR": str(tmp_path), "PARLEY_DEVICE": "cpu"}
    pipeline, note = load_dialogue(environ)
    assert "random weights" in note
    assert pipeline.name == "dia-random"
    with Engine(pipeline) as engine:
        sampling = SamplingParams(max_new_tokens=100, seed=1)
        result = engine.generate(AudioGenerationRequest("r", "dia-random", "[S1] Hi.", sampling_params=sampling))
    assert 0 < result.steps_executed <= 100
    assert result.audio.shape == (1, 512 * result.steps_executed)


def test_the_weights_before_0626_are_refused_with_the_reason(tmp_path: Path) -> None:
    environ = {"PARLEY_MODEL": "dia-random", "PARLEY_WEIGHTS_DIR": str(tmp_path), "PARLEY_DEVICE": "cpu"}
    load_dialogue(environ)
    (tmp_path / "dia-random" / "model" / "config.json").write_text('{"version": "0.1", "model": {}, "data": {}}')
    with pytest.raises(WeightsError, match=r"nari-labs/Dia-1\.6B, which is refused.*Dia-1\.6B-0626"):
        load_dialogue(environ)
