"""What every door hands to the engine, and what comes back: immutable, numpy only, no torch.

`AudioGenerationRequest` has the field names and defaults of MAX 26.1's class of the same name (PyPI wheel
`max`, interfaces/pipeline_variants/audio_generation.py), and keeps the promises that one leaves in its docstring:
the 4096-character limit is enforced, every field is honoured, a pending request can be cancelled.
"""

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models.errors import InvalidRequest, MissingInput

INPUT_LIMIT = 4096  # characters of `input`, as input_length counts them
LONGEST_PROMPT_SECONDS = 120
LOOP_OVERRUN_SECONDS = 2.0  # a bar at 120 beats a minute
SEED_LIMIT = 2**32 - 1  # largest seed; the range of MAX's and Replicate's seeds

Audio = npt.NDArray[np.float32]  # [C, L], full scale is ±1
Codes = npt.NDArray[np.int64]  # [N, K] frames of codes, the layout of the public fields

# Parameters of MAX's sampling that mean nothing here, at the values that leave them out.
_NOT_HONOURED: dict[str, Any] = {
    "min_p": 0.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "repetition_penalty": 1.0,
    "min_new_tokens": 0,
    "ignore_eos": False,
    "stop": None,
    "stop_token_ids": None,
    "logits_processors": None,
}

_SPEAKER = re.compile(r"\[S[12]\] ?")


def random_seed() -> int:
    """0 to SEED_LIMIT, for whoever gave none."""
    return secrets.randbelow(SEED_LIMIT + 1)


AudioSource = Path | bytes  # a file, or the bytes of one, in any container that ffmpeg reads


def input_length(text: str) -> int:
    """Characters that count. The speaker in front is none of them: a door puts it before texts that name nobody."""
    return len(text) - len(speaker[0] if (speaker := _SPEAKER.match(text)) else "")


class GenerationStatus(StrEnum):
    """How far a request is. The last chunk of a stream carries one of the last two."""

    ACTIVE = "active"
    END_OF_SEQUENCE = "end_of_sequence"  # the model ended by itself
    MAXIMUM_LENGTH = "maximum_length"  # max_new_tokens, or the length a text of this size can have, was reached


@dataclass(frozen=True)
class SamplingParams:
    """How codes are drawn. Ranges are those of models/inputs; this class trusts them."""

    max_new_tokens: int = 3072  # frames of new audio over the whole request
    cfg_scale: float = 3.0
    temperature: float = 1.3  # 0 is greedy
    top_p: float = 0.95
    cfg_filter_top_k: int = 35
    seed: int = field(default_factory=random_seed)

    def with_seed(self, seed: int) -> Self:
        return replace(self, seed=seed)


@dataclass(frozen=True)
class MusicOptions:
    """What music and sounds are asked for beyond text and sampling; speech leaves it as it is. Times in seconds.

    duration_seconds: of all the audio, the part that is continued included.
    continuation: the request's audio_prompt is gone on from; else, if there is one, it is the melody to follow.
    continuation_start, continuation_end: the part of audio_prompt that is used; None is the end of it.
    melody_audio: the melody, where audio_prompt is gone on from.
    multi_band_diffusion: codes become audio by diffusion instead of the codec's decoder.
    loop: the stream is longer than asked for by `overrun_seconds`, which models/audio/loop.py folds into its beginning.
    """

    duration_seconds: float = 8.0
    continuation: bool = False
    continuation_start: float = 0.0
    continuation_end: float | None = None
    melody_audio: AudioSource | None = None
    multi_band_diffusion: bool = False
    loop: bool = False

    @property
    def overrun_seconds(self) -> float:
        """How much of what would come next is made for the crossfade of a loop; 0 without one."""
        return min(LOOP_OVERRUN_SECONDS, self.duration_seconds / 2) if self.loop else 0.0

    @property
    def total_seconds(self) -> float:
        """How long the stream is: the duration, and the overrun of a loop."""
        return self.duration_seconds + self.overrun_seconds


@dataclass(frozen=True, eq=False)
class AudioGenerationRequest:
    """One request, complete. Raises InvalidRequest where a field cannot be honoured.

    audio_prompt_tokens: codes of the voice prompt, [N, K] or flat of length N·K (frame after frame).
    audio_prompt_transcription: what the voice prompt says; without it an audio_prompt is listened to.
    prompt: replaces the text built from transcription and input; a string is encoded as it stands, ids as they are.
    streaming: True sends audio as soon as it is exact; False sends whole passages, each checked and taken
        again if it is flawed.
    buffer_speech_tokens: [N, K] codes of an earlier request, the left context of the codec's decoder, so that this
        request's first sample continues that request's last one. Every chunk carries the ones to pass on.
    audio_prompt: ours; audio that the engine encodes into audio_prompt_tokens.
    max_audio_prompt_seconds: ours; a longer audio_prompt is cut at a pause.
    music: ours; what music and sounds are asked for. For them `input` describes, "" leaves all to chance, and
        sampling_params.top_p 0 leaves the choice to cfg_filter_top_k.
    """

    request_id: str
    model: str
    input: str | None = None
    audio_prompt_tokens: Codes | Sequence[int] = ()
    audio_prompt_transcription: str = ""
    sampling_params: SamplingParams = field(default_factory=SamplingParams)
    prompt: Sequence[int] | str | None = None
    streaming: bool = True
    buffer_speech_tokens: Codes | None = None
    audio_prompt: AudioSource | None = None
    max_audio_prompt_seconds: int = 10
    music: MusicOptions = MusicOptions()

    def __post_init__(self) -> None:
        if self.prompt is None and self.input is None:
            raise MissingInput("input", "is missing, and so is prompt. Give the text to speak as input.")
        if self.input is not None and input_length(self.input) > INPUT_LIMIT:
            raise InvalidRequest(
                "input",
                f"is {input_length(self.input)} characters long; one request reads at most {INPUT_LIMIT}. "
                "Send the rest as a second request.",
            )
        if self.audio_prompt is not None and len(self.audio_prompt_tokens):
            raise InvalidRequest(
                "audio_prompt",
                "is given beside audio_prompt_tokens; one voice prompt a request. Leave one out.",
            )
        if not 1 <= self.max_audio_prompt_seconds <= LONGEST_PROMPT_SECONDS:
            raise InvalidRequest(
                "max_audio_prompt_seconds",
                f"is {self.max_audio_prompt_seconds}; it must lie between 1 and {LONGEST_PROMPT_SECONDS}.",
            )
        # Arrays and lists are the caller's: keep private, read-only copies so that the request stays what it was.
        for name in ("audio_prompt_tokens", "buffer_speech_tokens"):
            if (codes := getattr(self, name)) is not None:
                object.__setattr__(self, name, _frozen(codes, name))
        if self.prompt is not None and not isinstance(self.prompt, str):
            object.__setattr__(self, "prompt", tuple(_frozen(self.prompt, "prompt").tolist()))

    def __str__(self) -> str:
        return self.request_id

    @classmethod
    def from_attributes(cls, other: Any) -> Self:
        """Build from any object with the same attributes, a MAX AudioGenerationRequest for one."""
        theirs = other.sampling_params
        ours = SamplingParams()
        for name, usual in _NOT_HONOURED.items():
            if (value := getattr(theirs, name, usual)) != usual:
                raise InvalidRequest(name, f"is {value!r}, which this engine cannot honour. Leave it at {usual!r}.")
        names = ("max_new_tokens", "temperature", "top_p", "seed")
        given = {n: v for n in names if (v := getattr(theirs, n, None)) is not None}
        if getattr(theirs, "top_k", -1) > 0:
            given["cfg_filter_top_k"] = theirs.top_k
        return cls(
            request_id=str(other.request_id),
            model=other.model,
            input=other.input,
            audio_prompt_tokens=other.audio_prompt_tokens,
            audio_prompt_transcription=other.audio_prompt_transcription,
            sampling_params=replace(ours, **given),
            prompt=other.prompt,
            streaming=other.streaming,
            buffer_speech_tokens=other.buffer_speech_tokens,
        )


@dataclass(frozen=True, eq=False)
class AudioChunk:
    """A piece of a stream. Chunks of one request, concatenated on axis 1, are its audio."""

    audio: Audio  # [C, L]; L may be 0, also in the last chunk
    sample_rate: int  # Hz
    index: int  # 0, 1, 2, … within the request
    status: GenerationStatus
    steps_executed: int  # frames generated so far, takes that were dropped not counted
    progress: float  # 0–1, of the expected length until the end is known
    seed: int
    buffer_speech_tokens: Codes  # [N, K], pass on to the request that continues this one
    notes: tuple[str, ...] = ()  # what the caller should know: cuts, new takes; each is said once

    @property
    def is_done(self) -> bool:
        return self.status is not GenerationStatus.ACTIVE


@dataclass(frozen=True, eq=False)
class Generated:
    """A stream, collected."""

    audio: Audio  # [C, L]
    sample_rate: int  # Hz
    status: GenerationStatus
    steps_executed: int
    seed: int
    buffer_speech_tokens: Codes  # [N, K]
    notes: tuple[str, ...]
    first_audio_seconds: float  # from submit to the first chunk with samples
    total_seconds: float

    @classmethod
    def of(cls, chunks: Sequence[AudioChunk], first_audio_seconds: float, total_seconds: float) -> Self:
        """All chunks of one request, the last of which says how it ended."""
        last = chunks[-1]
        return cls(
            audio=np.concatenate([chunk.audio for chunk in chunks], axis=1),
            sample_rate=last.sample_rate,
            status=last.status,
            steps_executed=last.steps_executed,
            seed=last.seed,
            buffer_speech_tokens=last.buffer_speech_tokens,
            notes=tuple(note for chunk in chunks for note in chunk.notes),
            first_audio_seconds=first_audio_seconds,
            total_seconds=total_seconds,
        )

    @property
    def audio_seconds(self) -> float:
        return self.audio.shape[-1] / self.sample_rate


class Collector:
    """Gathers the chunks of one request, and when they came.

    started: `time.perf_counter()` when it was asked for.
    """

    def __init__(self, started: float) -> None:
        self._started = started
        self._chunks: list[AudioChunk] = []
        self._first_audio = self._last = 0.0

    def add(self, chunk: AudioChunk) -> None:
        """The next chunk, one without audio too."""
        self._last = time.perf_counter() - self._started
        self._first_audio = self._first_audio or (self._last if chunk.audio.size else 0.0)
        self._chunks.append(chunk)

    def generated(self) -> Generated:
        """All of it, after its last chunk."""
        return Generated.of(self._chunks, self._first_audio, self._last)


def _frozen(codes: Codes | Sequence[int], field: str) -> Codes:
    """A private, read-only copy; raises InvalidRequest for what is no array of whole numbers."""
    try:
        array = np.asarray(codes)
    except ValueError as error:
        raise InvalidRequest(field, f"is no array of whole numbers ({error}).") from error
    if array.size and array.dtype.kind not in "iu":
        raise InvalidRequest(field, f"holds {array.dtype} values; it must hold whole numbers.")
    copy = array.astype(np.int64)
    copy.flags.writeable = False
    return copy
