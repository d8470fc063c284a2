"""A prediction as Replicate's API shows it. Source: that API's OpenAPI document."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from serving.catalog import MODELS
from serving.links import LINK_SECONDS, Links
from serving.storage.files import FILE_PREFIX, Files
from serving.storage.history import History
from serving.storage.prediction import Prediction, Status

Link = Callable[[str | None], str | None]  # the id of a file → a link to it
NOT_BEGUN = "Its deadline passed before it was begun."


class PredictionJson:
    def __init__(self, history: History, files: Files, links: Links) -> None:
        self._history, self._files, self._links = history, files, links

    def show(self, prediction: Prediction) -> dict[str, Any]:
        """Every file in it is a signed link, made now."""
        (shown,) = self.show_all([prediction])
        return shown

    def show_all(self, predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
        """Each as `show` would, with no more questions to the database than for one."""
        files = self._files.by_id([file_id for p in predictions for file_id in _files_of(p)])
        positions = self._history.queue_positions(predictions)

        def link(file_id: str | None) -> str | None:
            return self._links.download(files[file_id]) if file_id in files else None

        return [self._shown(p, link, positions.get(p.id)) for p in predictions]

    def remembered(self, prediction: Prediction) -> dict[str, Any]:
        """What can be said of it while the database is away: no links to files, no place in the queue."""
        return self._shown(prediction, lambda file_id: None, None)

    def _shown(self, p: Prediction, link: Link, position: int | None) -> dict[str, Any]:
        shown = {
            "id": p.id,
            "model": p.model,
            "version": p.version,
            "input": _input(p, link),
            "logs": p.logs,
            "output": link(p.output),
            "data_removed": p.data_removed,
            "error": NOT_BEGUN if p.status is Status.ABORTED else p.error,
            "status": str(_shown_status(p.status)),
            "source": "api",
            "created_at": moment(p.created_at),
            "metrics": _metrics(p, position),
            "urls": self._urls(p),
        }
        for name in ("started_at", "completed_at", "deadline"):
            if (at := getattr(p, name)) is not None:
                shown[name] = moment(at)
        return shown

    def _urls(self, p: Prediction) -> dict[str, str]:
        expiry = int(time.time() + LINK_SECONDS)
        return {
            "get": self._links.prediction(p.id),
            "cancel": self._links.prediction(p.id, "/cancel"),
            "stream": self._links.stream(p.id, p.owner, expiry),
            "web": f"{self._links.base}/?prediction={p.id}",
        }


def _input(p: Prediction, link: Link) -> dict[str, Any]:
    return {**p.input, **{name: link(file_id) for name, file_id in _input_files(p).items()}}


def _files_of(p: Prediction) -> list[str]:
    """Their ids."""
    return [*_input_files(p).values(), *([p.output] if p.output is not None else [])]


def _input_files(p: Prediction) -> dict[str, str]:
    """The inputs that are files of ours, and which."""
    names = MODELS[p.model].file_inputs if p.model in MODELS else ()
    given = {name: p.input[name] for name in names if p.input.get(name) is not None}
    return {name: file.removeprefix(FILE_PREFIX) for name, file in given.items() if file.startswith(FILE_PREFIX)}


def _metrics(p: Prediction, position: int | None) -> dict[str, Any]:
    """position: in the queue, if it waits."""
    shown = {"progress": round(p.progress, 4), "audio_seconds": round(p.audio_seconds, 3), **p.metrics}
    if position is not None:
        shown["queue_position"] = position
    if p.problems:  # as an answer with status 422 has them: what is wrong with its files shows only now
        shown["invalid_fields"] = [{"type": "invalid", "field": name, "description": text} for name, text in p.problems]
    end = p.completed_at
    if end is not None:
        shown["total_time"] = round(end - p.created_at, 3)
        if p.started_at is not None:
            shown["predict_time"] = round(end - p.started_at, 3)
    return shown


def _shown_status(status: Status) -> Status:
    """Replicate has "aborted" too, but its Python client cannot read it, and its JavaScript client waits for ever."""
    return Status.CANCELED if status is Status.ABORTED else status


def as_waited_for(shown: dict[str, Any]) -> dict[str, Any]:
    """What `Prefer: wait` may say: both official clients take any status but "starting" for the end."""
    return {**shown, "status": str(Status.STARTING)} if shown["status"] == Status.PROCESSING else shown


def moment(seconds: float) -> str:
    """2026-01-31T12:00:00.000000Z"""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
