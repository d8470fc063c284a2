"""Files inside other packages: a network, a native library. Finds them and imports nothing of those packages.

A package is looked up, not imported, because its Python may ask for more than it is installed with.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from models.errors import WeightsError


@dataclass(frozen=True)
class PackagedFile:
    """One file of a package, named by the distribution that brings it and the requirements that list that one."""

    purpose: str  # completes a sentence: "… needs"
    package: str  # the name it is imported by
    path: str  # inside the package
    distribution: str
    install: str  # what to type to have it

    def find(self) -> Path | None:
        """Where the file lies, or None if it is not installed."""
        spec = find_spec(self.package)
        folders = spec.submodule_search_locations if spec is not None else None
        files = [Path(folder) / self.path for folder in folders or ()]
        return next((file for file in files if file.is_file()), None)

    def locate(self) -> Path:
        """Where the file lies. Raises WeightsError that says how to have it."""
        if (file := self.find()) is not None:
            return file
        raise WeightsError(
            f"{self.purpose} needs {self.path} of the package {self.distribution}, which is not installed. "
            f"Install it: {self.install}"
        )
