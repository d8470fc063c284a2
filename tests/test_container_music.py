"""The second container over Cog's real server: its answers, its refusals, its models.

The models are constants here, so that what stands around them can be told exactly. Songs: test_container_songs.py.
"""

import json
import time
from collections.abc import Iterator

import numpy as np
import pytest
from engine_fixtures import until
from music_server_fixtures import (
    REFERENCE,
    ROOT,
    SHORT,
    content_of,
    failed,
    made,
    recording,
    refused,
    samples_of,
    succeeded,
    write_constant_predictor,
)

from container.client import CogClient
from container.server import CogServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CogServer]:
    with CogServer(REFERENCE, write_constant_predictor(tmp_path_factory.mktemp("music"))) as running:
        yield running


@pytest.fixture
def client(server: CogServer) -> CogClient:
    return server.client


# --- what is returned ----------------------------------------------------------------------------------------------


def test_a_song_is_an_object_and_what_is_absent_is_left_out(client: CogClient) -> None:
    answer = made(client)
    assert {name: value for name, value in answer.items() if name != "audio"} == {
        "duration": 2.0,
        "sample_rate": 100,
        "seed": 7,
        "model": "musicgen-melody",
    }
    np.testing.assert_allclose(samples_of(answer), np.full((1, 200), 0.07), atol=1e-4)


def test_mp3_is_what_comes_unless_it_is_said(client: CogClient) -> None:
    answer = succeeded(client.predict({"prompt": "piano", "duration": 1}))["output"]
    assert answer["audio"].startswith("data:audio/mpeg;")


@pytest.mark.parametrize(("output_format", "start"), [("wav", b"RIFF"), ("flac", b"fLaC"), ("ogg", b"OggS")])
def test_every_format_is_what_it_is_called(client: CogClient, output_format: str, start: bytes) -> None:
    assert content_of(made(client, output_format=output_format)).startswith(start)


def test_the_level_is_the_one_that_was_asked_for(client: CogClient) -> None:
    assert np.abs(samples_of(made(client, normalization_strategy="peak"))).max() == pytest.approx(0.8913, abs=1e-3)


def test_variations_follow_the_first_with_seeds_of_their_own(client: CogClient) -> None:
    """Whatever the count, the answer is the published object: the others are in a list of their own."""
    answer = made(client, count=3)
    others = answer["variations"]
    assert [one["seed"] for one in (answer, *others)] == [7, 8, 9]
    assert all({"audio", "duration", "sample_rate", "seed", "model"} == set(other) for other in others)
    np.testing.assert_allclose(samples_of(others[1]), np.full((1, 200), 0.09), atol=1e-4)
    assert samples_of(made(client, seed=9)) == pytest.approx(samples_of(others[1]))


@pytest.mark.parametrize("seed", [{}, {"seed": -1}], ids=["none", "random"])
def test_variations_follow_a_random_seed_too(client: CogClient, seed: dict[str, int]) -> None:
    """Each drew one of its own, though the schema says that it is the one before plus 1."""
    answer = succeeded(client.predict({"prompt": "piano", "duration": 1, "count": 3, **seed}))["output"]
    first, *others = [one["seed"] for one in (answer, *answer["variations"])]
    assert others == [(first + 1) % 2**32, (first + 2) % 2**32]


def test_a_loop_is_as_long_as_it_was_asked_for(client: CogClient) -> None:
    answer = made(client, loop=True, duration=4)
    assert answer["duration"] == 4.0
    assert samples_of(answer).shape == (1, 400)


def test_what_an_mp3_cannot_do_for_a_loop_is_said(client: CogClient) -> None:
    assert (
        "note: players leave a gap"
        in succeeded(client.predict({**SHORT, "loop": True, "output_format": "mp3"}))["logs"]
    )


def test_what_a_level_cuts_is_said(client: CogClient) -> None:
    """Of a constant at 1.2 of full scale; one at 0.02 fits."""
    loud = succeeded(client.predict({**SHORT, "seed": 120, "normalization_strategy": "loudness", "duration": 1}))
    assert loud["logs"].count("samples past full scale") == 1
    faint = succeeded(client.predict({**SHORT, "seed": 2, "normalization_strategy": "rms", "duration": 1}))
    assert "samples past full scale" not in faint["logs"]


def test_a_seed_of_0_is_kept_and_none_is_random_and_reported(client: CogClient) -> None:
    assert made(client, seed=0)["seed"] == 0
    without = [succeeded(client.predict({"prompt": "piano", "duration": 1, **seed})) for seed in ({}, {"seed": -1})]
    seeds = {one["output"]["seed"] for one in without}
    assert len(seeds) == 2
    assert {one["metrics"]["seed"] for one in without} == seeds


def test_metrics_and_logs_tell_how_it_went(client: CogClient) -> None:
    prediction = succeeded(client.predict({**SHORT, "count": 2}))
    assert prediction["metrics"]["tokens"] == 40
    assert prediction["metrics"]["audio_seconds"] == 4.0
    assert "seed: 7, 8" in prediction["logs"]
    assert prediction["logs"].count("note: a note") == 1  # both variations said it


# --- what is refused -----------------------------------------------------------------------------------------------


def rule_breakers() -> Iterator[tuple[str, object]]:
    """(field, value) for every type, limit and choice that the schema declares."""
    schemas = json.loads((ROOT / "tests" / "golden" / "openapi_schema_music.json").read_text())["components"]["schemas"]
    for name, declared in schemas["Input"]["properties"].items():
        match schemas[name]["type"] if "allOf" in declared else declared["type"]:
            case "string":
                yield from ((name, 5), (name, None))
            case "boolean":
                yield from ((name, 1), (name, "true"))
            case "integer":
                yield from ((name, 1.5), (name, "1"), (name, declared["minimum"] - 1), (name, declared["maximum"] + 1))
            case "number":
                yield from ((name, "1"), (name, declared["minimum"] - 0.01), (name, declared["maximum"] + 0.01))
        if "allOf" in declared:
            yield name, schemas[name]["enum"][0].upper()


@pytest.mark.parametrize(("field", "value"), [*rule_breakers()])
def test_an_input_outside_of_the_schema_is_refused_by_name(client: CogClient, field: str, value: object) -> None:
    response = client.predict({**SHORT, field: value})
    assert response.status == 422, response.text
    assert response.json()["detail"][0]["loc"][-1] == field


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({"continuation": True}, "input_audio"),
        ({"continuation_start": 3}, "continuation_start"),
        ({"continuation_end": 3}, "continuation_end"),
        ({"input_audio": recording(), "model_version": "large"}, "input_audio"),
        ({"input_audio": recording(), "model_version": "audiogen-medium"}, "input_audio"),
        ({"input_audio": recording(), "continuation_start": 2, "continuation_end": 1}, "continuation_start"),
        ({"input_audio": recording(), "continuation_end": 0}, "continuation_start"),
        ({"melody_audio": recording()}, "melody_audio"),
        (
            {"input_audio": recording(), "continuation": True, "melody_audio": recording(), "model_version": "large"},
            "melody_audio",
        ),
        ({"input_audio": "/etc/hostname"}, "input_audio"),
        ({"melody_audio": "file:///etc/hostname"}, "melody_audio"),
        ({"multi_band_diffusion": True, "model_version": "audiogen-medium"}, "multi_band_diffusion"),
        ({"song_id": 1}, "key"),
        ({"key": "x"}, "song_id"),
        ({"prompt": "a" * 4097}, "prompt"),
        ({"prompt": "refused"}, "prompt"),  # by the plan of the model
    ],
)
def test_inputs_that_do_not_fit_each_other_are_refused_by_name(client: CogClient, inputs: dict, field: str) -> None:
    failed(client.predict({**SHORT, **inputs}), f"{field}: ")


def test_without_a_prompt_and_without_audio_there_is_nothing_to_make(client: CogClient) -> None:
    failed(client.predict({"duration": 1}), "prompt: is missing, and so is input_audio")


def test_what_breaks_is_told_with_its_trace_and_a_mistake_without(server: CogServer) -> None:
    broken = refused(server, "broken", prompt="broken")
    assert "a string of the guitar" in broken.error
    assert "Traceback" in broken.printed
    assert "Traceback" not in refused(server, "refused", prompt="refused").printed


# --- models --------------------------------------------------------------------------------------------------------


def test_one_model_at_a_time_is_in_memory(client: CogClient) -> None:
    def loads(version: str) -> list[str]:
        prediction = succeeded(client.predict({**SHORT, "model_version": version}))
        return [line for line in prediction["logs"].splitlines() if line.startswith("loaded")]

    loads("melody")
    assert loads("melody") == []
    assert loads("audiogen-medium") == ["loaded audiogen-medium"]
    assert loads("audiogen-medium") == []
    assert loads("melody") == ["loaded musicgen-melody"]


def test_a_model_that_is_not_to_be_had_takes_none_out_of_memory(client: CogClient) -> None:
    made(client)
    failed(client.predict({**SHORT, "model_version": "large"}), "musicgen-large is not here")
    assert "loaded" not in succeeded(client.predict(SHORT))["logs"]


def test_the_model_of_the_default_is_there_before_the_first_request(server: CogServer) -> None:
    """What a prediction prints carries its id; a line at the end of setup may reach the log a moment later."""
    until(lambda: any((line.text, line.prediction_id) == ("loaded musicgen-melody", None) for line in server.log))


def test_the_schema_is_served(client: CogClient) -> None:
    golden = json.loads((ROOT / "tests" / "golden" / "openapi_schema_music.json").read_text())
    assert client.request("GET", "/openapi.json").json() == golden


def test_a_cancelled_prediction_frees_the_server_soon(client: CogClient) -> None:
    assert client.wait_until_ready(5)
    assert client.start({"prompt": "endless", "duration": 300, "count": 3}, "cancelled").status == 202
    started = time.monotonic()
    assert client.cancel_and_wait("cancelled", 10)
    assert time.monotonic() - started < 5
    made(client)
