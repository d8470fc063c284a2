"""What door 3 makes of what it is sent, without a service."""

import json
from typing import Any

import pytest
from fastapi import FastAPI

from models.errors import InvalidRequest
from models.inputs import DialogueInputs
from serving.catalog import AUDIOGEN, DIA, MODELS, MUSICGEN, Served
from serving.doors.tasks.dialects import DIALECTS, dialect_of, name_of, script_of
from serving.doors.tasks.request import read_key, read_task
from serving.doors.tasks.routes import router

SPEECH = {DIA.full_name: DIA}
SOUNDS = [name for name in DIALECTS if name != "dia"]


def asked(body: Any, served: Served = MODELS) -> dict[str, Any]:
    return dict(read_task(body, served).input)


def dia(**configs: Any) -> dict[str, Any]:
    return asked({"prompt": "[S1] Hey", "configs": {"model": "dia", **configs}})


def problems_of(body: Any, served: Served = MODELS) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as raised:
        read_task(body, served)
    return dict(raised.value.problems)


def problem_of_sound(**configs: Any) -> dict[str, str]:
    return problems_of({"prompt": "rain", "configs": configs})


def test_what_is_left_out_is_audiogen_for_five_seconds_with_top_k_15_and_top_p_09() -> None:
    expected = {"prompt": "rain", "duration": 5, "top_k": 15, "top_p": 0.9}
    assert asked({"prompt": "rain"}) == expected
    assert asked({"prompt": "rain", "configs": None}) == expected
    assert asked({"prompt": "rain", "configs": {"duration": None}}) == expected
    assert read_task({"prompt": "rain"}, MODELS).dialect.model is AUDIOGEN


@pytest.mark.parametrize("model", SOUNDS)
def test_every_sound_model_has_the_same_defaults(model: str) -> None:
    request = read_task({"prompt": "rain", "configs": {"model": model, "top_k": 16}}, MODELS)
    version = {"model_version": model.removeprefix("musicgen-")} if model != "audiogen" else {}
    assert request.dialect.model is (MUSICGEN if version else AUDIOGEN)
    assert request.input == {"prompt": "rain", "duration": 5, "top_k": 16, "top_p": 0.9, **version}
    assert request.settled == {}
    assert name_of(request.dialect.model.full_name, request.input) == model


@pytest.mark.parametrize("model", DIALECTS)
def test_every_model_has_a_name_and_fields_when_its_inputs_are_deleted(model: str) -> None:
    """Before, tasks of MusicGen were answered 500 from the day on which their data was removed."""
    dialect = DIALECTS[model]
    assert name_of(dialect.model.full_name, {}) == dialect.model.name
    assert dialect_of(dialect.model.full_name).fields == dialect.fields
    assert dialect_of(dialect.model.full_name).settings == dialect.settings


def test_the_models_are_those_of_the_original_and_dia() -> None:
    assert {"audiogen", "dia", "musicgen-small", "musicgen-medium", "musicgen-large", "musicgen-melody"} < set(DIALECTS)
    assert {f"musicgen-stereo-{size}" for size in ("small", "medium", "large", "melody")} < set(DIALECTS)


def test_dia_keeps_its_own_defaults() -> None:
    assert dia() == {"text": "[S1] Hey"}


def test_dias_settings_are_called_by_its_own_names_inside() -> None:
    given = {"seed": 7, "speed_factor": 1.0, "temperature": 0.5, "cfg_scale": 2.0, "output_format": "mp3"}
    voice = {"audio_prompt": "https://example.org/voice.wav", "audio_prompt_text": "[S1] Voice."}
    assert dia(top_k=20, top_p=0.5, **given, **voice) == {
        "text": "[S1] Hey", "cfg_filter_top_k": 20, "top_p": 0.5, **given, **voice,
    }  # fmt: skip


@pytest.mark.parametrize(("seconds", "tokens"), [(6, 517), (10, 861), (47, 4048)])
def test_dias_duration_is_tokens_inside(seconds: int, tokens: int) -> None:
    assert dia(duration=seconds)["max_new_tokens"] == tokens
    assert DIALECTS["dia"].configs({"max_new_tokens": tokens}) == {"duration": seconds}


@pytest.mark.parametrize("seconds", [5, 48, 0, -1, 6.5, True, "10", [10], float("nan"), float("inf"), 10**400])
def test_a_duration_that_dia_cannot_have_is_refused_in_seconds(seconds: Any) -> None:
    found = problems_of({"prompt": "Hey", "configs": {"model": "dia", "duration": seconds}})
    assert list(found) == ["configs.duration"]
    assert found["configs.duration"].endswith("it must be a whole number of seconds from 6 to 47.")


def test_everything_that_the_dialogue_model_takes_can_be_set() -> None:
    """A new input of the model is a setting here on the day it comes."""
    inputs = {setting.input for setting in DIALECTS["dia"].settings.values()} | {"text"}
    assert inputs == set(DialogueInputs.model_fields)


@pytest.mark.parametrize(
    ("name", "good"),
    [("top_k", 1), ("top_k", 1000), ("top_k", 15.0), ("top_p", 0), ("top_p", 1), ("duration", 1), ("duration", 300)],
)
def test_limits_are_included(name: str, good: float) -> None:
    assert asked({"prompt": "rain", "configs": {name: good}})[name] == good


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        *(("top_k", bad) for bad in (0, 1001, 1.5, "15", True, [1], {})),
        *(("top_p", bad) for bad in (-0.1, 1.1, "0.9", False, float("nan"), float("inf"))),
        *(("duration", bad) for bad in (0, -5, 0.5, 301, "5", True, float("inf"), float("nan"))),
    ],
)
def test_beyond_its_limits_a_setting_is_named_with_value_and_limits(name: str, bad: Any) -> None:
    limits = {
        "top_k": "a whole number from 1 to 1000",
        "top_p": "a number from 0 to 1",
        "duration": "a whole number of seconds from 1 to 300",
    }
    assert problem_of_sound(**{name: bad}) == {f"configs.{name}": f"is {bad!r}; it must be {limits[name]}."}


def test_configs_may_be_a_string_of_json() -> None:
    configs = {"model": "musicgen-large", "duration": 8}
    body = {"prompt": "drums", "configs": json.dumps(configs)}
    assert asked(body) == asked({"prompt": "drums", "configs": configs})
    assert asked({"prompt": "rain", "configs": "{}"}) == asked({"prompt": "rain"})
    assert asked({"prompt": "rain", "configs": "null"}) == asked({"prompt": "rain"})


@pytest.mark.parametrize("configs", ["", "{", "[]", "5", '"{}"', 5, [], True, "[" * 100_000, "1" * 5000])
def test_configs_that_are_no_object_are_refused(configs: Any) -> None:
    assert list(problems_of({"prompt": "rain", "configs": configs})) == ["configs"]


@pytest.mark.parametrize("body", [[], "rain", 5, b'{"prompt": "rain"}'])
def test_a_body_that_is_no_object_is_refused(body: Any) -> None:
    assert "application/json" in problems_of(body)["body"]


def test_a_form_is_told_to_be_no_json_and_is_not_quoted() -> None:
    """Before: is b'------WebKit…'."""
    told = problems_of(b'------WebKit\r\nContent-Disposition: form-data; name="prompt"\r\n')["body"]
    assert told.startswith("is not sent as JSON; it must be a JSON object. Send ")


@pytest.mark.parametrize("prompt", [None, "", " \n\t", 5, ["rain"], {"text": "rain"}, "half \ud83d"])
def test_a_prompt_must_be_words(prompt: Any) -> None:
    assert list(problems_of({"prompt": prompt})) == ["prompt"]


def test_a_prompt_is_needed() -> None:
    assert problems_of({}) == {"prompt": "is missing; it has no default. Send what is to be heard."}


def test_unknown_fields_are_named_with_what_is_taken() -> None:
    assert problems_of({"prompt": "rain", "config": {}}) == {
        "config": "is no field of a task, which takes prompt and configs."
    }
    own = "input_audio, continuation_start, continuation_end, normalization_strategy, temperature"
    told = problem_of_sound(topk=3)["configs.topk"]
    assert told.startswith(f"is no setting of audiogen, which takes model, duration, top_k, top_p, {own}, ")
    for name in ("count", "model_version", "key"):
        assert (
            "is no setting of musicgen-small"
            in problem_of_sound(model="musicgen-small", **{name: 1})[f"configs.{name}"]
        )
    found = problem_of_sound(model="dia", webhook="https://example.org")["configs.webhook"]
    assert found.startswith("is no setting of dia, which takes model, duration, top_k, audio_prompt, ")


def test_all_mistakes_are_told_at_once() -> None:
    found = problems_of({"prompt": "", "x": 1, "configs": {"model": "audiogen", "top_k": 0, "y": 1}}, SPEECH)
    assert set(found) == {"prompt", "x", "configs.top_k", "configs.y", "configs.model"}


@pytest.mark.parametrize("name", ["\ud800", "a" * 1000])
def test_names_of_fields_are_told_in_what_an_answer_can_hold(name: str) -> None:
    found = [*problems_of({"prompt": "rain", name: 1}), *problem_of_sound(**{name: 1})]
    assert max(len(field) for field in found) < 80
    assert "".join(found).encode()


def test_half_a_character_in_a_setting_is_refused() -> None:
    assert list(problem_of_sound(model="dia", audio_prompt_text="\udc00")) == ["configs.audio_prompt_text"]


@pytest.mark.parametrize(("configs", "shown"), [({}, "'audiogen'"), ({"model": "musicgen-small"}, "'musicgen-small'")])
def test_a_model_that_is_not_served_is_refused_with_what_is(configs: dict[str, Any], shown: str) -> None:
    assert problems_of({"prompt": "rain", "configs": configs}, SPEECH) == {
        "configs.model": f"is {shown}, which is not served here. Available: 'dia'."
    }


@pytest.mark.parametrize("model", ["bark", "", "parley/dia", "Dia", 5, ["dia"], {}])
def test_what_is_no_model_is_refused(model: Any) -> None:
    assert "no model of this door" in problem_of_sound(model=model)["configs.model"]


def test_a_plain_text_is_the_first_speakers_and_kept_as_it_was_given() -> None:
    request = read_task({"prompt": "Hey, you [laughs]", "configs": {"model": "dia"}}, SPEECH)
    assert request.input == {"text": "Hey, you [laughs]"}
    assert request.settled == {"text": "[S1] Hey, you [laughs]"}


@pytest.mark.parametrize(
    "script",
    ["[S1] Hey", "[S2] Hey", "Hey [S2] Ho", "[s1]Hey", "[ S 1 ] Hey", "【S1】 Hey", "［S1］ Hey",
     "S1: Hey", "Ho\n s2 : Hey", "[S3] Hey", "Speaker 1: Hey", "[Speaker 2] Hey"],
)  # fmt: skip
def test_a_script_that_names_speakers_in_any_way_is_left_as_it_is(script: str) -> None:
    """A tag before "S1: Hey" would hide that this is one: it would be read aloud."""
    assert script_of(script) == script


def test_complaints_of_the_model_are_told_in_this_doors_names() -> None:
    error = InvalidRequest("cfg_filter_top_k", "is 5.", (("text", "is long."), ("seed", "is odd."), ("other", "is.")))
    own = error.renamed(DIALECTS["dia"].fields)
    assert own.problems == (
        ("configs.top_k", "is 5."), ("prompt", "is long."), ("configs.seed", "is odd."), ("other", "is."),
    )  # fmt: skip


@pytest.mark.parametrize("key", ["k", " ~", "a" * 255])
def test_keys_are_up_to_255_printable_characters(key: str) -> None:
    assert read_key(key) == key
    assert read_key(None) is None


@pytest.mark.parametrize("key", ["", "a" * 256, "tab\t", "é", "\x7f", "line\n"])
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read_key(key)
    assert raised.value.field == "Idempotency-Key"


def test_the_description_of_the_door_tells_defaults_and_models() -> None:
    app = FastAPI()
    app.include_router(router)
    described = app.openapi()["paths"]["/ai/audio_generation"]["post"]
    task = described["requestBody"]["content"]["application/json"]["schema"]
    configs = task["properties"]["configs"]["anyOf"][0]["properties"]
    assert {name: setting["default"] for name, setting in configs.items()} == {
        "model": "audiogen", "duration": 5, "top_k": 15, "top_p": 0.9,
    }  # fmt: skip
    assert {"audiogen", "dia"} < set(configs["model"]["enum"])
    assert (configs["top_k"]["minimum"], configs["top_k"]["maximum"]) == (1, 1000)
