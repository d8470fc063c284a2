"""One prediction, worked on: its files fetched, its audio made, kept and told of. Knows no queue and no HTTP route."""

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from models.errors import Cancelled, EngineClosed, InvalidRequest, ParleyError, WeightsError
from models.inputs import Inputs
from serving.catalog import MODELS
from serving.fetch import FetchLimits, fetch_url
from serving.storage.database import DATABASE_AWAY
from serving.storage.files import FILE_PREFIX, OUTPUT, WANTED_SECONDS, File, Files
from serving.storage.live import LiveAudio
from serving.storage.prediction import Prediction, Status
from serving.storage.records import LONGEST_LOGS, Records
from serving.work.backend import Backends, MadeFile
from serving.work.handovers import Handovers

log = logging.getLogger("parley.worker")

MOST_ATTEMPTS = 10  # to begin it: one that takes the process down each time must not do so for ever
REPORT_SECONDS = 0.25
UNLOADABLE = "Its model cannot be loaded on this server; whoever runs it finds the reason in the log. Ask for another."
FAULT = "Something broke on our side while this was made. It is logged; try again."

Tell = Callable[[Prediction, str], bool]  # a prediction and "start" or "logs" → whether it was told


@dataclass(frozen=True)
class Storage:
    """Where things are kept."""

    engine: sa.Engine
    records: Records
    files: Files
    live: LiveAudio


class GivenUp(BaseException):
    """Left as it is, for another to begin anew. No Exception: nothing on its way may take it for an end."""


class PredictionRunner:
    """Runs many predictions at once, each in the thread that calls `work`, until `give_up`."""

    def __init__(
        self,
        rooms: Storage,
        backends: Backends,
        limits: FetchLimits,
        keep_seconds: float,
        folder: Path,
        handovers: Handovers,
        tell: Tell = lambda now, event: False,
        most_attempts: int = MOST_ATTEMPTS,
    ) -> None:
        """folder: for this worker's files on their way; what is left there after a crash is for the next to remove.
        handovers: hear of what is left here on purpose. most_attempts: that died with their process."""
        self._rooms, self._backends, self._limits = rooms, backends, limits
        self._keep_seconds, self._folder, self._handovers, self._tell = keep_seconds, folder, handovers, tell
        self._most_attempts = most_attempts
        self._running: dict[str, Prediction] = {}  # by the attempt's id: two of one prediction may meet here
        self._lock = threading.Lock()
        self._given_up = threading.Event()
        self.broken: EngineClosed | None = None  # then no model of this process makes anything any more

    def work(self, prediction_id: str) -> None:
        """Begin it and bring it to an end, whichever; does nothing if it has ended.

        Raises GivenUp, and one of DATABASE_AWAY where the database is: then it is to be called again.
        """
        self._go_on()
        self._handovers.tell()
        self._rooms.records.expire(time.time())
        now = self._rooms.records.begin(prediction_id)
        if now is None:
            return
        with self._lock:
            self._running[now.attempt_id] = now
        try:
            self._bring_to_an_end(now)
        except (GivenUp, *DATABASE_AWAY):
            self._leave([now])
            raise
        finally:
            with self._lock:
                self._running.pop(now.attempt_id, None)

    def cancel_ended(self) -> None:
        """Stop the work on predictions that are over: cancelled, or past their deadline."""
        running = self._all_running()
        over = self._rooms.records.ended_among([now.id for now in running])
        self._cancel([now for now in running if now.id in over])

    def give_up(self) -> None:
        """Stop all work at once and change nothing more of any prediction: others have it, or soon will."""
        self._given_up.set()
        running = self._all_running()
        self._cancel(running)
        self._leave(running)

    def _all_running(self) -> list[Prediction]:
        with self._lock:
            return list(self._running.values())

    def _cancel(self, attempts: Sequence[Prediction]) -> None:
        for now in attempts:
            self._backends[now.model].cancel(now.attempt_id)

    def _leave(self, attempts: Sequence[Prediction]) -> None:
        """To others, on purpose. Each is told of once, by whoever comes first.

        Not what a broken engine leaves: this process dies with it, and what it made may be the cause.
        """
        with self._lock:
            left = [now for now in attempts if self._running.pop(now.attempt_id, None) is not None]
        if self.broken is None:
            self._handovers.add(*left)

    def _go_on(self) -> None:
        if self._given_up.is_set():
            raise GivenUp

    def _bring_to_an_end(self, now: Prediction) -> None:
        records = self._rooms.records
        try:
            if now.cut_short >= self._most_attempts:
                records.finish(now, Status.FAILED, error=f"It was begun {now.cut_short} times, and never ended.")
                return
            self._tell(now, "start")
            with tempfile.TemporaryDirectory(dir=self._folder) as folder:
                self._make(now, Path(folder))
        except Cancelled:
            self._go_on()
            records.finish(now, Status.CANCELED)  # of this attempt: it may be somebody else's by now
        except EngineClosed as error:
            self.broken = error
            raise GivenUp from error
        except DATABASE_AWAY:
            raise
        except WeightsError:  # it tells of paths and settings
            log.exception("prediction %s failed", now.id)
            records.finish(now, Status.FAILED, error=UNLOADABLE)
        except ParleyError as error:
            if error.status >= 500:
                log.exception("prediction %s failed", now.id)
            problems = [list(p) for p in error.problems] if isinstance(error, InvalidRequest) else []
            records.finish(now, Status.FAILED, error=str(error), problems=problems)
        except Exception:
            log.exception("prediction %s failed", now.id)
            records.finish(now, Status.FAILED, error=FAULT)

    def _make(self, now: Prediction, folder: Path) -> None:
        inputs = self._inputs(now, folder)
        self._go_on()  # they may have taken long to come, and no backend knew yet what to stop
        report = _Report(now, self._rooms, self._tell, self._go_on)
        made = self._backends[now.model].make(now.attempt_id, inputs, folder, now.streaming, report)
        report.flush()
        self._keep(now, made)

    def _inputs(self, now: Prediction, folder: Path) -> Inputs:
        """With every file on this machine."""
        model = MODELS[now.model]
        given = {**now.input, **now.settled}
        for number, name in enumerate(name for name in model.file_inputs if given.get(name) is not None):
            given[name] = self._file(now, name, given[name], folder / f"input{number}")
        return model.settled_inputs.parse(**given)

    def _file(self, now: Prediction, name: str, value: str, path: Path) -> Path:
        if not value.startswith(FILE_PREFIX):
            fetch_url(value, name, path, self._limits)
            return path
        files, file_id = self._rooms.files, value.removeprefix(FILE_PREFIX)
        # Its time may have come while all processes were down, and nobody has looked yet who waits for it.
        files.keep_until([file_id], time.time() + WANTED_SECONDS)
        file = files.get(file_id, now.owner)
        if file is None:
            raise _deleted(name)
        try:
            return files.copy_to(file, path)
        except FileNotFoundError as error:
            log.warning("the bytes of file %s are gone", file.id)
            raise _deleted(name) from error

    def _keep(self, now: Prediction, made: MadeFile) -> None:
        """The bytes, then file and end of the prediction in one transaction."""
        described: dict[str, Any] = {"name": made.name, "content_type": made.content_type, "kind": OUTPUT}
        expires_at = time.time() + self._keep_seconds
        file: File = self._rooms.files.stage(made.path, owner=now.owner, expires_at=expires_at, **described)
        with self._rooms.engine.begin() as connection:
            kept = self._rooms.records.finish(
                now, Status.SUCCEEDED, connection, output=file.id, metrics=made.metrics,
                audio_seconds=made.metrics.get("audio_seconds", now.audio_seconds),
            )  # fmt: skip
            if kept:
                self._rooms.files.publish(file, connection)
        if kept:
            self._rooms.records.tell(now.id)
        else:  # cancelled in the last moment
            self._rooms.files.delete(file)


def _deleted(name: str) -> InvalidRequest:
    """By its owner, who may do so while the prediction waits."""
    return InvalidRequest(name, "was deleted before this began. Send it again.")


class _Report:
    """What a backend tells, kept at most every REPORT_SECONDS. Raises Cancelled where nobody wants the rest."""

    def __init__(self, now: Prediction, rooms: Storage, tell: Tell, go_on: Callable[[], None]) -> None:
        """go_on: raises where this worker has given up."""
        self._now, self._rooms, self._tell, self._go_on = now, rooms, tell, go_on
        self._logs = ""  # the newest LONGEST_LOGS characters
        self._told, self._heard = -REPORT_SECONDS, 0
        self._lines = self._said = 0  # of the logs, and how many of them were told

    def progress(self, share: float, seconds: float) -> None:
        self._now = replace(self._now, progress=share, audio_seconds=seconds)
        if time.monotonic() - self._told >= REPORT_SECONDS:
            self.flush()

    def log(self, line: str) -> None:
        self._logs = f"{self._logs}{line}\n"[-LONGEST_LOGS:]
        self._lines += 1

    def audio(self, pcm: bytes, sample_rate: int) -> None:
        self._go_on()
        if not pcm:  # it would stand where the next piece is to stand
            return
        self._rooms.live.append(self._now, self._heard, sample_rate, pcm)
        self._heard += len(pcm) // 2

    def flush(self) -> None:
        self._go_on()
        self._told = time.monotonic()
        self._now = replace(self._now, logs=self._logs)
        now = self._now
        if not self._rooms.records.report(now, now.progress, now.audio_seconds, now.logs):
            raise Cancelled(f"Prediction {now.id} is over.")
        if self._lines > self._said and self._tell(now, "logs"):  # else it is tried again in the next report
            self._said = self._lines
