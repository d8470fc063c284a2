"""What a caller may ask of a dialogue. Knows no model and no door."""

from typing import Literal

from pydantic import Field

from models.errors import InvalidRequest
from models.inputs.declaration import File, Inputs, Integer, Number
from models.request import INPUT_LIMIT, SEED_LIMIT, AudioGenerationRequest, SamplingParams, input_length

LONGEST_TOKENS = 1 << 18  # 50 minutes; INPUT_LIMIT letters take about 5, as many digits 26
OutputFormat = Literal["wav", "mp3", "flac", "ogg", "opus"]


class DialogueInputs(Inputs):
    """A dialogue to speak."""

    text: str = Field(
        min_length=1,
        description="Dialogue to speak: turns start with [S1] or [S2]; cues such as (laughs) stand in parentheses.",
    )
    audio_prompt: File | None = Field(
        default=None,
        description="Recording of the voice to clone: wav, mp3, flac, ogg, opus or m4a.",
    )
    audio_prompt_text: str | None = Field(
        default=None,
        description="What the recording says, word for word, tagged as the text is; it is transcribed if left out.",
    )
    max_new_tokens: Integer = Field(
        default=3072,
        ge=500,
        le=4096,
        description="Longest new audio, in tokens of 1/86 second; the prompt is not counted.",
    )
    max_audio_prompt_seconds: Integer = Field(
        default=10,
        ge=1,
        le=120,
        description="Longer recordings are cut to this many seconds, at a pause if there is one.",
    )
    cfg_scale: Number = Field(default=3.0, ge=1, le=5, description="Guidance: higher values keep closer to the text.")
    temperature: Number = Field(
        default=1.3, ge=0, le=2, description="Randomness of the choice; 0 always takes the likeliest token."
    )
    top_p: Number = Field(
        default=0.95,
        ge=0.1,
        le=1,
        description="Only the likeliest tokens that together reach this probability are drawn.",
    )
    cfg_filter_top_k: Integer = Field(
        default=35,
        ge=10,
        le=100,
        description="Only this many tokens, the best after guidance, are drawn from.",
    )
    speed_factor: Number = Field(
        default=0.94,
        ge=0.5,
        le=1.5,
        description="Speaking rate: below 1 is slower, above 1 faster; pitch is kept.",
    )
    seed: Integer | None = Field(
        default=None,
        ge=0,
        le=SEED_LIMIT,
        description="The same seed gives the same audio; without one a random seed is used and reported.",
    )
    output_format: OutputFormat = Field(default="wav", description="Container of the file that is returned.")

    def to_request(self, request_id: str, model: str, *, streaming: bool = False) -> AudioGenerationRequest:
        """The request for the engine; raises InvalidRequest where fields do not fit each other.

        speed_factor and output_format are not the engine's: they belong to the finisher of the stream.
        """
        self._check_together()
        sampling = SamplingParams(
            max_new_tokens=self.max_new_tokens,
            cfg_scale=self.cfg_scale,
            temperature=self.temperature,
            top_p=self.top_p,
            cfg_filter_top_k=self.cfg_filter_top_k,
        )
        return AudioGenerationRequest(
            request_id=request_id,
            model=model,
            input=self.text,
            audio_prompt_transcription=self.audio_prompt_text or "",
            sampling_params=sampling if self.seed is None else sampling.with_seed(self.seed),
            streaming=streaming,
            audio_prompt=self.audio_prompt,
            max_audio_prompt_seconds=self.max_audio_prompt_seconds,
        )

    def _check_together(self) -> None:
        """What no single field's declaration says. Raises InvalidRequest."""
        if input_length(self.text) > INPUT_LIMIT:
            raise InvalidRequest(
                "text",
                f"is {input_length(self.text)} characters long; one request reads at most {INPUT_LIMIT}. "
                "Send the rest as a second request.",
            )
        if not self.text.strip():
            raise InvalidRequest("text", "holds nothing but white space. Write at least one word.")
        if self.audio_prompt is None and self.audio_prompt_text:
            raise InvalidRequest(
                "audio_prompt_text",
                "is given without audio_prompt. Send the recording too, or leave the text out.",
            )


class SettledInputs(DialogueInputs):
    """What a door may settle that callers cannot ask for.

    More tokens: the speech door has no such setting, and all of a text that it takes is to be spoken, however slow.
    """

    max_new_tokens: Integer = Field(default=3072, ge=500, le=LONGEST_TOKENS)
