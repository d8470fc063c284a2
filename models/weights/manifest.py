"""weights/manifest.json as types: what a checkpoint is made of, byte for byte. Knows no disk but that file, no hub.

Of some repositories no public list of sizes and sha256 is known. Of those the manifest says which files are taken, and
why they are not pinned; the first download records what they were, models/weights/lock.py.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from models.errors import WeightsError

SOURCE_WEIGHTS = Path(__file__).resolve().parents[2] / "weights"
MANIFEST_PATH = SOURCE_WEIGHTS / "manifest.json"

# A name is a plain segment, or several with single slashes: no "..", no hidden file, no absolute or drive path.
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*"
_PLAIN_FILE = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
FileName = Annotated[str, StringConstraints(pattern=rf"^{_PLAIN_FILE.pattern}$")]
# Names of which one is taken, in the order of choice; a star stands for any part of a name.
_GLOB = r"[A-Za-z0-9_*][A-Za-z0-9_*-]*(?:\.[A-Za-z0-9_*-]+)*"
Wanted = Annotated[str, StringConstraints(pattern=rf"^{_GLOB}(?: \| {_GLOB})*$")]
CheckpointName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$")]
RepoName = Annotated[str, StringConstraints(pattern=rf"^{_SEGMENT}/{_SEGMENT}$")]
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Strict(BaseModel):
    """Immutable, and nothing but what is declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Contents(Strict):
    """What the bytes of one file must be."""

    size: int = Field(gt=0)  # bytes
    sha256: Sha256


@dataclass(frozen=True)
class Pin:
    """One file of a checkpoint: where it comes from, where it goes, what it must hold."""

    path: str  # below the checkpoint's folder: model/config.json
    repo: str
    revision: str
    file: str  # inside the repository
    size: int  # bytes
    sha256: str | None  # None before the first download, of a small file for which the hub says only `git_sha1`
    git_sha1: str | None = None  # of "blob SIZE", a zero byte and the file: what git names it by


class Repository(Strict):
    """One repository at one revision; its files go to the folder `target` of the checkpoint."""

    target: Literal["model", "codec", "text"]
    repo: RepoName
    revision: Revision | None = None  # None: no public record of one is known either
    licence: str = Field(min_length=1)
    files: Mapping[FileName, Contents] = Field(default_factory=dict)
    take: tuple[Wanted, ...] = ()  # of files that are not pinned
    unpinned: str | None = Field(default=None, min_length=1)  # why; completes a sentence: "… because …"

    @model_validator(mode="after")
    def _says_why_it_is_not_pinned(self) -> Self:
        if not self.files and not self.take:
            raise ValueError(f"{self.repo} has neither files nor take")
        if self.files and self.revision is None:
            raise ValueError(f"{self.repo} pins files at no revision")
        if not self.files and not _PLAIN_FILE.fullmatch(self.take[0]):
            raise ValueError(f"{self.repo} must take one file first, by its name")
        if self.is_pinned == bool(self.unpinned):
            raise ValueError(f"{self.repo} must say under unpinned why it is not pinned, and only then")
        return self

    @property
    def is_pinned(self) -> bool:
        return self.revision is not None and not self.take

    @property
    def first(self) -> str:
        """A file that it is sure to have."""
        return next(iter(self.files), None) or self.take[0]

    @property
    def pins(self) -> tuple[Pin, ...]:
        """Of the files whose contents are known."""
        if self.revision is None:
            return ()
        return tuple(
            Pin(f"{self.target}/{file}", self.repo, self.revision, file, contents.size, contents.sha256)
            for file, contents in self.files.items()
        )

    def choose(self, names: Sequence[str]) -> list[str]:
        """Those of the repository's files that are taken. Raises WeightsError where one that is wanted is not there."""
        names = [name for name in names if _PLAIN_FILE.fullmatch(name)]  # they come from the hub, and become paths
        chosen = dict.fromkeys(self.files)
        for wanted in self.take:
            globs = wanted.split(" | ")
            found = next((hits for glob in globs if (hits := [n for n in names if fnmatchcase(n, glob)])), None)
            if found is None:
                raise WeightsError(f"{self.repo} has no file {' or '.join(globs)}; it has {', '.join(sorted(names))}.")
            chosen |= dict.fromkeys(found)
        if missing := sorted(set(chosen) - set(names)):
            raise WeightsError(f"{self.repo} no longer has {', '.join(missing)}.")
        return list(chosen)


class Checkpoint(Strict):
    """A model and what it needs besides, as they are published."""

    name: CheckpointName
    title: str = Field(min_length=1)
    repositories: tuple[Repository, ...]

    @model_validator(mode="after")
    def _has_a_model(self) -> Self:
        targets = [repository.target for repository in self.repositories]
        if "model" not in targets or len(set(targets)) < len(targets):
            raise ValueError(f"{self.name} fills {sorted(targets)}; it must fill model, and each folder once")
        return self

    @property
    def is_pinned(self) -> bool:
        """Whether every file's contents are known before any of it is downloaded."""
        return all(repository.is_pinned for repository in self.repositories)

    @property
    def pins(self) -> tuple[Pin, ...]:
        """All files of a pinned checkpoint; of another, those whose contents are known."""
        return tuple(pin for repository in self.repositories for pin in repository.pins)

    @property
    def size(self) -> int:
        """Bytes of all files together, as far as they are pinned."""
        return sum(pin.size for pin in self.pins)

    @property
    def digest(self) -> str:
        """sha256 over the lines that `sha256sum` would write for the files, sorted by path."""
        lines = (f"{pin.sha256}  {pin.path}\n" for pin in sorted(self.pins, key=lambda pin: pin.path))
        return hashlib.sha256("".join(lines).encode()).hexdigest()


class Refusal(Strict):
    """A repository, or some files of one, that must not be loaded."""

    repo: RepoName
    reason: str = Field(min_length=1)  # completes a sentence: "… is refused: it …"
    files: Mapping[FileName, Contents] = Field(default_factory=dict)  # empty: the whole repository


class Manifest(Strict):
    """Every checkpoint that can be fetched, and those that look alike and are refused."""

    version: Literal[1]
    checkpoints: tuple[Checkpoint, ...]
    refused: tuple[Refusal, ...]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"a name stands twice in {', '.join(self.names)}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(checkpoint.name for checkpoint in self.checkpoints)

    def checkpoint(self, name: str) -> Checkpoint:
        """Raises WeightsError that lists the valid names."""
        for checkpoint in self.checkpoints:
            if checkpoint.name == name:
                return checkpoint
        raise WeightsError(f"No checkpoint {name!r} in the manifest of weights; it has {', '.join(self.names)}.")


def load_manifest(path: Path = MANIFEST_PATH) -> Manifest:
    """Read and check a manifest; raises WeightsError that names the file and every entry that is wrong in it."""
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise WeightsError(
            f"The manifest of weights cannot be read: {error}. It is part of the source; "
            "if a volume hides it, mount the volume elsewhere and set PARLEY_WEIGHTS_DIR to that place."
        ) from error
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, detail['loc'])) or 'the file'}: {detail['msg']}" for detail in error.errors()
        )
        raise WeightsError(f"{path.name} is no manifest of weights: {faults}. Restore it from the source.") from error
