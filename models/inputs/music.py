"""What a caller may ask of music. Knows no model and no door: what only a model's facts can refuse, its plan does."""

from typing import Literal, Self

from pydantic import Field

from models.errors import InvalidRequest
from models.inputs.declaration import File, Flag, Inputs, Integer, Secret
from models.inputs.settings import (
    LONGEST_SECONDS,
    USUAL_TOP_K,
    ContinuationEnd,
    ContinuationStart,
    Count,
    Guidance,
    Loop,
    Normalization,
    OutputFormat,
    Seed,
    Temperature,
    TopK,
    TopP,
    check_part,
    check_prompt,
    part_end,
    sampling_params,
)
from models.request import AudioGenerationRequest, MusicOptions, random_seed

LARGEST_SONG_ID = 2**53 - 1  # JSON's numbers are exact up to there

ModelVersion = Literal[
    "small",
    "medium",
    "large",
    "melody",
    "melody-large",
    "stereo-small",
    "stereo-medium",
    "stereo-large",
    "stereo-melody",
    "stereo-melody-large",
    "audiogen-medium",
]


class MusicInputs(Inputs):
    """Music to make. From model_version on the inputs are Parley's own; the rest are published ones."""

    prompt: str | None = Field(
        default=None,
        description="What to make, in words: genre, instruments, mood. Without it, input_audio alone guides.",
    )
    input_audio: File | None = Field(
        default=None,
        description="Audio to go on from if continuation is true; else the melody to follow.",
    )
    duration: Integer = Field(
        default=8,
        ge=1,
        le=LONGEST_SECONDS,
        description="Seconds of audio in all, the part of input_audio that is continued included.",
    )
    continuation: Flag = Field(
        default=False,
        description="Go on from input_audio, which the output begins with; if false, follow its melody.",
    )
    continuation_start: ContinuationStart = 0
    continuation_end: ContinuationEnd = None
    multi_band_diffusion: Flag = Field(
        default=False,
        description="Decode by multi-band diffusion: slower, with fewer artefacts. Not for audiogen-medium.",
    )
    normalization_strategy: Normalization = "loudness"
    top_k: TopK = USUAL_TOP_K
    top_p: TopP = 0.0
    temperature: Temperature = 1.0
    classifier_free_guidance: Guidance = 3
    output_format: OutputFormat = "mp3"
    seed: Seed = None
    song_id: Integer | None = Field(
        default=None,
        ge=0,
        le=LARGEST_SONG_ID,
        description="Store the result in Google Cloud Storage under this number; needs key.",
    )
    key: Secret | None = Field(
        default=None, description="The secret that allows storing; it must be the one that this deployment was given."
    )
    model_version: ModelVersion = Field(
        default="melody",
        description="Checkpoint that plays; a melody needs one with melody in its name.",
    )
    loop: Loop = False
    count: Count = 1
    melody_audio: File | None = Field(
        default=None,
        description="Melody to follow while the music goes on from input_audio; needs continuation.",
    )

    @property
    def model_name(self) -> str:
        """The checkpoint that is asked for, as models/registry.py calls it."""
        return self.model_version if self.model_version.startswith("audiogen") else f"musicgen-{self.model_version}"

    def with_seed(self) -> Self:
        """The same, with a random seed where there is none: the seeds of all its variations follow from one."""
        if self.seed is not None and self.seed >= 0:
            return self
        return self.model_copy(update={"seed": random_seed()})

    def to_request(
        self, request_id: str, model: str, *, streaming: bool = False, variation: int = 0
    ) -> AudioGenerationRequest:
        """The request for the engine; raises InvalidRequest where fields do not fit each other.

        variation: from 0 to count - 1, each a request of its own; see with_seed. Format, level, song_id and key are not
        the engine's.
        """
        self.check_together()
        return AudioGenerationRequest(
            request_id=request_id,
            model=model,
            input=self.prompt or "",
            sampling_params=sampling_params(
                top_k=self.top_k,
                top_p=self.top_p,
                temperature=self.temperature,
                guidance=self.classifier_free_guidance,
                seed=self.seed,
                variation=variation,
            ),
            streaming=streaming,
            audio_prompt=self.input_audio,
            music=MusicOptions(
                duration_seconds=float(self.duration),
                continuation=self.continuation,
                continuation_start=float(self.continuation_start),
                continuation_end=part_end(self.continuation_end),
                melody_audio=self.melody_audio,
                multi_band_diffusion=self.multi_band_diffusion,
                loop=self.loop,
            ),
        )

    def check_together(self) -> None:
        """What no single field's declaration says. Raises InvalidRequest."""
        if self.prompt is None and self.input_audio is None:
            raise InvalidRequest(
                "prompt",
                "is missing, and so is input_audio. Send one of them; an empty prompt makes music of no kind in "
                "particular.",
            )
        check_prompt(self.prompt or "")
        self._check_audio()
        self._check_version()
        self._check_song()

    def _check_audio(self) -> None:
        if self.continuation and self.input_audio is None:
            raise InvalidRequest(
                "input_audio", "is missing, and continuation is true. Send the audio to go on from, or set it to false."
            )
        check_part(self.input_audio, self.continuation_start, self.continuation_end)
        if self.melody_audio is not None and not self.continuation:
            raise InvalidRequest(
                "melody_audio",
                "is given, but continuation is false. Send the melody as input_audio, or set continuation to true.",
            )

    def _check_version(self) -> None:
        """What the names of the versions tell: no model is fetched and loaded to hear it."""
        follows = self.melody_audio is not None or (self.input_audio is not None and not self.continuation)
        if follows and "melody" not in self.model_version:
            problem = (
                f"is a melody, which {self.model_version} cannot follow. Choose a model with melody in its name, or"
            )
            if self.melody_audio is not None:
                raise InvalidRequest("melody_audio", f"{problem} leave it out.")
            raise InvalidRequest("input_audio", f"{problem} set continuation to true to go on from it.")
        if self.multi_band_diffusion and self.model_version.startswith("audiogen"):
            raise InvalidRequest(
                "multi_band_diffusion",
                f"is true, and {self.model_version} has none: it was made for 32 kHz. Set it to false.",
            )

    def _check_song(self) -> None:
        if self.song_id is not None and self.key is None:
            raise InvalidRequest("key", "is missing: storing under song_id needs it. Send it, or leave song_id out.")
        if self.song_id is None and self.key is not None:
            raise InvalidRequest("song_id", "is missing, and key is given. Send the number to store under, or neither.")
