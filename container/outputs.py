"""Writes what a prediction returns: data URIs become files, everything else is shown. Knows no server."""

import json
import mimetypes
import urllib.request
from pathlib import Path
from typing import Any

# Python's table names the containers, not what people call their files.
_SUFFIXES = {"audio/wav": ".wav", "audio/x-wav": ".wav", "audio/ogg": ".ogg", "audio/opus": ".opus"}


def write_output(output: Any, path: Path | None) -> list[str]:
    """Write each file of the output; returns one line for each, a path or the value itself.

    path: where a single file goes; of several, each gets its number before the suffix. None: output.<suffix>.
    """
    if isinstance(output, list):
        return [line for i, part in enumerate(output) for line in write_output(part, _numbered(path, i))]
    if isinstance(output, str) and output.startswith("data:"):
        return [str(_write_file(output, path))]
    return [output if isinstance(output, str) else json.dumps(output, indent=2)]


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
