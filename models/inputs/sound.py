"""What a caller may ask of sound effects. Knows no model and no door."""

from pydantic import Field

from models.inputs.declaration import File, Inputs, Number
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
from models.request import AudioGenerationRequest, MusicOptions


class SoundInputs(Inputs):
    """A sound to make."""

    prompt: str = Field(
        min_length=1, description="What is to be heard, in words, such as: rain on a tin roof, thunder far away."
    )
    input_audio: File | None = Field(
        default=None, description="Audio to go on from; the sound begins with the part of it that is used."
    )
    duration: Number = Field(
        default=5.0,
        ge=1,
        le=LONGEST_SECONDS,
        description="Seconds of audio in all, the part of input_audio that is continued included.",
    )
    continuation_start: ContinuationStart = 0
    continuation_end: ContinuationEnd = None
    normalization_strategy: Normalization = "loudness"
    top_k: TopK = USUAL_TOP_K
    top_p: TopP = 0.0
    temperature: Temperature = 1.0
    classifier_free_guidance: Guidance = 3
    output_format: OutputFormat = "mp3"
    seed: Seed = None
    loop: Loop = False
    count: Count = 1

    @property
    def model_name(self) -> str:
        """The checkpoint that makes sounds, as models/registry.py calls it."""
        return "audiogen-medium"

    def to_request(
        self, request_id: str, model: str, *, streaming: bool = False, variation: int = 0
    ) -> AudioGenerationRequest:
        """The request for the engine; raises InvalidRequest where fields do not fit each other.

        variation: from 0 to count - 1, each a request of its own. Format and level are not the engine's.
        """
        check_prompt(self.prompt)
        check_part(self.input_audio, self.continuation_start, self.continuation_end)
        return AudioGenerationRequest(
            request_id=request_id,
            model=model,
            input=self.prompt,
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
                duration_seconds=self.duration,
                continuation=self.input_audio is not None,
                continuation_start=float(self.continuation_start),
                continuation_end=part_end(self.continuation_end),
                loop=self.loop,
            ),
        )
