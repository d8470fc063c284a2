"""Files that are whole or not there, and the log of a run. Knows nothing of what is in them but the log's JSON.

Every step of the training may be cut off at any moment and goes on when it is run again, so what lies on disk under
its own name must be complete.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write to what becomes `path` at the end; until then, and after an error, the file that was there stays."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")  # two processes may be at the same file
    try:
        with partial.open("wb") as file:
            yield file
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def lines_of(path: Path) -> list[str]:
    """The lines of a text file that say anything, without the blanks around them."""
    return [line for raw in path.read_text(encoding="utf-8").splitlines() if (line := raw.strip())]


def append_log(folder: Path, entry: Mapping[str, Any]) -> None:
    """One line of FOLDER/log.jsonl."""
    with (folder / "log.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")
