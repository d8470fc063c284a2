"""The errors a caller can meet, each with the HTTP status a door answers with. Knows no HTTP library.

ParleyError (500)
├── InvalidRequest (422, also ValueError)   the caller can fix it: field, problem, way out
│   ├── MissingInput (422, also RuntimeError)
│   └── UnreadableAudio (422)
├── Overloaded (429)                        the queue is full; try again later
├── Cancelled (499)                         the caller asked for it
├── EngineClosed (503)                      the process is going away
├── WeightsError (503)                      a file is missing, damaged or of another model
├── TranscriptionFailed (500)               the recogniser broke down on audio that it should read
├── GenerationFailed (500)                  the model gave nothing that can be returned
└── StorageFailed (502)                     a bucket that the result was to go to did not take it
"""

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self


class ParleyError(Exception):
    """Root of all errors that a door turns into an answer."""

    status = 500


class InvalidRequest(ParleyError, ValueError):
    """A caller's mistake, found before any model work.

    `field` is the public name of the input; `problem` completes the sentence that starts with it and names the
    value, the limit and the way out. `others` holds further (field, problem) pairs of the same request.
    """

    status = 422

    def __init__(self, field: str, problem: str, others: tuple[tuple[str, str], ...] = ()) -> None:
        self.field = field
        self.problem = problem
        self.others = others
        super().__init__("; ".join(f"{name}: {text}" for name, text in self.problems))

    @classmethod
    def of(cls, problems: Iterable[Sequence[str]]) -> Self:
        """Of all that is wrong with one request: its (field, problem) pairs, at least one."""
        (field, problem), *others = problems
        return cls(field, problem, tuple((name, text) for name, text in others))

    def renamed(self, names: Mapping[str, str]) -> Self:
        """The same by other names of its fields, for a caller who knows them by those; not in `names`: as it is."""
        return self.of((names.get(field, field), problem) for field, problem in self.problems)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.field, self.problem, self.others)  # `args` holds the message alone

    @property
    def problems(self) -> tuple[tuple[str, str], ...]:
        return ((self.field, self.problem), *self.others)


class MissingInput(InvalidRequest, RuntimeError):
    """Neither `input` nor `prompt` was given. A RuntimeError too, because MAX's AudioGenerationRequest raises one."""


class UnreadableAudio(InvalidRequest):
    """The bytes given as audio are empty, too many, too long, silent or in no container that ffmpeg reads."""


class Overloaded(ParleyError):
    """As many requests wait as the engine is willing to hold."""

    status = 429


class Cancelled(ParleyError):
    """The request was cancelled by its caller."""

    status = 499


class EngineClosed(ParleyError):
    """The engine was closed while, or before, the request ran."""

    status = 503


class WeightsError(ParleyError):
    """A weight file is missing, damaged, or belongs to a model that this code does not run."""

    status = 503


class TranscriptionFailed(ParleyError):
    """The recogniser broke down on audio that it should read."""


class GenerationFailed(ParleyError):
    """No take of the request gave audio that can be returned."""


class StorageFailed(ParleyError):
    """A bucket could not be reached, or refused; what was to be stored is not there."""

    status = 502


class _Beginning(reprlib.Repr):
    """Writes out no more of a value than its beginning needs: what callers send may be a hundred megabytes long."""

    def __init__(self, longest: int) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 3 * longest  # it cuts in the middle, behind what is looked at

    def repr_bytes(self, value: bytes, level: int) -> str:
        return repr(value[: self.maxother])


def shown(value: Any, longest: int = 60) -> str:
    """A caller's value for a message, shortened, so that a message never repeats a whole script."""
    text = _Beginning(longest).repr(value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def printable(name: str, longest: int = 60) -> str:
    """A caller's name for a field, as every answer and log can hold it: half a character as \\ud800, and shortened."""
    return name[:longest].encode(errors="backslashreplace").decode()
