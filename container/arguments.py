"""Inputs of a prediction from `name=value` words, by the schema. Knows no server; refuses before one is started.

As Cog's command line does: `@file` becomes a data URI, numbers are read as the schema types them, strings stay as they
are, unknown names and nulls are refused. Limits are checked too, because loading a model only to hear 422 takes long.
Ours: a secret may come out of a file.
"""

import base64
import json
import mimetypes
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from container.components import Schema, inputs_of, required_of

LARGEST_FILE = 74 * 2**20  # bytes; as base64 a third larger, and Cog takes requests of 100 MiB
_SCHEMES = ("data:", "http://", "https://")
_WORDS = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a JSON list"}

_KINDS = {"uri": "file", "password": "secret"}  # by format
_TYPES = {"integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,), "object": (dict,)}


class ArgumentError(ValueError):
    """A word that is no input of the predictor; the message names the input, the value and the way out."""


def parse_inputs(words: Sequence[str], schema: Schema) -> dict[str, Any]:
    """The input object of a request, from words such as `seed=7` and `audio_prompt=@voice.wav`."""
    known = inputs_of(schema)
    inputs: dict[str, Any] = {}
    for word in words:
        name, separator, value = word.partition("=")
        if not separator:
            raise ArgumentError(f"'{word}' is no input. Write it as name=value.")
        if name not in known:
            raise ArgumentError(f"{name} is no input of this predictor. It takes {', '.join(known)}.")
        if name in inputs:
            raise ArgumentError(f"{name} is given twice. Leave one out.")
        inputs[name] = _read(name, value, known[name])
    for name in required_of(schema):
        if name not in inputs:
            raise ArgumentError(f"{name} is missing. Add -i {name}=…")
    return inputs


def describe_inputs(schema: Schema) -> str:
    """One paragraph an input: name, type, limits, default, description."""
    required = required_of(schema)
    return "\n".join(
        f"  {name}: {', '.join(_facts(described, name in required))}\n      {described.get('description', '')}"
        for name, described in inputs_of(schema).items()
    )


def _facts(described: Schema, required: bool) -> Iterator[str]:
    yield _KINDS.get(described.get("format", ""), str(described["type"]))
    if "enum" in described:
        yield " | ".join(map(str, described["enum"]))
    if limits := _limits(described):
        yield limits
    default = described.get("default")
    yield "required" if required else "optional" if default is None else f"default {default}"


def _limits(described: Schema) -> str:
    low, high = described.get("minimum"), described.get("maximum")
    return "" if low is None or high is None else f"{low} to {high}"


def _read(name: str, written: str, described: Schema) -> Any:
    if described.get("format") == "uri":
        return _file(name, written)
    if described.get("format") == "password":
        return _secret(name, written)
    value = _value(name, written, described)
    if "enum" in described and value not in described["enum"]:
        raise ArgumentError(f"{name} is {value!r}; choose {', '.join(map(str, described['enum']))}.")
    size = len(value) if isinstance(value, str) else value
    low = described.get("minLength") if isinstance(value, str) else described.get("minimum")
    high = described.get("maxLength") if isinstance(value, str) else described.get("maximum")
    if (low is not None and size < low) or (high is not None and size > high):
        unit = " characters" if isinstance(value, str) else ""
        raise ArgumentError(f"{name} is {size}{unit}; at least {low}, at most {high or 'any number'} is taken.")
    return value


def _value(name: str, written: str, described: Schema) -> Any:
    kind = described["type"]
    if kind == "string":
        if written.startswith("@"):
            raise ArgumentError(f'{name} takes text, not a file. Write {name}="$(cat {written[1:]})".')
        return written
    try:
        value = json.loads(written, parse_constant=_refuse)
    except ValueError:
        value = None
    if type(value) not in _TYPES[kind]:
        raise ArgumentError(f"{name} is '{written}'; it must be {_WORDS.get(kind, f'a JSON {kind}')}.")
    return value


def _secret(name: str, written: str) -> str:
    """As it is, or out of a file with `@`, so that no list of processes and no history of a shell shows it."""
    if not written.startswith("@"):
        return written
    try:
        return Path(written[1:]).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"{name}: {written[1:]} cannot be read as text.") from error


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _file(name: str, written: str) -> str:
    if written.startswith(_SCHEMES):
        return written
    if not written.startswith("@"):
        raise ArgumentError(f"{name} is '{written}'; it must be a file or a URI. For a file write {name}=@{written}")
    path = Path(written[1:]).expanduser()
    try:
        if (size := path.stat().st_size) > LARGEST_FILE:
            raise ArgumentError(
                f"{name}: {path} is {size / 2**20:.0f} MiB large; {LARGEST_FILE / 2**20:.0f} MiB fit into a request. "
                "Compress it (flac, mp3), or give its http(s) URL."
            )
        content = path.read_bytes()
    except OSError as error:
        raise ArgumentError(f"{name}: {path} cannot be read: {error.strerror}.") from error
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
