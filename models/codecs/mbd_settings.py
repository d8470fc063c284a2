"""A tree of settings, read key by key: what is missing, of the wrong kind or left over is an error that names it.

Knows plain dicts, lists and scalars. Knows no setting by name.
"""

import math
from collections.abc import Mapping
from typing import Any, NoReturn, Self

from models.errors import WeightsError

_MISSING = object()


class Settings:
    """One section of a tree. `origin` says where the tree is, `path` where the section is in it: for errors."""

    def __init__(self, fields: Mapping[str, Any], origin: str, path: str = "") -> None:
        self._fields = fields
        self._origin = origin
        self._path = path
        self._unread = set(fields)

    def section(self, name: str, *, optional: bool = False) -> Self:
        """The section of this name; an optional one that is missing is empty."""
        fields = self._value(name, {} if optional else _MISSING)
        if not isinstance(fields, Mapping):
            self.refuse(name, f"is {fields!r}, not a section")
        return type(self)(fields, self._origin, f"{self._path}{name}.")

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number above 0; required where there is no default."""
        value = self._value(name, _MISSING if default is None else default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            self.refuse(name, f"is {value!r}; it must be a whole number above 0")
        return value

    def number(self, name: str, default: float, *, none: float | None = None) -> float:
        """A finite number. `none` is what null stands for, where it may."""
        value = self._value(name, default)
        return none if value is None and none is not None else self._number(name, value)

    def numbers(self, name: str, default: float) -> tuple[float, ...]:
        """A number, or a list of them."""
        value = self._value(name, default)
        return tuple(self._number(name, one) for one in (value if isinstance(value, list) else [value]))

    def flag(self, name: str, default: bool) -> bool:
        value = self._value(name, default)
        if not isinstance(value, bool):
            self.refuse(name, f"is {value!r}; it must be true or false")
        return value

    def only(self, name: str, supported: Any, *, default: Any = _MISSING) -> None:
        """A setting that is supported at one value."""
        value = self._value(name, default)
        if value != supported:
            self.refuse(name, f"is {value!r}; only {supported!r} is supported")

    def ignore(self, *names: str) -> None:
        """Settings that change nothing here."""
        self._unread.difference_update(names)

    def done(self) -> None:
        """Refuse what nobody asked for, unless it is switched off."""
        left = {f"{self._path}{name}": self._fields[name] for name in sorted(self._unread) if self._fields[name]}
        if left:
            unknown = ", ".join(f"{name} = {value!r}" for name, value in left.items())
            raise WeightsError(f"{self._origin}: unknown settings: {unknown}. A newer Parley may know them.")

    def refuse(self, name: str, problem: str) -> NoReturn:
        """Raise WeightsError: `problem` completes the sentence that starts with the setting."""
        raise WeightsError(f"{self._origin}: {self._path}{name} {problem}.")

    def _value(self, name: str, default: Any) -> Any:
        self._unread.discard(name)
        value = self._fields.get(name, default)
        if value is _MISSING:
            self.refuse(name, "is missing")
        return value

    def _number(self, name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.refuse(name, f"is {value!r}; it must be a number")
        return float(value)
