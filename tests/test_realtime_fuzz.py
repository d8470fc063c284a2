"""Whatever a client sends is answered or ignored as the contract says, and the session goes on."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from realtime_fixtures import Client

from serving.realtime.client_events import TYPES

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        "session", "audio", "item", "item_id", "response", "previous_item_id", "content_index", "audio_end_ms",
        "event_id", "type", "input", "output", "voice", "format", "turn_detection", "id", "content", "role",
        "conversation", "instructions", "transcription", "noise_reduction", "max_output_tokens", "metadata",
    ]
)  # fmt: skip
WORDS = st.sampled_from(
    [
        "realtime", "transcription", "message", "user", "assistant", "input_text", "input_audio", "audio/pcm",
        "audio/pcmu", "server_vad", "semantic_vad", "near_field", "auto", "none", "root", "AAAA", "one", "two",
        "marin", "inf",
    ]
)  # fmt: skip
LIKELY: st.SearchStrategy[Any] = st.recursive(
    JSON | WORDS | st.integers(0, 300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)
EVENTS = st.builds(
    lambda kind, fields: json.dumps({**fields, "type": kind}), st.sampled_from([*TYPES]),
    st.dictionaries(NAMES, LIKELY, max_size=4),
)  # fmt: skip
APPENDS = st.binary(min_size=1, max_size=64).map(
    lambda data: json.dumps({"type": "input_audio_buffer.append", "audio": data.hex()})
)
VALID = st.sampled_from(
    [
        {"type": "input_audio_buffer.append", "audio": "AAAA" * 1600},
        {"type": "input_audio_buffer.append", "audio": "cHBw" * 1600},
        {"type": "input_audio_buffer.commit"},
        {"type": "input_audio_buffer.clear"},
        {"type": "response.create", "response": {"instructions": "Hello."}},
        {"type": "response.create"},
        {"type": "response.cancel"},
        {"type": "conversation.item.delete", "item_id": "one"},
        {"type": "conversation.item.retrieve", "item_id": "one"},
        {
            "type": "conversation.item.create",
            "item": {"id": "one", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hm"}]},
        },
        {"type": "session.update", "session": {"type": "realtime", "audio": {"input": {"turn_detection": None}}}},
        {
            "type": "session.update",
            "session": {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}},
        },
        {
            "type": "session.update",
            "session": {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcma"}}}},
        },
        {
            "type": "session.update",
            "session": {"type": "realtime", "audio": {"input": {"noise_reduction": {"type": "near_field"}}}},
        },
    ]
).map(json.dumps)
FRAMES = st.text(max_size=40) | JSON.map(json.dumps) | EVENTS | EVENTS | APPENDS | VALID | VALID | VALID


def check(frames: list[str], *, beta: bool) -> None:
    """Every event that is sent is judged by the fixture; what is wrong is answered by one error and no other event."""
    client, other = Client(beta=beta), Client()
    for number, frame in enumerate(frames):
        client.session.receive(frame)
        if number % 3 == 0:
            client.workers.run()
        for event in client.hears():
            if event["type"] == "error":
                assert event["error"]["message"]
                assert event["error"]["type"] == "invalid_request_error"
    client.workers.run()
    client.hears()
    (cleared,) = client.says("input_audio_buffer.clear")
    assert cleared["type"] == "input_audio_buffer.cleared"
    assert other.hears() == []


@pytest.mark.parametrize("beta", [False, True], ids=["ga", "beta"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frames=st.lists(FRAMES, min_size=5, max_size=30))
def test_a_session_survives_whatever_it_is_sent(beta: bool, frames: list[str]) -> None:
    check(frames, beta=beta)


@pytest.mark.slow
@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(frames=st.lists(FRAMES, min_size=5, max_size=30), beta=st.booleans())
def test_a_session_survives_ten_thousand_frames_of_anything(frames: list[str], beta: bool) -> None:
    check(frames, beta=beta)
