"""Door 4's voices: recordings that are stored to speak with, and by whom they may be used."""

import hashlib
import io
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from audio_fixtures import silence, tone
from serving_fixtures import BOB, running, wait_for
from speech_fixtures import recording, refusal, speak, speaker

from models.errors import InvalidRequest
from serving.storage import voices
from serving.storage.files import VOICE

WORDS = "This is how I speak."
CONSENT = "Ann Example agreed on 1 May 2026."


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("voices"), speaker(), at_once=1) as here:
        yield here


@pytest.fixture
def client(service):
    with service.client() as client:
        yield client
        for voice in client.get("/v1/audio/voices").json()["data"]:
            client.delete(f"/v1/audio/voices/{voice['id']}")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """Three seconds of it, as the bytes of a file."""
    return recording(tmp_path_factory.mktemp("recording"))


def store(client, audio: bytes | None, field: str = "audio_sample", **changes):
    said = {"name": "Ann", "consent": CONSENT, "transcript": WORDS, **changes}
    sent = {name: (None, value) for name, value in said.items() if value is not None}
    if audio is not None:
        sent[field] = ("ann.wav", audio, "audio/wav")
    return client.post("/v1/audio/voices", files=sent)


def stored(client, audio: bytes, **changes) -> dict:
    answer = store(client, audio, **changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


def in_a_list(voice: dict) -> dict:
    return {name: value for name, value in voice.items() if name not in ("seconds", "used_seconds", "note")}


def kept_file(service, voice: dict):
    row = service.service.voices.find("alice", voice["id"])
    return service.service.files.get(row.file)


def test_a_voice_is_stored_shown_and_deleted(service, client, spoken):
    voice = stored(client, spoken)
    assert voice["id"].startswith("voice_")
    assert isinstance(voice["created_at"], int)
    shown = {"object": "audio.voice", "type": "audio_sample", "name": "Ann", "consent": CONSENT, "transcript": WORDS}
    assert voice.items() >= shown.items()
    assert voice["used_seconds"] == voice["seconds"] == pytest.approx(3.0, abs=0.3)
    assert voice["note"] is None
    assert client.get(f"/v1/audio/voices/{voice['id']}").json() == voice
    other = stored(client, spoken, name="Bea")
    listed = client.get("/v1/audio/voices").json()
    assert listed["data"] == [in_a_list(other), in_a_list(voice)]
    assert listed["built_in"] == ["s1", "s2"]
    file = kept_file(service, voice)
    gone = client.delete(f"/v1/audio/voices/{voice['id']}")
    assert gone.json() == {"id": voice["id"], "deleted": True, "object": "audio.voice.deleted"}
    assert refusal(client.get(f"/v1/audio/voices/{voice['id']}"), 404)["code"] == "not_found"
    assert client.get("/v1/audio/voices").json()["data"] == [in_a_list(other)]
    assert service.service.files.get(file.id) is None
    with pytest.raises(FileNotFoundError):
        service.service.files.read(file)


def test_a_voice_is_its_owners_alone(service, client, spoken):
    voice = stored(client, spoken)
    with service.client(BOB) as bob:
        assert bob.get("/v1/audio/voices").json()["data"] == []
        for answer in (
            bob.get(f"/v1/audio/voices/{voice['id']}"),
            bob.post(f"/v1/audio/voices/{voice['id']}", json={"transcript": "Mine."}),
            bob.delete(f"/v1/audio/voices/{voice['id']}"),
        ):
            refusal(answer, 404)
        for named in (voice["id"], "Ann"):
            body = {"model": "dia", "input": "Hi.", "voice": named}
            assert "Ann," not in refusal(bob.post("/v1/audio/speech", json=body))["message"]
    assert client.get(f"/v1/audio/voices/{voice['id']}").json() == voice


def test_the_recording_is_kept_as_a_flac_for_ever(service, client, tmp_path):
    loud = recording(tmp_path, 2.0, gain=8.0)  # a float file that passes full scale
    file = kept_file(service, stored(client, loud))
    assert (file.kind, file.content_type, file.expires_at, file.owner) == (VOICE, "audio/flac", None, "alice")
    audio, rate = soundfile.read(io.BytesIO(b"".join(service.service.files.read(file))), dtype="float32")
    given, _ = soundfile.read(io.BytesIO(loud), dtype="float32")
    assert (audio.shape, rate) == ((88_200,), 44_100)
    np.testing.assert_allclose(audio, given / np.abs(given).max(), atol=1e-4)  # 16 bit
    service.service.files.delete_expired(4e9)
    assert service.service.files.get(file.id) == file


def test_a_stored_voice_reaches_the_model_the_same_each_time(service, client, spoken):
    """So that the model, which knows recordings by their samples, encodes it once."""
    voice = stored(client, spoken)
    service.backend.prompts.clear()
    for named in ("Ann", voice["id"], {"id": voice["id"]}):
        assert speak(service, voice=named).status_code == 200
        asked = service.backend.asked[-1]
        assert (asked.text, asked.audio_prompt_text) == ("[S1] Hi there.", WORDS)
    hashes = {hashlib.sha256(prompt).hexdigest() for prompt in service.backend.prompts}
    assert len(service.backend.prompts) == 3
    assert hashes == {kept_file(service, voice).sha256}
    made = [service.service.records.get(name) for name in service.backend.made[-3:]]
    settled = [{name: value for name, value in p.settled.items() if name != "seed"} for p in made]
    assert settled[0] == settled[1] == settled[2]
    assert [p.input for p in made[1:]] == [made[0].input] * 2


def test_a_dialogue_keeps_its_speakers_in_a_stored_voice(service, client, spoken):
    stored(client, spoken, transcript="[S1] This is me. [S2] And this is me.")
    assert speak(service, voice="Ann", input="[S2] Oh. [S1] Hi.").status_code == 200
    asked = service.backend.asked[-1]
    assert (asked.text, asked.audio_prompt_text) == (
        "[S2] Oh. [S1] Hi.",
        "[S1] This is me. [S2] And this is me.",
    )


@pytest.mark.parametrize("transcript", [None, " "])
def test_a_voice_without_a_transcript_speaks_by_what_is_heard_in_it_until_it_has_one(
    service, client, spoken, transcript
):
    voice = stored(client, spoken, transcript=transcript)
    assert voice["transcript"] is None
    assert speak(service, voice="Ann").status_code == 200
    asked = service.backend.asked[-1]
    assert asked.audio_prompt is not None
    assert asked.audio_prompt_text is None
    updated = client.post(f"/v1/audio/voices/{voice['id']}", json={"transcript": f" {WORDS}\n"})
    assert updated.json() == {**voice, "transcript": WORDS}
    if transcript is None:
        assert speak(service, voice="Ann").status_code == 200
        assert service.backend.asked[-1].audio_prompt_text == WORDS


def test_the_field_may_be_called_audio(client, spoken):
    assert store(client, spoken, field="audio").status_code == 200


@pytest.mark.parametrize(
    ("changes", "param", "said"),
    [
        ({"name": None}, "name", "missing"),
        ({"name": " "}, "name", "1 to 64"),
        ({"name": "x" * 65}, "name", "1 to 64"),
        ({"name": "a\tb"}, "name", "printable"),
        ({"name": "Nova"}, "name", "built-in"),
        ({"name": "s1"}, "name", "built-in"),
        ({"name": "voice_1234"}, "name", "built-in"),
        ({"consent": None}, "consent", "missing"),
        ({"consent": " "}, "consent", "1 to 4000"),
        ({"consent": "x" * 4001}, "consent", "4001"),
        ({"transcript": "(…)"}, "transcript", "nothing that can be spoken"),
        ({"transcript": "[S3] Hi."}, "transcript", "S3"),
        ({"transcript": "a" * 4001}, "transcript", "4001"),
        ({"type": "prompt"}, "type", "'audio_sample'"),
        ({"transcript": None, "transcirpt": WORDS}, "transcirpt", "takes name, consent, transcript, type, audio"),
        ({"script_hint": "Say hello."}, "script_hint", "clones voices only"),
        ({"model": "auto"}, "model", "Send a recording as audio_sample"),
    ],
)
def test_a_mistake_names_its_field(client, spoken, changes, param, said):
    problem = refusal(store(client, spoken, **changes))
    assert problem["param"] == param
    assert said in problem["message"]
    assert client.get("/v1/audio/voices").json()["data"] == []


@pytest.mark.parametrize(
    ("audio", "said"),
    [
        (None, "was sent 0 times"),
        (b"no audio at all", "no audio file"),
        (b"", "empty"),
        (tone(0.9), "0.90 s long; at least 1 s"),
        (tone(60.1), "longer than 60 seconds"),
        (silence(2.0), "is silent"),
        (np.concatenate([silence(2.0), tone(0.3)], axis=1), "s of sound; at least 0.5 s of speech are needed"),
    ],
    ids=["none", "text", "empty", "short", "long", "silent", "a click"],
)
def test_a_recording_that_is_no_voice_is_refused_at_once(client, audio, said):
    if isinstance(audio, np.ndarray):
        file = io.BytesIO()
        soundfile.write(file, audio.T, 44_100, format="WAV")
        audio = file.getvalue()
    problem = refusal(store(client, audio))
    assert problem["param"] == "audio_sample"
    assert said in problem["message"]


LONG = " ".join(["These are many more words than were ever said."] * 80)


def test_words_that_cannot_be_those_of_the_recording_are_refused_when_they_are_stored(client, spoken):
    """Before, each speech in that voice failed."""
    told = refusal(store(client, spoken, transcript=LONG))
    assert told["param"] == "transcript"
    assert re.search(r"takes about 2\d\d s to say, but the recording holds 3\.\d s of speech\.", told["message"])
    assert client.get("/v1/audio/voices").json()["data"] == []
    voice = stored(client, spoken)
    changed = client.post(f"/v1/audio/voices/{voice['id']}", json={"transcript": LONG})
    assert refusal(changed)["message"] == told["message"]
    assert client.get(f"/v1/audio/voices/{voice['id']}").json()["transcript"] == WORDS


def test_what_is_not_used_of_a_recording_is_said_with_the_words_behind_the_cut(client, tmp_path):
    """Before, 59 s were taken, and some 10 of them used."""
    long = recording(tmp_path, 40.0)
    voice = stored(client, long, transcript=None)
    assert voice["seconds"] == pytest.approx(40, abs=0.3)
    assert 6 <= voice["used_seconds"] <= 10
    cut = f"of {voice['seconds']:.1f} s, {voice['used_seconds']:.1f} s are used: a voice is heard for 10 s"
    assert voice["note"] == cut
    words = " ".join(f"word{number}" for number in range(60))
    updated = client.post(f"/v1/audio/voices/{voice['id']}", json={"transcript": words}).json()
    behind = re.fullmatch(
        rf"{re.escape(cut)}; these of its words are taken to lie behind the cut: '(.+)'", updated["note"]
    )
    assert behind is not None
    assert words.endswith(behind[1].removeprefix("[S1] "))
    assert "word0 " not in behind[1]


def test_what_a_model_says_of_a_voice_names_its_part(service, client, spoken, monkeypatch):
    """Before, it spoke of an audio_prompt, which is no field of this door."""
    stored(client, spoken)
    problem = "takes about 225 s to say, but audio_prompt holds 3.0 s of speech. Give exactly the words."

    def refuse(*_, **__):
        raise InvalidRequest("audio_prompt_text", problem)

    monkeypatch.setattr(service.backend, "make", refuse)
    told = refusal(speak(service, voice="Ann"))
    assert told["param"] == "voice"
    assert told["message"] == (
        "voice 'Ann': the voice's transcript takes about 225 s to say, but the voice's recording holds 3.0 s of "
        "speech. Give exactly the words."
    )


def test_two_recordings_are_one_too_many(client, spoken):
    files = {name: ("a.wav", spoken) for name in ("audio", "audio_sample")}
    answer = client.post("/v1/audio/voices", data={"name": "Ann", "consent": CONSENT}, files=files)
    assert "was sent 2 times" in refusal(answer)["message"]


@pytest.mark.parametrize("field", ["transcript", "audio_sample"])
def test_a_field_that_is_sent_twice_is_refused(client, spoken, field):
    """Before, the last of them was taken."""
    sent = [("name", (None, "Ann")), ("consent", (None, CONSENT)), ("audio_sample", ("a.wav", spoken))]
    twice = ("a.wav", spoken) if field == "audio_sample" else (None, WORDS)
    answer = client.post(
        "/v1/audio/voices", files=[*sent, (field, twice), *([(field, twice)] * (field == "transcript"))]
    )
    problem = refusal(answer)
    assert (problem["param"], problem["message"]) == (field, f"{field} was sent 2 times. Send it once.")


def test_a_name_is_taken_once(service, client, spoken, tmp_path):
    voice = stored(client, spoken)
    problem = refusal(store(client, spoken))
    assert (problem["param"], problem["code"]) == ("name", "invalid_value")
    files = service.service.files
    (tmp_path / "voice.flac").write_bytes(b"fLaC")
    described = {"owner": "alice", "kind": VOICE, "name": "voice.flac", "content_type": "audio/flac"}
    file = files.stage(tmp_path / "voice.flac", **described)
    with pytest.raises(InvalidRequest, match="you have a voice of that name"):  # two at once: both were checked before
        service.service.voices.add(voices.Voice("alice", "Ann", CONSENT, "", file.id), file)
    assert client.get("/v1/audio/voices").json()["data"] == [in_a_list(voice)]
    assert files.get(file.id) is None
    with pytest.raises(FileNotFoundError):
        files.read(file)


def test_an_owner_has_so_many_voices_and_no_more(client, spoken, monkeypatch):
    assert voices.MOST_VOICES == 100
    monkeypatch.setattr(voices, "MOST_VOICES", 1)
    stored(client, spoken)
    problem = refusal(store(client, spoken, name="Bea"), 429)
    assert "You have 1 voices, the most that are kept" in problem["message"]


def test_an_unknown_voice_is_answered_with_those_there_are(service, client, spoken):
    stored(client, spoken)
    assert "there are Ann, s1, s2, ash," in refusal(speak(service, voice="Anne"))["message"]


def test_a_voice_that_is_deleted_while_speech_waits_for_it_fails_that(service, client, spoken):
    voice = stored(client, spoken)
    with service.closed() as gate, ThreadPoolExecutor(2) as callers:  # one prediction is made at a time
        first = callers.submit(speak, service, input="A||")
        wait_for(lambda: len(service.service.records.active()) == 1)
        second = callers.submit(speak, service, voice="Ann")
        wait_for(lambda: len(service.service.records.active()) == 2)
        client.delete(f"/v1/audio/voices/{voice['id']}")
        gate.set()
        assert first.result().status_code == 200
        problem = refusal(second.result())
    assert problem["param"] == "voice"
    told = "voice 'Ann': the voice's recording was deleted before this began. Send it again."
    assert problem["message"] == told


def test_whoever_has_no_token_stores_nothing(service, spoken):
    with service.client("no-token-of-20-letters--") as nobody:
        assert refusal(store(nobody, spoken), 401)["code"] == "invalid_api_key"
        assert refusal(store(nobody, spoken, other="x"), 401)["code"] == "invalid_api_key"
        assert refusal(nobody.get("/v1/audio/voices"), 401)["code"] == "invalid_api_key"
