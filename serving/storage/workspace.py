"""Files on their way, in a folder of the service's data: an upload that arrives, a recording that is converted.

What a process that was killed leaves there is swept; in the system's own folder it would stay. Knows no table.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PIECE_BYTES = 1 << 20


class TooManyBytes(Exception):
    """What somebody sends does not end within the limit."""


class Workspace:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty one, which is gone at the end with all that is in it."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            yield Path(folder)

    def sweep(self, before: float) -> None:
        """Remove what nobody has written to since that time (seconds since 1970)."""
        for folder in self._folder.iterdir():
            with suppress(FileNotFoundError):  # it was done with just now, or another process sweeps too
                if max(path.stat().st_mtime for path in (folder, *folder.iterdir())) < before:
                    shutil.rmtree(folder)


def write_at_most(content: BinaryIO, path: Path, most: int) -> int:
    """Its bytes into a new file → how many. Raises TooManyBytes for more than `most`."""
    size = 0
    with path.open("xb") as file:
        while piece := content.read(PIECE_BYTES):
            size += len(piece)
            if size > most:
                raise TooManyBytes(size)
            file.write(piece)
    return size
