"""Finished audio → a file that is whole or not there.

Knows temporary names and lengths in headers; encode.py knows the formats. Applies nothing to the samples.
"""

import secrets
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from models.audio.encode import WAV_HEADER_SIZE, AudioFormat, checked, encode_stream, run_encoder, wav_header
from models.request import Audio


def write_audio(path: Path, chunks: Iterable[Audio], sample_rate: int, output_format: AudioFormat) -> None:
    """Encode chunks [C, L] within ±1 into `path`, which appears complete, and replaces a file of that name.

    Until then the bytes lie beside it under a hidden name; any exception, of `chunks` too, removes them.
    Raises GenerationFailed where no chunk has a sample.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        if output_format in ("mp3", "flac"):
            _write_seekable(temporary, chunks, sample_rate, output_format)
        else:
            _write_stream(temporary, chunks, sample_rate, output_format)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _write_seekable(path: Path, chunks: Iterable[Audio], sample_rate: int, output_format: AudioFormat) -> None:
    """mp3 and flac keep their length at the beginning; ffmpeg fills it in at the end of a file, not of a pipe."""
    chunks, channels = checked(chunks)
    with closing(run_encoder(chunks, sample_rate, channels, output_format, f"file:{path}")) as encoded:
        nothing = b"".join(encoded)
    assert not nothing, nothing[:16]


def _write_stream(path: Path, chunks: Iterable[Audio], sample_rate: int, output_format: AudioFormat) -> None:
    with path.open("xb") as file, closing(encode_stream(chunks, sample_rate, output_format)) as encoded:
        file.writelines(encoded)
    if output_format == "wav":
        _set_wav_length(path)


def _set_wav_length(path: Path) -> None:
    """Write the lengths that the header of the stream could not know."""
    with path.open("r+b") as file:
        header = file.read(WAV_HEADER_SIZE)
        channels, sample_rate = int.from_bytes(header[22:24], "little"), int.from_bytes(header[24:28], "little")
        file.seek(0)
        file.write(wav_header(sample_rate, channels, path.stat().st_size - WAV_HEADER_SIZE))
