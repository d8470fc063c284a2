"""The audio of a prediction that is over is a whole file: its length is told, and it is read in pieces."""

import threading
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from audio_fixtures import decode
from serving_fixtures import PIECE, RATE, Running, ToneBackend, running, tone

from models.audio.encode import AudioFormat
from models.audio.pcm import pcm16_bytes
from models.audio.read import MAX_BYTES
from models.audio.write import write_audio
from models.errors import Cancelled
from serving import kept_audio
from serving.kept_audio import open_converted
from serving.storage.prediction import Prediction, Status
from serving.storage.store import FolderStore

TEXT = "[S1] Hey"
PREDICTIONS = "/v1/predictions"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("house"), ToneBackend()) as found:
        yield found


@pytest.fixture(scope="module")
def alice(house: Running) -> Iterator[httpx.Client]:
    with house.client() as client:
        yield client


def made(client: httpx.Client, **inputs: Any) -> dict[str, Any]:
    """A prediction that is over."""
    body = {"version": "parley/dia", "input": {"text": TEXT, **inputs}}
    return dict(client.post(PREDICTIONS, json=body, headers={"Prefer": "wait"}).json())


def test_the_format_it_was_made_in_is_the_kept_file_itself(alice: httpx.Client) -> None:
    """Before, a wav of unknown length: 0xFFFFFFFF in its header."""
    prediction = made(alice)
    kept = alice.get(prediction["output"]).content
    heard = alice.get(f"{PREDICTIONS}/{prediction['id']}/audio?format=wav")
    assert heard.content == kept
    assert int(heard.headers["content-length"]) == len(kept)
    assert (heard.headers["x-sample-rate"], heard.headers["content-type"]) == (str(RATE), "audio/wav")
    assert heard.headers["content-disposition"] == f'inline; filename="{prediction["id"]}.wav"'
    assert int.from_bytes(kept[4:8], "little") == len(kept) - 8
    part = alice.get(f"{PREDICTIONS}/{prediction['id']}/audio", headers={"Range": "bytes=44-47"})
    assert (part.status_code, part.content) == (206, kept[44:48])


@pytest.mark.parametrize(("kept", "asked"), [("wav", "mp3"), ("wav", "opus"), ("wav", "flac"), ("flac", "wav")])
def test_another_format_is_a_whole_file_too(alice: httpx.Client, kept: str, asked: str) -> None:
    prediction = made(alice, output_format=kept)
    heard = alice.get(f"{PREDICTIONS}/{prediction['id']}/audio", params={"format": asked})
    assert heard.status_code == 200
    assert int(heard.headers["content-length"]) == len(heard.content)
    assert heard.headers["x-sample-rate"] == ("48000" if asked == "opus" else str(RATE))
    assert decode(heard.content, RATE).shape[1] == pytest.approx(len(TEXT) * PIECE, abs=0.1 * RATE)


@pytest.mark.parametrize("kept", ["wav", "flac"])
def test_pcm_is_what_was_made_to_the_sample(alice: httpx.Client, kept: str) -> None:
    prediction = made(alice, output_format=kept)
    heard = alice.get(f"{PREDICTIONS}/{prediction['id']}/audio?format=pcm").content
    assert heard == b"".join(pcm16_bytes(tone(number)) for number in range(len(TEXT)))


def test_opus_keeps_the_rate_at_which_it_was_made_where_samples_are_asked_for(alice: httpx.Client) -> None:
    """A listener who comes back after the end goes on where the sound broke off."""
    prediction = made(alice, output_format="opus")
    heard = alice.get(f"{PREDICTIONS}/{prediction['id']}/audio?format=pcm")
    assert heard.headers["x-sample-rate"] == str(RATE)
    assert len(heard.content) / 2 == pytest.approx(len(TEXT) * PIECE, abs=0.01 * RATE)


def test_speech_whose_samples_are_forgotten_is_heard_from_its_file(house: Running, monkeypatch) -> None:
    """Also where the caller comes to it only when it is over."""
    append = house.service.live.append
    monkeypatch.setattr(house.service.live, "append", lambda *_: None)
    with house.client() as client:
        asked = {"model": "dia", "input": "Hey", "voice": "s1", "response_format": "flac", "speed": 2.0}
        answer = client.post("/v1/audio/speech", json=asked)
    assert answer.status_code == 200
    assert decode(answer.content, RATE).shape[1] == pytest.approx(len(TEXT) * PIECE / 2, abs=0.1 * RATE)
    monkeypatch.setattr(house.service.live, "append", append)


def test_bytes_that_are_gone_under_their_row_are_told_as_gone(
    alice: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    prediction = made(alice)

    def gone(*_: Any) -> Any:
        raise FileNotFoundError("away")

    monkeypatch.setattr(FolderStore, "read", gone)
    assert alice.get(prediction["output"]).status_code == 404
    assert alice.get(f"{PREDICTIONS}/{prediction['id']}/audio?format=wav").status_code == 404
    assert alice.get(f"{PREDICTIONS}/{prediction['id']}/audio?format=mp3").status_code == 410


@pytest.mark.parametrize("asked", ["wav", "flac", "mp3", "ogg", "opus", "pcm"])
@pytest.mark.parametrize("kept", ["wav", "opus"])
def test_stereo_stays_stereo_in_every_format_but_pcm(tmp_path: Path, kept: AudioFormat, asked: AudioFormat) -> None:
    """Opposite phases: as mono, which they became before, they are silence."""
    left = np.concatenate([tone(number) for number in range(20)], axis=1)
    write_audio(tmp_path / "made", [np.concatenate([left, -left])], RATE, kept)
    with stored(tmp_path / "made") as (ended, files), open_converted(ended, files, asked, threading.Event()) as file:
        content = file.read()
    if asked == "pcm":  # as it is heard while it is made
        assert len(content) / 2 == pytest.approx(left.shape[1], abs=0.01 * RATE)
        assert np.abs(np.frombuffer(content, "<i2")).max() < 0.02 * 32767
        return
    heard = decode(content, RATE, channels=2)
    assert heard.shape[1] == pytest.approx(left.shape[1], abs=0.1 * RATE)
    middle = heard[:, 4000:12000]
    assert np.abs(middle).max(axis=1) == pytest.approx([0.5, 0.5], rel=0.1)
    assert np.corrcoef(middle)[0, 1] < -0.95


@contextmanager
def stored(path: Path) -> Iterator[tuple[Prediction, Any]]:
    """A prediction that ended with this file, and what stands for the room of files."""

    @contextmanager
    def folder() -> Iterator[Path]:
        (path.parent / "work").mkdir(exist_ok=True)
        yield path.parent / "work"

    metrics = {"sample_rate": RATE}
    ended = Prediction("p", "alice", "d", "m", "v", {}, status=Status.SUCCEEDED, output="f", metrics=metrics)
    yield (
        ended,
        SimpleNamespace(get=lambda name: name, copy_to=lambda file, to: path, workspace=SimpleNamespace(folder=folder)),
    )


def test_a_file_that_is_larger_than_any_upload_is_heard_in_pieces(tmp_path: Path, monkeypatch) -> None:
    """25 minutes of wav: before, 100 MiB was the most, all of them in memory as floats."""
    path, samples = tmp_path / "long.wav", MAX_BYTES // 2 + 1
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.setnframes(samples)
        file.writeframesraw(b"\1\0")
    with path.open("r+b") as whole:
        whole.truncate(44 + 2 * samples)  # silence that takes no place on the disk
        whole.seek(4)
        whole.write((36 + 2 * samples).to_bytes(4, "little"))
        whole.seek(40)
        whole.write((2 * samples).to_bytes(4, "little"))
    longest, samples_of = 0, kept_audio.samples_of

    def seen(pcm: bytes) -> np.ndarray:
        nonlocal longest
        longest = max(longest, len(pcm))
        return samples_of(pcm)

    monkeypatch.setattr(kept_audio, "samples_of", seen)
    with stored(path) as (ended, files), open_converted(ended, files, "pcm", threading.Event()) as heard:
        assert heard.read(4) == b"\1\0\0\0"
        assert heard.seek(0, 2) == 2 * samples
    assert longest <= 1 << 17


def test_a_conversion_that_nobody_waits_for_any_more_stops(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(2 * RATE))
    left = threading.Event()
    left.set()
    began = time.monotonic()
    with stored(path) as (ended, files), pytest.raises(Cancelled):
        open_converted(ended, files, "pcm", left)
    assert time.monotonic() - began < 5
    assert list((tmp_path / "work").iterdir()) == []
