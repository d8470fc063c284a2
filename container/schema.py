"""The OpenAPI schema of a predictor, byte for byte what Cog's own generator writes. Imports nothing of the predictor.

    python -m container.schema [--check] [--out .cog/openapi_schema.json] [predict.py:Predictor]

coglet validates inputs against .cog/openapi_schema.json; without that file it accepts everything.
Source: replicate/cog pkg/schema/openapi_spec.go.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from container.declaration import InputDeclaration, PredictorDeclaration, read_predictor
from container.gojson import Ordered, encode
from container.source import DeclarationError

COG_VERSION = "0.23.1"  # Cog writes its version into the schema; the sdk_version of cog.yaml
DEFAULT_REFERENCE = "predict.py:Predictor"
MUSIC_REFERENCE = "predict.py:MusicPredictor"
SCHEMA_PATH = Path(".cog/openapi_schema.json")  # where coglet looks, relative to its working directory

Schema = dict[str, Any]


def generate(reference: str, directory: Path = Path(), version: str = COG_VERSION) -> str:
    """The schema of `file.py:Class` below `directory`. Raises DeclarationError where Cog would misread the file."""
    return encode(build(read_predictor(reference, directory), version))


def write(reference: str, directory: Path = Path()) -> Path:
    """Write the schema where coglet, started in `directory`, reads it."""
    path = directory / SCHEMA_PATH
    _replace(path, generate(reference, directory))
    return path


def build(predictor: PredictorDeclaration, version: str) -> Schema:
    components = Ordered(Input=_input_component(predictor), Output={**predictor.output, "title": "Output"})
    for declared in predictor.inputs:
        if "choices" in declared.options:
            components[declared.name] = _enumeration(declared.name, declared.options["choices"], declared)
    components.update(_PROTOCOL)
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": version},
        "paths": _paths(predictor.streams),
        "components": {"schemas": components},
    }


def _input_component(predictor: PredictorDeclaration) -> Schema:
    properties = Ordered((i.name, _property(i, order)) for order, i in enumerate(predictor.inputs))
    required = [i.name for i in predictor.inputs if i.is_required]
    component: Schema = {"title": "Input", "type": "object", "properties": properties}
    return {**component, "required": required} if required else component


def _property(declared: InputDeclaration, order: int) -> Schema:
    options = declared.options
    described: Schema = {"x-order": order}
    if "choices" in options:
        described["allOf"] = [_reference(declared.name)]
    else:
        described |= {"title": _title(declared.name), **declared.type.schema}
    if declared.is_nullable:
        described["nullable"] = True
    if options.get("deprecated"):
        described["deprecated"] = True
    for option, keyword in _KEYWORDS.items():
        if option in options:
            described[keyword] = options[option]
    for option, keyword in (("ge", "minimum"), ("le", "maximum")):
        if option in options:
            described[keyword] = float(options[option])
    return described


_KEYWORDS = {
    "default": "default",
    "description": "description",
    "min_length": "minLength",
    "max_length": "maxLength",
    "regex": "pattern",
    "accept": "x-cog-accept",
}


def _enumeration(name: str, values: Sequence[Any], declared: InputDeclaration | None = None) -> Schema:
    kind = declared.type.item_schema["type"] if declared else "string"
    return {"title": name, "description": "An enumeration.", "enum": list(values), "type": kind}


def _title(name: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in name.split("_"))


def _reference(component: str) -> Schema:
    return {"$ref": f"#/components/schemas/{component}"}


def _object(title: str, **properties: Schema) -> Schema:
    return {"title": title, "type": "object", "properties": properties}


def _field(name: str, kind: str = "string", **more: Any) -> Schema:
    return {"title": _title(name), "type": kind, **more}


_RESPONSE = {
    **{name: _field(name) for name in ("id", "version", "status", "error", "logs")},
    **{name: _field(name, format="date-time") for name in ("created_at", "started_at", "completed_at")},
    "metrics": _field("metrics", "object"),
    "input": _reference("Input"),
    "output": _reference("Output"),
}

_PROTOCOL: Schema = {
    "PredictionRequest": _object("PredictionRequest", id=_field("id"), input=_reference("Input")),
    "PredictionResponse": _object("PredictionResponse", **_RESPONSE),
    "Status": _enumeration("Status", ("starting", "processing", "succeeded", "canceled", "failed")),
    "HTTPValidationError": _object(
        "HTTPValidationError", detail=_field("detail", "array", items=_reference("ValidationError"))
    ),
    "ValidationError": {
        **_object(
            "ValidationError",
            loc=_field("location", "array", items={"anyOf": [{"type": "string"}, {"type": "integer"}]}),
            msg=_field("message"),
            type=_field("error_type"),
        ),
        "required": ["loc", "msg", "type"],
    },
}


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": _json(schema)}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


_DONE = "Successful Response"
_INVALID = {"422": _answer("Validation Error", _reference("HTTPValidationError"))}


def _probe(summary: str, operation: str) -> Schema:
    return {"get": {"summary": summary, "operationId": operation, "responses": {"200": _answer(_DONE, {})}}}


def _paths(streams: bool) -> Ordered:
    predict: Schema = {
        "summary": "Predict",
        "description": "Run a single prediction on the model",
        "operationId": "predict_predictions_post",
        "requestBody": {"content": _json(_reference("PredictionRequest"))},
        "responses": {"200": _answer(_DONE, _reference("PredictionResponse")), **_INVALID},
    }
    cancel: Schema = {
        "summary": "Cancel",
        "operationId": "cancel_predictions__prediction_id__cancel_post",
        "parameters": [{"name": "prediction_id", "in": "path", "required": True, "schema": _field("prediction_id")}],
        "responses": {"200": _answer(_DONE, {}), **_INVALID},
    }
    return Ordered(
        {
            "/": _probe("Root", "root__get"),
            "/health-check": _probe("Healthcheck", "healthcheck_health_check_get"),
            "/predictions": {"post": {**predict, "x-cog-streaming": True} if streams else predict},
            "/predictions/{prediction_id}/cancel": {"post": cancel},
        }
    )


def _replace(path: Path, text: str) -> None:
    """Write as a whole: a server that starts meanwhile never reads half a schema."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m container.schema", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("reference", nargs="?", default=DEFAULT_REFERENCE, help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=SCHEMA_PATH, help="default: %(default)s; - is standard output")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is not the schema")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        text = generate(options.reference)
    except DeclarationError as error:
        print(error, file=sys.stderr)
        return 1
    if str(options.out) == "-":
        print(text)
    elif options.check:
        return _check(options.out, text)
    else:
        _replace(options.out, text)
    return 0


def _check(path: Path, text: str) -> int:
    found = path.read_text(encoding="utf-8") if path.exists() else None
    if found == text:
        return 0
    problem = "is missing" if found is None else "differs from the predictor's file"
    print(f"{path} {problem}. Write it with `python -m container.schema --out {path}`.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
