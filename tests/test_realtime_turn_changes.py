"""Settings of the input that change while somebody speaks: the turn goes on, and nothing of it is lost."""

import base64
from typing import Any

import pytest
from realtime_fixtures import Client, kinds, only

from serving.realtime.audio_formats import PCM, PCMU, WireFormat

LOUD = 3000
TO_G711 = {"input": {"format": {"type": "audio/pcmu"}}}
BY_HAND = {"input": {"turn_detection": None}}
VAD = {"input": {"turn_detection": {"type": "server_vad", "create_response": False, "silence_duration_ms": 500}}}


@pytest.fixture
def client() -> Client:
    client = Client()
    client.updates(audio=VAD)
    return client


@pytest.mark.parametrize(
    ("changes", "wire"),
    [([TO_G711], PCMU), ([BY_HAND, VAD], PCM), ([BY_HAND, TO_G711, VAD], PCMU)],
)
def test_a_turn_goes_on_in_another_format_and_where_detection_is_put_off_and_on(
    client: Client, changes: list[dict[str, Any]], wire: WireFormat
) -> None:
    """One start and one stop for one item, which has all that was said."""
    started = only(client.appends(1) + client.appends(1, LOUD), "input_audio_buffer.speech_started")
    for change in changes:
        client.updates(audio=change)
    told = client.appends(0.5, LOUD, wire) + client.appends(1, 0, wire)
    assert kinds(told) == ["speech_stopped", "committed", "item.added", "item.done"]
    stopped, committed = told[:2]
    assert started["item_id"] == stopped["item_id"] == committed["item_id"]
    assert stopped["audio_end_ms"] == pytest.approx(3000, abs=40)
    (retrieved,) = client.says("conversation.item.retrieve", item_id=started["item_id"])
    audio = base64.b64decode(retrieved["item"]["content"][0]["audio"])
    lasted = 1000 * len(audio) / wire.sample_bytes / wire.rate
    assert lasted == pytest.approx(stopped["audio_end_ms"] - started["audio_start_ms"], abs=1)


def test_a_turn_whose_end_nobody_detects_any_more_is_committed_by_hand(client: Client) -> None:
    (started,) = client.appends(1, LOUD)
    client.updates(audio=BY_HAND)
    client.appends(1)
    committed = client.says("input_audio_buffer.commit")[0]
    assert committed["item_id"] == started["item_id"]
    client.updates(audio=VAD)
    (another,) = client.appends(1) + client.appends(1, LOUD)
    assert another["item_id"] != started["item_id"]
    assert another["audio_start_ms"] == pytest.approx(2700, abs=40)
