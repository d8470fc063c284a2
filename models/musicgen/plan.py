"""A request → the piece that will be made, window by window, or the reason why not. No model work happens here.

What audiocraft stops with a bare assertion, or takes and gets wrong, is refused with the value, the limit and the way
out. Field names are those of the public schema (models/inputs/music.py).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Integral

import numpy as np

from models.decoding.public_codes import check_codes
from models.errors import InvalidRequest
from models.inputs.settings import LONGEST_SECONDS
from models.musicgen.config import MusicgenConfig
from models.musicgen.recording import read_recordings
from models.musicgen.windows import Window, plan_windows
from models.request import SEED_LIMIT, Audio, AudioGenerationRequest, SamplingParams

# Floats count 0.58 s · 50 a second as 28.999999999999996 frames.
ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Plan:
    """A request that can be made."""

    request: AudioGenerationRequest
    text: str  # "": nothing in particular
    frames: int  # of the whole piece, the prefix and a loop's overrun included
    windows: tuple[Window, ...]
    prefix: Audio | None  # [C, L] that the piece goes on from, still to be encoded
    prefix_codes: np.ndarray | None  # [K, T], where the request brought codes in its place
    melody: Audio | None  # [C, L]
    buffer: np.ndarray | None  # [K, N] codes that the first sample continues
    notes: tuple[str, ...]


def make_plan(request: AudioGenerationRequest, config: MusicgenConfig, *, diffusion: bool) -> Plan:
    """diffusion: multi-band diffusion can be had for this model.

    sampling_params.max_new_tokens is not read: music.duration_seconds says how long the piece is.
    Raises InvalidRequest or UnreadableAudio for what this model cannot do.
    """
    text = _text(request)
    check_sampling(request.sampling_params, config.vocabulary)
    _check_decoder(request, config, diffusion)
    frames = _frames(request.music.duration_seconds, "duration", config)
    recordings = read_recordings(request, config)
    prefix_codes = None
    if len(request.audio_prompt_tokens):
        prefix_codes = _codes(request.audio_prompt_tokens, "audio_prompt_tokens", config)
    known = _prefix_frames(recordings.prefix, prefix_codes, config)
    field = "input_audio" if prefix_codes is None else "audio_prompt_tokens"
    _check_prefix(known, frames, field, config)
    buffer = None
    if request.buffer_speech_tokens is not None and len(request.buffer_speech_tokens):
        buffer = _codes(request.buffer_speech_tokens, "buffer_speech_tokens", config)
    total = frames_in(request.music.total_seconds, config.frame_rate)
    stride = frames_in(config.stride_seconds, config.frame_rate)
    windows = plan_windows(total, config.max_frames, stride, known)
    notes = (*recordings.notes, *_notes(request, frames, known, config))
    return Plan(request, text, total, windows, recordings.prefix, prefix_codes, recordings.melody, buffer, notes)


def frames_in(seconds: float, frame_rate: float) -> int:
    """Whole frames in this time."""
    return int(seconds * frame_rate + ROUNDING)


def check_sampling(sampling: SamplingParams, codes: int) -> None:
    """The ranges that can be sampled from a vocabulary of `codes`. Raises InvalidRequest with the public names."""
    rules: tuple[tuple[str, float, Callable[[float], bool], str], ...] = (
        ("classifier_free_guidance", sampling.cfg_scale, lambda v: -100 <= v <= 100, "-100 and 100"),
        ("temperature", sampling.temperature, lambda v: 0 <= v <= 100, "0 and 100"),
        ("top_p", sampling.top_p, lambda v: 0 <= v <= 1, "0 (leave it to top_k) and 1"),
        ("top_k", sampling.cfg_filter_top_k, lambda v: 0 <= v <= codes, f"0 (all) and {codes}, the codes there are"),
        ("seed", sampling.seed, lambda v: 0 <= v <= SEED_LIMIT, f"0 and {SEED_LIMIT}"),
    )
    for field, value, fits, limits in rules:
        if field in ("top_k", "seed") and not isinstance(value, Integral):
            raise InvalidRequest(field, f"is {value!r}; it must be a whole number.")
        if not fits(value):  # a NaN fits nowhere
            raise InvalidRequest(field, f"is {value}; it must lie between {limits}.")


def _text(request: AudioGenerationRequest) -> str:
    """What is asked for in words. Raises InvalidRequest for what only speech can honour."""
    if request.audio_prompt_transcription:
        raise InvalidRequest("audio_prompt_transcription", "is given; music has no words to read. Leave it out.")
    if request.prompt is None:
        assert request.input is not None
        return request.input
    if not isinstance(request.prompt, str):
        raise InvalidRequest("prompt", "holds ids of tokens; this model reads text. Send the description itself.")
    return request.prompt


def _codes(codes: object, field: str, config: MusicgenConfig) -> np.ndarray:
    return check_codes(codes, field, config.codebooks, config.vocabulary)


def _frames(seconds: float, field: str, config: MusicgenConfig) -> int:
    if not (math.isfinite(seconds) and 1 / config.frame_rate - ROUNDING <= seconds <= LONGEST_SECONDS):
        raise InvalidRequest(
            field, f"is {seconds:g}; it must lie between {1 / config.frame_rate:g} and {LONGEST_SECONDS} seconds."
        )
    return frames_in(seconds, config.frame_rate)


def _notes(request: AudioGenerationRequest, frames: int, known: int, config: MusicgenConfig) -> Iterator[str]:
    """What of a request becomes something else than the words of its fields say."""
    music, seconds = request.music, frames / config.frame_rate
    if music.loop and known:
        yield (
            f"the end of the loop fades into its first {music.overrun_seconds:g} s, over the beginning of what is gone "
            "on from"
        )
    if not music.loop and abs(music.duration_seconds - seconds) > ROUNDING:
        frame = 1 / config.frame_rate
        yield f"duration is {music.duration_seconds:g}; {seconds:g} s are made, whole frames of {frame:g} s"


def _check_decoder(request: AudioGenerationRequest, config: MusicgenConfig, diffusion: bool) -> None:
    if request.music.multi_band_diffusion and not diffusion:
        raise InvalidRequest(
            "multi_band_diffusion",
            f"is true, but there is none for {config.name}: it exists for the codes of MusicGen at 32 kHz, and its "
            "weights must be there. Set it to false.",
        )


def _prefix_frames(audio: Audio | None, codes: np.ndarray | None, config: MusicgenConfig) -> int:
    if codes is not None:
        return int(codes.shape[1])
    return 0 if audio is None else math.ceil(audio.shape[1] * config.frame_rate / config.sample_rate - ROUNDING)


def _check_prefix(known: int, frames: int, field: str, config: MusicgenConfig) -> None:
    seconds, window = known / config.frame_rate, config.max_frames / config.frame_rate
    if known >= frames:
        raise InvalidRequest(
            field,
            f"has a part to go on from of {seconds:g} s, but the duration, which counts it, is "
            f"{frames / config.frame_rate:g} s. Ask for more, or choose a shorter part with continuation_start and "
            "continuation_end.",
        )
    if known > config.max_frames:
        raise InvalidRequest(
            field,
            f"has a part to go on from of {seconds:g} s; {config.name} sees {window:g} s at once. Choose a part of at "
            "most that with continuation_start and continuation_end.",
        )
