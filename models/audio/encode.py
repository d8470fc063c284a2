"""Finished audio → bytes of a container, as a stream.

Knows formats and their encoders; changes no sample but by encoding it. Samples must lie within ±1 (see
limiter.soft_limit, which the Finisher applies): the encoders would clip the rest, so it is refused.
"""

import struct
from collections.abc import Generator, Iterable, Iterator
from itertools import chain
from typing import Any, Literal

import numpy as np

from models.audio.ffmpeg_process import FfmpegProcess, ffmpeg_command
from models.audio.pcm import float_bytes, pcm16_bytes, pcm_input
from models.errors import GenerationFailed
from models.request import Audio

AudioFormat = Literal["wav", "mp3", "flac", "ogg", "opus", "aac", "pcm"]

CONTENT_TYPES: dict[AudioFormat, str] = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "opus": "audio/ogg; codecs=opus",
    "aac": "audio/aac",  # ADTS
    "pcm": "audio/pcm",  # 16-bit little-endian, interleaved, no header; the registered audio/L16 is big-endian
}

UNKNOWN_SIZE = 0xFFFFFFFF  # what a wav header says when the length is not known yet
OPUS_RATE = 48_000  # Hz, whatever goes in
WAV_HEADER_SIZE = 44  # bytes: RIFF, fmt and the head of data
PAGE_MICROSECONDS = 100_000  # an ogg page every 100 ms, where ffmpeg would wait for a second


def encode_stream(chunks: Iterable[Audio], sample_rate: int, output_format: AudioFormat) -> Generator[bytes]:
    """Encode chunks [C, L] of one signal, C 1 or 2; yields bytes as soon as the encoder gives them.

    wav and pcm are 16-bit, flac holds the same 16-bit samples; mp3 and aac 128 kbit/s mono, 192 stereo; ogg is
    Vorbis at quality 5; opus 64 kbit/s a channel at 48 kHz; aac is AAC-LC in ADTS frames. A wav header cannot know the
    length and says so.
    Raises GenerationFailed, before the first byte, where no chunk has a sample. Close the iterator to stop early.
    """
    chunks, channels = checked(chunks)
    if output_format in ("wav", "pcm"):
        if output_format == "wav":
            yield wav_header(sample_rate, channels)
        yield from map(pcm16_bytes, chunks)
    else:
        yield from run_encoder(chunks, sample_rate, channels, output_format, "pipe:1")


def run_encoder(
    chunks: Iterable[Audio], sample_rate: int, channels: int, output_format: AudioFormat, destination: str
) -> Generator[bytes]:
    """ffmpeg's encoder of `output_format`; yields what it writes to pipe:1, nothing where it writes a file."""
    to_bytes, sample_format = (pcm16_bytes, "s16le") if output_format == "flac" else (float_bytes, "f32le")
    source = pcm_input(sample_rate, channels, sample_format)
    # bitexact leaves out versions and random serial numbers: the same audio gives the same bytes.
    options = {"fflags": "+bitexact", "flags:a": "+bitexact", "flush_packets": 1, **_codec(output_format, channels)}
    if output_format == "mp3" and destination == "pipe:1":
        options["write_xing"] = 0  # a frame of lengths that cannot be filled in afterwards
    with FfmpegProcess(ffmpeg_command(source.output(destination, **options)), has_input=True) as process:
        for chunk in chunks:
            if encoded := process.push(to_bytes(chunk)):
                yield encoded
        if encoded := process.flush():
            yield encoded


def checked(chunks: Iterable[Audio]) -> tuple[Iterator[Audio], int]:
    """(chunks that have samples, each checked; the channels of the first). Raises GenerationFailed if none has any."""
    filled = (chunk for chunk in chunks if chunk.shape[1])
    first = next(filled, None)
    if first is None:
        raise GenerationFailed("there is no audio to encode: not one sample was generated")
    channels = first.shape[0]
    assert channels in (1, 2), first.shape
    return (_check(chunk, channels) for chunk in chain([first], filled)), channels


def wav_header(sample_rate: int, channels: int, data_size: int | None = None) -> bytes:
    """44 bytes in front of 16-bit samples; without `data_size` (bytes) both lengths are 0xFFFFFFFF, "not known"."""
    size = UNKNOWN_SIZE if data_size is None else data_size
    riff_size = min(size + WAV_HEADER_SIZE - 8, UNKNOWN_SIZE)
    assert data_size is None or riff_size < UNKNOWN_SIZE, data_size
    frame_size = 2 * channels
    form = struct.pack("<HHIIHH", 1, channels, sample_rate, sample_rate * frame_size, frame_size, 16)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", riff_size, b"WAVE", b"fmt ", len(form))
        + form
        + struct.pack("<4sI", b"data", size)
    )


def _codec(output_format: AudioFormat, channels: int) -> dict[str, Any]:
    match output_format:
        case "mp3":
            return {"f": "mp3", "c:a": "libmp3lame", "b:a": 64_000 + 64_000 * channels}
        case "flac":
            return {"f": "flac", "c:a": "flac"}
        case "ogg":
            return {"f": "ogg", "c:a": "libvorbis", "q:a": 5, "page_duration": PAGE_MICROSECONDS}
        case "opus":
            return {
                "f": "ogg",
                "c:a": "libopus",
                "b:a": 64_000 * channels,
                "ar": OPUS_RATE,
                "page_duration": PAGE_MICROSECONDS,
            }
        case "aac":
            return {"f": "adts", "c:a": "aac", "b:a": 64_000 + 64_000 * channels}
    raise AssertionError(output_format)


def _check(chunk: Audio, channels: int) -> Audio:
    assert chunk.shape[0] == channels, (chunk.shape, channels)
    peak = float(np.abs(chunk).max())
    assert peak <= 1, f"a sample of {peak} is over full scale; soft_limit first"
    return chunk
