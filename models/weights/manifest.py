"""weights/manifest.json as types: what a checkpoint is made of, byte for byte. Knows no disk but that file, no hub."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from models.errors import WeightsError

SOURCE_WEIGHTS = Path(__file__).resolve().parents[2] / "weights"
MANIFEST_PATH = SOURCE_WEIGHTS / "manifest.json"

# A name is a plain segment, or several with single slashes: no "..", no hidden file, no absolute or drive path.
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*"
FileName = Annotated[str, StringConstraints(pattern=rf"^{_SEGMENT}(?:/{_SEGMENT})*$")]
CheckpointName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$")]
RepoName = Annotated[str, StringConstraints(pattern=rf"^{_SEGMENT}/{_SEGMENT}$")]
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Contents(_Strict):
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
    sha256: str


class Repository(_Strict):
    """One repository at one revision; its files go to the folder `target` of the checkpoint."""

    target: Literal["model", "codec"]
    repo: RepoName
    revision: Revision
    licence: str = Field(min_length=1)
    files: Mapping[FileName, Contents] = Field(min_length=1)

    @property
    def pins(self) -> tuple[Pin, ...]:
        return tuple(
            Pin(f"{self.target}/{file}", self.repo, self.revision, file, contents.size, contents.sha256)
            for file, contents in self.files.items()
        )


class Checkpoint(_Strict):
    """A model and its codec, as they are published."""

    name: CheckpointName
    title: str = Field(min_length=1)
    repositories: tuple[Repository, ...]

    @model_validator(mode="after")
    def _has_model_and_codec(self) -> Self:
        targets = sorted(repository.target for repository in self.repositories)
        if targets != ["codec", "model"]:
            raise ValueError(f"{self.name} fills {targets}; it must fill codec and model, each once")
        return self

    @property
    def pins(self) -> tuple[Pin, ...]:
        return tuple(pin for repository in self.repositories for pin in repository.pins)

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(pin.size for pin in self.pins)

    @property
    def digest(self) -> str:
        """sha256 over the lines that `sha256sum` would write for the files, sorted by path."""
        lines = (f"{pin.sha256}  {pin.path}\n" for pin in sorted(self.pins, key=lambda pin: pin.path))
        return hashlib.sha256("".join(lines).encode()).hexdigest()


class Refusal(_Strict):
    """A repository, or some files of one, that must not be loaded."""

    repo: RepoName
    reason: str = Field(min_length=1)  # completes a sentence: "… is refused: it …"
    files: Mapping[FileName, Contents] = Field(default_factory=dict)  # empty: the whole repository


class Manifest(_Strict):
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
