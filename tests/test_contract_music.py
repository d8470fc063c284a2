"""The second container: predict.py repeats models/inputs literally, and both keep the published contract of music."""

import json
from pathlib import Path

import pytest
from contract_fixtures import expected, stated

from container import schema
from container.declaration import read_predictor
from models.inputs import MusicInputs

ROOT = Path(__file__).parent.parent
REFERENCE = "predict.py:MusicPredictor"
DECLARED = read_predictor(REFERENCE, ROOT).inputs
DECLARED_INPUTS = MusicInputs.model_json_schema()["properties"]
PUBLISHED = json.loads(schema.generate(REFERENCE, ROOT))["components"]["schemas"]

VERSIONS = ["small", "medium", "large", "melody", "melody-large"]
VERSIONS += [f"stereo-{version}" for version in VERSIONS]

# name, type, default, lower limit, upper limit, choices: what callers of the published container rely on.
CONTRACT = [
    ("prompt", "string", None, None, None, None),
    ("input_audio", "file", None, None, None, None),
    ("duration", "integer", 8, 1, 300, None),
    ("continuation", "boolean", False, None, None, None),
    ("continuation_start", "integer", 0, 0, 600, None),
    ("continuation_end", "integer", None, -1, 600, None),
    ("multi_band_diffusion", "boolean", False, None, None, None),
    ("normalization_strategy", "string", "loudness", None, None, ["loudness", "clip", "peak", "rms"]),
    ("top_k", "integer", 250, 0, 2048, None),
    ("top_p", "number", 0, 0, 1, None),
    ("temperature", "number", 1, 0, 100, None),
    ("classifier_free_guidance", "integer", 3, -100, 100, None),
    ("output_format", "string", "mp3", None, None, ["mp3", "wav", "flac", "ogg"]),
    ("seed", "integer", None, -1, 4294967295, None),
    ("song_id", "integer", None, 0, 9007199254740991, None),
    ("key", "secret", None, None, None, None),
]
# Parley's own, after them.
OWN = [
    ("model_version", "string", "melody", None, None, [*VERSIONS, "audiogen-medium"]),
    ("loop", "boolean", False, None, None, None),
    ("count", "integer", 1, 1, 10, None),
    ("melody_audio", "file", None, None, None, None),
]


def test_predict_declares_the_same_names_in_the_same_order():
    assert [declared.name for declared in DECLARED] == list(DECLARED_INPUTS)


@pytest.mark.parametrize("declared", DECLARED, ids=lambda declared: declared.name)
def test_predict_declares_the_same_as_inputs(declared):
    assert stated(declared) == expected(DECLARED_INPUTS[declared.name])


@pytest.mark.parametrize("declared", DECLARED, ids=lambda declared: declared.name)
def test_every_input_is_described_in_a_sentence(declared):
    assert declared.options["description"].endswith(".")


def test_the_contract_has_no_further_input_and_none_is_required():
    assert list(PUBLISHED["Input"]["properties"]) == [name for name, *_ in (*CONTRACT, *OWN)]
    assert "required" not in PUBLISHED["Input"]


@pytest.mark.parametrize("row", [*CONTRACT, *OWN], ids=lambda row: row[0])
def test_the_contract_holds_for_each_input(row):
    name, kind, default, lowest, highest, choices = row
    published = PUBLISHED["Input"]["properties"][name]
    described = {**published, **({"type": PUBLISHED[name]["type"]} if choices else {})}
    assert described["type"] == {"file": "string", "secret": "string"}.get(kind, kind)
    assert described.get("format") == {"file": "uri", "secret": "password"}.get(kind)
    assert published["default"] == default
    assert published.get("nullable", False) == (default is None)
    assert (described.get("minimum"), described.get("maximum")) == (lowest, highest)
    assert (PUBLISHED[name]["enum"] if choices else None) == choices


def test_the_key_is_marked_as_a_secret():
    """Replicate's page hides what is typed into such a field, and its records do not keep it."""
    key = PUBLISHED["Input"]["properties"]["key"]
    assert (key["x-cog-secret"], key["writeOnly"]) == (True, True)


def test_the_contract_returns_an_object():
    assert PUBLISHED["Output"] == {"type": "object", "title": "Output"}


def test_the_golden_schema_is_that_of_predict_py():
    golden = ROOT / "tests" / "golden" / "openapi_schema_music.json"
    command = f"python -m container.schema {REFERENCE} --out tests/golden/openapi_schema_music.json"
    assert golden.read_text() == schema.generate(REFERENCE, ROOT), f"if the change is meant: {command}"
