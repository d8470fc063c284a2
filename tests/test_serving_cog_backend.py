"""What containers make is as an engine here would have made it: taken over whole, cancelled, never made twice."""

import base64
import time
from concurrent.futures import Future

import pytest
from serving_cog_fixtures import (
    HASTY,
    METRICS,
    PIECES,
    Heard,
    Intake,
    closed,
    data_uri,
    fake_cogs,
    succeeded,
    write_tone,
)
from serving_fixtures import PIECE, RATE, wait_for

from models.audio.encode import WAV_HEADER_SIZE
from models.errors import Cancelled, GenerationFailed, InvalidRequest
from models.inputs import DialogueInputs, SettledInputs
from serving.cog import fleet
from serving.cog.order import MOST_FILE_BYTES
from serving.work.backend import MadeFile
from serving.work.runner import GivenUp


@pytest.fixture
def tone_bytes(tmp_path):
    return write_tone(tmp_path / "tone.wav")


@pytest.fixture
def cogs(tone_bytes):
    with fake_cogs(2, lambda inputs: succeeded(data_uri(tone_bytes))) as fakes:
        yield fakes


@pytest.fixture(autouse=True)
def _short_rests(monkeypatch):
    monkeypatch.setattr(fleet, "LONGEST_REST", 0.1)


@pytest.fixture
def cog(cogs):
    cogs[1].die()
    return cogs[0]


# --- what is made ----------------------------------------------------------------------------------------------------


def test_file_samples_logs_and_metrics_are_taken_over(tmp_path, cog, tone_bytes):
    heard = Heard()
    made = Intake(tmp_path, [cog]).make(heard=heard)
    assert (made.path.read_bytes(), made.content_type) == (tone_bytes, "audio/wav")
    assert (heard.pcm, heard.rates) == (tone_bytes[WAV_HEADER_SIZE:], {RATE})
    assert heard.logs == ["seed: 7", "ended well"]
    assert heard.shares[-1] == (0.5, 0.2)
    seconds = PIECES * PIECE / RATE
    told = {name: value for name, value in METRICS.items() if name != "status"}
    assert made.metrics == {**told, "end": "end_of_sequence", "audio_seconds": seconds, "sample_rate": RATE}


def test_inputs_go_as_cog_takes_them(tmp_path, cog):
    """coglet refuses null for what may be left out."""
    voice = tmp_path / "voice"
    voice.write_bytes(b"abc")
    inputs = DialogueInputs(text="a", audio_prompt=voice, audio_prompt_text="b", speed_factor=1.0)
    Intake(tmp_path, [cog]).make(inputs=inputs)
    sent = cog.inputs[0]
    assert base64.b64decode(sent.pop("audio_prompt").partition(",")[2]) == b"abc"
    assert sent == inputs.model_dump(exclude={"audio_prompt", "seed"})


def test_a_seed_that_was_settled_is_sent(tmp_path, cog):
    Intake(tmp_path, [cog]).make()
    assert cog.inputs[0]["seed"] == 7


def test_a_file_that_the_container_uploaded_is_fetched(tmp_path, cog, tone_bytes):
    cog.files["/up/tone.wav"] = tone_bytes
    cog.answer = lambda inputs: succeeded(f"{cog.url}/up/tone.wav")
    assert Intake(tmp_path, [cog]).make().path.read_bytes() == tone_bytes


def test_how_far_it_is_is_told_while_it_runs(tmp_path, cog):
    heard = Heard()
    with closed(cog):
        making = Intake(tmp_path, [cog]).begin(heard=heard)
        wait_for(lambda: heard.shares)
        assert heard.logs == ["seed: 7"]
        cog.logs = "seed: 7\n\r 40%|####  | 00:01<00:02, 9 tokens, 0.1 s, 1.00 x real time"
        wait_for(lambda: heard.shares[-1] == (0.4, 0.1))
    making.result(10)
    assert len(cog.began) == 1
    assert heard.logs == ["seed: 7", "ended well"]


# --- what is not -----------------------------------------------------------------------------------------------------


def refusal(**detail):
    return lambda inputs: {"http": 422, "detail": [{"loc": ["body", "input", "cfg_scale"], **detail}]}


def test_what_the_container_refuses_is_the_callers_to_mend(tmp_path, cog):
    cog.answer = refusal(msg="9 is greater than the maximum of 5")
    with pytest.raises(InvalidRequest, match=r"^cfg_scale: 9 is greater than the maximum of 5$"):
        Intake(tmp_path, [cog]).make()


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        ("Prediction failed: Prediction failed: ValueError: boom", GenerationFailed, "ValueError: boom"),
        ("Prediction failed: UnreadableAudio: audio_prompt: is empty.", InvalidRequest, "audio_prompt: is empty."),
    ],
)
def test_what_failed_there_failed_here_with_the_same_words(tmp_path, cog, error, kind, told):
    cog.answer = lambda inputs: {"status": "failed", "error": error, "logs": ""}
    with pytest.raises(kind) as caught:
        Intake(tmp_path, [cog]).make()
    assert str(caught.value) == told
    assert len(cog.began) == 1


@pytest.mark.parametrize("output", [None, "/tmp/o.wav", [], "data:audio/wav;base64,AAAA", "data:audio/wav;base64,@@@@"])
def test_what_is_no_audio_file_is_a_failure(tmp_path, cog, output):
    cog.answer = lambda inputs: succeeded(output)
    with pytest.raises(GenerationFailed):
        Intake(tmp_path, [cog]).make()


def test_an_answer_that_is_not_cogs_is_a_failure(tmp_path, cog):
    cog.answer = lambda inputs: {"http": 418}
    with pytest.raises(GenerationFailed, match="418"):
        Intake(tmp_path, [cog]).make()


def test_what_no_container_takes_is_refused_before_one_is_asked(tmp_path, cog):
    voice = tmp_path / "voice"
    with voice.open("wb") as file:
        file.truncate(MOST_FILE_BYTES + 1)
    intake = Intake(tmp_path, [cog])
    with pytest.raises(InvalidRequest, match=f"^audio_prompt: is {MOST_FILE_BYTES + 1} bytes"):
        intake.make("p1", DialogueInputs(text="a", audio_prompt=voice, audio_prompt_text="b"))
    most = DialogueInputs.model_json_schema()["properties"]["max_new_tokens"]["maximum"]
    with pytest.raises(InvalidRequest, match=f"^text: is 9 characters .* {most} tokens, 47 s, .* Send it in parts"):
        intake.make("p2", SettledInputs(text="[S1] Long", max_new_tokens=most + 1))
    assert cog.began == []


# --- busy ------------------------------------------------------------------------------------------------------------


def test_a_busy_container_is_asked_again(tmp_path, cog):
    cog.refuses = 3
    Intake(tmp_path, [cog]).make()
    assert (cog.refused, len(cog.began)) == (3, 1)


def test_each_container_has_one_at_a_time_and_all_are_used(tmp_path, cogs):
    intake = Intake(tmp_path, cogs)
    with closed(*cogs):
        making = [intake.begin(f"p{number}") for number in range(6)]
        wait_for(lambda: all(cog.running for cog in cogs))
    for one in making:
        one.result(10)
    assert sum(len(cog.began) for cog in cogs) == 6
    assert [cog.refused for cog in cogs] == [0, 0]


def test_who_waits_longest_is_next(tmp_path, cog):
    intake = Intake(tmp_path, [cog])
    with closed(cog):
        first = intake.begin("p0")
        wait_for(lambda: cog.running)
        waiting = []
        for number in range(1, 5):
            waiting.append(intake.begin(f"p{number}"))
            wait_for(lambda number=number: len(intake.backend._fleet._waiting) == number)
    for one in (first, *waiting):
        one.result(10)
    assert [name.partition("-")[0] for name in cog.began] == ["p0", "p1", "p2", "p3", "p4"]


def test_a_container_that_others_keep_busy_is_waited_for_without_end(tmp_path, cog):
    cog.health = "BUSY"
    making = Intake(tmp_path, [cog], HASTY).begin()
    time.sleep(1.5 * HASTY.lost)
    assert not making.done()
    cog.health = "READY"
    making.result(10)


# --- cancelled -------------------------------------------------------------------------------------------------------


def cancelled_after(intake: Intake, making: "Future[MadeFile]") -> float:
    """→ seconds"""
    began = time.monotonic()
    intake.backend.cancel("p1")
    with pytest.raises(Cancelled):
        making.result(10)
    return time.monotonic() - began


def test_what_runs_is_cancelled_there_within_a_second(tmp_path, cog):
    intake = Intake(tmp_path, [cog])
    with closed(cog):
        making = intake.begin()
        wait_for(lambda: cog.running)
        assert cancelled_after(intake, making) < 1
        assert (cog.cancelled, cog.running) == (cog.began, None)


def test_a_cancel_that_the_container_lost_is_said_again(tmp_path, cog):
    cog.deaf = 1
    intake = Intake(tmp_path, [cog])
    with closed(cog):
        making = intake.begin()
        wait_for(lambda: cog.running)
        cancelled_after(intake, making)
        assert (cog.cancelled, cog.hung_up) == (cog.began, [])


def test_a_container_that_does_not_listen_is_left(tmp_path, cog):
    cog.silent = True
    intake = Intake(tmp_path, [cog])
    making = intake.begin()
    wait_for(lambda: cog.running)
    assert cancelled_after(intake, making) < 1
    wait_for(lambda: cog.hung_up)


def test_one_that_waits_is_cancelled_and_begins_nowhere(tmp_path, cog):
    cog.health = "BUSY"
    intake = Intake(tmp_path, [cog])
    making = intake.begin()
    wait_for(lambda: intake.backend._cancelled)
    assert cancelled_after(intake, making) < 1
    cog.health = "READY"
    intake.make("p2")
    assert len(cog.began) == 1


def test_what_nobody_wants_any_more_is_stopped_there(tmp_path, cog):
    """The worker has given up, or its database says that it is over."""

    def give_up() -> None:
        raise GivenUp

    with closed(cog):
        making = Intake(tmp_path, [cog]).begin(heard=Heard(on_progress=give_up))
        with pytest.raises(GivenUp):
            making.result(10)
        assert cog.cancelled == cog.began


def test_what_is_not_there_cannot_be_cancelled(tmp_path, cog):
    Intake(tmp_path, [cog]).backend.cancel("unheard-of")
