"""The audio of a prediction that has ended, from the file that it made. Knows no route.

What was on its way while it was made is forgotten soon; the file is kept, and the same for whoever asks.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np

from models.audio.encode import AudioFormat
from models.audio.pcm import PCM16_FULL_SCALE
from models.audio.write import write_audio
from models.errors import Cancelled, GenerationFailed, InvalidRequest
from models.request import Audio
from serving.rendering import resample_stream
from serving.sound import Sound
from serving.storage.files import File, Files
from serving.storage.prediction import Prediction, Status

DELETED = "The audio has been deleted: it is kept for a limited time. Make it again."


def raise_unless_good(ended: Prediction) -> None:
    """Raises why there is nothing (more) to hear: InvalidRequest, GenerationFailed or Cancelled."""
    if ended.problems:
        raise InvalidRequest.of(ended.problems)
    if ended.status is Status.FAILED:
        raise GenerationFailed(ended.error or "It failed.")
    if ended.status is not Status.SUCCEEDED:
        raise Cancelled(f"Prediction {ended.id} was {ended.status}.")


def kept_file(ended: Prediction, files: Files) -> File:
    """What it made. Raises as `raise_unless_good`, and GenerationFailed where the file is gone."""
    raise_unless_good(ended)
    file = files.get(ended.output) if ended.output else None
    if file is None:
        raise _deleted()
    return file


@contextmanager
def kept_pieces(ended: Prediction, files: Files, *, mono: bool) -> Iterator[tuple[Iterator[Audio], int]]:
    """(its samples [C, L] piece by piece, their rate in Hz: that at which it was made). Raises as `kept_file`.

    mono: as it was heard while it was made, C = 1; else with the channels that it was made in.
    """
    file, rate = kept_file(ended, files), made_rate(ended)
    with files.workspace.folder() as folder:
        try:
            sound = Sound(files.copy_to(file, folder / "output"))
        except FileNotFoundError as error:  # its row outlived it
            raise _deleted() from error
        pieces = map(samples_of, sound.pieces()) if mono else sound.audio()
        # Of 44,100 Hz opus makes 48,000.
        yield pieces if sound.sample_rate == rate else resample_stream(pieces, sound.sample_rate, rate), rate


def open_converted(ended: Prediction, files: Files, output_format: AudioFormat, left: threading.Event) -> BinaryIO:
    """Its audio as a file of this format, which is gone once it is closed. left: set when nobody wants it any more.

    Stereo stays stereo but for pcm, which could not say so: that is what was heard while it was made.
    Raises as `kept_file`, and Cancelled.
    """
    mono = output_format == "pcm"
    with files.workspace.folder() as folder, kept_pieces(ended, files, mono=mono) as (pieces, rate):
        path = folder / "converted"
        write_audio(path, _unless_left(pieces, left), rate, output_format)
        return path.open("rb")


def _unless_left(pieces: Iterator[Audio], left: threading.Event) -> Iterator[Audio]:
    for piece in pieces:
        if left.is_set():
            raise Cancelled("Nobody waits for this file any more.")
        yield piece


def made_rate(ended: Prediction) -> int:
    """Hz, of one that succeeded."""
    return int(ended.metrics["sample_rate"])


def samples_of(pcm: bytes) -> Audio:
    """16-bit little-endian → [1, L] within ±1."""
    return (np.frombuffer(pcm, "<i2").astype(np.float32) / PCM16_FULL_SCALE)[None].clip(-1, 1)


def _deleted() -> GenerationFailed:
    return GenerationFailed(DELETED)
