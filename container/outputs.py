"""Writes what a prediction returns: data URIs become files, everything else is shown. Knows no server."""

import json
import mimetypes
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Python's table names the containers, not what people call their files.
_SUFFIXES = {"audio/wav": ".wav", "audio/x-wav": ".wav", "audio/ogg": ".ogg", "audio/opus": ".opus"}


def write_output(output: Any, path: Path | None) -> list[str]:
    """Write each file of the output; returns its lines: one for each file, or an object as JSON with paths in it.

    path: where a single file goes; of several, each gets its number before the suffix. None: output.<suffix>.
    """
    count = sum(1 for _ in _uris(output))
    numbers = (f".{i}" if count > 1 else "" for i in range(count))
    written = _written(output, path or Path("output"), numbers)
    parts = written if isinstance(written, list) else [written]
    return [part if isinstance(part, str) else json.dumps(part, indent=2) for part in parts]


def _uris(output: Any) -> Iterator[str]:
    match output:
        case dict():
            for part in output.values():
                yield from _uris(part)
        case list():
            for part in output:
                yield from _uris(part)
        case str() if output.startswith("data:"):
            yield output


def _written(output: Any, path: Path, numbers: Iterator[str]) -> Any:
    """The output with the path of each file in its place, in the order of _uris. numbers: one for each."""
    match output:
        case dict():
            return {name: _written(part, path, numbers) for name, part in output.items()}
        case list():
            return [_written(part, path, numbers) for part in output]
        case str() if output.startswith("data:"):
            return str(_write_file(output, path, next(numbers)))
    return output


def _write_file(uri: str, path: Path, number: str) -> Path:
    """number: what stands before the suffix, which is that of the file's type where the path has none."""
    with urllib.request.urlopen(uri) as opened:  # reads data: URIs; nothing else comes here
        content, kind = opened.read(), opened.headers.get_content_type()
    suffix = path.suffix or _SUFFIXES.get(kind) or mimetypes.guess_extension(kind) or ""
    target = path.with_name(f"{path.stem}{number}{suffix}")
    target.write_bytes(content)
    return target
