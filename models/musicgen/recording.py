"""A caller's audio → what the piece goes on from, and the melody that it follows. Knows files and seconds, no network.

Field names are those of the public schema (models/inputs/music.py). Nothing is cut in silence: what was asked for and
is not there becomes a note, or is refused.
"""

import math
from dataclasses import dataclass

from models.audio.read import read_audio
from models.audio.silence import is_silent
from models.errors import InvalidRequest, UnreadableAudio
from models.musicgen.config import MusicgenConfig
from models.request import Audio, AudioGenerationRequest, AudioSource, MusicOptions


@dataclass(frozen=True, eq=False)
class Recordings:
    """What a request brings, at the codec's rate and with its channels."""

    prefix: Audio | None  # [C, L], gone on from
    melody: Audio | None  # [C, L]
    notes: tuple[str, ...] = ()


def read_recordings(request: AudioGenerationRequest, config: MusicgenConfig) -> Recordings:
    """Read, cut and sort what the request brings. No model work; raises InvalidRequest or UnreadableAudio."""
    music = request.music
    _check_roles(request, config)
    part: Audio | None = None
    notes: tuple[str, ...] = ()
    if request.audio_prompt is not None:
        audio = _read(request.audio_prompt, "input_audio", config)
        part, notes = _cut(audio, config.sample_rate, music)
    if music.continuation:
        melody = None
        if music.melody_audio is not None:
            melody = _sounding(_read(music.melody_audio, "melody_audio", config), "melody_audio")
        return Recordings(part, melody, notes)
    return Recordings(None, None if part is None else _sounding(part, "input_audio"), notes)


def _check_roles(request: AudioGenerationRequest, config: MusicgenConfig) -> None:
    """Raises InvalidRequest where the audio of a request, and what it is for, do not fit each other or the model."""
    music, brings_codes = request.music, len(request.audio_prompt_tokens) > 0
    if music.continuation and request.audio_prompt is None and not brings_codes:
        raise InvalidRequest(
            "input_audio", "is missing, and continuation is true. Send the audio to go on from, or set it to false."
        )
    if brings_codes and not music.continuation:
        raise InvalidRequest(
            "audio_prompt_tokens",
            "is given, but continuation is false. Codes can only be gone on from: set it to true.",
        )
    if music.melody_audio is not None and not music.continuation:
        raise InvalidRequest(
            "melody_audio",
            "is given, but continuation is false. Send the melody as input_audio, or set continuation to true.",
        )
    _check_part(request)
    if config.melody:
        return
    if music.melody_audio is not None:
        raise InvalidRequest("melody_audio", f"is given, but {_tuneless(config)} leave melody_audio out.")
    if request.audio_prompt is not None and not music.continuation:
        raise InvalidRequest(
            "input_audio", f"is given as a melody, but {_tuneless(config)} set continuation to true to go on from it."
        )


def _tuneless(config: MusicgenConfig) -> str:
    return f"{config.name} follows no melody. Choose a model with melody in its name, or"


def _check_part(request: AudioGenerationRequest) -> None:
    start, end = request.music.continuation_start, request.music.continuation_end
    if request.audio_prompt is None:
        for field, value, usual in (("continuation_start", start, 0), ("continuation_end", end, None)):
            if value != usual:
                raise InvalidRequest(
                    field, f"is {value:g}, but there is no input_audio to take a part of. Send it, or leave this out."
                )
    if not (math.isfinite(start) and start >= 0):
        raise InvalidRequest("continuation_start", f"is {start:g}; it must be 0 or a later second of input_audio.")
    if end is not None and not (math.isfinite(end) and end > start):
        raise InvalidRequest(
            "continuation_start",
            f"is {start:g}; it must be less than continuation_end, which is {end:g} (none: to the end).",
        )


def _read(source: AudioSource, field: str, config: MusicgenConfig) -> Audio:
    return read_audio(source, field=field, sample_rate=config.sample_rate, channels=config.channels)


def _cut(audio: Audio, sample_rate: int, music: MusicOptions) -> tuple[Audio, tuple[str, ...]]:
    """The part from continuation_start to continuation_end, and what there was not of it."""
    seconds = audio.shape[1] / sample_rate
    start, end = music.continuation_start, music.continuation_end
    first, last = int(start * sample_rate), audio.shape[1] if end is None else int(end * sample_rate)
    if first >= audio.shape[1]:
        raise InvalidRequest(
            "continuation_start", f"is {start:g}, but input_audio lasts {seconds:.2f} s. Start within it."
        )
    if last <= first:  # less than a sample
        raise InvalidRequest("continuation_end", f"is {end:g}, which leaves no sample of input_audio. Let it be later.")
    notes: tuple[str, ...] = ()
    if last > audio.shape[1]:
        notes = (
            f"continuation_end is {end:g}, but input_audio lasts {seconds:.2f} s: all from {start:g} s on is used",
        )
    return audio[:, first:last], notes


def _sounding(audio: Audio, field: str) -> Audio:
    if is_silent(audio):
        raise UnreadableAudio(field, "is silent: there is no melody in it to follow. Send another part, or none.")
    return audio
