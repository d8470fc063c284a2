"""Each way to break a caller of the published schema is found, and widening it is allowed."""

import copy
import json
from pathlib import Path

import pytest

from container import schema
from container.compatibility import tightenings

ROOT = Path(__file__).parent.parent
GOLDEN = json.loads((ROOT / "tests" / "golden" / "openapi_schema.json").read_text())


def changed(change) -> dict:
    document = copy.deepcopy(GOLDEN)
    change(document["components"]["schemas"])
    return document


def properties(components: dict) -> dict:
    return components["Input"]["properties"]


def test_predict_py_keeps_every_promise_of_the_published_schema():
    now = json.loads(schema.generate("predict.py:Predictor", ROOT))
    assert tightenings(GOLDEN, now) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: properties(c).pop("top_p"), "top_p: was removed"),
        (lambda c: properties(c)["top_p"].update(type="string"), "top_p: had type number, has string"),
        (lambda c: properties(c)["audio_prompt"].pop("format"), "audio_prompt: had format uri, has None"),
        (lambda c: properties(c)["cfg_scale"].update(minimum=2), "cfg_scale: minimum rose from 1 to 2"),
        (lambda c: properties(c)["cfg_scale"].update(maximum=4), "cfg_scale: maximum fell from 5 to 4"),
        (lambda c: properties(c)["text"].update(minLength=2), "text: minLength rose from 1 to 2"),
        (lambda c: properties(c)["text"].update(maxLength=9), "text: maxLength fell from none to 9"),
        (lambda c: properties(c)["text"].update(pattern="a"), "text: pattern was none, is a now"),
        (lambda c: properties(c)["audio_prompt"].update({"x-cog-accept": ".wav"}), "x-cog-accept was none"),
        (lambda c: c["output_format"].update(enum=["wav"]), "output_format: lost the choices ['mp3'"),
        (lambda c: properties(c)["text"].update(enum=["a"]), "text: took any value"),
        (lambda c: c["output_format"].update(type="integer"), "output_format: had type string, has integer"),
        (lambda c: properties(c)["seed"].update(default=1), "seed: had the default None, has 1 now"),
        (lambda c: properties(c)["top_p"].pop("default"), "top_p: had the default 0.95, has none now"),
        (lambda c: c["Input"]["required"].append("seed"), "seed: was optional and is required now"),
        (
            lambda c: (c["Input"]["required"].append("voice"), properties(c).update(voice={"type": "string"})),
            "voice: is new and required",
        ),
        (lambda c: c["Output"].update(type="array"), "output: type was string, is array now"),
        (lambda c: c["Output"].pop("format"), "output: format was uri, is None now"),
    ],
)
def test_a_tightening_is_found(change, said):
    found = [str(tightening) for tightening in tightenings(GOLDEN, changed(change))]
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda c: properties(c).update(voice={"type": "string", "default": "", "title": "Voice", "x-order": 12}),
        lambda c: properties(c)["cfg_scale"].update(minimum=0, maximum=9),
        lambda c: properties(c)["text"].pop("minLength"),
        lambda c: c["output_format"]["enum"].append("aac"),
        lambda c: properties(c)["seed"].update(description="Another word for it."),
        lambda c: c["Input"].update(required=[]),
        lambda c: properties(c)["text"].update(default="[S1] Hello."),
    ],
)
def test_a_widening_is_allowed(change):
    assert tightenings(GOLDEN, changed(change)) == ()
