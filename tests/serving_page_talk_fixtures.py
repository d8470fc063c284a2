"""A service to talk to, and a browser whose microphone hums, for tests of the page."""

import wave
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from realtime_service_fixtures import speaking
from serving_page_talk_actions_fixtures import WATCH, Clerk, speech

from serving.realtime import local_workers

MICROPHONE_RATE = 48_000  # Hz


@pytest.fixture(scope="session")
def humming(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The arguments with which Chromium's microphone hears it."""
    path = tmp_path_factory.mktemp("microphone") / "voice.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, MICROPHONE_RATE, 0, "NONE", ""))
        file.writeframes(speech(MICROPHONE_RATE).tobytes())
    return [f"--use-file-for-fake-audio-capture={path}"]


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """A service that asks for no token, and the model that it speaks with."""
    with speaking(tmp_path_factory.mktemp("talk"), no_auth=True, tokens="") as service_and_pipeline:
        yield service_and_pipeline


@pytest.fixture
def clerk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clerk]:
    clerk = Clerk()
    clerk.may_go_on.set()
    monkeypatch.setattr(local_workers, "shared_transcriber", lambda model: clerk)
    yield clerk
    clerk.may_go_on.set()


@pytest.fixture
def open_talk(open_at: Callable[..., Any], talking: tuple[Any, Any], clerk: Clerk) -> Callable[..., Any]:
    """Opens the page, or that of another service, and keeps account of what it opens."""

    def open_(url: str = talking[0].url, **options: Any) -> Any:
        page = open_at(url, **options)
        page.evaluate(WATCH)
        return page

    return open_
