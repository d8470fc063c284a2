"""A finished file's samples, in pieces: its length costs no memory. Knows no prediction, and formats by name only."""

import logging
from collections.abc import Iterator
from pathlib import Path

import soundfile

from models.audio.pcm import pcm16_bytes
from models.errors import GenerationFailed

log = logging.getLogger("parley")

PIECE_SAMPLES = 1 << 16


class Sound:
    """The samples of a file, mono. `sample_rate` in Hz, `seconds` of all of it."""

    def __init__(self, path: Path) -> None:
        """Raises GenerationFailed for what is no audio, or holds not one sample."""
        try:
            with soundfile.SoundFile(path) as file:
                self.sample_rate, samples = file.samplerate, file.frames
                # Those of wav and flac stay what they are; a lossy format may pass full scale by a little.
                self._exact = file.subtype == "PCM_16" and file.channels == 1
        except soundfile.LibsndfileError as error:
            log.warning("a finished file cannot be read: %s", error)  # it names paths of this machine
            raise GenerationFailed("The file that was made is no audio.") from error
        if samples <= 0:
            raise GenerationFailed("The file that was made holds not one sample.")
        self.seconds = samples / self.sample_rate
        self._path = path

    def pieces(self) -> Iterator[bytes]:
        """16-bit little-endian."""
        kind = "int16" if self._exact else "float32"
        for piece in soundfile.blocks(self._path, PIECE_SAMPLES, dtype=kind, always_2d=True):
            yield piece.astype("<i2").tobytes() if self._exact else pcm16_bytes(piece.mean(axis=1)[None].clip(-1, 1))
