"""JSON as Go's encoding/json writes it: compact, maps sorted by key, `<`, `>` and `&` escaped, 3.0 as 3."""

import json
import math
from decimal import Decimal
from typing import Any

_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
_SMALLEST_PLAIN, _LARGEST_PLAIN = 1e-6, 1e21  # Go writes exponents outside of this range


class Ordered(dict[str, Any]):
    """A map whose keys keep their order."""


def encode(value: Any) -> str:
    match value:
        case None | bool() | int():
            return json.dumps(value)
        case float():
            return _number(value)
        case str():
            return json.dumps(value, ensure_ascii=False).translate(_ESCAPES)
        case dict():
            keys = list(value) if isinstance(value, Ordered) else sorted(value)
            return "{" + ",".join(f"{encode(key)}:{encode(value[key])}" for key in keys) + "}"
        case list() | tuple():
            return "[" + ",".join(map(encode, value)) + "]"
    raise AssertionError(type(value))


def _number(value: float) -> str:
    """The shortest digits that give the same float64, plain or with an exponent as Go chooses."""
    assert math.isfinite(value), value
    shortest = Decimal(repr(value))
    if value == 0 or _SMALLEST_PLAIN <= abs(value) < _LARGEST_PLAIN:
        plain = f"{shortest:f}"
        return plain.rstrip("0").removesuffix(".") if "." in plain else plain
    digits, exponent = f"{shortest.normalize():e}".split("e")
    return f"{digits}e{exponent}"
