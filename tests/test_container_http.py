"""The container's HTTP contract: Cog's real server before the real predictor, with a model of random weights.

The rows are coglet 0.23.1's recorded answers. What Cog's schema cannot refuse, the predictor does: then the status is
200 and the prediction `failed`, with a message that names the input.
"""

import base64
import io
import json
import threading
import time
from pathlib import Path

import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from container.client import CogClient, Response
from container.server import CogServer

ROOT = Path(__file__).parent.parent
MODEL = {"PARLEY_MODEL": "dia-random", "OMP_NUM_THREADS": "1"}
FORMATS = ("wav", "mp3", "flac", "ogg", "opus")
LONG = "[S1] One more sentence of the same kind, please. [S2] Here it is, as long as the one before. " * 7
SHORT = {"text": "[S1] Hi.", "max_new_tokens": 500, "seed": 1}


@pytest.fixture(scope="module")
def server():
    with CogServer(directory=ROOT, environment=MODEL) as running:
        yield running


@pytest.fixture(scope="module")
def client(server) -> CogClient:
    return server.client


def refused(response: Response, field: str, said: str) -> None:
    assert response.status == 422, response.text
    problems = {detail["loc"][-1]: detail["msg"] for detail in response.json()["detail"]}
    assert said in problems[field]


def failed(response: Response, *said: str) -> None:
    assert response.status == 200, response.text
    prediction = response.json()
    assert prediction["status"] == "failed"
    for words in said:
        assert words in prediction["error"]


def succeeded(response: Response) -> dict:
    assert response.status == 200, response.text
    prediction = response.json()
    assert prediction["status"] == "succeeded", prediction
    return prediction


def audio_of(prediction: dict) -> tuple[str, bytes]:
    head, _, payload = prediction["output"].partition(",")
    return head, base64.b64decode(payload)


def sound(seconds: float = 1.0) -> str:
    file = io.BytesIO()
    soundfile.write(file, [((i * i) % 200 - 100) / 400 for i in range(int(16_000 * seconds))], 16_000, format="WAV")
    return "data:audio/wav;base64," + base64.b64encode(file.getvalue()).decode()


# --- what is taken -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_dialogue_is_returned_in_the_format_that_was_asked_for(client, output_format):
    prediction = succeeded(client.predict({**SHORT, "output_format": output_format}))
    head, content = audio_of(prediction)
    assert head.startswith("data:audio/")
    starts = {"wav": b"RIFF", "flac": b"fLaC", "ogg": b"OggS", "opus": b"OggS"}
    assert content.startswith(starts.get(output_format, (b"ID3", b"\xff\xfb", b"\xff\xf3")))


def test_the_same_seed_gives_the_same_file_and_the_metrics_tell_the_seed(client):
    first, second = (succeeded(client.predict(SHORT)) for _ in range(2))
    assert audio_of(first) == audio_of(second)
    assert first["metrics"]["seed"] == 1
    assert first["metrics"]["predict_time"] > 0


def test_a_whole_number_in_a_float_and_a_float_that_is_whole_are_taken(client):
    """coglet passes 4 for a number and 600.0 for an integer as they are."""
    succeeded(client.predict({**SHORT, "cfg_scale": 4, "max_new_tokens": 600.0, "seed": 7.0}))


def test_an_unknown_input_is_stripped(client, server):
    succeeded(client.predict({**SHORT, "volume": 11}))
    assert any(line.text == "Stripped unknown input fields" for line in server.log)


def test_a_voice_prompt_is_taken_as_a_data_uri(client):
    prompt = {"audio_prompt": sound(), "audio_prompt_text": "[S1] Some words."}
    succeeded(client.predict({**SHORT, **prompt}))


def test_a_voice_prompt_without_its_words_is_listened_to_and_the_logs_say_what_was_heard(client, clip):
    file = io.BytesIO()
    soundfile.write(file, clip.samples[round(12.5 * 16_000) : round(14.3 * 16_000)], 16_000, format="WAV")
    recording = "data:audio/wav;base64," + base64.b64encode(file.getvalue()).decode()
    prediction = succeeded(client.predict({**SHORT, "audio_prompt": recording}))
    (note,) = [line for line in prediction["logs"].splitlines() if line.startswith("note: audio_prompt_text")]
    assert "in New Jersey" in note


# --- what Cog refuses by the schema --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "field", "said"),
    [
        ({}, "text", "Field required"),
        ({"text": ""}, "text", "shorter than 1 character"),
        ({"text": "a", "cfg_scale": 9}, "cfg_scale", "9 is greater than the maximum of 5"),
        ({"text": "a", "max_new_tokens": 499}, "max_new_tokens", "499 is less than the minimum of 500"),
        ({"text": "a", "max_new_tokens": "600"}, "max_new_tokens", 'is not of type "integer"'),
        ({"text": "a", "max_new_tokens": 600.5}, "max_new_tokens", 'is not of type "integer"'),
        ({"text": "a", "max_new_tokens": True}, "max_new_tokens", 'true is not of type "integer"'),
        ({"text": "a", "seed": None}, "seed", 'null is not of type "integer"'),
        ({"text": "a", "seed": -1}, "seed", "-1 is less than the minimum of 0"),
        ({"text": "a", "seed": 2**32}, "seed", "greater than the maximum of 4294967295"),
        ({"text": "a", "seed": 123456789012345678901234567890}, "seed", "greater than the maximum"),
        ({"text": "a", "output_format": "aac"}, "output_format", 'is not one of ["wav","mp3"'),
        ({"text": 5}, "text", 'is not of type "string"'),
        ([], "__root__", 'is not of type "object"'),
    ],
)
def test_an_input_outside_of_the_schema_is_refused_by_name(client, inputs, field, said):
    refused(client.predict(inputs), field, said)


def test_two_errors_are_answered_together(client):
    response = client.predict({"text": "a", "cfg_scale": 9, "max_new_tokens": "x"})
    refused(response, "cfg_scale", "maximum of 5")
    refused(response, "max_new_tokens", "integer")


def test_a_body_without_input_is_refused(client):
    refused(client.request("POST", "/predictions", {"text": "a"}), "text", "Field required")


def test_an_id_in_the_body_must_be_the_one_of_the_path(client):
    refused(client.request("PUT", "/predictions/a", {"id": "b", "input": SHORT}), "id", "")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"input": ', {}, 400),
        (b'{"input": {"text": "a", "seed": NaN}}', {}, 400),
        (b"[]", {}, 422),
        (b'{"input": {"text": "a"}}', {"Content-Type": "text/plain"}, 415),
    ],
)
def test_a_body_that_is_no_request_is_refused(client, body, headers, status):
    assert client.request("POST", "/predictions", body=body, headers=headers).status == status


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/predictions", 405), ("GET", "/nowhere", 404)])
def test_other_routes_do_not_exist(client, method, path, status):
    assert client.request(method, path).status == status


def test_the_schema_is_served(client):
    golden = json.loads((ROOT / "tests" / "golden" / "openapi_schema.json").read_text())
    assert client.request("GET", "/openapi.json").json() == golden


# --- what the predictor refuses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/etc/hostname", "file:///etc/hostname", "ftp://localhost/a.wav", "predict.py", ""])
def test_a_file_of_the_server_is_never_read_as_a_prompt(client, path):
    """Cog passes whatever is no http: or data: URI to the predictor as a string, unchecked."""
    failed(client.predict({**SHORT, "audio_prompt": path, "audio_prompt_text": "[S1] Some words."}), "audio_prompt")


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_recording_on_the_server_is_never_read_as_a_prompt(client, tmp_path, scheme):
    """Else any caller could clone a voice from another caller's file by guessing its path."""
    recording = tmp_path / "voice.wav"
    recording.write_bytes(base64.b64decode(sound().partition(",")[2]))
    inputs = {**SHORT, "audio_prompt": f"{scheme}{recording}", "audio_prompt_text": "[S1] Some words."}
    failed(client.predict(inputs), "audio_prompt")


@pytest.mark.parametrize("uri", ["data:audio/wav;base64,", "data:audio/wav;base64,@@@", "data:audio/wav;base64,AAAA"])
def test_a_prompt_that_is_no_audio_is_refused_by_name(client, uri):
    failed(client.predict({**SHORT, "audio_prompt": uri, "audio_prompt_text": "[S1] Some words."}), "audio_prompt")


def test_a_prompt_that_cannot_be_fetched_is_a_failure_that_names_the_cause(client):
    inputs = {**SHORT, "audio_prompt": "http://127.0.0.1:9/voice.wav", "audio_prompt_text": "[S1] Some words."}
    failed(client.predict(inputs), "127.0.0.1")


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({"text": "   "}, "text"),
        ({"text": "a" * 5000}, "text"),
        ({"text": "a", "audio_prompt_text": "[S1] Words without a voice."}, "audio_prompt_text"),
        ({"text": "a", "audio_prompt": sound()}, "audio_prompt_text"),
    ],
)
def test_inputs_that_do_not_fit_each_other_are_refused_by_name(client, inputs, field):
    failed(client.predict(inputs), f"{field}: ")


# --- many bad requests ---------------------------------------------------------------------------------------------

BAD_NUMBERS = st.one_of(st.text(max_size=5), st.booleans(), st.none(), st.lists(st.integers(), max_size=2))
BAD_VALUES = {
    "text": st.one_of(
        st.just(""), st.sampled_from([" ", "\n\t", "\u3000"]), st.none(), st.integers(), st.just("a" * 4097)
    ),
    "audio_prompt": st.one_of(
        st.none(),
        st.integers(),
        st.from_regex(r"/?[a-z/.]{1,30}", fullmatch=True),
        st.binary(max_size=30).map(lambda raw: f"data:audio/wav;base64,{base64.b64encode(raw).decode()}"),
    ),
    "audio_prompt_text": st.one_of(st.none(), st.floats(allow_nan=False), st.just("[S1] Words without a voice.")),
    "max_new_tokens": BAD_NUMBERS | st.integers(max_value=499) | st.integers(min_value=4097) | st.just(700.25),
    "max_audio_prompt_seconds": BAD_NUMBERS | st.integers(max_value=0) | st.integers(min_value=121),
    "cfg_scale": BAD_NUMBERS | st.floats(max_value=0.99, allow_nan=False, allow_infinity=False) | st.just(1e300),
    "temperature": BAD_NUMBERS | st.floats(min_value=2.01, allow_infinity=False) | st.just(-1e-9),
    "top_p": BAD_NUMBERS | st.sampled_from([0, 0.09, 1.001, -1]),
    "cfg_filter_top_k": BAD_NUMBERS | st.integers(max_value=9) | st.integers(min_value=101),
    "speed_factor": BAD_NUMBERS | st.sampled_from([0, 0.49, 1.51, 1e9]),
    "seed": BAD_NUMBERS | st.integers(max_value=-1) | st.integers(min_value=2**32) | st.just(0.5),
    "output_format": st.text(max_size=5).filter(lambda name: name not in FORMATS) | st.none() | st.integers(),
}


@st.composite
def bad_inputs(draw) -> tuple[str, dict]:
    """A request with one bad input, and the input's name."""
    field = draw(st.sampled_from(sorted(BAD_VALUES)))
    inputs = {"text": "[S1] Hi.", field: draw(BAD_VALUES[field])}
    if field == "audio_prompt":
        inputs["audio_prompt_text"] = "[S1] Some words."
    return field, inputs


@given(bad=bad_inputs())
@settings(
    max_examples=200,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_a_bad_request_is_answered_with_the_name_of_the_bad_input(client, bad):
    field, inputs = bad
    response = client.predict(inputs)
    assert 200 <= response.status < 500, response.text
    if response.status == 200:
        failed(response, field)
    elif response.status != 400:  # 400: a number that no JSON reader takes, such as one of 400 digits
        refused(response, field, "")


def test_the_server_is_ready_after_all_that(client):
    assert client.wait_until_ready(5)
    succeeded(client.predict(SHORT))


# --- busy, cancel, end ---------------------------------------------------------------------------------------------


def test_a_second_prediction_is_refused_while_one_runs(client):
    assert client.wait_until_ready(5)
    assert client.start({"text": LONG, "max_new_tokens": 4096}, "long").status == 202
    response = client.request("POST", "/predictions", {"input": SHORT})
    assert response.status == 409
    assert "busy" in response.text
    assert client.health()["status"] == "BUSY"
    assert client.cancel_and_wait("long", 10)


def test_a_cancelled_prediction_frees_the_server_soon(client):
    assert client.wait_until_ready(5)
    assert client.start({"text": LONG, "max_new_tokens": 4096}, "cancelled").status == 202
    time.sleep(0.3)
    assert client.health()["status"] == "BUSY", "the prediction must be longer than the wait"
    started = time.monotonic()
    assert client.cancel_and_wait("cancelled", 10)
    assert time.monotonic() - started < 2
    succeeded(client.predict(SHORT))


def test_a_server_that_is_asked_to_end_answers_what_runs_and_exits():
    answers: list[Response] = []
    with CogServer(directory=ROOT, environment=MODEL) as server:
        waiting = threading.Thread(target=lambda: answers.append(server.client.predict(SHORT)))
        waiting.start()
        while server.client.health()["status"] != "BUSY":
            time.sleep(0.01)
        assert server.stop(grace_seconds=30) == 0
        waiting.join(5)
    succeeded(answers[0])
