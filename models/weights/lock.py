"""What files were at their first download, where no public list says so: root/NAME/lock.json. Knows no hub.

The manifest names the repositories of such a checkpoint, and the files. The hub says what they are, once: size, sha256
of large files, git's own hash of small ones. What came was checked against that, and from then on these are the pins.
Whoever carries a checkpoint to a machine without the hub carries its lock.json with it.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from models.errors import WeightsError
from models.weights.manifest import Checkpoint, Contents, Pin, Repository, Strict

LOCK = "lock.json"


class Lock(Strict):
    """The repositories of one checkpoint that the manifest does not pin, pinned."""

    version: Literal[1]
    repositories: tuple[Repository, ...]


def pinned(checkpoint: Checkpoint, root: Path) -> Checkpoint | None:
    """The checkpoint with every file pinned, by the manifest or by root/NAME/lock.json; None before its first download.

    Raises WeightsError for a lock that cannot be read. One of other repositories, revisions or files than the manifest
    names now counts as none.
    """
    if checkpoint.is_pinned:
        return checkpoint
    path = root / checkpoint.name / LOCK
    try:
        lock = Lock.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise WeightsError(
            f"{path} cannot be read: {' '.join(str(error).split())}. It says what the files were at their first "
            f"download. Restore it, or delete it to have the hub asked anew: python -m models.weights fetch "
            f"{checkpoint.name}"
        ) from error
    by_target = {repository.target: repository for repository in lock.repositories}
    repositories = []
    for wanted in checkpoint.repositories:
        locked = wanted if wanted.is_pinned else by_target.get(wanted.target)
        if locked is None or not _fits(wanted, locked):
            return None
        repositories.append(locked)
    return checkpoint.model_copy(update={"repositories": tuple(repositories)})


def with_contents(checkpoint: Checkpoint, pins: Iterable[Pin], sha256: Mapping[str, str]) -> Checkpoint:
    """The checkpoint pinned to files that have come: `pins` as the hub offered them, `sha256` by path as they are."""
    by_target: dict[str, list[Pin]] = {}
    for pin in pins:
        by_target.setdefault(pin.path.split("/")[0], []).append(pin)
    repositories = []
    for wanted in checkpoint.repositories:
        mine = by_target[wanted.target]
        files = {pin.file: Contents(size=pin.size, sha256=sha256[pin.path]) for pin in mine}
        update = {"revision": mine[0].revision, "files": files, "take": (), "unpinned": None}
        repositories.append(wanted if wanted.is_pinned else wanted.model_copy(update=update))
    return checkpoint.model_copy(update={"repositories": tuple(repositories)})


def write_lock(asked: Checkpoint, found: Checkpoint, root: Path) -> None:
    """Record of `found` what the manifest's own entry, `asked`, leaves open; nothing if that is nothing."""
    unpinned = {repository.target for repository in asked.repositories if not repository.is_pinned}
    if not unpinned:
        return
    repositories = tuple(repository for repository in found.repositories if repository.target in unpinned)
    lock = Lock(version=1, repositories=repositories).model_dump(mode="json", exclude_defaults=True)
    folder = root / asked.name
    draft = folder / f"{LOCK}.{os.getpid()}"
    draft.write_text(json.dumps({"version": 1} | lock, indent=1) + "\n")
    os.replace(draft, folder / LOCK)


def _fits(wanted: Repository, locked: Repository) -> bool:
    """Whether the lock's entry is of the files that the manifest's asks for."""
    if not locked.is_pinned or locked.repo != wanted.repo or wanted.revision not in (None, locked.revision):
        return False
    try:
        names = wanted.choose(list(locked.files))
    except WeightsError:
        return False
    return set(names) == set(locked.files) and all(locked.files[name] == wanted.files[name] for name in wanted.files)
