"""What is said of the served models agrees with the models, and with what the container is made of."""

from dataclasses import replace
from pathlib import Path

import pytest

from container import lock
from models.codecs.dac_config import DacConfig
from models.errors import InvalidRequest
from models.inputs import DialogueInputs, SettledInputs
from serving.catalog import AUDIOGEN, DIA, MODELS, MUSICGEN, ServedModel
from serving.doors.models import COG_VERSION
from serving.intake import check

ROOT = Path(__file__).parent.parent


def test_a_second_of_dia_is_as_long_as_its_codec_says() -> None:
    codec = DacConfig.from_file(ROOT / "weights" / "dia-builtin" / "codec" / "config.json")
    assert (DIA.sample_rate, DIA.hop_length) == (codec.sample_rate, codec.hop_length)
    assert round(DIA.tokens_per_second, 2) == 86.13


@pytest.mark.parametrize(
    ("inputs", "fewest", "most"),
    [(DialogueInputs, DIA.fewest_tokens, DIA.most_tokens), (SettledInputs, 500, DIA.most_settled_tokens)],
)
def test_limits_of_tokens_are_those_of_the_declaration(inputs: type[DialogueInputs], fewest: int, most: int) -> None:
    for tokens in (fewest, most):
        inputs.parse(text="Hey.", max_new_tokens=tokens)
    for tokens in (fewest - 1, most + 1):
        with pytest.raises(ValueError, match=f"it must lie between {fewest} and {most}"):
            inputs.parse(text="Hey.", max_new_tokens=tokens)


def test_the_version_of_cog_is_the_one_that_the_container_is_made_with() -> None:
    pins = {pin.name: pin.version for pin in lock.parse((ROOT / "requirements.txt").read_text())}
    assert pins["cog"] == pins["coglet"] == COG_VERSION


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_the_schema_of_a_model_is_its_declaration_but_for_what_only_containers_take(model: ServedModel) -> None:
    described = model.openapi_schema["components"]["schemas"]["Input"]
    assert [*described["properties"]] == [name for name in model.inputs.model_fields if name not in model.withheld]
    assert [p["x-order"] for p in described["properties"].values()] == [*range(len(described["properties"]))]
    for name, shown in described["properties"].items():
        declared = model.inputs.model_fields[name]
        assert shown["description"] == declared.description
        assert shown.get("default") == (None if declared.is_required() else declared.default)


def test_limits_choices_files_and_what_may_be_null_are_described() -> None:
    schemas = MUSICGEN.openapi_schema["components"]["schemas"]
    shown = schemas["Input"]["properties"]
    assert (shown["duration"]["type"], shown["duration"]["minimum"], shown["duration"]["maximum"]) == (
        "integer",
        1,
        300,
    )
    assert (shown["input_audio"]["type"], shown["input_audio"]["format"]) == ("string", "uri")
    assert shown["prompt"]["nullable"]
    assert (shown["loop"]["type"], shown["top_p"]["type"]) == ("boolean", "number")
    assert schemas["model_version"]["enum"][:2] == ["small", "medium"]
    assert MUSICGEN.file_inputs == ("input_audio", "melody_audio")
    assert AUDIOGEN.file_inputs == ("input_audio",)


def nothing(checkpoint: str) -> bool:
    """What is known to be out of reach."""
    return False


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [(MUSICGEN, "key", "hunter2"), (MUSICGEN, "song_id", 5), (MUSICGEN, "count", 2), (AUDIOGEN, "count", 1)],
)
def test_what_only_containers_take_is_refused_with_what_to_do(model: ServedModel, name: str, value: object) -> None:
    with pytest.raises(InvalidRequest) as raised:
        check(model, {"prompt": "rain", name: value}, nothing)
    ((field, problem),) = raised.value.problems
    assert field == name
    assert problem == f"is no input here. {model.withheld[name]}"
    check(model, {"prompt": "rain"}, nothing)


@pytest.mark.parametrize("model", [MUSICGEN, AUDIOGEN])
def test_a_stranger_among_the_inputs_hears_what_is_taken_here(model: ServedModel) -> None:
    with pytest.raises(InvalidRequest) as raised:
        check(model, {"prompt": "rain", "volume": 11, "count": 2}, nothing)
    (_, told), (_, kept_back) = raised.value.problems
    assert told == f"is no input of {model.full_name}, which takes {', '.join(model.input_names)}."
    assert not [name for name in model.withheld if name in told]
    assert kept_back.startswith("is no input here.")


def test_versions_tell_models_and_what_they_take_apart() -> None:
    assert len({model.version for model in MODELS.values()}) == len(MODELS)
    assert replace(MUSICGEN, withheld={}).version != MUSICGEN.version
