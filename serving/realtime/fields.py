"""What all that a client sends has in common: frozen, strict, and with OpenAI's words for each mistake in it.

Knows pydantic's kinds of mistakes and OpenAI's codes for them; knows no event.
"""

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

from models.errors import printable
from serving.realtime.faults import Fault, invalid_value

Json = dict[str, Any]

_KINDS = (  # what JSON calls a value; bool before int, which it is in Python too
    (bool, "a boolean"), (str, "a string"), (int, "an integer"), (float, "a decimal"), (Mapping, "an object"),
    (Sequence, "an array"), (type(None), "null"),
)  # fmt: skip
_EXPECTED = {
    "string_type": "a string", "bool_type": "a boolean", "int_type": "an integer", "int_from_float": "an integer",
    "float_type": "a decimal", "list_type": "an array", "dict_type": "an object", "model_type": "an object",
    "model_attributes_type": "an object", "finite_number": "a finite number",
}  # fmt: skip
_BOUNDS = {  # pydantic's → (ending of the code, its words, the sign, the name of the limit)
    "greater_than_equal": ("below_min_value", "below minimum value", ">=", "ge"),
    "less_than_equal": ("above_max_value", "above maximum value", "<=", "le"),
}
LONGEST_SHOWN = 64  # characters of a client's own words that an answer repeats

T = TypeVar("T", bound=BaseModel)


class Frozen(BaseModel):
    """Of JSON, no value taken for another kind. null stands for the default where it is no value of the field."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _null_is_the_default(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        fields = cls.model_fields
        return {
            name: value
            for name, value in given.items()
            if value is not None or name not in fields or _takes_null(fields[name].annotation)
        }


def read(schema: type[T], given: Any, path: str = "") -> T:
    """JSON as an instance. Raises Fault, whose param begins with `path`, for the first mistake in it."""
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        raise _fault(error.errors(include_url=False)[0], given, path) from error


def _takes_null(annotation: Any) -> bool:
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return annotation is Any or (is_union and type(None) in typing.get_args(annotation))


def _fault(error: ErrorDetails, given: Any, path: str) -> Fault:
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    param = _dotted(error["loc"], given, path, is_missing=kind == "missing")
    match kind:
        case "missing" | "union_tag_not_found":
            if kind == "union_tag_not_found":
                param = f"{param}.{context['discriminator'].strip(chr(39))}"
            return Fault("missing_required_parameter", f"Missing required parameter: '{param}'.", param)
        case "extra_forbidden":
            return Fault("unknown_parameter", f"Unknown parameter: '{param}'.", param)
        case "literal_error":
            expected = context["expected"].replace(" or ", ", ")
            return invalid_value(param, f"Invalid value: '{_shown(value)}'. Supported values are: {expected}.")
        case "union_tag_invalid":
            tag = f"{param}.{context['discriminator'].strip(chr(39))}"
            told = f"Invalid value: '{_shown(context['tag'])}'. Supported values are: {context['expected_tags']}."
            return invalid_value(tag, told)
        case "string_too_long":
            return _length_fault(param, "above", "maximum", context["max_length"], len(value))
        case "string_too_short":
            return _length_fault(param, "below", "minimum", context["min_length"], len(value))
        case "too_long" | "too_short":
            side, words = ("above_max", "maximum") if kind == "too_long" else ("below_min", "minimum")
            limit = context["max_length" if kind == "too_long" else "min_length"]
            told = f"Expected an array with {words} length {limit}, but got an array with length {len(value)} instead."
            return Fault(f"array_{side}_length", f"Invalid '{param}': wrong length. {told}", param)
        case _ if kind in _BOUNDS:
            ending, words, sign, limit = _BOUNDS[kind]
            number = "integer" if isinstance(context[limit], int) else "decimal"
            told = f"Expected a value {sign} {context[limit]}, but got {value} instead."
            return Fault(f"{number}_{ending}", f"Invalid '{param}': {number} {words}. {told}", param)
        case "value_error":  # a check of ours, which says the rest
            return invalid_value(param, f"Invalid '{param}': {context['error']}")
    expected = _EXPECTED.get(kind, "another kind of value")
    told = f"Invalid type for '{param}': expected {expected}, but got {_kind_of(value)} instead."
    return Fault("invalid_type", told, param)


def _length_fault(param: str, side: str, words: str, limit: int, length: int) -> Fault:
    too = "long" if side == "above" else "short"
    return Fault(
        f"string_{side}_{words[:3]}_length",
        f"Invalid '{param}': string too {too}. Expected a string with {words} length {limit}, but got a string with "
        f"length {length} instead.",
        param,
    )


def _dotted(place: Sequence[int | str], given: Any, path: str, *, is_missing: bool) -> str:
    """As OpenAI writes where something is: session.tools[0].name. pydantic names the kind of a union's member too."""
    for number, step in enumerate(place):
        if isinstance(step, int):
            path, given = f"{path}[{step}]", given[step] if isinstance(given, list) and step < len(given) else None
        elif (isinstance(given, dict) and step in given) or (is_missing and number == len(place) - 1):
            path = f"{path}.{printable(step)}" if path else printable(step)
            given = given.get(step) if isinstance(given, dict) else None
    return path


def _kind_of(value: Any) -> str:
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "something else")


def _shown(value: Any) -> str:
    return printable(str(value), LONGEST_SHOWN)
