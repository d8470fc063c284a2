"""A backend for the speech door that sounds a tone, and waits and breaks down where the text says so."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import soundfile
from audio_fixtures import decode, make_file, speechlike
from serving_fixtures import PIECE, RATE, Running, ToneBackend, open_gate, prediction_of, tone

from models.audio.pcm import pcm16_bytes
from models.errors import GenerationFailed
from models.inputs import DialogueInputs
from serving.work.backend import Listener, MadeFile

TAG = len("[S1] ")  # letters, each of which sounds


@dataclass
class Speaker(ToneBackend):
    """A tenth of a second a letter. What stands behind "|" waits for the gate, "~" sounds until the gate opens, "#"
    breaks it off; "||" and "##" do so before anything sounds."""

    asked: list[DialogueInputs] = field(default_factory=list)
    prompts: list[bytes] = field(default_factory=list)
    over: list[str] = field(default_factory=list)  # predictions that are not worked on any more

    def make(
        self, attempt_id: str, inputs: DialogueInputs, folder: Path, streaming: bool, listener: Listener
    ) -> MadeFile:
        assert streaming
        self.asked.append(inputs)
        if inputs.audio_prompt is not None:
            self.prompts.append(inputs.audio_prompt.read_bytes())
        try:
            made = super().make(attempt_id, inputs, folder, streaming, listener)
        finally:
            self.over.append(prediction_of(attempt_id))
        seconds = soundfile.info(made.path).duration
        return replace(made, metrics=made.metrics | {"audio_seconds": seconds, "tokens": round(90 * seconds)})

    def _pieces(self, prediction_id: str, inputs: DialogueInputs, listener: Listener) -> Iterator[np.ndarray]:
        if "||" in inputs.text:
            self._wait(prediction_id)
        sounded = 0
        for letters in self._parts(inputs.text):
            if letters == "#" or "##" in inputs.text:
                raise GenerationFailed("The model gave noise.")
            if letters == "|":
                self._wait(prediction_id)
            piece = np.concatenate([tone(sounded + k) for k in range(len(letters))], axis=1)
            sounded += len(letters)
            listener.audio(pcm16_bytes(piece), RATE)
            listener.progress(0.5, sounded * PIECE / RATE)
            yield piece

    def _parts(self, text: str) -> Iterator[str]:
        """The signs of their own, and all that stands between them at once."""
        for part in filter(None, re.split("([|~#])", text)):
            yield part
            while part == "~" and not self.gate.wait(0.02):
                yield part


def speaker() -> Speaker:
    """Its gate is open."""
    return Speaker(gate=open_gate())


def body(**changes) -> dict:
    """A request of the speech door; None leaves a field out."""
    asked = {"model": "dia", "input": "Hi there.", "voice": "s1", "response_format": "wav", **changes}
    return {name: value for name, value in asked.items() if value is not None}


def speak(service: Running, **changes):
    """The whole answer."""
    with service.client() as client:
        return client.post("/v1/audio/speech", json=body(**changes))


def refusal(answer, status: int = 400) -> dict:
    """What a refusal says."""
    assert answer.status_code == status, answer.text
    assert answer.json().keys() == {"error"}
    return answer.json()["error"]


def seconds_of(audio: bytes) -> float:
    return decode(audio, RATE).shape[1] / RATE


def recording(folder: Path, seconds: float = 3.0, name: str = "voice.wav", gain: float = 1.0) -> bytes:
    """A file of something like speech."""
    return make_file(folder / name, gain * speechlike(seconds), "-c:a", "pcm_f32le").read_bytes()
