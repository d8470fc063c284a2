"""Settings of a published model, read strictly: each mistake is an error with the file, the setting and its value.

Knows no model.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from models.errors import WeightsError, shown


class Settings:
    """A group of settings. `source` names their file, `group` stands before their names in errors."""

    def __init__(self, values: Mapping[str, Any], source: str, group: str = "") -> None:
        self.values = values
        self.source = source
        self.group = group

    def section(self, name: str) -> "Settings":
        """The group of this name within the group."""
        values = self.values.get(name)
        if not isinstance(values, Mapping):
            raise self.refused(name, "a group of settings")
        return Settings(values, self.source, f"{self.group}{name}.")

    def know(self, names: Iterable[str]) -> None:
        """Refuse settings of other names."""
        if unknown := sorted(set(self.values) - set(names)):
            raise WeightsError(f"{self.source}: {self.group}{unknown[0]} is a setting that is not supported.")

    def completed(self, defaults: Mapping[str, Any], without_effect: Iterable[str] = ()) -> "Settings":
        """The group, with `defaults` for what it does not say. Refuses what is neither there nor in `without_effect`,
        unless it is switched off: null, false, 0 or empty."""
        known = {*defaults, *without_effect}
        values = {name: value for name, value in self.values.items() if name in known or value}
        Settings(values, self.source, self.group).know(known)
        return Settings({**defaults, **values}, self.source, self.group)

    def require(self, only: Mapping[str, Any]) -> None:
        """Refuse other values than these; a setting that is not there has its value."""
        for name, wanted in only.items():
            if self.values.get(name, wanted) != wanted:
                raise self.refused(name, f"{wanted!r}; nothing else is supported")

    def count(self, name: str, least: int = 1) -> int:
        value: Any = self.values.get(name)
        if not _is_count(value, least):
            raise self.refused(name, f"a whole number, {least} or more")
        return int(value)

    def counts(self, name: str) -> tuple[int, ...]:
        values = self.values.get(name)
        if not isinstance(values, list | tuple) or not values or not all(_is_count(value, 1) for value in values):
            raise self.refused(name, "a list of whole numbers, 1 or more")
        return tuple(values)

    def flag(self, name: str) -> bool:
        value = self.values.get(name)
        if not isinstance(value, bool):
            raise self.refused(name, "true or false")
        return value

    def share(self, name: str) -> float:
        value = self.values.get(name)
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self.refused(name, "a number from 0 to 1")
        return float(value)

    def number(self, name: str) -> float:
        value: Any = self.values.get(name)
        if not _is_number(value):
            raise self.refused(name, "a number")
        return float(value)

    def numbers(self, name: str) -> tuple[float, ...]:
        """Of a number, or of a list of them."""
        values: Any = self.values.get(name)
        numbers: Sequence[Any] = values if isinstance(values, list | tuple) else [values]
        if not numbers or not all(_is_number(value) for value in numbers):
            raise self.refused(name, "a number or a list of numbers")
        return tuple(float(value) for value in numbers)

    def choice(self, name: str, meanings: Mapping[str, Any]) -> Any:
        """What the setting's value means."""
        value = self.values.get(name)
        if not isinstance(value, str) or value not in meanings:
            raise self.refused(name, f"one of {', '.join(meanings)}")
        return meanings[value]

    def refused(self, name: str, must: str) -> WeightsError:
        return WeightsError(f"{self.source}: {self.group}{name} is {shown(self.values.get(name))}; it must be {must}.")


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
