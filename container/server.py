"""Cog's own HTTP server as a child process of this one, without Docker. Knows no model and no input.

    with CogServer() as server:
        answer = server.client.predict({"text": "[S1] Hello."}).json()

coglet 0.23.1 needs four things that the image would give it: its schema in .cog/, the predictor's reference in
COG_PREDICT_TYPE_STUB, PORT, and an interpreter that is called `python` on PATH, which it starts its worker with.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from container import schema
from container.client import CogClient

# What the predictor's setup() raised, behind what each layer of Cog puts before it.
_SETUP_ERROR = re.compile(r"Setup failed: setup failed: (?:\w+(?:Error|Request): )?(.+)")
SETUP_SECONDS = (
    600.0  # without a word: loading 1.6 B weights from a slow disk takes minutes; a download tells its progress
)
STOP_SECONDS = 10.0
POLL_SECONDS = 0.05
LOG_SECONDS = 0.5
_PRINTED_PAST = "coglet::user"  # output that came too late for setup's log, and that of programs the predictor runs
_WORKERS_OWN = "worker::coglet::"  # so begins what Cog's worker says of itself; it comes as if printed, or past the log
_OURS = ("RUST_LOG", "COG_LOG_LEVEL")  # they would hide the log lines that are read here


class ServerError(RuntimeError):
    """The server did not come up: it exited, its setup failed, or it took too long."""


@dataclass(frozen=True)
class LogLine:
    """One line of the server's log. `is_output`: the predictor printed it; else the server says it."""

    text: str
    is_output: bool = False
    level: str = "INFO"
    prediction_id: str | None = None

    @classmethod
    def parse(cls, line: str) -> Self:
        """Cog logs JSON objects; what is none was written past its log."""
        try:
            record = json.loads(line)
            said = record["fields"]
            text = ": ".join(said[key] for key in ("message", "error") if key in said)
            is_output = ("source" in said or record["target"] == _PRINTED_PAST) and not text.startswith(_WORKERS_OWN)
            return cls(text, is_output, record["level"], said.get("prediction_id"))
        except (ValueError, TypeError, KeyError):
            return cls(line, is_output=not line.startswith(_WORKERS_OWN))


@dataclass
class CogServer:
    """One server; started and READY inside `with`. Use start() and stop() to see it in other states."""

    reference: str = schema.DEFAULT_REFERENCE
    directory: Path = field(default_factory=Path.cwd)
    environment: Mapping[str, str] = field(default_factory=dict)
    on_log: Callable[[LogLine], None] = lambda line: None
    setup_seconds: float = SETUP_SECONDS
    log: list[LogLine] = field(default_factory=list, init=False)

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Write the schema and start the process; returns before setup() has run."""
        if not Path(sys.executable).with_name("python").exists():
            raise ServerError(
                f"{sys.executable} has no `python` beside it for Cog's worker. Use a virtual environment."
            )
        schema.write(self.reference, self.directory)
        self.client = CogClient(_free_port())
        # Cog deletes no output file; with a folder of its own as TMPDIR they go when the server goes.
        self._folder = tempfile.TemporaryDirectory(prefix="cog-")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cog.server.http", "--host", self.client.host],
            cwd=self.directory,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours: it cancels the prediction first
        )
        self._reader = threading.Thread(target=self._read_log, name="cog-log", daemon=True)
        self._reader.start()

    def wait_until_ready(self) -> None:
        """Return when predictions are taken; raises ServerError with the end of the log if that does not come."""
        heard, deadline = 0, time.monotonic() + self.setup_seconds
        while (status := self._status()) != "READY":
            if len(self.log) > heard:
                heard, deadline = len(self.log), time.monotonic() + self.setup_seconds
            if status in ("EXITED", "SETUP_FAILED", "DEFUNCT"):
                log = self._end_of_log()
                why = _SETUP_ERROR.findall(log)
                raise ServerError(f"The server's setup failed. {why[-1]}" if why else f"The setup failed.\n{log}")
            if time.monotonic() > deadline:
                raise ServerError(
                    f"The server is {status}, and has said nothing for {self.setup_seconds:g} s.\n{self._end_of_log()}"
                )
            time.sleep(POLL_SECONDS)

    def stop(self, grace_seconds: float = STOP_SECONDS) -> int:
        """Ask the server to end, and end it and its worker if it does not. Returns its exit status.

        May be called again.
        """
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
        finally:
            _kill_group(self._process.pid)
        status = self._process.wait()
        self._reader.join()
        self._folder.cleanup()
        return status

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def _status(self) -> str:
        if not self.is_running:
            return "EXITED"
        try:
            return str(self.client.health()["status"])
        except OSError:
            return "STARTING"  # does not listen yet

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
        return {
            **inherited,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "COG_PREDICT_TYPE_STUB": self.reference,
            "PORT": str(self.client.port),
            "LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": self._folder.name,
            **self.environment,
        }

    def _read_log(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for raw in stream:
                line = LogLine.parse(raw.decode(errors="replace").rstrip("\n"))
                self.log.append(line)
                self.on_log(line)

    def _end_of_log(self, lines: int = 20) -> str:
        """What the predictor printed and what the server complains of, after a moment for the last of it to come."""
        self._reader.join(LOG_SECONDS)
        telling = [line.text for line in self.log if line.is_output or line.level != "INFO"]
        return "\n".join(telling[-lines:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
