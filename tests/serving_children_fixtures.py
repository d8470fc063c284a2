"""Processes of the service, to be asked, killed or ended: started quickly, none left behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from serving_fixtures import AUTH, TOKENS, wait_for

from benchmarks.serve.service_process import free_port

__all__ = ["free_port"]

SLOW = 60.0  # seconds a busy machine may take to start a process
TESTS = Path(__file__).parent
ENVIRON = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"}


@dataclass
class Nursery:
    """Knows its children by their process ids."""

    process: subprocess.Popen[str]
    children: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, **role: Any) -> int:
        """See serving_child.py."""
        pid = self._ask(role)
        self.children.add(pid)
        return pid

    def wait(self, pid: int) -> int:
        """Until it has ended → its exit status; the number of the signal, negative, that killed it."""
        self.children.remove(pid)
        return self._ask(pid)

    def end(self, pid: int, number: int = signal.SIGTERM) -> float:
        """Asked by this signal; it must say that it did well → the seconds it took."""
        started = time.monotonic()
        os.kill(pid, number)
        assert self.wait(pid) == 0
        return time.monotonic() - started

    def kill(self, pid: int) -> None:
        """At once, as the kernel does when memory runs out."""
        os.kill(pid, signal.SIGKILL)
        self.wait(pid)

    def _ask(self, asked: dict[str, Any] | int) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self.lock:
            self.process.stdin.write(f"{json.dumps(asked)}\n")
            self.process.stdin.flush()
            return int(self.process.stdout.readline())


@contextmanager
def nursery() -> Iterator[Nursery]:
    command = [sys.executable, str(TESTS / "serving_child.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRON) as process:
        nursery = Nursery(process)
        try:
            yield nursery
        finally:
            for pid in set(nursery.children):
                nursery.kill(pid)


def role(folder: Path, port: int, **settings: Any) -> dict[str, Any]:
    """Of a process in this folder; web and work are still to be said."""
    return {
        "data": str(folder),
        "port": port,
        "public_url": f"http://127.0.0.1:{port}",
        "tokens": TOKENS,
        "grace_seconds": 10.0,
        "most_waiting": 1000,
        **settings,
    }


def client_of(port: int) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=AUTH, timeout=60)


def wait_until(port: int, path: str = "/ready") -> None:
    """It is answered well."""

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}{path}").status_code == 200
        except httpx.TransportError:
            return False

    wait_for(answers, SLOW)
