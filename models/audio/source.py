"""A caller's audio as one open, regular file, whatever it was handed over as.

Knows file types and sizes; knows no container. Programs read the file through its descriptor, so what was checked
is what is read, and no name or suffix tells them anything.
"""

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import UnreadableAudio
from models.request import AudioSource


@contextmanager
def open_source(source: AudioSource, field: str, max_bytes: int) -> Iterator[int]:
    """A descriptor of `source`, open for reading while the context lasts.

    Raises UnreadableAudio for anything but a regular file (a symbolic link, a directory, a device, a FIFO), for a
    file that cannot be opened, and for one of 0 or more than `max_bytes` bytes.
    """
    if isinstance(source, bytes):
        _check_size(len(source), field, max_bytes)
        with tempfile.TemporaryFile() as file:  # some containers must be read from their end, which no pipe allows
            file.write(source)
            file.flush()
            yield file.fileno()
        return
    descriptor = _open(source, field)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableAudio(field, f"is no regular file but {_kind(status.st_mode)}. Send the recording itself.")
        _check_size(status.st_size, field, max_bytes)
        yield descriptor
    finally:
        os.close(descriptor)


def descriptor_url(descriptor: int) -> str:
    """The inherited descriptor as ffmpeg's input: opened anew by number, so reading starts at 0 and can seek."""
    return f"file:/dev/fd/{descriptor}"


def _open(path: Path, field: str) -> int:
    try:
        # Without O_NONBLOCK, opening a FIFO waits for its writer.
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UnreadableAudio(field, "is a symbolic link. Send the recording itself.") from error
        raise UnreadableAudio(field, f"cannot be opened: {os.strerror(error.errno or 0)}.") from error
    except ValueError as error:
        raise UnreadableAudio(field, f"cannot be opened: {error}.") from error


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a directory"
    if stat.S_ISFIFO(mode):
        return "a FIFO"
    return "a device or a socket"


def _check_size(size: int, field: str, max_bytes: int) -> None:
    if size == 0:
        raise UnreadableAudio(field, "is empty: 0 bytes. Send a recording.")
    if size > max_bytes:
        raise UnreadableAudio(
            field, f"is {size} bytes long; at most {max_bytes} are read. Send a shorter or a compressed recording."
        )
