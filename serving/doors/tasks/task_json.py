"""Door 3's answers: the envelope around everything, and a task inside it. Knows no route.

The envelope is that of the API this door follows: data, errors, error_description, and when the request came and was
answered ("2024-03-15 01:34:49.257219", UTC). What it says of a task beyond task_id, prompt and config is our own.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from models.errors import InvalidRequest
from serving.doors.tasks.dialects import dialect_of, name_of
from serving.links import Links
from serving.prediction_json import PredictionJson, moment
from serving.storage.files import File, Files
from serving.storage.prediction import Prediction, Status

TASK_TYPE = "TEXT-TO-AUDIO"


class TaskState(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"  # it succeeded, and its result has been deleted since


_STATES = {
    Status.STARTING: TaskState.PENDING,
    Status.PROCESSING: TaskState.RUNNING,
    Status.SUCCEEDED: TaskState.SUCCEEDED,
    Status.FAILED: TaskState.FAILED,
    Status.CANCELED: TaskState.CANCELED,
    Status.ABORTED: TaskState.CANCELED,
}


def envelope(
    data: Any, started_at: float, errors: Sequence[dict[str, Any]] = (), description: str = ""
) -> dict[str, Any]:
    """started_at: when the request came in, seconds since 1970."""
    return {
        "data": data,
        "errors": list(errors),
        "error_description": description,
        "start_time": _stamp(started_at),
        "end_time": _stamp(time.time()),
    }


def state_of(task: Prediction, result: File | None) -> TaskState:
    """result: the file it made, if that is still there."""
    state = _STATES[task.status]
    return TaskState.EXPIRED if state is TaskState.SUCCEEDED and result is None else state


def error_of(task: Prediction) -> str | None:
    """Why it failed; what its caller can mend by the names of this door."""
    if not task.problems:
        return task.error
    return str(InvalidRequest.of(task.problems).renamed(dialect_of(task.model).fields))


class TaskJson:
    def __init__(self, json_of: PredictionJson, files: Files, links: Links) -> None:
        self._json_of, self._files, self._links = json_of, files, links

    def result(self, task: Prediction) -> File | None:
        return self._files.get(task.output) if task.output is not None else None

    def show(self, task: Prediction) -> dict[str, Any]:
        """Every file in it is a signed link, made now. Moments are ISO 8601, UTC; null for what has not come yet."""
        (shown,) = self.show_all([task])
        return shown

    def show_all(self, tasks: Sequence[Prediction]) -> list[dict[str, Any]]:
        """Each as `show` would, with no more questions to the database than for one."""
        results = self._files.by_id([task.output for task in tasks if task.output is not None])
        shown = self._json_of.show_all(tasks)
        return [self._shown(task, one, results.get(task.output or "")) for task, one in zip(tasks, shown, strict=True)]

    def remembered(self, task: Prediction) -> dict[str, Any]:
        """What can be said of one that was just started while the database is away."""
        return self._shown(task, self._json_of.remembered(task), None)

    def _shown(self, task: Prediction, shown: dict[str, Any], result: File | None) -> dict[str, Any]:
        return {
            "task_id": task.id,
            **_asked(task, shown["input"]),
            "status": state_of(task, result),
            "progress": shown["metrics"]["progress"],  # 0-1
            "queue_position": shown["metrics"].get("queue_position"),  # 1: the next to be begun
            "audio_seconds": shown["metrics"]["audio_seconds"],
            **self._result(result),
            "data_removed": task.data_removed,
            "error": error_of(task),
            "logs": task.logs,
            **{name: shown.get(name) for name in ("created_at", "started_at", "completed_at")},
            "urls": self._urls(task),
        }

    def _result(self, result: File | None) -> dict[str, Any]:
        """expires_at: when the file is deleted. Its link is good for a while only; each answer has a new one."""
        if result is None:
            return {"result_url": None, "result_url_expires_at": None, "expires_at": None}
        return {
            "result_url": self._links.download(result),
            "result_url_expires_at": moment(self._links.expiry(result)),
            "expires_at": moment(result.expires_at) if result.expires_at is not None else None,
        }

    def _urls(self, task: Prediction) -> dict[str, str]:
        status = f"{self._links.base}/ai/audio_generation/{task.id}"
        return {"status": status, "result": f"{status}/result", "cancel": f"{status}/cancel"}


def _asked(task: Prediction, inputs: dict[str, Any]) -> dict[str, Any]:
    """Prompt and config as they were given, and the seed if it was drawn: of both as much as is not deleted yet.

    inputs: files in it as links.
    """
    name, dialect = name_of(task.model, task.input), dialect_of(task.model)
    kind = {"model": name, "task_name": f"tasks.{name}", "task_type": TASK_TYPE}
    drawn = {n: value for n, value in task.settled.items() if n != dialect.prompt}
    return {"prompt": inputs.get(dialect.prompt), "config": kind | dialect.configs({**inputs, **drawn})}


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
