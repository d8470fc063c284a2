"""Settings that music and sound have in common: their ranges, what they do, and how they fit each other.

What AudioCraft can sample with is taken; only what it could not compute is refused. Defaults are each schema's own.
"""

from typing import Annotated, Literal, Protocol

from pydantic import Field

from models.errors import InvalidRequest
from models.inputs.declaration import File, Flag, Integer, Number
from models.request import INPUT_LIMIT, SEED_LIMIT, SamplingParams, input_length

LONGEST_SECONDS = 300  # of generated audio
LONGEST_FILE_SECONDS = 600  # what models/audio/read.py takes of a caller's file
CODEBOOK_SIZE = 2048  # of every published EnCodec that is generated for: all the codes that a top_k can keep
USUAL_TOP_K = 250
TO_THE_END = -1

NormalizationStrategy = Literal["loudness", "clip", "peak", "rms"]
MusicFormat = Literal["mp3", "wav", "flac", "ogg"]

ContinuationStart = Annotated[
    Integer,
    Field(ge=0, le=LONGEST_FILE_SECONDS, description="Second of input_audio at which the part that is used starts."),
]
ContinuationEnd = Annotated[
    Integer | None,
    Field(
        ge=TO_THE_END,
        le=LONGEST_FILE_SECONDS,
        description="Second of input_audio at which the part that is used ends; -1 or none is its end.",
    ),
]
Normalization = Annotated[
    NormalizationStrategy,
    Field(description="Level: loudness -14 LUFS, peak -1 dB, rms -18 dB; clip only cuts what passes -1 dB."),
]
TopK = Annotated[
    Integer,
    Field(
        ge=0,
        le=CODEBOOK_SIZE,
        description="Draw from this many of the likeliest codes; 0 is all. Unused where top_p is above 0.",
    ),
]
TopP = Annotated[
    Number,
    Field(
        ge=0,
        le=1,
        description="Draw from the likeliest codes that together reach this probability; 0 leaves it to top_k.",
    ),
]
Temperature = Annotated[
    Number, Field(ge=0, le=100, description="Randomness of the choice; 0 always takes the likeliest code.")
]
Guidance = Annotated[
    Integer,
    Field(
        ge=-100,
        le=100,
        description="Guidance: higher values keep closer to the prompt; 1 adds none, 0 passes over it.",
    ),
]
OutputFormat = Annotated[MusicFormat, Field(description="Container of the file that is returned.")]
Seed = Annotated[
    Integer | None,
    Field(
        ge=-1,
        le=SEED_LIMIT,
        description="The same seed gives the same audio; none or -1 is a random one, which is reported.",
    ),
]
Loop = Annotated[
    Flag, Field(description="Join the end to the beginning without a seam, so that the file can be repeated.")
]
Count = Annotated[
    Integer,
    Field(ge=1, le=10, description="Variations to make at once; each has the seed of the one before plus 1."),
]


class Piece(Protocol):
    """What both schemas say of what is to be made."""

    @property
    def model_name(self) -> str: ...
    @property
    def loop(self) -> bool: ...
    @property
    def output_format(self) -> str: ...
    @property
    def top_k(self) -> int: ...
    @property
    def top_p(self) -> float: ...
    @property
    def temperature(self) -> float: ...
    @property
    def count(self) -> int: ...


def notes_on(asked: Piece, plays: str) -> tuple[str, ...]:
    """What whoever asked should know before it is made. plays: the name of the model that makes it."""
    notes = []
    if plays != asked.model_name:
        notes.append(f"{plays} plays here, though {asked.model_name} was asked for")
    if asked.top_p > 0 and asked.top_k not in (0, USUAL_TOP_K):
        notes.append(
            f"top_p is {asked.top_p:g}, which takes the place of top_k: {asked.top_k} says nothing but with top_p 0"
        )
    if asked.count > 1 and asked.temperature == 0:
        notes.append(f"temperature is 0, so nothing is drawn, and all {asked.count} variations have the same codes")
    if asked.loop and asked.output_format == "mp3":
        notes.append("players leave a gap between repeats of an mp3; wav, flac and ogg have none")
    return tuple(notes)


def check_prompt(prompt: str) -> None:
    """Raises InvalidRequest for a text that is longer than a request may be."""
    if input_length(prompt) > INPUT_LIMIT:
        raise InvalidRequest(
            "prompt",
            f"is {input_length(prompt)} characters long; one request reads at most {INPUT_LIMIT}. Shorten it.",
        )


def check_part(input_audio: File | None, start: int, end: int | None) -> None:
    """Raises InvalidRequest where start and end name no part of a file. How long the file is, they do not know."""
    if input_audio is None:
        for field, value, usual in (("continuation_start", start, (0,)), ("continuation_end", end, (None, TO_THE_END))):
            if value not in usual:
                raise InvalidRequest(
                    field, f"is {value}, but there is no input_audio to take a part of. Send it, or leave this out."
                )
    elif part_end(end) is not None and start >= (end or 0):
        raise InvalidRequest(
            "continuation_start", f"is {start}; it must be less than continuation_end, which is {end} (-1: to the end)."
        )


def part_end(end: int | None) -> float | None:
    """Seconds, or None for the end of the file."""
    return None if end is None or end == TO_THE_END else float(end)


def sampling_params(
    *, top_k: int, top_p: float, temperature: float, guidance: int, seed: int | None, variation: int
) -> SamplingParams:
    """How codes of one variation are drawn: each has a seed of its own, and with `seed` one that follows from it."""
    sampling = SamplingParams(cfg_scale=float(guidance), temperature=temperature, top_p=top_p, cfg_filter_top_k=top_k)
    return sampling if seed is None or seed < 0 else sampling.with_seed((seed + variation) % (SEED_LIMIT + 1))
