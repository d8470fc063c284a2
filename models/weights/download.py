"""From the hub to a complete checkpoint on disk: what is missing, is there room, download, check, move, mark.

A file is moved into the checkpoint's folder only after its hash was found right, and the marker is written after the
last one, so a fetch that is killed at any moment leaves something to go on from and nothing that looks complete.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import Timeout
from huggingface_hub.utils import WeakFileLock

from models.errors import WeightsError
from models.weights import hub
from models.weights.disk import (
    WEIGHTS_DIR,
    CheckpointPaths,
    Found,
    drop_marker,
    examine,
    hash_file,
    locate,
    other_than_pinned,
    paths_in,
    write_marker,
)
from models.weights.lock import pinned, with_contents, write_lock
from models.weights.manifest import Checkpoint, Manifest, Pin, load_manifest
from models.weights.progress import Progress, readable, silent

INCOMING = ".incoming"
_LOCK_SECONDS = 0.1  # of trying before we say that we wait


def fetch(
    name: str, root: Path | None = None, progress: Progress = silent, *, manifest: Manifest | None = None
) -> CheckpointPaths:
    """Make a checkpoint of the manifest complete on disk; asks the hub only for files that are missing or wrong.

    Where the manifest pins no sha256, the hub is asked once what the files are; what came is checked against that,
    recorded in root/NAME/lock.json, and checked against the record ever after.

    Raises WeightsError with the cause and the way out. Call it again to go on where it stopped.
    """
    root = root or WEIGHTS_DIR
    manifest = manifest or load_manifest()
    checkpoint = manifest.checkpoint(name)
    if paths := locate(name, root, manifest=manifest):
        return paths
    try:
        with _alone(checkpoint, root, progress):
            # Another process may have done the work while this one waited.
            return locate(name, root, manifest=manifest) or _complete(checkpoint, root, progress)
    except OSError as error:
        raise WeightsError(
            f"{checkpoint.title} cannot be stored in {root} ({error}). Set PARLEY_WEIGHTS_DIR or --root to a folder "
            "that can be written."
        ) from error


@contextmanager
def _alone(checkpoint: Checkpoint, root: Path, progress: Progress) -> Iterator[None]:
    """One fetch of a checkpoint at a time on this disk; the lock ends with its process, however that ends."""
    incoming = root / INCOMING
    incoming.mkdir(parents=True, exist_ok=True)
    lock_file = incoming / f"{checkpoint.name}.lock"
    with ExitStack() as held:
        try:
            held.enter_context(WeakFileLock(lock_file, timeout=_LOCK_SECONDS))
        except Timeout:
            progress(f"another process is fetching {checkpoint.name}; waiting for it to end")
            held.enter_context(WeakFileLock(lock_file))
        yield


def _complete(asked: Checkpoint, root: Path, progress: Progress) -> CheckpointPaths:
    folder = root / asked.name
    known = pinned(asked, root)
    pins = known.pins if known else _ask_what_they_are(asked, progress)
    found, missing = _take_stock(pins, folder, progress)
    drop_marker(asked, root)
    parts = {pin: _part(pin, asked, root) for pin in missing}
    _check_room(asked, parts, root)
    for pin, part in parts.items():
        found[pin.path] = _bring(pin, part, folder, progress)
    if known is None:
        known = with_contents(asked, pins, {path: file.sha256 for path, file in found.items()})
        write_lock(asked, known, root)
    write_marker(known, root, {path: file.stamp for path, file in found.items()})
    shutil.rmtree(root / INCOMING / asked.name, ignore_errors=True)
    progress(f"{asked.title} is complete in {folder}, {readable(known.size)}")
    return paths_in(root, asked.name)


def _ask_what_they_are(checkpoint: Checkpoint, progress: Progress) -> tuple[Pin, ...]:
    """All files of a checkpoint that the manifest does not pin whole, as the hub offers them now."""
    pins: list[Pin] = []
    for repository in checkpoint.repositories:
        if repository.is_pinned:
            pins += repository.pins
            continue
        progress(
            f"the sha256 of the files of {repository.repo} are recorded at this download, because {repository.unpinned}"
        )
        pins += hub.offers(repository)
    return tuple(pins)


def _take_stock(pins: Iterable[Pin], folder: Path, progress: Progress) -> tuple[dict[str, Found], list[Pin]]:
    """(the files that are right already, pins of the others)."""
    found: dict[str, Found] = {}
    missing = []
    for pin in pins:
        try:
            found[pin.path] = examine(pin, folder, progress)
        except WeightsError as error:
            if (folder / pin.path).exists():
                progress(f"{error}; fetching it again")
            missing.append(pin)
    return found, missing


def _part(pin: Pin, checkpoint: Checkpoint, root: Path) -> Path:
    """Where the file grows. Named by its hash too, so that a newer pin never goes on from an older file."""
    return root / INCOMING / checkpoint.name / f"{pin.path}.{(pin.sha256 or pin.git_sha1 or '')[:12]}.part"


def _check_room(checkpoint: Checkpoint, parts: dict[Pin, Path], root: Path) -> None:
    here = sum(part.stat().st_size for part in parts.values() if part.exists())
    needed = sum(pin.size for pin in parts) - here
    free = shutil.disk_usage(root).free
    if needed > free:
        raise WeightsError(
            f"{checkpoint.title} needs {needed} more bytes ({readable(needed)}) on the disk of {root}, and {free} "
            f"({readable(free)}) are free. Make room, or set PARLEY_WEIGHTS_DIR or --root to another disk."
        )


def _bring(pin: Pin, part: Path, folder: Path, progress: Progress) -> Found:
    """Download one file, check it, move it to its place."""
    part.parent.mkdir(parents=True, exist_ok=True)
    progress(f"fetching {pin.path}, {readable(pin.size)}, from {pin.repo} at {pin.revision[:12]}")
    try:
        hub.download(pin, part, progress)
    except WeightsError as error:
        raise WeightsError(
            f"{error}. What has arrived is kept; run python -m models.weights fetch {folder.name} to go on. Without "
            f"the hub, copy the files of {folder.name} to {folder} and run: python -m models.weights verify "
            f"{folder.name}"
        ) from error
    found = hash_file(part, f"checking {pin.path}", progress)
    if fault := other_than_pinned(pin, part, found):
        part.unlink()
        raise WeightsError(
            f"{pin.path}: {fault}. The file that came was deleted; fetch again, "
            "and if it comes wrong again, something between here and the hub changes it: fetch by another way."
        )
    target = folder / pin.path
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(part, target)
    return found
