"""Processes of the service, to be killed: started quickly, found again by their ids, none left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving_fixtures import TOKENS, wait_for

TESTS = Path(__file__).parent
ENVIRON = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"}


@dataclass
class Nursery:
    process: subprocess.Popen[str]
    started: list[int] = field(default_factory=list)

    def start(self, **role: Any) -> int:
        """See serving_child.py → the id of a new process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{json.dumps(role)}\n")
        self.process.stdin.flush()
        self.started.append(int(self.process.stdout.readline()))
        return self.started[-1]

    def kill(self, pid: int) -> None:
        """As a power cut would; returns when it is gone."""
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not is_alive(pid))


@contextmanager
def nursery() -> Iterator[Nursery]:
    command = [sys.executable, str(TESTS / "serving_child.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRON) as process:
        children = Nursery(process)
        try:
            yield children
        finally:
            for pid in filter(is_alive, children.started):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def child(**role: Any) -> Iterator[subprocess.Popen[str]]:
    """One process, whose exit status can be asked for."""
    command = [sys.executable, str(TESTS / "serving_child.py"), json.dumps(role)]
    with subprocess.Popen(command, text=True, env=ENVIRON) as process:
        try:
            yield process
        finally:
            process.kill()


def is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def role(folder: Path, port: int, **settings: Any) -> dict[str, Any]:
    """Of a process in this folder; web and work are still to be said."""
    return {
        "data": str(folder),
        "port": port,
        "tokens": TOKENS,
        "grace_seconds": 10.0,
        "most_waiting": 1000,
        **settings,
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
