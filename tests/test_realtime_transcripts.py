"""serving/realtime/transcribing.py: log probabilities and segments, for whoever asks for them."""

import pytest
from realtime_fixtures import Client, kinds, only

from serving.realtime.settings import TranscriptionSettings

LOUD = 3000
EVENT = "conversation.item.input_audio_transcription"
LOGPROBS = ["item.input_audio_transcription.logprobs"]
FIRST = {"token": " Good", "bytes": list(b" Good"), "logprob": -0.5}
SECOND = {"token": " morning.", "bytes": list(b" morning."), "logprob": -1.0}


def transcribed(client: Client) -> list[dict]:
    """What a client that has committed half a second is told of what is said in it."""
    client.appends(0.5, LOUD)
    client.says("input_audio_buffer.commit")
    return client.hears_after_work()


@pytest.mark.parametrize("beta", [False, True])
def test_log_probabilities_come_with_each_delta_and_at_the_end(beta: bool) -> None:
    client = Client(beta=beta, settings=TranscriptionSettings(type="transcription"))
    if beta:
        wanted = {"turn_detection": None, "input_audio_transcription": {"model": "whisper-1"}, "include": LOGPROBS}
        client.says("transcription_session.update", session=wanted)
    else:
        audio = {"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}
        client.says("session.update", session={"type": "transcription", "audio": audio, "include": LOGPROBS})
    first, second, completed = transcribed(client)
    assert (first["logprobs"], second["logprobs"]) == ([FIRST], [SECOND])
    assert completed["logprobs"] == [FIRST, SECOND]


def test_nobody_is_told_them_unasked() -> None:
    client = Client()
    client.listens_by_hand(transcription={"model": "whisper-1"})
    assert not any("logprobs" in event for event in transcribed(client))
    client.updates(include=LOGPROBS)
    assert all("logprobs" in event for event in transcribed(client))
    client.updates(include=None)
    assert not any("logprobs" in event for event in transcribed(client))


def test_where_they_cannot_be_told_the_transcription_fails_and_says_how_to_have_one() -> None:
    client = Client()
    client.workers.tells_tokens = False
    client.listens_by_hand(transcription={"model": "whisper-1"})
    client.updates(include=LOGPROBS)
    (failed,) = transcribed(client)
    assert failed["type"] == f"{EVENT}.failed"
    assert "Update the session without `include`" in failed["error"]["message"]


def test_segments_are_told_with_their_times_to_whoever_asks_for_openais_model_that_tells_them() -> None:
    client = Client()
    client.listens_by_hand(transcription={"model": "gpt-4o-transcribe-diarize"})
    told = transcribed(client)
    assert kinds(told) == [
        f"item.input_audio_transcription.{name}" for name in ("delta", "segment", "delta", "segment", "completed")
    ]
    segments = [event for event in told if event["type"] == f"{EVENT}.segment"]
    times = [(event["text"], event["start"], event["end"], event["speaker"]) for event in segments]
    assert times == [("Good", 0.0, 1.0, ""), ("morning.", 1.0, 2.0, "")]
    assert segments[0]["id"] != segments[1]["id"]
    assert {event["item_id"] for event in segments} == {only(told, f"{EVENT}.completed")["item_id"]}


def test_other_models_and_the_older_dialect_have_no_segments() -> None:
    plain, beta = Client(), Client(beta=True)
    plain.listens_by_hand(transcription={"model": "whisper-1"})
    diarizing = {"model": "gpt-4o-transcribe-diarize"}
    beta.says("session.update", session={"turn_detection": None, "input_audio_transcription": diarizing})
    for client in (plain, beta):
        told = transcribed(client)
        assert kinds(told)[-1] == "item.input_audio_transcription.completed"
        assert f"{EVENT}.segment" not in [event["type"] for event in told]
