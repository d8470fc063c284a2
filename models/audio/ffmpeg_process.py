"""One ffmpeg as a pipe: bytes in, bytes out, no deadlock and no process left behind.

Knows pipes, exit statuses and time limits; knows no audio. One thread serves all three pipes with poll(), so a full
pipe can never stop both sides, and waits are short, so that a cancellation raised in this thread lands at once.
"""

import logging
import os
import selectors
import shutil
import subprocess
import time
import weakref
from collections.abc import Sequence
from typing import Any, Self

import ffmpeg

from models.errors import ParleyError

log = logging.getLogger("parley.audio")

POLL_SECONDS = 0.1  # longest wait without a chance for an exception to be raised in this thread
STALL_SECONDS = 30.0  # an ffmpeg that neither reads nor writes for this long is stopped
LINGER_SECONDS = 0.005  # push() returns when no output came for this long: what it misses comes a push later
READ_SIZE = 1 << 16  # bytes; the size of a Linux pipe
LOG_SIZE = 8192  # bytes of the end of stderr that are kept


def ffmpeg_command(stream: Any, loglevel: str = "error") -> list[str]:
    """The command line of an ffmpeg-python output; files that exist are overwritten."""
    # One filter thread: the pool of a large machine takes longer to start than a short filter to run.
    program = ["ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", loglevel, "-filter_complex_threads", "1"]
    return ffmpeg.compile(stream, cmd=program, overwrite_output=True)


def require_ffmpeg() -> None:
    """Raise ParleyError if ffmpeg or ffprobe is missing: better at the start than after a minute's generation."""
    for program in ("ffmpeg", "ffprobe"):
        if shutil.which(program) is None:
            raise _missing(program)


def _missing(program: str) -> ParleyError:
    return ParleyError(
        f"{program} is not installed on this server, and no audio can be read, stretched or encoded without it. "
        "Install the system package ffmpeg."
    )


class FfmpegProcess:
    """A running ffmpeg or ffprobe. A context manager; close() kills what still runs, and so does the collector.

    command: the program and its arguments; it reads pipe:0 if `has_input`, and may write pipe:1.
    descriptors: open files that the program inherits under the same numbers.
    Raises ParleyError where the program is not installed, stalls, or ends with a failure before its input does.
    """

    def __init__(self, command: Sequence[str], *, has_input: bool, descriptors: Sequence[int] = ()) -> None:
        self._program = command[0]
        try:
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=descriptors,
                process_group=0,  # Ctrl-C ends the server, which then ends this
            )
        except FileNotFoundError as error:
            raise _missing(self._program) from error
        self._end = weakref.finalize(self, _end, self.popen)
        self._log = b""
        self._selector = selectors.PollSelector()  # poll, not select: a busy server has descriptors above 1024
        self._input = _descriptor(self.popen.stdin)
        self._output = _descriptor(self.popen.stdout)
        self._selector.register(self._output, selectors.EVENT_READ)
        self._selector.register(_descriptor(self.popen.stderr), selectors.EVENT_READ)
        if has_input:
            os.set_blocking(self._input, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def log(self) -> str:
        """The end of what the program wrote to stderr."""
        return self._log.decode(errors="replace").strip()

    def push(self, data: bytes) -> bytes:
        """Write all of `data`; returns the output that is there by then. Later output comes with later calls."""
        try:
            pieces = self._write(memoryview(data))
        except BrokenPipeError as error:
            raise self._failure() from error
        while ready := self._ready(LINGER_SECONDS):
            pieces.append(self._take(ready))
        return b"".join(pieces)

    def read(self) -> bytes:
        """The next piece of output, or b"" when there is no more. Waits."""
        while self._output in self._selector.get_map():
            if piece := self._take(self._wait()):
                return piece
        return b""

    def flush(self) -> bytes:
        """End the input; returns the rest of the output. Raises ParleyError if the program failed."""
        if self.popen.stdin is not None:
            self.popen.stdin.close()
        pieces = list(iter(self.read, b""))
        if self.wait():
            raise self._failure()
        return b"".join(pieces)

    def wait(self) -> int:
        """The exit status; call it when the output has ended."""
        while self._selector.get_map():
            self._take(self._wait())
        return self.popen.wait(STALL_SECONDS)

    def close(self) -> None:
        """Kill the program if it runs, and free its pipes. May be called twice."""
        self._end()
        self._selector.close()

    def _write(self, waiting: memoryview) -> list[bytes]:
        """Write all that is waiting, and read meanwhile: a full output would stop the program, and so the input."""
        pieces = []
        self._selector.register(self._input, selectors.EVENT_WRITE)
        try:
            while waiting:
                ready = self._wait()
                if self._input in ready:
                    waiting = waiting[os.write(self._input, waiting[:READ_SIZE]) :]
                pieces.append(self._take(ready))
        finally:
            self._selector.unregister(self._input)
        return pieces

    def _wait(self) -> list[int]:
        deadline = time.monotonic() + STALL_SECONDS
        while time.monotonic() < deadline:
            if ready := self._ready(POLL_SECONDS):
                return ready
        self._end()
        raise ParleyError(f"{self._program} neither read nor wrote for {STALL_SECONDS:g} s and was stopped")

    def _ready(self, timeout_seconds: float) -> list[int]:
        return [key.fd for key, _ in self._selector.select(timeout_seconds)]

    def _take(self, ready: list[int]) -> bytes:
        """Read each ready output once; returns what came from stdout, and keeps the end of stderr."""
        output = b""
        for descriptor in ready:
            if descriptor == self._input:
                continue
            piece = os.read(descriptor, READ_SIZE)
            if not piece:
                self._selector.unregister(descriptor)
            elif descriptor == self._output:
                output = piece
            else:
                self._log = (self._log + piece)[-LOG_SIZE:]
        return output

    def _failure(self) -> ParleyError:
        """What a caller may hear of it: the program's own words name paths of this machine."""
        status = self.wait()
        log.error("%s ended with status %d: %s", self._program, status, self.log or "it gave no reason")
        return ParleyError(f"{self._program} ended with status {status}. The log of this server says why.")


def _descriptor(pipe: Any) -> int:
    return -1 if pipe is None else pipe.fileno()


def _end(popen: subprocess.Popen[bytes]) -> None:
    popen.kill()
    popen.wait()
    for pipe in (popen.stdin, popen.stdout, popen.stderr):
        if pipe is not None:
            pipe.close()
