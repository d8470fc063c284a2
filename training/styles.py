"""Kokoro's English voices: styles of 510 x 256 numbers that only the source distribution of its package holds."""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

SOURCE = "kokoro==0.9.4"  # PyPI, Apache-2.0
MEMBER = "kokoro.js/voices/{voice}.bin"
SHA256 = {"af_heart": "d583ccff3cdca2f7fae535cb998ac07e9fcb90f09737b9a41fa2734ec44a8f0b"}
WIDTH = 256


def style(voice: str) -> npt.NDArray[np.float32]:
    """[number of phones in a sentence, 1, 256]. Downloads 26 MB by pip, which keeps them in its cache.

    Raises ValueError if they are not what they were, subprocess.CalledProcessError if there is no connection.
    """
    with tempfile.TemporaryDirectory() as folder:
        data = _member(_download(Path(folder)), MEMBER.format(voice=voice))
    if hashlib.sha256(data).hexdigest() != SHA256[voice]:
        raise ValueError(f"{voice} of {SOURCE} is not the voice that it was. Read with another one and say so.")
    return np.frombuffer(data, np.float32).reshape(-1, 1, WIDTH)


def _download(folder: Path) -> Path:
    """Only the source: what the package depends on is not needed."""
    name = SOURCE.partition("==")[0]
    options = ["--quiet", "--no-deps", "--no-binary", name, "--dest", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "download", *options, SOURCE], check=True)
    (path,) = folder.glob("*.tar.gz")
    return path


def _member(path: Path, name: str) -> bytes:
    """The file of this name, whatever folder the archive keeps everything in."""
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name.partition("/")[2] == name and (file := archive.extractfile(member)):
                return file.read()
    raise ValueError(f"{path.name} holds no {name}.")
