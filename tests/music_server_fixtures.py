"""Cog's real server before the real MusicPredictor, whose models are constants: they play their seed."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from engine_fixtures import until

from container.client import CogClient, Response
from container.server import CogServer

ROOT = Path(__file__).parent.parent
REFERENCE = "predict.py:MusicPredictor"
SHORT = {"prompt": "piano", "duration": 2, "output_format": "wav", "normalization_strategy": "clip", "seed": 7}

_CONSTANT = f"""
import sys

sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]

from types import SimpleNamespace

from engine_fixtures import ConstantPipeline
from models import registry
from models.errors import WeightsError


def found(name):
    if name == "musicgen-large":
        raise WeightsError("musicgen-large is not here.")
    return name


registry.find_music = lambda environ, name, progress: SimpleNamespace(paths=SimpleNamespace(name=found(name)))
registry.load_music = lambda environ, name, progress: (ConstantPipeline(name), f"loaded {{name}}")
"""


def write_constant_predictor(folder: Path) -> Path:
    """predict.py as it is, with another way to load models in front."""
    (folder / "predict.py").write_text(_CONSTANT + (ROOT / "predict.py").read_text())
    return folder


def succeeded(response: Response) -> dict[str, Any]:
    """The prediction."""
    assert response.status == 200, response.text
    prediction = response.json()
    assert prediction["status"] == "succeeded", prediction["error"]
    return prediction


def failed(response: Response, *said: str) -> str:
    """The error of a prediction that Cog's schema let through."""
    assert response.status == 200, response.text
    prediction = response.json()
    assert prediction["status"] == "failed", prediction["logs"]
    for words in said:
        assert words in prediction["error"]
    return str(prediction["error"])


@dataclass
class Refused:
    error: str
    printed: str


def refused(server: CogServer, prediction_id: str, **given: object) -> Refused:
    """A failed prediction: Cog answers with the message alone, and what was printed is in the server's log."""
    error = failed(server.client.predict({**SHORT, **given}, prediction_id))
    marker = f"after-{prediction_id}"
    succeeded(server.client.predict(SHORT, marker))
    until(lambda: any(line.prediction_id == marker and line.is_output for line in server.log))
    lines = [line.text for line in server.log if line.prediction_id == prediction_id and line.is_output]
    return Refused(error, "\n".join(lines))


def made(client: CogClient, **given: object) -> dict:
    return succeeded(client.predict({**SHORT, **given}))["output"]


def content_of(answer: dict[str, Any]) -> bytes:
    """The bytes of its file."""
    head, _, payload = answer["audio"].partition(",")
    assert head.startswith("data:audio/"), head
    return base64.b64decode(payload)


def samples_of(answer: dict[str, Any]) -> np.ndarray:
    """[C, L], whichever format it is."""
    samples, rate = soundfile.read(io.BytesIO(content_of(answer)), always_2d=True)
    assert rate == answer["sample_rate"]
    return np.asarray(samples.T)


def recording(seconds: float = 2.0, channels: int = 1, rate: int = 16_000, level: float = 0.3) -> str:
    """A tone as a data URI; that of a second channel is an octave above."""
    time = np.arange(int(seconds * rate))[:, np.newaxis] / rate
    pitches = 440 * 2.0 ** np.arange(channels)
    file = io.BytesIO()
    soundfile.write(file, level * np.sin(2 * np.pi * pitches * time), rate, format="WAV")
    return "data:audio/wav;base64," + base64.b64encode(file.getvalue()).decode()
