"""A prediction as Replicate's API shows it. Source: that API's OpenAPI document."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from serving.catalog import MODELS
from serving.links import LINK_SECONDS, Links
from serving.storage.files import FILE_PREFIX, File, Files
from serving.storage.records import Prediction, Records, Status

Link = Callable[[str | None], str | None]  # the id of a file → a link to it
NOT_BEGUN = "Its deadline passed before it was begun."


class PredictionJson:
    def __init__(self, records: Records, files: Files, links: Links) -> None:
        self._records, self._files, self._links = records, files, links

    def show(self, prediction: Prediction) -> dict[str, Any]:
        """Every file in it is a signed link, made now."""
        return self._shown(prediction, self._link, self._records.queue_position(prediction))

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

    def _link(self, file_id: str | None) -> str | None:
        file: File | None = self._files.get(file_id) if file_id is not None else None
        return self._links.download(file) if file is not None else None

    def _urls(self, p: Prediction) -> dict[str, str]:
        expiry = int(time.time() + LINK_SECONDS)
        return {
            "get": self._links.prediction(p.id),
            "cancel": self._links.prediction(p.id, "/cancel"),
            "stream": self._links.stream(p.id, p.owner, expiry),
            "web": f"{self._links.base}/?prediction={p.id}",
        }


def _input(p: Prediction, link: Link) -> dict[str, Any]:
    shown = dict(p.input)
    for name in MODELS[p.model].file_inputs if p.model in MODELS else ():
        value = shown.get(name)
        if value is not None and value.startswith(FILE_PREFIX):
            shown[name] = link(value.removeprefix(FILE_PREFIX))
    return shown


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
