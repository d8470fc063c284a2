"""One prediction as it is kept: what was asked, how far it is, how it ended. Knows no statement that changes it."""

import time
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from serving.storage.tables import predictions as table


class Status(StrEnum):
    STARTING = "starting"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    ABORTED = "aborted"

    @property
    def final(self) -> bool:
        return self not in ACTIVE


ACTIVE = (Status.STARTING, Status.PROCESSING)


@dataclass(frozen=True)
class Prediction:
    """One prediction at one moment. Times are seconds since 1970."""

    id: str
    owner: str
    door: str
    model: str
    version: str
    input: dict[str, Any]  # as it was given, files as "file:ID" or URLs
    settled: dict[str, Any] = field(default_factory=dict)  # what was drawn or decided for it, so that it repeats: seed
    streaming: bool = False  # audio leaves as soon as it is exact; else passages are checked first
    status: Status = Status.STARTING
    created_at: float = field(default_factory=time.time)
    started_at: float | None = None
    completed_at: float | None = None
    deadline: float | None = None  # then it is cancelled
    attempt: int = 0  # how often it was begun
    cut_short: int = 0  # how often it was begun by a process that then died
    progress: float = 0.0  # 0-1
    audio_seconds: float = 0.0  # made so far
    logs: str = ""
    output: str | None = None  # id of a file
    error: str | None = None
    problems: list[list[str]] = field(default_factory=list)  # [input, what is the matter with it], if that is the error
    metrics: dict[str, Any] = field(default_factory=dict)
    webhook: str | None = None
    webhook_events: list[str] = field(default_factory=list)
    unannounced: bool = False  # its webhook is still to be told of its end
    data_removed: bool = False
    key: str | None = None
    key_hash: str | None = None

    @property
    def attempt_id(self) -> str:
        """Of what is made now: an attempt that was given up may still be on its way out beside it."""
        return f"{self.id}-{self.attempt}"


COLUMNS = [table.c[f.name] for f in fields(Prediction)]


def of_row(row: sa.RowMapping) -> Prediction:
    """row: the values of COLUMNS."""
    return Prediction(**{**row, "status": Status(row["status"])})
