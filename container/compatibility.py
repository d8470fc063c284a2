"""What a new schema takes away from callers of an old one. Knows schemas only, no predictor and no server.

Whoever calls the published container must not break: no input removed or newly required, no other type, no tighter
limit, no choice less, the same defaults and the same output. The rules are those of cog-safe-push (schema.py), with
defaults and patterns added.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from container.components import Schema, inputs_of, output_of, required_of

_LOWER_LIMITS = ("minimum", "minLength")
_UPPER_LIMITS = ("maximum", "maxLength")
_ABSENT = object()


@dataclass(frozen=True)
class Tightening:
    """One broken promise: the input (or "output"), and what happened to it."""

    field: str
    problem: str

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


def tightenings(old: Schema, new: Schema) -> tuple[Tightening, ...]:
    """Everything the new OpenAPI schema refuses or changes that the old one promised."""
    before, after = inputs_of(old), inputs_of(new)
    required_before, required_after = required_of(old), required_of(new)
    found = [Tightening(name, "was removed; coglet would drop it in silence") for name in before if name not in after]
    for name in required_after:
        if name not in before:
            found.append(Tightening(name, "is new and required; give it a default"))
        elif name not in required_before:
            found.append(Tightening(name, "was optional and is required now"))
    for name in before:
        if name in after:
            found += [Tightening(name, problem) for rule in _RULES for problem in rule(before[name], after[name])]
    return (*found, *_output_changes(old, new))


def _type_changes(old: Schema, new: Schema) -> Iterator[str]:
    for key in ("type", "format", "items"):
        if old.get(key) != new.get(key):
            yield f"had {key} {old.get(key)}, has {new.get(key)} now"


def _limit_changes(old: Schema, new: Schema) -> Iterator[str]:
    for key in _LOWER_LIMITS:
        if key in new and (key not in old or new[key] > old[key]):
            yield f"{key} rose from {old.get(key, 'none')} to {new[key]}"
    for key in _UPPER_LIMITS:
        if key in new and (key not in old or new[key] < old[key]):
            yield f"{key} fell from {old.get(key, 'none')} to {new[key]}"


def _pattern_changes(old: Schema, new: Schema) -> Iterator[str]:
    for key in ("pattern", "x-cog-accept"):
        if key in new and new[key] != old.get(key):
            yield f"{key} was {old.get(key, 'none')}, is {new[key]} now"


def _choice_changes(old: Schema, new: Schema) -> Iterator[str]:
    if "enum" in new and "enum" not in old:
        yield f"took any value, takes only {new['enum']} now"
    elif "enum" in new and (lost := [value for value in old["enum"] if value not in new["enum"]]):
        yield f"lost the choices {lost}"


def _default_changes(old: Schema, new: Schema) -> Iterator[str]:
    before, after = old.get("default", _ABSENT), new.get("default", _ABSENT)
    if before is not _ABSENT and before != after:
        yield f"had the default {before!r}, has {'none' if after is _ABSENT else repr(after)} now"


_RULES: tuple[Callable[[Schema, Schema], Iterator[str]], ...] = (
    _type_changes,
    _limit_changes,
    _pattern_changes,
    _choice_changes,
    _default_changes,
)


def _output_changes(old: Schema, new: Schema) -> Iterator[Tightening]:
    before, after = output_of(old), output_of(new)
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            yield Tightening("output", f"{key} was {before.get(key)}, is {after.get(key)} now")
