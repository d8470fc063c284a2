"""What a container's prediction gave → a file of ours, and its finished samples. Knows no prediction and no queue."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import soundfile

from models.audio.pcm import pcm16_bytes
from models.errors import GenerationFailed, InvalidRequest
from serving.cog.container import Died
from serving.fetch import decode_data_uri

MOST_BYTES = 1 << 30  # of a file
PIECE_SAMPLES = 1 << 16


async def save(output: Any, path: Path, client: httpx.AsyncClient) -> None:
    """The file that an output stands for: a data: URI, or the URL to which the container uploaded it.

    Raises GenerationFailed where there is none, and Died where its URL gives none (now).
    """
    if not isinstance(output, str) or not output.startswith(("data:", "http://", "https://")):
        raise GenerationFailed(f"The container gave no file, but {str(output)[:60]!r}.")
    if output.startswith("data:"):
        path.write_bytes(_decoded(output))
        return
    try:
        async with client.stream("GET", output, follow_redirects=True) as response:
            response.raise_for_status()
            with path.open("wb") as file:
                async for piece in response.aiter_bytes():
                    file.write(piece)
    except httpx.HTTPError as error:
        raise Died(f"its output could not be fetched: {type(error).__name__}") from error


def _decoded(uri: str) -> bytes:
    try:
        return decode_data_uri(uri, "output", MOST_BYTES)[0]
    except InvalidRequest as error:  # not our caller's fault
        raise GenerationFailed(f"The container's file cannot be read: {error.problem}") from error


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
            raise GenerationFailed(f"The container's file is no audio: {error}") from error
        if samples <= 0:
            raise GenerationFailed("The container's file holds not one sample.")
        self.seconds = samples / self.sample_rate
        self._path = path

    def pieces(self) -> Iterator[bytes]:
        """16-bit little-endian."""
        kind = "int16" if self._exact else "float32"
        for piece in soundfile.blocks(self._path, PIECE_SAMPLES, dtype=kind, always_2d=True):
            yield piece.astype("<i2").tobytes() if self._exact else pcm16_bytes(piece.mean(axis=1)[None].clip(-1, 1))
