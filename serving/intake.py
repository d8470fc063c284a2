"""Where every door hands in what it was asked: checked, kept, queued. Knows no HTTP and no model's insides.

What is accepted is on the disk before its caller hears so; should the process die between keeping and queueing, the
janitor queues it.
"""

import hashlib
import io
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from models.errors import InvalidRequest, printable, shown
from models.inputs import ModelVersion, MusicInputs, SoundInputs, half_characters
from models.request import random_seed
from serving.catalog import ServedModel
from serving.fetch import decode_data_uri
from serving.links import Links
from serving.storage.database import DATABASE_AWAY
from serving.storage.files import FILE_PREFIX, Files
from serving.storage.ids import new_id
from serving.storage.limits import Limits
from serving.storage.prediction import Prediction, Status
from serving.storage.records import Records
from serving.storage.uploads import Uploads
from serving.urls import parse_url

log = logging.getLogger("parley")

ANY_SEED = -1  # as music models have it

Lacks = Callable[[str], bool]  # the name of a checkpoint of music → whether it is known that nobody here can load it


@dataclass(frozen=True)
class Submission:
    """What a door was asked for."""

    owner: str
    door: str
    model: ServedModel
    input: Mapping[str, Any]  # None for what was left out
    streaming: bool = False
    webhook: str | None = None
    webhook_events: tuple[str, ...] = ()
    cancel_after: float | None = None  # seconds
    key: str | None = None  # Idempotency-Key
    extra: Mapping[str, Any] = field(default_factory=dict)  # settled beside the input
    id: str = field(default_factory=new_id)  # of the prediction; a door may have a form of its own

    @property
    def hash(self) -> str:
        asked = [self.model.full_name, dict(self.input), self.streaming, self.webhook]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


class Intake:
    def __init__(
        self, records: Records, files: Files, uploads: Uploads, links: Links, limits: Limits, keep_seconds: float,
        enqueue: Callable[[str], None], lacks: Lacks,
    ) -> None:  # fmt: skip
        self._records, self._files, self._uploads, self._links = records, files, uploads, links
        self._limits, self._keep_seconds = limits, keep_seconds
        self._enqueue, self._lacks = enqueue, lacks

    def accept(self, asked: Submission) -> Prediction:
        """Keep and queue it, or what came with its key before.

        Raises InvalidRequest, Overloaded and KeyConflict, with no prediction kept.
        """
        prediction = self._kept_before(asked) or self._keep(asked)
        if prediction.status is Status.STARTING:  # queueing twice is queueing once
            self._queue_kept(prediction)
        return prediction

    def _queue_kept(self, prediction: Prediction) -> None:
        """It is on the disk, so the caller must hear its id whatever happens now."""
        try:
            self._enqueue(prediction.id)
        except DATABASE_AWAY:
            log.exception("prediction %s is kept, and queued as soon as the database is back", prediction.id)

    def _kept_before(self, asked: Submission) -> Prediction | None:
        """Looked up first: to repeat a request is no second one, which the limits are for."""
        return self._records.of_key(asked.owner, asked.door, asked.key, asked.hash) if asked.key else None

    def _keep(self, asked: Submission) -> Prediction:
        most = self._limits.predictions
        self._records.refuse_more(asked.owner, most)  # before any file is kept for it
        given = {name: value for name, value in asked.input.items() if value is not None}
        check(asked.model, given, self._lacks)
        new = Prediction(
            id=asked.id,
            owner=asked.owner,
            door=asked.door,
            model=asked.model.full_name,
            version=asked.model.version,
            input=self._with_files_kept(asked, given),
            settled=_settled(given) | dict(asked.extra),
            streaming=asked.streaming,
            deadline=None if asked.cancel_after is None else time.time() + asked.cancel_after,
            webhook=asked.webhook,
            webhook_events=list(asked.webhook_events),
            key=asked.key,
            key_hash=asked.hash if asked.key else None,
        )
        return self._records.create(new, most)

    def _with_files_kept(self, asked: Submission, given: dict[str, Any]) -> dict[str, Any]:
        """data: URIs become files of ours, links of ours the files they stand for; other URLs are fetched later."""
        kept = dict(given)
        for name in asked.model.file_inputs:
            if name in kept:
                kept[name] = self._kept(asked.owner, name, kept[name])
        return kept

    def _kept(self, owner: str, field_name: str, value: str) -> str:
        if value.startswith("data:"):
            content, content_type = decode_data_uri(value, field_name, self._limits.upload_bytes)
            described = {"owner": owner, "name": field_name, "content_type": content_type}
            return FILE_PREFIX + self._uploads.keep(io.BytesIO(content), **described).id
        if (file_id := self._links.file_of(value)) is not None:
            file = self._files.get(file_id)
            if file is None:
                raise _gone(field_name, file_id)
            if file.owner == owner:
                if not self._files.keep_until([file.id], time.time() + self._keep_seconds):
                    raise _gone(field_name, file_id)
                return FILE_PREFIX + file.id
        elif self._links.has_expired(value):
            raise InvalidRequest(
                field_name, "is a link of ours that has expired. Ask for the file again; its answer has a new one."
            )
        return value


def _gone(field_name: str, file_id: str) -> InvalidRequest:
    return InvalidRequest(field_name, f"is a link to the file {file_id}, which is gone. Upload it again.")


def check(model: ServedModel, given: Mapping[str, Any], lacks: Lacks = lambda checkpoint: False) -> None:
    """All that can be said of the inputs without their files, and without work. Raises InvalidRequest."""
    if problems := [*half_characters(given)]:  # in links too, in whose place others stand below
        raise InvalidRequest.of(problems)
    if problems := [*_of_names(model, given)]:
        raise InvalidRequest.of(problems)
    stood_in = dict(given)
    for name in model.file_inputs:
        if name in stood_in:
            _check_link(name, stood_in[name])
            stood_in[name] = Path(name)
    inputs = model.inputs.parse(**stood_in)
    inputs.to_request("check", model.name)
    if isinstance(inputs, MusicInputs | SoundInputs):
        _check_checkpoint(inputs, lacks)


def _of_names(model: ServedModel, given: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(field, problem) of what is no input, or none here."""
    for name in given:
        if name in model.withheld:
            yield name, f"is no input here. {model.withheld[name]}"
        elif name not in model.input_names:
            yield printable(name), f"is no input of {model.full_name}, which takes {', '.join(model.input_names)}."


def _check_checkpoint(inputs: MusicInputs | SoundInputs, lacks: Lacks) -> None:
    if not lacks(inputs.model_name):
        return
    problem = f"asks for {inputs.model_name}, which this server has not and may not fetch."
    if isinstance(inputs, SoundInputs):
        raise InvalidRequest("model", f"{problem} Ask for another model.")
    names = [inputs.model_copy(update={"model_version": v}).model_name for v in get_args(ModelVersion)]
    there = ", ".join(name for name in names if not lacks(name)) or "none"
    raise InvalidRequest("model_version", f"{problem} Available: {there}.")


def _check_link(field_name: str, value: Any) -> None:
    if not isinstance(value, str) or not value.startswith(("http://", "https://", "data:")):
        raise InvalidRequest(
            field_name,
            f"is {shown(value)}; send the file's http(s) URL, its content as a data: URI, or upload it first.",
        )
    if not value.startswith("data:"):
        parse_url(value, field_name)


def _settled(given: Mapping[str, Any]) -> dict[str, Any]:
    """A seed for whoever gave none, so that a second attempt makes the same audio."""
    if given.get("seed") in (None, ANY_SEED):
        return {"seed": random_seed()}
    return {}
