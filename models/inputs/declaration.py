"""What every public schema is made of: its kinds of values, how one is parsed, and how its mistakes are told.

Knows no field of any schema.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from models.errors import InvalidRequest, printable, shown
from models.request import AudioGenerationRequest

_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


def half_characters(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(field, problem) of each name or text that JSON can say and no text may hold: one half of a surrogate pair."""
    for name, value in given.items():
        if any(_HALF_CHARACTER.search(text) for text in (name, value) if isinstance(text, str)):
            yield printable(name), "holds half a surrogate pair, which is no character. Leave it out."


def _number(value: Any) -> Any:
    """Cog passes 600.0 for an integer and 4 for a number; pydantic takes both, but would also take True and "600"."""
    if isinstance(value, bool | str | bytes):
        raise ValueError("is no number")
    return value


def _flag(value: Any) -> Any:
    """pydantic would also take 1 and "yes"."""
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


def _file(value: Any) -> Any:
    """Cog hands on a file input that is no URL as the bare string it was, such as /etc/hostname."""
    if value is not None and not isinstance(value, Path):
        raise ValueError("is no file")
    return value


def _secret(value: Any) -> Any:
    """Cog's Secret has the same method as pydantic's; neither shows what it holds when it is printed."""
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


File = Annotated[Path, BeforeValidator(_file)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Integer = Annotated[int, BeforeValidator(_number)]
Number = Annotated[float, BeforeValidator(_number)]
Secret = Annotated[SecretStr, BeforeValidator(_secret)]


class Inputs(BaseModel):
    """One request, as a caller may ask it. Field order is the order of the public schema.

    No error repeats a Secret, and none that is raised from another lets that one show what was given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    @classmethod
    def parse(cls, **values: Any) -> Self:
        """Build, or raise InvalidRequest that names every bad field, its value, its limit and the way out."""
        if problems := [*half_characters(values)]:  # of a name with one, pydantic could not say which it is
            raise InvalidRequest.of(problems)
        try:
            return cls(**values)
        except ValidationError as error:
            raise InvalidRequest.of(_explain(cls, detail) for detail in error.errors()) from error

    def to_request(self, request_id: str, model: str, *, streaming: bool = False) -> AudioGenerationRequest:
        """The request for the engine; raises InvalidRequest where fields do not fit each other."""
        raise NotImplementedError


def _explain(schema: type[BaseModel], detail: ErrorDetails) -> tuple[str, str]:
    """(field, problem) of one pydantic error: the value, the limit and the way out."""
    field = printable(str(detail["loc"][0]))
    declared = schema.model_fields[field].annotation if field in schema.model_fields else None
    if "Secret" in str(declared):
        return field, "is no string. Send the secret as text."
    value, context = shown(detail["input"]), detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return field, "is missing; it has no default. Send a value."
        case "extra_forbidden":
            return field, f"is no input of this model. It takes {', '.join(schema.model_fields)}."
        case "greater_than_equal" | "less_than_equal":
            low, high = _bounds(schema, field)
            return field, f"is {value}; it must lie between {low} and {high}."
        case "string_too_short":
            return field, f"is empty; it needs at least {context['min_length']} character."
        case "literal_error":
            return field, f"is {value}; choose {context['expected']}."
        case "int_from_float":
            return field, f"is {value}; it must be a whole number."
        case "string_type":
            return field, f"is {value}; it must be a string."
        case "finite_number":
            low, high = _bounds(schema, field)
            return field, f"is {value}; it must be a finite number between {low} and {high}."
        case "value_error" if declared == File | None:
            return field, f"is {value}; send the file's http(s) URL, or its content as a data: URI."
        case "value_error" if declared is bool:
            return field, f"is {value}; it must be true or false."
        case _:
            kind = "a whole number" if "int" in str(declared) else "a number"
            return field, f"is {value}; it must be {kind}, not {type(detail['input']).__name__}."


def _bounds(schema: type[BaseModel], field: str) -> tuple[Any, Any]:
    limits = {type(m).__name__: m for m in schema.model_fields[field].metadata}
    return limits["Ge"].ge, limits["Le"].le
