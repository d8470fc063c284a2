"""Door 4: OpenAI's speech endpoint over HTTP, from the first byte to the caller who hangs up."""

import base64
import json
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
from audio_fixtures import decode, pieces_of, pitch, speechlike
from serving_fixtures import BOB, PIECE, RATE, running, wait_for
from speech_fixtures import TAG, body, refusal, seconds_of, speak, speaker

from models.dia.script import estimate_seconds
from models.errors import InvalidRequest
from models.inputs import SettledInputs
from models.request import INPUT_LIMIT
from serving.catalog import DIA, MODELS
from serving.doors.speech.request import SpeechRequest, asked_of, model_named
from serving.intake import check
from serving.rendering import resample_stream
from serving.storage.prediction import Status


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("speech"), speaker()) as here:
        yield here


@pytest.fixture
def closed(service):
    """The backend's gate, closed until the test opens it."""
    with service.closed() as gate:
        yield gate


@contextmanager
def streamed(service, read_seconds: float = 30, **changes):
    """An answer whose body is still to come."""
    with service.client() as client:
        client.timeout = httpx.Timeout(30, read=read_seconds)
        with client.stream("POST", "/v1/audio/speech", json=body(**changes)) as answer:
            yield answer


def events(content: bytes) -> list[dict]:
    lines = [line for line in content.decode().split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def audio_of(content: bytes, stream_format: str) -> bytes:
    if stream_format == "audio":
        return content
    return b"".join(base64.b64decode(delta["audio"], validate=True) for delta in events(content)[:-1])


def status_of(service, number: int = -1) -> Status:
    return service.service.records.get(service.backend.made[number]).status


def test_pcm_is_24_kilohertz_to_the_sample(service):
    """The other formats: tests/test_serving_openai_clients.py."""
    answer = speak(service, input="Hello ha.", response_format="pcm")
    assert answer.headers["content-type"] == "audio/pcm;rate=24000"
    assert answer.headers["x-sample-rate"] == "24000"
    assert answer.headers["cache-control"] == "no-store"
    heard = np.frombuffer(answer.content, "<i2")[None] / 32767
    assert heard.shape == (1, 3 * (TAG + 9) * PIECE)
    assert pitch(heard, 24_000) == pytest.approx(440, rel=0.002)
    assert np.abs(heard).max() == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
def test_a_note_before_the_first_sound_is_a_header_and_later_ones_are_in_the_logs(
    service, closed, monkeypatch, stream_format
):
    """Before, they were in the logs alone, of a prediction whose id nobody was told."""
    make = service.backend.make
    note = "audio_prompt: 59.0 s of speech were cut to 9.0 s; these words lie behind the cut: 'caf\xe9'"

    def noting(attempt_id, inputs, folder, streaming, listener):
        listener.log(f"note: {note}")
        listener.progress(0.0, 0.0)
        made = make(attempt_id, inputs, folder, streaming, listener)
        listener.log("note: it ended early")
        return made

    monkeypatch.setattr(service.backend, "make", noting)
    with streamed(service, input="A|B", stream_format=stream_format, instructions="Be kind.") as answer:
        closed.set()
        answer.read()
    told = "the voice's recording: 59.0 s of speech were cut to 9.0 s; these words lie behind the cut: 'caf\\xe9'"
    assert answer.headers["x-parley-note"] == f"instructions were not used: the model follows none; {told}"
    with service.client() as client:
        behind = client.get(f"/v1/predictions/{answer.headers['x-parley-prediction']}").json()
    assert behind["logs"].splitlines()[-1] == "note: it ended early"
    assert f"note: {note}" in behind["logs"]


def test_a_long_note_is_no_header_that_a_client_refuses(service, monkeypatch):
    make = service.backend.make

    def noting(attempt_id, inputs, folder, streaming, listener):
        listener.log(f"note: {'long ' * 5000}")
        listener.progress(0.0, 0.0)
        return make(attempt_id, inputs, folder, streaming, listener)

    monkeypatch.setattr(service.backend, "make", noting)
    note = speak(service).headers["x-parley-note"]
    assert len(note) < 2100
    assert note.endswith("... (all of it is in the prediction's logs)")


def test_who_gave_no_reason_for_a_note_hears_none(service):
    answer = speak(service)
    assert "x-parley-note" not in answer.headers
    assert service.service.records.get(answer.headers["x-parley-prediction"]).door == "speech"


@pytest.mark.parametrize("speed", [0.25, 4])
def test_speed_keeps_the_pitch_and_goes_further_than_the_models_do(service, speed):
    answer = speak(service, input="Hello ha.", speed=speed)
    heard = decode(answer.content, RATE)
    assert heard.shape[1] == round((TAG + 9) * PIECE / speed)
    assert pitch(heard, RATE) == pytest.approx(440, rel=0.02)
    assert service.backend.asked[-1].speed_factor == 1


@pytest.mark.parametrize(
    ("voice", "given", "spoken"),
    [
        ("s1", "Hi.", "[S1] Hi."),
        ("S2", "Hi.", "[S2] Hi."),
        ("onyx", "Hi.", "[S1] Hi."),
        ("alloy", "Hi.", "[S2] Hi."),
        ({"id": "nova"}, "Hi.", "[S2] Hi."),
        ("nova", "[S1] Hi.", "[S1] Hi."),
        ("nova", "Oh. [S2] Hi.", "Oh. [S2] Hi."),
        ("nova", "S1: Hi.\nS2: Oh.", "S1: Hi.\nS2: Oh."),
    ],
)
def test_the_voice_speaks_what_names_nobody(voice, given, spoken):
    asked = asked_of(SpeechRequest(model="dia", input=given, voice=voice), None, "alice", MODELS)
    assert asked.input["text"] == spoken
    assert (asked.door, asked.streaming, asked.extra) == ("speech", True, {})


def test_what_is_asked_reaches_the_model(service):
    assert speak(service, voice={"id": "nova"}, input="Hi.", model="tts-1").status_code == 200
    asked = service.backend.asked[-1]
    assert (asked.text, asked.speed_factor, asked.output_format) == ("[S2] Hi.", 1, "wav")
    assert status_of(service) is Status.SUCCEEDED  # not cancelled: it was heard to its end


@pytest.mark.parametrize("name", ["dia", "parley/dia", "tts-1", "tts-1-hd", "gpt-4o-mini-tts"])
def test_a_model_may_be_named_in_openais_words(name):
    assert model_named(name, MODELS).full_name == "parley/dia"


@pytest.mark.parametrize("voice", ["s1", "s2"])
@pytest.mark.parametrize("text", ["a b " * (INPUT_LIMIT // 4), "9" * INPUT_LIMIT, "Short."])
def test_all_of_the_longest_text_may_be_spoken_in_either_voice(voice, text):
    """The speaker's tag once made 4096 characters 4101, which were refused, as was what takes over 48 s to say."""
    asked = asked_of(SpeechRequest(model="dia", input=text, voice=voice), None, "alice", MODELS)
    check(asked.model, asked.input, lambda checkpoint: False)
    request = SettledInputs.parse(**{**asked.input, **asked.extra}).to_request("id", "dia")
    takes = estimate_seconds(text) * DIA.tokens_per_second
    assert request.sampling_params.max_new_tokens >= 1.1 * takes
    assert ("max_new_tokens" in asked.extra) == (text != "Short.")


def test_what_takes_longer_than_one_request_may_is_refused_with_both_and_the_way_out():
    """Few characters may be many words: these are read as one tenth each."""
    request = SpeechRequest(model="dia", input="a " + "⅒" * (INPUT_LIMIT - 2), voice="s1")
    with pytest.raises(InvalidRequest, match=r"^input: takes about 6397 s .* may take 2587 s\. Send it in parts\.$"):
        asked_of(request, None, "alice", MODELS)


@pytest.mark.parametrize(
    ("changes", "param", "said"),
    [
        ({"model": None}, "model", "missing"),
        ({"model": "whisper-1"}, "model", "parley/dia"),
        ({"input": None}, "input", "missing"),
        ({"input": ""}, "input", "at least 1"),
        (
            {"input": "a" * 4097},
            "input",
            "has 4097 characters; at most 4096 are taken. Shorten it, or send it in parts.",
        ),
        ({"input": " \n"}, "input", "at least one word"),
        ({"input": "[S3] Hi."}, "input", "S3"),
        ({"input": 5}, "input", "string"),
        ({"voice": None}, "voice", "missing"),
        ({"voice": "unknown"}, "voice", "s1, s2, ash,"),
        ({"voice": {"id": "voice_1234"}}, "voice", "s1, s2, ash,"),
        ({"voice": {"name": "s1"}}, "voice", '{"id": …}'),
        ({"voice": 5}, "voice", "string"),
        ({"instructions": "a" * 4097}, "instructions", "at most 4096"),
        (
            {"response_format": "midi"},
            "response_format",
            "is 'midi'; write 'mp3', 'opus', 'aac', 'flac', 'wav' or 'pcm'.",
        ),
        ({"speed": 0.24}, "speed", "is 0.24; at least 0.25 is needed."),
        ({"speed": 4.01}, "speed", "is 4.01; at most 4 is taken."),
        ({"speed": "2"}, "speed", "'2'"),
        ({"speed": True}, "speed", "True"),
        ({"stream_format": "midi"}, "stream_format", "'sse'"),
        ({"seed": 1}, "seed", "is no field that is taken here. Leave it out"),
    ],
)
def test_a_mistake_is_answered_as_openai_answers_it(service, changes, param, said):
    made = len(service.backend.made)
    problem = refusal(speak(service, **changes))
    assert (problem["param"], problem["type"], problem["code"]) == (param, "invalid_request_error", "invalid_value")
    assert problem["message"].startswith(f"{param} ")
    assert said in problem["message"]
    assert len(service.backend.made) == made


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"speed": NaN}'])
def test_a_body_that_is_no_request_is_refused(service, content):
    with service.client() as client:
        answer = client.post("/v1/audio/speech", content=content, headers={"content-type": "application/json"})
    assert refusal(answer)["code"] == "invalid_value"


def test_whoever_has_no_token_is_told_so_as_openai_does(service):
    problem = refusal(httpx.post(f"{service.url}/v1/audio/speech", json=body()), 401)
    assert (problem["code"], problem["type"], problem["param"]) == ("invalid_api_key", "authentication_error", None)


def test_what_fails_before_it_sounds_has_a_status(service):
    for stream_format in ("audio", "sse"):
        problem = refusal(speak(service, input="Oh!", stream_format=stream_format))
        assert (problem["param"], problem["code"]) == ("input", "invalid_value")
        assert "exclamation mark" in problem["message"]
        problem = refusal(speak(service, input="Oh ##", stream_format=stream_format), 500)
        assert (problem["type"], problem["message"]) == ("server_error", "The model gave noise.")


@pytest.mark.parametrize("output_format", ["wav", "mp3"])
def test_audio_that_fails_later_breaks_off_and_the_log_tells_of_it_in_a_line(service, output_format, caplog):
    """Before, by a traceback of an error that had been dealt with."""
    with streamed(service, input="Oh #", response_format=output_format) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()
    lines = wait_for(lambda: [record for record in caplog.records if record.name == "parley.http"])
    assert [(line.levelname, line.exc_info) for line in lines] == [("WARNING", None)]
    assert lines[0].message == f"{answer.headers['x-request-id']} broke off: The model gave noise."
    assert not [record for record in caplog.records if record.exc_info and record.name.startswith("uvicorn")]


def test_events_carry_the_audio_and_what_it_took(service):
    answer = speak(service, input="A|b|c", response_format="pcm", stream_format="sse")
    assert answer.headers["content-type"].startswith("text/event-stream")
    *deltas, done = events(answer.content)
    assert len(deltas) > 2
    assert {tuple(delta) for delta in deltas} == {("type", "audio")}
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    assert audio_of(answer.content, "sse") == speak(service, input="A|b|c", response_format="pcm").content
    read, made = len("1 A|b|c"), 9 * len("[S1] A|b|c")  # a tag is one token
    usage = {"input_tokens": read, "output_tokens": made, "total_tokens": read + made}
    assert done == {"type": "speech.audio.done", "usage": usage}


def test_events_end_with_what_went_wrong(service):
    *deltas, last = events(speak(service, input="Oh #", response_format="mp3", stream_format="sse").content)
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    assert last["type"] == "error"
    assert last["error"]["message"] == "The model gave noise."


@pytest.mark.parametrize(
    ("changes", "stream_format"),
    [({"response_format": "mp3"}, "audio"), ({"response_format": "pcm"}, "sse"), ({"speed": 1.5}, "audio")],
)
def test_the_first_bytes_leave_while_the_rest_is_being_made(service, closed, changes, stream_format):
    with streamed(service, input="A~", stream_format=stream_format, **changes) as answer:
        pieces = answer.iter_raw()
        first = next(pieces)
        assert first
        assert status_of(service) is Status.PROCESSING
        closed.set()
        heard = audio_of(first + b"".join(pieces), stream_format)
    made = service.service.records.get(service.backend.made[-1]).metrics["audio_seconds"]
    seconds = len(heard) / 48_000 if stream_format == "sse" else seconds_of(heard)
    assert seconds == pytest.approx(made / changes.get("speed", 1), abs=0.3 if "response_format" in changes else 1e-3)


@pytest.mark.parametrize(("output_format", "stream_format"), [("pcm", "audio"), ("wav", "sse")])
def test_whoever_hangs_up_cancels_what_is_being_made(service, closed, output_format, stream_format):
    """Also where a thread waits for the next samples, as it does for pcm at another rate."""
    with streamed(service, input="A|b", response_format=output_format, stream_format=stream_format) as answer:
        assert next(answer.iter_raw())
        assert status_of(service) is Status.PROCESSING
    wait_for(lambda: status_of(service) is Status.CANCELED)
    wait_for(lambda: service.backend.made[-1] in service.backend.over)


def test_whoever_hangs_up_before_it_sounds_cancels_it_too(service, closed):
    with pytest.raises(httpx.ReadTimeout), streamed(service, 0.3, input="Oh ||"):
        pass
    wait_for(lambda: status_of(service) is Status.CANCELED)
    wait_for(lambda: service.backend.made[-1] in service.backend.over)


def test_speech_is_in_no_history_but_its_own(service):
    with service.client() as client:
        speak(service)
        assert client.get("/v1/predictions").json()["results"] == []
        assert client.get("/ai/tasks").json()["data"]["tasks"] == []
    owned = service.service.history.page("alice", limit=100).rows
    assert {prediction.door for prediction in owned} == {"speech"}
    with service.client(BOB) as client:
        assert client.get("/v1/predictions").json()["results"] == []


def test_a_stream_is_resampled_as_the_whole_is():
    audio = speechlike(1.0)
    whole = list(resample_stream([audio], 44_100, 24_000))
    cut = list(resample_stream(pieces_of(audio, 0), 44_100, 24_000))
    assert len(cut) > len(whole)
    np.testing.assert_array_equal(np.concatenate(cut, axis=1), np.concatenate(whole, axis=1))
    assert np.concatenate(cut, axis=1).shape == (1, 24_000)
    loud = np.concatenate(list(resample_stream([np.sign(audio)], 44_100, 24_000)), axis=1)  # rings over full scale
    assert np.abs(loud).max() <= 1
