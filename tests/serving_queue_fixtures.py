"""A queue of its own, and work that is written down, and that waits or breaks off where a test says so."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from serving_fixtures import wait_for

from serving.storage.database import make_sqlite_file, open_database, sqlite_url
from serving.work import workflows
from serving.work.queue import Message, Queue
from serving.work.workflows import Running, Workflows

Doing = Callable[[], None]


@dataclass
class Log:
    """What was done, by prediction or message; `doing`: what a test wants to happen, call by call, then nothing."""

    doing: dict[str, list[Doing]] = field(default_factory=lambda: defaultdict(list))
    done: list[str] = field(default_factory=list)
    running: Running = field(default_factory=Running)

    def predict(self, prediction_id: str) -> None:
        self._do(prediction_id)

    def announce(self, prediction_id: str) -> None:
        self._do(f"{prediction_id} announced")

    def post(self, message: Message) -> None:
        self._do(message.id)

    def _do(self, name: str) -> None:
        self.done.append(name)
        if self.doing[name]:
            self.doing[name].pop(0)()

    def wait_for(self, *names: str) -> None:
        wait_for(lambda: set(names) <= set(self.done))


def raising(error: BaseException) -> Doing:
    def do() -> None:
        raise error

    return do


def waiting_for(event: threading.Event) -> Doing:
    def do() -> None:
        assert event.wait(20)

    return do


@contextmanager
def opened(folder: Path) -> Iterator[Queue]:
    make_sqlite_file(folder / "x.db")
    url = sqlite_url(folder / "x.db")
    open_database(url).dispose()  # for the way it sets up the file
    queue = Queue(url)
    try:
        yield queue
    finally:
        queue.close()


@contextmanager
def working(queue: Queue, log: Log, executor: str = "host-0", give_up: Doing = lambda: None) -> Iterator[Log]:
    workflows.launch(queue, executor, Workflows(log.predict, log.announce, log.post), 4, log.running, [])
    try:
        yield log
    finally:
        workflows.stop(1, give_up)


def state_of(queue: Queue, workflow_id: str) -> str | None:
    found = queue.client.list_workflows(workflow_ids=[workflow_id])
    return found[0].status if found else None


def about(prediction_id: str, event: str = "completed", part: str = "0", owner: str = "alice") -> Message:
    return Message(owner, prediction_id, event, part)
