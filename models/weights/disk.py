"""Checkpoints on disk: where they lie, which are complete, what their bytes hash to. Knows no hub.

root/NAME/{model,codec}/    the files of a checkpoint
root/NAME/.verified.json    the marker, written last: which pins were checked, and the size and time of each file then
root/.incoming/             downloads under way
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.errors import WeightsError
from models.weights.manifest import SOURCE_WEIGHTS, Checkpoint, Manifest, Pin, load_manifest
from models.weights.progress import Meter, Progress, readable, silent
from models.weights.refuse import refuse_folder, refuse_pickle

MARKER = ".verified.json"
BUILTIN, RANDOM = "dia-builtin", "dia-random"
LOCAL_NAMES = (BUILTIN, RANDOM)  # made by Parley itself, so no manifest pins them
_BLOCK = 1 << 20  # bytes read at once


def weights_dir(environ: Mapping[str, str]) -> Path:
    """PARLEY_WEIGHTS_DIR, or weights/ beside the package."""
    return Path(environ.get("PARLEY_WEIGHTS_DIR") or SOURCE_WEIGHTS)


WEIGHTS_DIR = weights_dir(os.environ)


@dataclass(frozen=True)
class CheckpointPaths:
    """A complete checkpoint: the folders of the model and of its codec, both in the hub's format."""

    name: str
    model: Path
    codec: Path


@dataclass(frozen=True)
class Stamp:
    """What a file looked like when it was last read whole."""

    size: int  # bytes
    # Whole seconds: the layers of a container image keep no finer time, and a baked-in marker must stay true.
    mtime: int


def paths_in(root: Path, name: str) -> CheckpointPaths:
    """Where a checkpoint lies, or will lie."""
    return CheckpointPaths(name, root / name / "model", root / name / "codec")


def locate(name: str, root: Path | None = None, *, manifest: Manifest | None = None) -> CheckpointPaths | None:
    """The checkpoint if all of it is on disk, else None. Looks at sizes and times, hashes nothing.

    A pinned checkpoint is complete when its marker says so and no file changed since; one that Parley makes itself
    is complete when both its folders hold a configuration and safetensors. Raises WeightsError for an unknown name
    and for a local folder that holds nothing but pickles.
    """
    root = root or WEIGHTS_DIR
    if name in LOCAL_NAMES:
        return paths_in(root, name) if is_local_complete(paths_in(root, name)) else None
    checkpoint = (manifest or load_manifest()).checkpoint(name)
    folder = root / name
    try:
        marker = json.loads((folder / MARKER).read_bytes())
        stamps = {pin.path: stamp_of(folder / pin.path) for pin in checkpoint.pins}
    except (OSError, ValueError):
        return None
    return paths_in(root, name) if marker == _marker(checkpoint, stamps) else None


def is_all_there(checkpoint: Checkpoint, root: Path) -> bool:
    """Whether every file has its size, whatever it holds: copied by hand, or of a check that never ended."""
    return all(has_size(root / checkpoint.name / pin.path, pin.size) for pin in checkpoint.pins)


def has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def stamp_of(path: Path) -> Stamp:
    status = path.stat()
    return Stamp(status.st_size, int(status.st_mtime))


def hash_file(path: Path, job: str, progress: Progress = silent) -> tuple[str, Stamp]:
    """(sha256 in hex, the file's stamp when it was opened). Reads from disk what a later load will read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        meter = Meter(job, status.st_size, progress)
        while block := file.read(_BLOCK):
            digest.update(block)
            meter.advance(len(block))
    return digest.hexdigest(), Stamp(status.st_size, int(status.st_mtime))


def examine(pin: Pin, folder: Path, progress: Progress = silent) -> Stamp:
    """The stamp of a file that holds what its pin says; raises WeightsError that says what is wrong with it."""
    path = folder / pin.path
    if not path.is_file():
        raise WeightsError(f"{pin.path} is missing")
    if not has_size(path, pin.size):
        raise WeightsError(f"{pin.path} has {path.stat().st_size} bytes, the manifest says {pin.size}")
    progress(f"checking {pin.path}, {readable(pin.size)}")
    try:
        got, stamp = hash_file(path, f"checking {pin.path}", progress)
    except OSError as error:
        raise WeightsError(f"{pin.path} cannot be read ({error.strerror})") from error
    if got != pin.sha256:
        raise WeightsError(f"{pin.path} has sha256 {got}, the manifest says {pin.sha256}")
    return stamp


def write_marker(checkpoint: Checkpoint, root: Path, stamps: Mapping[str, Stamp]) -> None:
    """Declare the checkpoint complete. `stamps` holds every file's stamp from when its hash was found right."""
    folder = root / checkpoint.name
    draft = folder / f"{MARKER}.{os.getpid()}"
    draft.write_text(json.dumps(_marker(checkpoint, stamps), indent=1))
    os.replace(draft, folder / MARKER)


def drop_marker(checkpoint: Checkpoint, root: Path) -> None:
    """Take the declaration back, before a file of the checkpoint is replaced."""
    (root / checkpoint.name / MARKER).unlink(missing_ok=True)


def verify(
    name: str, root: Path | None = None, progress: Progress = silent, *, manifest: Manifest | None = None
) -> CheckpointPaths:
    """Hash every file of a pinned checkpoint; if all are right, write the marker, so that copied files count too.

    Raises WeightsError that names every file that is missing or wrong, and changes none of them.
    """
    root = root or WEIGHTS_DIR
    checkpoint = (manifest or load_manifest()).checkpoint(name)
    stamps: dict[str, Stamp] = {}
    faults = []
    for pin in checkpoint.pins:
        try:
            stamps[pin.path] = examine(pin, root / name, progress)
        except WeightsError as error:
            faults.append(str(error))
    if faults:
        _refuse_foreign(root / name)
        raise WeightsError(
            f"{checkpoint.title} in {root / name} is not right: {'; '.join(faults)}. Fetch what is wrong with: "
            f"python -m models.weights fetch {name}; or copy the right files there and verify again."
        )
    try:
        write_marker(checkpoint, root, stamps)
    except OSError as error:
        progress(f"{root / name} is right but cannot be marked so ({error.strerror}); each start will check it again")
    return paths_in(root, name)


def _refuse_foreign(folder: Path) -> None:
    """Name the real trouble where the files are not damaged but of another model, or pickles."""
    for part in ("model", "codec"):
        refuse_folder(folder / part)


def _marker(checkpoint: Checkpoint, stamps: Mapping[str, Stamp]) -> dict[str, object]:
    files = {path: {"size": stamp.size, "mtime": stamp.mtime} for path, stamp in stamps.items()}
    return {"pins": checkpoint.digest, "files": files}


def is_local_complete(paths: CheckpointPaths) -> bool:
    """Whether both folders hold a configuration and safetensors; raises WeightsError where they hold pickles only."""
    for folder in (paths.model, paths.codec):
        refuse_pickle(folder)
        if not ((folder / "config.json").is_file() and any(folder.glob("*.safetensors"))):
            return False
    return True
