"""Checkpoints on disk: where they lie, which are complete, what their bytes hash to. Knows no hub.

root/NAME/{model,codec,text}/  the files of a checkpoint
root/NAME/lock.json            what its files were at the first download, where the manifest does not say
root/NAME/.verified.json       the marker, written last: which pins were checked, and each file's size and time then
root/.incoming/                downloads under way
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.errors import WeightsError
from models.weights.lock import LOCK, pinned
from models.weights.manifest import SOURCE_WEIGHTS, Checkpoint, Manifest, Pin, load_manifest
from models.weights.progress import Meter, Progress, readable, silent
from models.weights.refuse import refuse_folder, refuse_pickle

MARKER = ".verified.json"
BUILTIN, RANDOM = "dia-builtin", "dia-random"
RANDOM_MUSIC, RANDOM_STEREO, RANDOM_SOUND = "musicgen-random", "musicgen-stereo-random", "audiogen-random"
LOCAL_PARTS = {  # made by Parley itself, so no manifest pins them; and the folders that each has
    BUILTIN: ("model", "codec"),
    RANDOM: ("model", "codec"),
    RANDOM_MUSIC: ("model",),
    RANDOM_STEREO: ("model",),
    RANDOM_SOUND: ("model",),
}
_BLOCK = 1 << 20  # bytes read at once


def weights_dir(environ: Mapping[str, str]) -> Path:
    """PARLEY_WEIGHTS_DIR, or weights/ beside the package."""
    return Path(environ.get("PARLEY_WEIGHTS_DIR") or SOURCE_WEIGHTS)


WEIGHTS_DIR = weights_dir(os.environ)


@dataclass(frozen=True)
class CheckpointPaths:
    """A complete checkpoint: the folders of the model and of its codec, if that has one of its own."""

    name: str
    model: Path
    codec: Path

    @property
    def text(self) -> Path:
        """The folder of the text encoder, where the model's own does not hold it."""
        return self.model.parent / "text"


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
    is complete when each of its folders holds a configuration and safetensors. Raises WeightsError for an unknown name
    and for a local folder that holds nothing but pickles.
    """
    root = root or WEIGHTS_DIR
    if name in LOCAL_PARTS:
        return paths_in(root, name) if is_local_complete(paths_in(root, name)) else None
    checkpoint = pinned((manifest or load_manifest()).checkpoint(name), root)
    if checkpoint is None:
        return None
    folder = root / name
    try:
        marker = json.loads((folder / MARKER).read_bytes())
        stamps = {pin.path: stamp_of(folder / pin.path) for pin in checkpoint.pins}
    except (OSError, ValueError):
        return None
    return paths_in(root, name) if marker == _marker(checkpoint, stamps) else None


def is_all_there(checkpoint: Checkpoint, root: Path) -> bool:
    """Whether every file has its size, whatever it holds: copied by hand, or of a check that never ended."""
    known = pinned(checkpoint, root)
    return known is not None and all(has_size(root / known.name / pin.path, pin.size) for pin in known.pins)


def has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def stamp_of(path: Path) -> Stamp:
    status = path.stat()
    return Stamp(status.st_size, int(status.st_mtime))


@dataclass(frozen=True)
class Found:
    """What a file turned out to hold."""

    stamp: Stamp  # when it was opened
    sha256: str


def hash_file(path: Path, job: str, progress: Progress = silent) -> Found:
    """Reads from disk what a later load will read."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        digest = hashlib.sha256()
        meter = Meter(job, status.st_size, progress)
        while block := file.read(_BLOCK):
            digest.update(block)
            meter.advance(len(block))
    return Found(Stamp(status.st_size, int(status.st_mtime)), digest.hexdigest())


def examine(pin: Pin, folder: Path, progress: Progress = silent) -> Found:
    """What a file holds, if it is what its pin says; raises WeightsError that says what is wrong with it."""
    path = folder / pin.path
    if not path.is_file():
        raise WeightsError(f"{pin.path} is missing")
    if not has_size(path, pin.size):
        raise WeightsError(f"{pin.path} has {path.stat().st_size} bytes, the manifest says {pin.size}")
    progress(f"checking {pin.path}, {readable(pin.size)}")
    try:
        found = hash_file(path, f"checking {pin.path}", progress)
    except OSError as error:
        raise WeightsError(f"{pin.path} cannot be read ({error.strerror})") from error
    if fault := other_than_pinned(pin, path, found):
        raise WeightsError(f"{pin.path} has {fault}")
    return found


def other_than_pinned(pin: Pin, path: Path, found: Found) -> str | None:
    """Which hash is another one, in words that follow "has"; None if the file is what its pin says."""
    if pin.sha256 is not None:
        return None if found.sha256 == pin.sha256 else f"sha256 {found.sha256}, the manifest says {pin.sha256}"
    got = _git_sha1(path)
    return None if got == pin.git_sha1 else f"git's hash {got}, the hub says {pin.git_sha1}"


def _git_sha1(path: Path) -> str:
    """Of a file small enough for git itself."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0%s" % (len(data), data), usedforsecurity=False).hexdigest()


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
    asked = (manifest or load_manifest()).checkpoint(name)
    checkpoint = pinned(asked, root)
    if checkpoint is None:
        raise WeightsError(
            f"Nothing is known to verify {asked.title} against: of some of its files no sha256 is published. Either "
            f"copy {LOCK} into {root / name} from where they were fetched, or run python -m models.weights fetch {name}"
            ": it asks the hub once what they are, and downloads only what is missing."
        )
    stamps: dict[str, Stamp] = {}
    faults = []
    for pin in checkpoint.pins:
        try:
            stamps[pin.path] = examine(pin, root / name, progress).stamp
        except WeightsError as error:
            faults.append(str(error))
    if faults:
        if any(pin.path.endswith(".safetensors") for pin in checkpoint.pins):
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
    """Name the real trouble where files are not damaged but of another model, or pickles instead of safetensors."""
    for part in ("model", "codec"):
        refuse_folder(folder / part)


def _marker(checkpoint: Checkpoint, stamps: Mapping[str, Stamp]) -> dict[str, object]:
    files = {path: {"size": stamp.size, "mtime": stamp.mtime} for path, stamp in stamps.items()}
    return {"pins": checkpoint.digest, "files": files}


def is_local_complete(paths: CheckpointPaths) -> bool:
    """Whether each folder holds a configuration and safetensors; raises WeightsError where one holds pickles only."""
    for part in LOCAL_PARTS[paths.name]:
        folder = paths.model.parent / part
        refuse_pickle(folder)
        if not ((folder / "config.json").is_file() and any(folder.glob("*.safetensors"))):
            return False
    return True
