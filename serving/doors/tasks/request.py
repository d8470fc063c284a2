"""What a caller of door 3 sends → what is asked of a model, every mistake in it named. Knows no route and no table."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from models.errors import InvalidRequest, printable, shown
from models.inputs import half_characters
from serving.catalog import Served
from serving.doors.tasks.dialects import DEFAULT_MODEL, DIALECTS, SOUND_SETTINGS, Dialect, Range
from serving.web.json_bodies import refuse_members

BODY_FIELDS = ("prompt", "configs")
LONGEST_KEY = 255  # characters of an Idempotency-Key

_KEY = re.compile(rf"[\x20-\x7e]{{1,{LONGEST_KEY}}}")


@dataclass(frozen=True)
class TaskRequest:
    """Checked but for what only the model's own declaration knows."""

    dialect: Dialect
    input: Mapping[str, Any]  # by the model's names; the prompt as it was given
    settled: Mapping[str, Any]  # what the model reads in the place of an input


def read_task(body: Any, served: Served) -> TaskRequest:
    """Raises InvalidRequest that names every field that is wrong. A field that is null was left out."""
    fields = _object("body", body)
    prompt, configs = fields.get("prompt"), _configs(fields.get("configs"))
    model_name = configs.pop("model", DEFAULT_MODEL)
    problems = [*_unknown(fields), *_of_prompt(prompt), *half_characters({"prompt": prompt})]
    problems += [(f"configs.{name}", text) for name, text in half_characters(configs)]
    problems += _of_model(model_name, configs, served)
    if problems:
        raise InvalidRequest.of(problems)
    assert isinstance(prompt, str), prompt
    dialect = DIALECTS[model_name]
    spoken = dialect.spoken(prompt)
    settled = {dialect.prompt: spoken} if spoken != prompt else {}
    return TaskRequest(dialect, dialect.inputs(prompt, configs), settled)


def read_key(key: str | None) -> str | None:
    """An Idempotency-Key. Raises InvalidRequest."""
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidRequest(
            "Idempotency-Key", f"is {shown(key)}, {len(key)} characters; use 1 to {LONGEST_KEY} printable ASCII ones."
        )
    return key


def _object(field: str, value: Any) -> dict[str, Any]:
    """Its members but for those that are null."""
    if not isinstance(value, dict):
        hint = ' Send {"prompt": "…"} with Content-Type: application/json.' if field == "body" else ""
        # Bytes: by its Content-Type the body is a form, or anything else but JSON.
        what = "is not sent as JSON" if isinstance(value, bytes) else f"is {shown(value)}"
        raise InvalidRequest(field, f"{what}; it must be a JSON object.{hint}")
    refuse_members(value, field)
    return {name: member for name, member in value.items() if member is not None}


def _configs(value: Any) -> dict[str, Any]:
    """An object, or one written as a string, as some clients of this API keep it."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise InvalidRequest("configs", f"is a string that is no JSON ({error}). Send an object.") from error
    return _object("configs", {} if value is None else value)


def _unknown(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in fields:
        if name not in BODY_FIELDS:
            yield printable(name), f"is no field of a task, which takes {' and '.join(BODY_FIELDS)}."


def _of_prompt(prompt: Any) -> Iterator[tuple[str, str]]:
    if prompt is None:
        yield "prompt", "is missing; it has no default. Send what is to be heard."
    elif not isinstance(prompt, str):
        yield "prompt", f"is {shown(prompt)}; it must be a string."
    elif not prompt.strip():
        yield "prompt", "holds nothing but white space. Write at least one word."


def _of_model(name: Any, configs: Mapping[str, Any], served: Served) -> Iterator[tuple[str, str]]:
    known = isinstance(name, str) and name in DIALECTS
    if known:
        yield from DIALECTS[name].problems(name, configs)
    if not known or DIALECTS[name].model.full_name not in served:
        available = ", ".join(repr(n) for n, dialect in DIALECTS.items() if dialect.model.full_name in served)
        what = "which is not served here" if known else "which is no model of this door"
        yield "configs.model", f"is {shown(name)}, {what}. Available: {available}."


def _described(name: str, limits: Range) -> dict[str, Any]:
    high = {} if limits.high == math.inf else {"maximum": limits.high}
    return {"type": "integer" if limits.whole else "number", "minimum": limits.low, **high, "title": name}


BODY_SCHEMA = {  # for the description of the service; read_task is the check
    "title": "Task",
    "type": "object",
    "examples": [{"prompt": "[S1] Hey. [S2] Hello.", "configs": {"model": "dia"}}],
    "required": ["prompt"],
    "additionalProperties": False,
    "properties": {
        "prompt": {"type": "string", "minLength": 1, "description": "What is to be heard; for dia a script."},
        "configs": {
            "description": "An object, or one written as a JSON string. Settings of other models stand beside these.",
            "anyOf": [
                {
                    "type": "object",
                    "properties": {
                        "model": {"type": "string", "enum": list(DIALECTS), "default": DEFAULT_MODEL},
                        **{
                            name: _described(name, s.range) | {"default": s.default}
                            for name, s in SOUND_SETTINGS.items()
                            if s.range is not None
                        },
                    },
                },
                {"type": "string"},
            ],
        },
    },
}
