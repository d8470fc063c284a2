"""predict.py repeats models/inputs literally, and both keep the public contract of the container."""

import json
from pathlib import Path

import pytest
from contract_fixtures import expected, stated

from container import schema
from container.declaration import read_predictor
from models.inputs import DialogueInputs

ROOT = Path(__file__).parent.parent
DECLARED = read_predictor("predict.py:Predictor", ROOT).inputs
REFERENCE = DialogueInputs.model_json_schema()["properties"]
PUBLISHED = json.loads(schema.generate("predict.py:Predictor", ROOT))["components"]["schemas"]

# name, type, required, default, lower limit, upper limit, choices: what callers of the container rely on.
CONTRACT = [
    ("text", "string", True, None, None, None, None),
    ("audio_prompt", "file", False, None, None, None, None),
    ("audio_prompt_text", "string", False, None, None, None, None),
    ("max_new_tokens", "integer", False, 3072, 500, 4096, None),
    ("max_audio_prompt_seconds", "integer", False, 10, 1, 120, None),
    ("cfg_scale", "number", False, 3, 1, 5, None),
    ("temperature", "number", False, 1.3, 0, 2, None),
    ("top_p", "number", False, 0.95, 0.1, 1, None),
    ("cfg_filter_top_k", "integer", False, 35, 10, 100, None),
    ("speed_factor", "number", False, 0.94, 0.5, 1.5, None),
    ("seed", "integer", False, None, 0, 4294967295, None),
    ("output_format", "string", False, "wav", None, None, ["wav", "mp3", "flac", "ogg", "opus"]),
]


def test_predict_declares_the_same_names_in_the_same_order():
    assert [declared.name for declared in DECLARED] == list(REFERENCE)


@pytest.mark.parametrize("declared", DECLARED, ids=lambda declared: declared.name)
def test_predict_declares_the_same_as_inputs(declared):
    assert stated(declared) == expected(REFERENCE[declared.name])


@pytest.mark.parametrize("declared", DECLARED, ids=lambda declared: declared.name)
def test_every_input_is_described_in_a_sentence(declared):
    assert declared.options["description"].endswith(".")


def test_the_contract_has_no_further_input():
    assert list(PUBLISHED["Input"]["properties"]) == [name for name, *_ in CONTRACT]
    assert PUBLISHED["Input"]["required"] == ["text"]


@pytest.mark.parametrize("row", CONTRACT, ids=lambda row: row[0])
def test_the_contract_holds_for_each_input(row):
    name, kind, required, default, lowest, highest, choices = row
    published = PUBLISHED["Input"]["properties"][name]
    described = {**published, **(PUBLISHED[name] if choices else {})}
    assert described["type"] == ("string" if kind == "file" else kind)
    assert (described.get("format") == "uri") == (kind == "file")
    assert described["x-order"] == [entry[0] for entry in CONTRACT].index(name)
    assert ("default" not in published) == required
    assert published.get("default") == default
    assert published.get("nullable", False) == (default is None and not required)
    assert (described.get("minimum"), described.get("maximum"), described.get("enum")) == (lowest, highest, choices)


def test_the_contract_asks_for_at_least_one_character_of_text():
    assert PUBLISHED["Input"]["properties"]["text"]["minLength"] == 1


def test_the_contract_returns_one_file():
    assert PUBLISHED["Output"] == {"type": "string", "format": "uri", "title": "Output"}
