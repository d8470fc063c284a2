"""Which checkpoint a process speaks with, and why, in one line. Knows the names, not how any of them is loaded."""

import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.errors import WeightsError
from models.weights import hub
from models.weights.disk import (
    BUILTIN,
    RANDOM,
    CheckpointPaths,
    is_all_there,
    is_local_complete,
    locate,
    paths_in,
    verify,
    weights_dir,
)
from models.weights.download import INCOMING, fetch
from models.weights.manifest import SOURCE_WEIGHTS, Manifest, load_manifest
from models.weights.progress import Progress, silent
from models.weights.refuse import refuse_folder

DIA = "dia"
NAMES = (DIA, BUILTIN, RANDOM)
HUB_TIMEOUT_SECONDS = 4.0  # a machine without a network starts this much later, once
SMALL = "dia-builtin (the small checkpoint that comes with Parley)"
NOISE = "dia-random (random weights, which make noise and no speech)"


@dataclass(frozen=True)
class Choice:
    """A complete checkpoint and one line that says what was chosen and why."""

    paths: CheckpointPaths
    note: str


def choose(
    environ: Mapping[str, str],
    root: Path | None = None,
    *,
    make_random: Callable[[Path], None],
    progress: Progress = silent,
    manifest: Manifest | None = None,
) -> Choice:
    """The checkpoint that PARLEY_MODEL names, or the best that this machine can have.

    The order without PARLEY_MODEL: dia on disk, dia from the hub, dia-builtin, dia-random. HF_HUB_OFFLINE or
    PARLEY_OFFLINE keeps the hub out. `make_random` writes model/ and codec/ below the folder it is given. `root` is
    PARLEY_WEIGHTS_DIR of `environ` unless given. Raises WeightsError for an unknown name, and for a named checkpoint
    that cannot be had.
    """
    root = root or weights_dir(environ)
    named = environ.get("PARLEY_MODEL", "").strip()
    match named:
        case "":
            return _best(environ, root, make_random, progress, manifest or load_manifest())
        case "dia":
            paths = obtain(DIA, environ, root, progress, manifest=manifest)
            return Choice(paths, f"Speaking with {DIA}, as PARLEY_MODEL says")
        case "dia-builtin":
            return Choice(_builtin(root), f"Speaking with {SMALL}, as PARLEY_MODEL says")
        case "dia-random":
            return Choice(make_once(RANDOM, root, make_random), f"Using {NOISE}, as PARLEY_MODEL says")
    raise WeightsError(f"PARLEY_MODEL is {named!r}; it must be one of {', '.join(NAMES)}, or empty for the best here.")


def _best(
    environ: Mapping[str, str],
    root: Path,
    make_random: Callable[[Path], None],
    progress: Progress,
    manifest: Manifest,
) -> Choice:
    title = manifest.checkpoint(DIA).title
    try:
        paths = obtain(DIA, environ, root, progress, manifest=manifest)
        return Choice(paths, f"Speaking with {title} from {root / DIA}")
    except WeightsError as error:
        why = " ".join(str(error).split()).rstrip(".")
    if here := find_builtin(root):
        return Choice(here, f"Speaking with {SMALL}, because {why}")
    return Choice(make_once(RANDOM, root, make_random), f"Using {NOISE}, because {why}")


def obtain(
    name: str,
    environ: Mapping[str, str],
    root: Path | None = None,
    progress: Progress = silent,
    *,
    manifest: Manifest | None = None,
) -> CheckpointPaths:
    """A checkpoint of the manifest, from disk or from the hub. Raises WeightsError that completes "because"."""
    root, manifest = root or weights_dir(environ), manifest or load_manifest()
    checkpoint = manifest.checkpoint(name)
    if paths := locate(name, root, manifest=manifest):
        return paths
    if is_all_there(checkpoint, root):
        return verify(name, root, progress, manifest=manifest)
    barred = offline_switch(environ) or hub.why_unreachable(checkpoint.repositories[0], HUB_TIMEOUT_SECONDS)
    if barred is None:
        return fetch(name, root, progress, manifest=manifest)
    if name == DIA:
        for part in ("model", "codec"):
            refuse_folder(root / DIA / part)
    raise WeightsError(
        f"{checkpoint.title} is not in {root / name} and {barred}. To have it, run where the hub can be reached: "
        f"python -m models.weights fetch {name}"
    )


def offline_switch(environ: Mapping[str, str]) -> str | None:
    """What switches downloads off, as the end of a sentence; None if nothing does."""
    for name in ("PARLEY_OFFLINE", "HF_HUB_OFFLINE"):
        if environ.get(name, "").strip().upper() in {"1", "ON", "YES", "TRUE"}:
            return f"downloads are switched off by {name}"
    return None


def find_builtin(root: Path) -> CheckpointPaths | None:
    """dia-builtin below `root`, or where the source keeps it: a volume for weights does not hide it."""
    return locate(BUILTIN, root) or locate(BUILTIN, SOURCE_WEIGHTS)


def _builtin(root: Path) -> CheckpointPaths:
    if paths := find_builtin(root):
        return paths
    raise WeightsError(
        f"PARLEY_MODEL is {BUILTIN}, and neither {root} nor {SOURCE_WEIGHTS} holds a complete one. Restore it from "
        "the source, or choose another PARLEY_MODEL."
    )


def make_once(name: str, root: Path, make: Callable[[Path], None]) -> CheckpointPaths:
    """Make a random checkpoint beside its place and move it there whole; two makers at once end with one."""
    if paths := locate(name, root):
        return paths
    draft = root / INCOMING / f"{name}.{uuid.uuid4().hex}"
    try:
        draft.mkdir(parents=True)
        make(draft)
        assert is_local_complete(CheckpointPaths(name, draft / "model", draft / "codec")), draft
        _move_unless_there(draft, root, name)
    except OSError as error:
        raise WeightsError(
            f"{name} cannot be written to {root} ({error}). Set PARLEY_WEIGHTS_DIR to a folder that can be written, "
            f"and delete {root / name} if an incomplete one lies there."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return paths_in(root, name)


def _move_unless_there(draft: Path, root: Path, name: str) -> None:
    try:
        os.rename(draft, root / name)
    except OSError:
        if locate(name, root) is None:
            raise
