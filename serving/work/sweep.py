"""What is over is added up, and what has been kept long enough is deleted, each kind for itself. Knows no HTTP."""

import time
from dataclasses import dataclass

from serving.storage.files import FILE_PREFIX, WANTED_SECONDS, Files
from serving.storage.live import LiveAudio
from serving.storage.records import Records
from serving.storage.retention import Retention
from serving.storage.store import Store
from serving.storage.tallies import Tallies
from serving.work.janitor import Chore
from serving.work.queue import Queue

SWEEP_SECONDS = 60.0
LIVE_SECONDS = 600.0  # how long the audio of what has ended is kept for those who listen slowly
HALF_WRITTEN_SECONDS = 3600.0  # a file that is older and still on its way has lost its process
QUEUE_SECONDS = 86_400.0  # how long the queue remembers what has ended
KEY_SECONDS = 86_400.0  # how long an Idempotency-Key stands for its first request


@dataclass(frozen=True)
class Sweep:
    records: Records
    retention: Retention
    tallies: Tallies
    files: Files
    store: Store
    live: LiveAudio
    queue: Queue
    keep_seconds: float  # of what was asked and made, after the end
    forget_seconds: float  # of the prediction itself, after that

    def chores(self) -> list[Chore]:
        parts = {
            "tallies": self.tallies.add_up,
            "data": self.remove_data,
            "keys": lambda: self.retention.free_keys(time.time() - KEY_SECONDS),
            "rows": lambda: self.retention.forget(time.time() - self.keep_seconds - self.forget_seconds),
            "live audio": lambda: self.live.forget(time.time() - LIVE_SECONDS),
            "queue": lambda: self.queue.forget_ended(time.time() - QUEUE_SECONDS),
            "files": self.delete_files,
            "half-written": self.delete_half_written,
        }
        return [Chore(f"sweep of {name}", SWEEP_SECONDS, part) for name, part in parts.items()]

    def remove_data(self) -> None:
        """Who was told, and why it failed, is kept until all of it is told."""
        self.retention.remove_data(time.time() - self.keep_seconds)
        if left := self.retention.leftovers():
            untold = self.queue.untold()  # asked last: of what was announced before, the messages are there
            self.retention.remove_leftovers([name for name in left if name not in untold])

    def delete_files(self) -> None:
        now = time.time()
        self._keep_wanted_files(now + WANTED_SECONDS)
        self.files.delete_expired(now)

    def delete_half_written(self) -> None:
        before = time.time() - HALF_WRITTEN_SECONDS
        self.store.sweep(before)
        self.files.workspace.sweep(before)

    def _keep_wanted_files(self, moment: float) -> None:
        """Until then at least, the inputs of predictions that are not over."""
        inputs = [value for p in self.records.active() for value in p.input.values() if isinstance(value, str)]
        wanted = [value.removeprefix(FILE_PREFIX) for value in inputs if value.startswith(FILE_PREFIX)]
        if wanted:
            self.files.keep_until(wanted, moment)
