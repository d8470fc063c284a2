"""Door 2 for tests: one service a module, whose backend keeps what it was given to hear and waits at a closed gate."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving_fixtures import ALICE, Running, ToneBackend, open_gate, running, wait_for

from models.inputs import DialogueInputs
from serving.catalog import DIA
from serving.work.backend import Listener, MadeFile

MODEL, VERSION = DIA.full_name, DIA.version
TEXT = "[S1] Hey"
PROMPT = b"RIFF, or so it says"  # no backend of these tests decodes it
WORDS = "[S1] Or so it says."
ENDS = ("succeeded", "failed", "canceled")


@dataclass
class HearingBackend(ToneBackend):
    heard: list[bytes] = field(default_factory=list)  # the recordings it was given

    def make(
        self, attempt_id: str, inputs: DialogueInputs, folder: Path, streaming: bool, listener: Listener
    ) -> MadeFile:
        if inputs.audio_prompt is not None:
            self.heard.append(inputs.audio_prompt.read_bytes())
        return super().make(attempt_id, inputs, folder, streaming, listener)


@contextmanager
def service_with_a_gate(folder: Path, **settings: Any) -> Iterator[Running]:
    """Its backend works while the gate is open, as it is at first."""
    with running(folder, HearingBackend(gate=open_gate()), **settings) as found:
        yield found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with service_with_a_gate(tmp_path_factory.mktemp("house"), at_once=2) as found:
        yield found


@pytest.fixture(scope="module")
def alice(house: Running) -> Iterator[httpx.Client]:
    with house.client(ALICE) as client:
        yield client


def asked(text: str = TEXT, **more: Any) -> dict[str, Any]:
    """A body of POST /v1/predictions. more: inputs."""
    return {"version": VERSION, "input": {"text": text, "seed": 1, **more}}


def created(client: httpx.Client, text: str = TEXT, prefer: str = "wait", **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/predictions", json=asked(text) | body, headers={"Prefer": prefer})
    assert answer.status_code in (201, 202), answer.text
    return dict(answer.json())


def now(client: httpx.Client, prediction: dict[str, Any]) -> dict[str, Any]:
    return dict(client.get(prediction["urls"]["get"]).json())


def ended(client: httpx.Client, prediction: dict[str, Any]) -> dict[str, Any]:
    return dict(wait_for(lambda: found if (found := now(client, prediction))["status"] in ENDS else None))
