"""A socket before the real models that listen: two speakers of a packaged recording, their turns, words and voice."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from realtime_fixtures import judge, kinds, only
from serving_fixtures import AUTH, served

from models.listening import transcribe

LISTENING = {
    "transcription": {"model": "whisper-1", "language": "en"},
    "turn_detection": {"type": "server_vad", "silence_duration_ms": 500, "create_response": False},
}


def hear_all(socket: Any, last: str, times: int) -> list[dict[str, Any]]:
    heard: list[dict[str, Any]] = []
    while kinds(heard).count(last) < times:
        heard.append(socket.receive_json())
        judge(heard[-1])
    return heard


def test_turns_of_a_recording_are_heard_and_transcribed(clip_24k: np.ndarray, tmp_path: Path) -> None:
    """Its first words begin at 6.69 s."""
    if not transcribe.is_installed():
        pytest.skip("Whisper's weights are not installed")
    spoken = np.concatenate([clip_24k[: 24_000 * 14], np.zeros(24_000, np.float32)])
    samples = np.rint(spoken * 32767).astype("<i2")
    with served(tmp_path) as client, client.websocket_connect("/v1/realtime", headers=dict(AUTH)) as socket:
        socket.receive_json()
        socket.send_text(
            json.dumps({"type": "session.update", "session": {"type": "realtime", "audio": {"input": LISTENING}}})
        )
        for piece in np.array_split(samples, 30):
            audio = base64.b64encode(piece.tobytes()).decode()
            socket.send_text(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        socket.send_text(json.dumps({"type": "input_audio_buffer.clear"}))
        heard = hear_all(socket, "cleared", 1)
        turns = kinds(heard).count("committed")
        assert turns >= 1
        done = kinds(heard).count("item.input_audio_transcription.completed")
        heard += hear_all(socket, "item.input_audio_transcription.completed", turns - done)
    started = next(event for event in heard if event["type"] == "input_audio_buffer.speech_started")
    assert started["audio_start_ms"] == pytest.approx(6690 - 300, abs=150)
    assert only(heard, "session.updated")
    words = " ".join(event["transcript"] for event in heard if "transcript" in event)
    assert len(words.split()) >= 8, words
