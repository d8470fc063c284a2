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
    written = _written(output, iter(_numbered(path, i) if count > 1 else path for i in range(count)))
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


def _written(output: Any, paths: Iterator[Path | None]) -> Any:
    """The output with the path of each file in its place, in the order of _uris."""
    match output:
        case dict():
            return {name: _written(part, paths) for name, part in output.items()}
        case list():
            return [_written(part, paths) for part in output]
        case str() if output.startswith("data:"):
            return str(_write_file(output, next(paths)))
    return output


def _write_file(uri: str, path: Path | None) -> Path:
    with urllib.request.urlopen(uri) as opened:  # reads data: URIs; nothing else comes here
        content, kind = opened.read(), opened.headers.get_content_type()
    suffix = _SUFFIXES.get(kind) or mimetypes.guess_extension(kind) or ""
    target = Path("output").with_suffix(suffix) if path is None else path
    if not target.suffix:
        target = target.with_suffix(suffix)
    target.write_bytes(content)
    return target


def _numbered(path: Path | None, index: int) -> Path:
    base = path or Path("output")
    return base.with_name(f"{base.stem}.{index}{base.suffix}")
