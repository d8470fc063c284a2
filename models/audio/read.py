"""A caller's recording → float32 at the sample rate, and with the channels, asked for.

Knows containers only by name: ffmpeg reads them, by content, from one open file, and may open nothing else.
"""

import json
import time
from collections.abc import Generator, Iterator
from contextlib import closing

import ffmpeg
import numpy as np
import numpy.typing as npt
import soxr

from models.audio.ffmpeg_process import FfmpegProcess, ffmpeg_command
from models.audio.pcm import FloatParser
from models.audio.source import descriptor_url, open_source
from models.errors import UnreadableAudio
from models.request import Audio, AudioSource

MAX_BYTES = 100 * 2**20  # the largest body that Cog's server takes
MAX_SECONDS = 600.0
DECODE_SECONDS = 60.0  # ten minutes of mp3 took 6 s on a busy core
SAMPLE_RATES = (1_000, 768_000)  # Hz; outside, a header is damaged or hostile
MAX_CHANNELS = 64
LARGEST_SAMPLE = 32_768.0  # float files may pass ±1, some even count as 16-bit ones do; beyond lies damage

# ffmpeg's demuxers for self-contained recordings. None of them opens a second file: no playlists (hls, concat, dash),
# no image sequences, no subtitles, no scripts. Everything else is refused before its header is read.
DEMUXERS = "wav,w64,mp3,flac,ogg,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,aiff,au,caf,amr,asf"
READ_FORMATS = "wav, mp3, flac, ogg, opus, m4a, mp4, webm, aac, aiff, au, caf, amr or wma"
RESTRICTIONS = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}


def read_audio(
    source: AudioSource,
    *,
    field: str,
    sample_rate: int,
    channels: int = 1,
    max_bytes: int = MAX_BYTES,
    max_seconds: float = MAX_SECONDS,
) -> Audio:
    """Decode and resample (soxr HQ): [C, L], L > 0, at `sample_rate` Hz and of as many channels as asked for.

    channels: 1, the mean of all the recording has, or 2, its first two or its only one twice.
    field: the public name of the input, for errors. max_seconds: of the recording, checked while it is decoded.
    Raises UnreadableAudio for anything that is no audio file of a format in READ_FORMATS, is empty, damaged, too
    large, too long, or no regular file; ParleyError where ffmpeg is missing.
    """
    with open_source(source, field, max_bytes) as descriptor:
        native_rate, native_channels = _probe(descriptor, field)
        with closing(_decode(descriptor, field, native_rate, native_channels)) as pieces:
            fitting = (_with_channels(piece, channels) for piece in pieces)
            audio = _collect(fitting, field, native_rate, sample_rate, channels, max_seconds)
    # A NaN fails every comparison, so this finds it too.
    if not np.abs(audio).max(initial=0.0) <= LARGEST_SAMPLE:
        raise UnreadableAudio(field, "holds samples that are no numbers, or far beyond full scale. Export it again.")
    return audio


def _probe(descriptor: int, field: str) -> tuple[int, int]:
    """(native sample rate, channels) of the first audio stream."""
    command = ["ffprobe", "-hide_banner", "-loglevel", "error"]
    for option, value in RESTRICTIONS.items():
        command += [f"-{option}", value]
    command += ["-select_streams", "a:0", "-show_entries", "stream=sample_rate,channels", "-of", "json"]
    with FfmpegProcess([*command, descriptor_url(descriptor)], has_input=False, descriptors=[descriptor]) as process:
        report = b"".join(iter(process.read, b""))
        if process.wait():
            raise UnreadableAudio(field, f"is no audio file that can be read. Send {READ_FORMATS}.")
    streams = json.loads(report).get("streams", [])
    if not streams:
        raise UnreadableAudio(field, f"has no audio stream. Send {READ_FORMATS}.")
    native_rate, channels = int(streams[0].get("sample_rate", 0)), int(streams[0].get("channels", 0))
    if not (SAMPLE_RATES[0] <= native_rate <= SAMPLE_RATES[1] and 1 <= channels <= MAX_CHANNELS):
        raise UnreadableAudio(
            field,
            f"has {channels} channels at {native_rate} Hz; 1 to {MAX_CHANNELS} channels at {SAMPLE_RATES[0]} to "
            f"{SAMPLE_RATES[1]} Hz are read. Export it again.",
        )
    return native_rate, channels


def _decode(descriptor: int, field: str, native_rate: int, channels: int) -> Generator[Audio]:
    """The recording in pieces [C, L], at its own rate."""
    source = ffmpeg.input(descriptor_url(descriptor), **RESTRICTIONS, threads=1)["a:0"]
    # A frame or two that fail are common at the ends of mp3 files; a tenth of them means a damaged recording.
    decoded = source.output("pipe:1", f="f32le", ar=native_rate, ac=channels).global_args("-max_error_rate", "0.1")
    parser, deadline = FloatParser(channels), time.monotonic() + DECODE_SECONDS
    with FfmpegProcess(ffmpeg_command(decoded), has_input=False, descriptors=[descriptor]) as process:
        for piece in iter(process.read, b""):
            if time.monotonic() > deadline:
                raise UnreadableAudio(field, f"takes over {DECODE_SECONDS:g} s to decode. Send it as wav or flac.")
            yield parser.push(piece)
        if process.wait():
            raise UnreadableAudio(field, "is damaged: its audio cannot be decoded. Export it again.")


def _with_channels(audio: Audio, channels: int) -> Audio:
    """[C, L] → [channels, L], as read_audio says."""
    if channels == 1:
        return audio.mean(axis=0, keepdims=True)
    return np.repeat(audio, channels, axis=0) if audio.shape[0] == 1 else audio[:channels]


def _collect(
    pieces: Iterator[Audio], field: str, native_rate: int, sample_rate: int, channels: int, max_seconds: float
) -> Audio:
    """Resample and join [C, L] pieces; stops as soon as they pass `max_seconds`."""
    resampler = soxr.ResampleStream(native_rate, sample_rate, channels, dtype="float32", quality="HQ")
    resampled: list[npt.NDArray[np.float32]] = []  # [L, C] each, soxr's layout
    length = 0
    for piece in (piece.T for piece in pieces):
        length += len(piece)
        if length > max_seconds * native_rate:
            raise UnreadableAudio(field, f"is longer than {max_seconds:g} seconds, the most that is read. Cut it.")
        resampled.append(piece if native_rate == sample_rate else resampler.resample_chunk(piece))
    if length == 0:
        raise UnreadableAudio(field, "holds no sample of audio. Send a recording.")
    if native_rate != sample_rate:
        resampled.append(resampler.resample_chunk(np.zeros((0, channels), np.float32), last=True))
    return np.ascontiguousarray(np.concatenate(resampled).T)
