"""A finished file's samples, in pieces: its length costs no memory. Knows no prediction, and formats by name only."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from models.audio.pcm import PCM16_FULL_SCALE, pcm16_bytes
from models.errors import GenerationFailed
from models.request import Audio

log = logging.getLogger("parley")

PIECE_SAMPLES = 1 << 16
MOST_CHANNELS = 2  # that the encoders take


class Sound:
    """The samples of a file. `sample_rate` in Hz, `seconds` of all of it."""

    def __init__(self, path: Path) -> None:
        """Raises GenerationFailed for what is no audio, or holds not one sample."""
        try:
            with soundfile.SoundFile(path) as file:
                self.sample_rate, samples = file.samplerate, file.frames
                self._channels: int = file.channels
                # Those of wav and flac stay what they are; a lossy format may pass full scale by a little.
                self._exact = file.subtype == "PCM_16"
        except soundfile.LibsndfileError as error:
            log.warning("a finished file cannot be read: %s", error)  # it names paths of this machine
            raise GenerationFailed("The file that was made is no audio.") from error
        if samples <= 0:
            raise GenerationFailed("The file that was made holds not one sample.")
        self.seconds = samples / self.sample_rate
        self._path = path

    def pieces(self) -> Iterator[bytes]:
        """16-bit little-endian, mono: the mean of the channels."""
        for block in self._blocks():
            untouched = self._exact and self._channels == 1
            yield block.astype("<i2").tobytes() if untouched else pcm16_bytes(_mean(_floats(block)))

    def audio(self) -> Iterator[Audio]:
        """[C, L] within ±1, mono or stereo as it was made; of more channels the mean."""
        for audio in map(_floats, self._blocks()):
            yield audio if self._channels <= MOST_CHANNELS else _mean(audio)

    def _blocks(self) -> Iterator[npt.NDArray[np.int16] | npt.NDArray[np.float32]]:
        """[L, C]"""
        kind = "int16" if self._exact else "float32"
        yield from soundfile.blocks(self._path, PIECE_SAMPLES, dtype=kind, always_2d=True)


def _floats(block: npt.NDArray[np.int16] | npt.NDArray[np.float32]) -> Audio:
    """[L, C] → [C, L] within ±1"""
    scale = PCM16_FULL_SCALE if block.dtype == np.int16 else 1
    return (block.T.astype(np.float32) / np.float32(scale)).clip(-1, 1)


def _mean(audio: Audio) -> Audio:
    return audio.mean(axis=0, keepdims=True)
