"""The models that are served: their public names, what each takes, and how that is described. Loads no model.

The description is the input schema as Cog writes it, made from models/inputs: forms, clients and the checks of
a container's own server read the same.
"""

import hashlib
import json
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from models.inputs import DialogueInputs, Inputs, MusicInputs, SettledInputs, SoundInputs

OWNER = "parley"
_NON_COMMERCIAL = "https://creativecommons.org/licenses/by-nc/4.0/"  # of the weights
_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}
_LIMITS = {"Ge": ("minimum", "ge"), "Le": ("maximum", "le"), "MinLen": ("minLength", "min_length")}


@dataclass(frozen=True)
class ServedModel:
    """A model by its name here: "parley/musicgen".

    withheld: inputs that only a container takes, and what to do here in their place.
    """

    name: str
    description: str
    inputs: type[Inputs]
    license_url: str
    withheld: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def full_name(self) -> str:
        return f"{OWNER}/{self.name}"

    @property
    def settled_inputs(self) -> type[Inputs]:
        """What doors may ask of it."""
        return self.inputs

    @property
    def input_names(self) -> tuple[str, ...]:
        """What callers may ask."""
        return tuple(name for name in self.inputs.model_fields if name not in self.withheld)

    @cached_property
    def openapi_schema(self) -> dict[str, Any]:
        return {
            "openapi": "3.0.2",
            "info": {"title": self.full_name, "version": "1"},
            "paths": {},
            "components": {"schemas": dict(_components(self.inputs, self.input_names))},
        }

    @cached_property
    def version(self) -> str:
        """64 hexadecimal digits that change whenever what the model takes or is called does."""
        described = json.dumps([self.full_name, self.openapi_schema], sort_keys=True)
        return hashlib.sha256(described.encode()).hexdigest()

    @cached_property
    def file_inputs(self) -> tuple[str, ...]:
        return tuple(name for name, f in self.inputs.model_fields.items() if _plain(f.annotation)[0] is Path)


@dataclass(frozen=True, kw_only=True)
class DialogueModel(ServedModel):
    """One that speaks. Its lengths are counted in tokens, each of `hop_length` samples."""

    sample_rate: int  # Hz, of what it makes
    hop_length: int

    @property
    def settled_inputs(self) -> type[Inputs]:
        return SettledInputs

    @property
    def tokens_per_second(self) -> float:
        return self.sample_rate / self.hop_length

    @property
    def fewest_tokens(self) -> int:
        """The lowest limit of new tokens that may be asked for."""
        return _limit(self.inputs, "minimum")

    @property
    def most_tokens(self) -> int:
        """The highest that callers may ask for."""
        return _limit(self.inputs, "maximum")

    @property
    def most_settled_tokens(self) -> int:
        """The highest that doors may ask for."""
        return _limit(self.settled_inputs, "maximum")


DIA = DialogueModel(
    "dia",
    "Speaks a script with [S1] and [S2] turns as one audio file; clones voices.",
    DialogueInputs,
    "https://www.apache.org/licenses/LICENSE-2.0",
    sample_rate=44_100,  # these two are its codec's, descript/dac_44khz
    hop_length=512,
)
_COUNT = {"count": "Start a prediction for each variation; each has its own file."}
MUSICGEN = ServedModel(
    "musicgen",
    "Makes music of a description; goes on from a recording, follows a melody.",
    MusicInputs,
    _NON_COMMERCIAL,
    withheld=dict.fromkeys(("song_id", "key"), "The result is kept as a file here, in a bucket if there is one.")
    | _COUNT,
)
AUDIOGEN = ServedModel("audiogen", "Makes the sound of a description.", SoundInputs, _NON_COMMERCIAL, withheld=_COUNT)
MODELS: Mapping[str, ServedModel] = {model.full_name: model for model in (DIA, MUSICGEN, AUDIOGEN)}
Served = Mapping[str, ServedModel]  # by their full names, those of MODELS that a deployment serves


def _components(inputs: type[BaseModel], names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    properties = {name: _property(inputs, name, order) for order, name in enumerate(names)}
    required = [name for name in names if inputs.model_fields[name].is_required()]
    yield "Input", {"title": "Input", "type": "object", "properties": properties, "required": required}
    yield "Output", {"format": "uri", "title": "Output", "type": "string"}
    for name in names:
        if choices := _choices(inputs.model_fields[name].annotation):
            yield name, {"description": "An enumeration.", "enum": list(choices), "title": name, "type": "string"}


def _property(inputs: type[BaseModel], name: str, order: int) -> dict[str, Any]:
    f = inputs.model_fields[name]
    kind, nullable = _plain(f.annotation)
    if _choices(f.annotation):
        described: dict[str, Any] = {"allOf": [{"$ref": f"#/components/schemas/{name}"}]}
    else:
        described = {"title": name.replace("_", " ").title(), "type": _TYPES.get(kind, "string")}
    if kind is Path:
        described["format"] = "uri"
    if nullable:
        described["nullable"] = True
    if not f.is_required():
        described["default"] = f.default
    for limit in f.metadata:
        if type(limit).__name__ in _LIMITS:
            keyword, attribute = _LIMITS[type(limit).__name__]
            described[keyword] = getattr(limit, attribute)
    return {**described, "description": f.description, "x-order": order}


def _limit(inputs: type[BaseModel], keyword: str) -> int:
    limit: int = _property(inputs, "max_new_tokens", 0)[keyword]
    return limit


def _plain(annotation: Any) -> tuple[Any, bool]:
    """The type itself of `Annotated[int, …] | None` and the like, and whether None is taken."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        first = next(a for a in typing.get_args(annotation) if a is not type(None))
        return _plain(first)[0], True
    if typing.get_origin(annotation) is typing.Annotated:
        return _plain(typing.get_args(annotation)[0])
    return annotation, False


def _choices(annotation: Any) -> tuple[str, ...]:
    kind = _plain(annotation)[0]
    return typing.get_args(kind) if typing.get_origin(kind) is Literal else ()
