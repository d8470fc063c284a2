"""serving/realtime/recognisers.py: which model listens and in which language is told before anybody has spoken."""

from typing import Any

import pytest
from realtime_fixtures import Client, only

from models.errors import InvalidRequest
from models.listening.whisper import PACKAGED
from serving.realtime.recognisers import recogniser_named

FIELD = "session.audio.input.transcription"
LOUD = 3000


def done(events: list[dict[str, Any]]) -> dict[str, Any]:
    return dict(only(events, "response.done")["response"])


def update(transcription: dict[str, Any]) -> dict[str, Any]:
    return {"type": "realtime", "audio": {"input": {"transcription": transcription}}}


@pytest.mark.parametrize(
    ("transcription", "param", "told"),
    [
        ({"model": "nope"}, "model", "no recogniser is called 'nope'; there are 'whisper-1', 'whisper-base'"),
        ({"model": "whisper-large-v3"}, "model", "'whisper-large-v3' is not on this server, where whisper-base is."),
        ({"model": "whisper-1", "language": "xx"}, "language", "codes of ISO 639-1, such as 'en', 'de' or 'zh', but"),
        ({"model": "whisper-1", "languages": ["en", "q"]}, "languages[1]", "but got 'q' instead."),
    ],
)
def test_what_nobody_here_can_hear_is_refused_at_the_update(
    transcription: dict[str, Any], param: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PARLEY_TRANSCRIBER", raising=False)
    monkeypatch.setattr("serving.realtime.recognisers.is_installed", lambda name: name == PACKAGED)
    error = Client().error("session.update", session=update(transcription))
    assert (error["code"], error["param"]) == ("invalid_value", f"{FIELD}.{param}")
    assert told in error["message"]


def test_a_language_may_have_a_region_and_capitals_and_nothing_is_what_clears() -> None:
    client = Client()
    asked = {"model": "whisper-1", "language": "en-US", "languages": ["DE", "pt_BR"], "prompt": "Hello."}
    shown = client.updates(**update(asked))["audio"]["input"]["transcription"]
    assert shown == {"model": "whisper-1", "language": "en", "languages": ["de", "pt"], "prompt": "Hello."}
    cleared = client.updates(**update({"language": "", "prompt": ""}))["audio"]["input"]["transcription"]
    assert (cleared["language"], cleared["prompt"]) == (None, None)


def test_the_server_chooses_who_stands_for_openais_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_TRANSCRIBER", "whisper-small")
    assert {recogniser_named(name) for name in (None, "whisper-1", "gpt-4o-transcribe")} == {"whisper-small"}
    assert recogniser_named(PACKAGED) == PACKAGED


def test_what_is_wrong_with_a_prompt_is_its_clients_mistake_and_is_told_when_it_is_known() -> None:
    client = Client()
    client.workers.said = InvalidRequest("prompt", "is too long.")
    client.listens_by_hand(transcription={"model": "whisper-1", "prompt": "word " * 300})
    client.appends(0.5, LOUD)
    client.says("input_audio_buffer.commit")
    failed = only(client.hears_after_work(), "conversation.item.input_audio_transcription.failed")
    assert failed["error"]["type"] == "invalid_request_error"
    assert failed["error"]["param"] == f"{FIELD}.prompt"


def test_an_item_that_was_not_understood_is_listened_to_again_by_whoever_needs_its_words() -> None:
    client = Client()
    client.workers.said = InvalidRequest("prompt", "is too long.")
    client.listens_by_hand(transcription={"model": "whisper-1"})
    client.appends(3, LOUD)
    item_id = only(client.says("input_audio_buffer.commit"), "input_audio_buffer.committed")["item_id"]
    client.hears_after_work()
    client.workers.said = ["Good morning."]
    client.says("response.create", response={"instructions": "Hi.", "audio": {"output": {"voice": {"id": item_id}}}})
    assert done(client.hears_after_work())["status"] == "completed"
    assert client.workers.orders[-1].prompt.transcript == "[S1] Good morning."


def test_what_a_session_wrote_itself_is_not_what_it_says_next() -> None:
    client = Client()
    client.updates(output_modalities=["text"], audio={"input": {"turn_detection": None}})
    said = []
    for words in ("One.", "Two."):
        client.workers.said = [words]
        client.appends(0.5, LOUD)
        client.says("input_audio_buffer.commit")
        client.says("response.create")
        said.append(done(client.hears_after_work())["output"][0]["content"][0]["text"])
    assert said == ["One.", "Two."]
