"""The schema generator writes what Cog's writes, and refuses what Cog would misread."""

import json
from pathlib import Path

import pytest

from container import schema
from container.gojson import Ordered, encode
from container.source import DeclarationError

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT.parent / "shared" / "data"
HEAD = (
    "import cog\nfrom typing import Iterator, Optional, Union\n"
    "from cog import BasePredictor, Input, Path, Secret, streaming\n"
)


def generated(tmp_path: Path, body: str) -> dict:
    (tmp_path / "predict.py").write_text(f"{HEAD}class Predictor(BasePredictor):\n{body}")
    return json.loads(schema.generate("predict.py:Predictor", tmp_path))


def inputs_of(tmp_path: Path, parameters: str) -> dict:
    body = f"    def predict(self, {parameters}) -> Path:\n        ...\n"
    return generated(tmp_path, body)["components"]["schemas"]["Input"]


def refusal(tmp_path: Path, parameters: str, returns: str = " -> Path") -> str:
    with pytest.raises(DeclarationError) as caught:
        generated(tmp_path, f"    def predict(self, {parameters}){returns}:\n        ...\n")
    return str(caught.value)


def test_schema_is_byte_identical_to_cogs_own_generator(tmp_path):
    golden = PUBLISHED / "dia-cog-schema-example.json"
    if not golden.exists():
        pytest.skip(f"the schema that Cog generated is not beside the repository ({golden.name})")
    source = PUBLISHED / "dia-cog-schema-example.predict.py.txt"
    (tmp_path / "predict.py").write_text(source.read_text())
    assert schema.generate("predict.py:Predictor", tmp_path, "dev") == golden.read_text().rstrip("\n")


def test_golden_schema_is_the_schema_of_predict_py():
    golden = ROOT / "tests" / "golden" / "openapi_schema.json"
    command = "python -m container.schema --out tests/golden/openapi_schema.json"
    assert golden.read_text() == schema.generate("predict.py:Predictor", ROOT), f"if the change is meant: {command}"


def test_runner_and_run_give_the_same_schema_as_predictor_and_predict(tmp_path):
    old = "class Predictor(BasePredictor):\n    def predict(self, n: int = 1) -> Path: ...\n"
    new = "class Predictor(BaseRunner):\n    async def run(self, n: int = 1) -> Path: ...\n"
    for name, text in (("old", old), ("new", new)):
        (tmp_path / f"{name}.py").write_text(f"from cog import *\nfrom cog import Path\n{text}")
    assert schema.generate("old.py:Predictor", tmp_path) == schema.generate("new.py:Predictor", tmp_path)


@pytest.mark.parametrize(
    "annotation", ["Optional[int]", "int | None", "None | int", "Union[int, None]", '"int | None"']
)
def test_every_spelling_of_optional_is_nullable_and_not_required(tmp_path, annotation):
    component = inputs_of(tmp_path, f"seed: {annotation} = Input(default=None, ge=0, le=4294967295)")
    assert "required" not in component
    assert component["properties"]["seed"] == {
        "default": None,
        "maximum": 4294967295,
        "minimum": 0,
        "nullable": True,
        "title": "Seed",
        "type": "integer",
        "x-order": 0,
    }


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("bool", {"type": "boolean"}),
        ("float", {"type": "number"}),
        ("cog.Path", {"type": "string", "format": "uri"}),
        ("Secret", {"type": "string", "format": "password", "writeOnly": True, "x-cog-secret": True}),
        ("list[str]", {"type": "array", "items": {"type": "string"}}),
        ("list[Path]", {"type": "array", "items": {"type": "string", "format": "uri"}}),
        ("dict", {"type": "object"}),
    ],
)
def test_types_become_their_json_schema(tmp_path, annotation, expected):
    component = inputs_of(tmp_path, f"value: {annotation}")
    assert component["properties"]["value"] == {"title": "Value", "x-order": 0, **expected}
    assert component["required"] == ["value"]


def test_streaming_marks_the_output_and_the_route(tmp_path):
    body = "    @streaming\n    def predict(self, text: str) -> Iterator[Path]:\n        ...\n"
    document = generated(tmp_path, body)
    assert document["components"]["schemas"]["Output"] == {
        "type": "array",
        "items": {"type": "string", "format": "uri"},
        "title": "Output",
        "x-cog-array-type": "iterator",
    }
    assert document["paths"]["/predictions"]["post"]["x-cog-streaming"] is True


def test_concatenated_text_is_displayed_as_one(tmp_path):
    body = "    def predict(self, text: str) -> cog.ConcatenateIterator[str]:\n        ...\n"
    output = generated(tmp_path, body)["components"]["schemas"]["Output"]
    assert output["x-cog-array-display"] == "concatenate"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ("n: int = Input(default=1, le=LIMIT)", "le of input n is `LIMIT`"),
        ("n: int = Input(default=1, le=2*3)", "le of input n is `2*3`"),
        ("n: int = Input(default=1, le=4_096)", "plain digits"),
        ("n: int = Input(default=1, ge=0x10)", "plain digits"),
        ("n: int = Input(default=18446744073709551616)", "at most 64 bits"),
        ("x: float = Input(default=1e999)", "plain digits"),
        ("n: int = Input(default=1, ge=True)", "must be a literal int or float"),
        ('s: str = Input(default=f"a")', "not a name, an f-string"),
        ('s: str = Input(default="a", description=("a"))', "no parentheses"),
        ('s: str = Input(default="a", description="a" "b")', "no joined pieces"),
        ('s: str = Input(default="a", description="a\\\\n")', "no backslash"),
        ('s: str = Input(default="a", description="a" + "b")', "an expression"),
        ("s: str = Input(default=os.environ.get('S'))", "default of input s"),
        ("n: int = SEED", "the default of input n is `SEED`"),
        ("n: int = (5)", "stands in parentheses"),
        ("n: int = Input(1)", "reads `Input(default=…)` only"),
        ("n: int = cog.Input(default=1)", "reads `Input(default=…)` only"),
        ("n: int = Input(default_factory=int)", "knows no `default_factory`"),
        ("n: int = Input(**LIMITS)", "knows no `**`"),
        ("n: int = Input(default=None)", "Write `n: Optional[…]`"),
        ("p: Path = None", "Write `p: Optional[…]`"),
        ("n=1", "has no type"),
        ("n: int | str = 1", "is no input type"),
        ("n: list[Optional[int]]", "nests"),
        ("n: pathlib.Path", "is not Cog's Path"),
        ('s: str = Input(default="a", choices=["a", OTHER])', "an element of choices"),
        ('s: str = Input(default="a", choices=["a",  # first\n "b"])', "without comments"),
        ('s: str = Input(default="a", choices=[])', "is empty"),
        ('s: str = Input(default="a", choices=sorted("ab"))', "choices of input s"),
        ('s: str = Input(default="a", accept="audio/*")', "Only Path inputs"),
        ("*, n: int = 1", "plain parameters only"),
    ],
)
def test_what_cog_would_lose_in_silence_is_an_error_that_names_the_line(tmp_path, parameters, said):
    message = refusal(tmp_path, parameters)
    assert said in message
    assert f"predict.py:{len(HEAD.splitlines()) + 2}" in message


@pytest.mark.parametrize(
    ("returns", "said"),
    [
        ("", "Write `-> Path:`"),
        (" -> Optional[Path]", "cannot be optional"),
        (" -> Generated", "is no output type"),
        (" -> cog.ConcatenateIterator[int]", "only str"),
    ],
)
def test_an_output_that_cog_cannot_describe_is_an_error(tmp_path, returns, said):
    assert said in refusal(tmp_path, "text: str", returns)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class Other: ...", "has no `class Predictor`"),
        ("class Runner: ...\nPredictor = Runner", "follows no assignment"),
        ("class Predictor:\n    def run(self) -> str: ...\n    def predict(self) -> str: ...", "exactly one"),
        ("class Predictor: ...", "exactly one"),
        ("class Predictor(", "is not Python"),
    ],
)
def test_a_class_that_cog_cannot_find_is_an_error(tmp_path, text, said):
    (tmp_path / "predict.py").write_text(text)
    with pytest.raises(DeclarationError, match=said.replace("(", r"\(")):
        schema.generate("predict.py:Predictor", tmp_path)


@pytest.mark.parametrize("reference", ["predict.py", "predict:Predictor", "missing.py:Predictor"])
def test_a_bad_reference_is_an_error(tmp_path, reference):
    with pytest.raises(DeclarationError, match=r"is no reference|cannot be read"):
        schema.generate(reference, tmp_path)


def test_reading_a_predictor_never_runs_its_file(tmp_path):
    (tmp_path / "predict.py").write_text(f"raise SystemExit\n{HEAD}class Predictor:\n    def run(self) -> str: ...\n")
    assert schema.generate("predict.py:Predictor", tmp_path)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (3.0, "3"),
        (0.95, "0.95"),
        (1.5e-5, "0.000015"),
        (1e-7, "1e-7"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (-0.0, "-0"),
        ("a<b> & \u2028é\n", '"a\\u003cb\\u003e \\u0026 \\u2028é\\n"'),
        ({"b": 1, "a": [None, True]}, '{"a":[null,true],"b":1}'),
        (Ordered(b=1, a=2), '{"b":1,"a":2}'),
    ],
)
def test_json_is_written_as_go_writes_it(value, written):
    assert encode(value) == written


def test_check_fails_until_the_file_is_written(tmp_path, monkeypatch, capsys):
    (tmp_path / "predict.py").write_text(f"{HEAD}class Predictor:\n    def run(self, n: int = 1) -> str: ...\n")
    monkeypatch.chdir(tmp_path)
    assert schema.main(["--check"]) == 1
    assert "is missing" in capsys.readouterr().err
    assert schema.main([]) == 0
    assert schema.main(["--check"]) == 0
    (tmp_path / schema.SCHEMA_PATH).write_text("{}")
    assert schema.main(["--check"]) == 1
    assert "differs" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / ".cog").iterdir()] == ["openapi_schema.json"]


def test_a_misread_file_ends_the_command_with_its_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "predict.py").write_text(f"{HEAD}class Predictor:\n    def run(self, n=1) -> str: ...\n")
    monkeypatch.chdir(tmp_path)
    assert schema.main(["--out", "-"]) == 1
    assert "predict.py:5: input n has no type" in capsys.readouterr().err
