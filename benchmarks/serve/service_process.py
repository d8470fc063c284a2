"""The service as users run it, a process of its own, for as long as a `with` lasts, and a connection to it.

Asks it nothing but whether it is ready.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

READY_SECONDS = 300.0  # a large model is loaded from a slow disk
END_SECONDS = 30.0
POLL_SECONDS = 0.05
NO_LIMIT = "1000000000"
UNLIMITED = ("requests-per-minute", "creations-per-minute", "most-waiting", "most-listeners")  # one caller plays many
HERE_ALONE = ("database-url", "bucket", "cog-urls")  # whatever the environment names: nothing of anybody's is filled
LOG_CHARACTERS = 2000


@contextmanager
def service(folder: Path, environ: Mapping[str, str] | None = None, **options: object) -> Iterator[str]:
    """→ its address, when it is ready. folder: for its data and its log. environ: see process. options: see --help."""
    port = free_port()
    given = {**dict.fromkeys(UNLIMITED, NO_LIMIT), **dict.fromkeys(HERE_ALONE, ""), "port": port}
    given |= {"data": folder / "data"} | {name.replace("_", "-"): value for name, value in options.items()}
    flags = [f"--{name}={value}" for name, value in given.items()]
    url = f"http://127.0.0.1:{port}"
    with process(["serving", "--no-auth", *flags], folder / "log", environ or {}) as running:
        wait_until_ready(f"{url}/ready", running, folder / "log")
        yield url


@contextmanager
def process(module: Sequence[str], log: Path, environ: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """python -m with this module and its arguments; ended by SIGTERM, or killed where that does not end it in time.

    environ: what it has besides our own. log: a new file for all that it writes.
    """
    with log.open("wb") as written:
        command = [sys.executable, "-m", *module]
        running = subprocess.Popen(command, stdout=written, stderr=written, env={**os.environ, **environ})
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(END_SECONDS)
            finally:
                running.kill()
                running.wait()


def wait_until_ready(url: str, running: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until it answers 200. Raises RuntimeError with the end of its log where it does not come up."""
    deadline = time.monotonic() + READY_SECONDS
    while not _answers(url):
        if running.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{url} did not answer. The end of the log:\n{log.read_text()[-LOG_CHARACTERS:]}")
        time.sleep(POLL_SECONDS)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="parley-benchmark-") as folder:
        yield Path(folder)


def connection(url: str) -> httpx.AsyncClient:
    """One, which is kept."""
    limits = httpx.Limits(max_connections=1)
    # verify: certificates that plain http does without would be read for each connection
    return httpx.AsyncClient(base_url=url, timeout=None, limits=limits, trust_env=False, verify=False)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
