"""What a session is set to: every field with its range and default, and how an update changes it. GA dialect.

`session.update` changes the fields that are present, in objects within objects too; null, "" and [] clear. Defaults are
what OpenAI's service shows, which for silence_duration_ms is not what its reference says (500).
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, field_serializer

from serving.realtime.audio_formats import FORMATS, WireFormat
from serving.realtime.faults import Fault
from serving.realtime.fields import Frozen, Json, read
from serving.realtime.recognisers import language_code, recogniser_named

MODEL = "parley/dia"
OWN_MODELS = ("dia", MODEL)
OPENAI_MODELS = ("gpt-realtime", "gpt-4o-realtime-preview", "gpt-4o-mini-realtime-preview", "gpt-audio")  # beginnings
MOST_TOKENS = 4096  # of a response
LONGEST_INSTRUCTIONS = 1 << 16  # characters
LONGEST_PROMPT = 4096
LONGEST_NAME = 256
MOST_PADDING_MS = 60_000  # the buffer keeps this much before speech begins


def is_served(model: str) -> bool:
    """One of ours, or one of OpenAI's, for which ours stands."""
    return model in OWN_MODELS or model.startswith(OPENAI_MODELS)


def _tokens(value: Any) -> Any:
    if value == "inf" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_TOKENS):
        return value
    raise ValueError(f"expected an integer between 1 and {MOST_TOKENS}, or 'inf'.")


class VoiceId(Frozen):
    """A voice by id: voice_… is one that is stored, item_… what was said in this conversation."""

    id: str = Field(min_length=1, max_length=LONGEST_NAME)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME


def _voice(value: Any) -> Any:
    if isinstance(value, VoiceId) or _is_name(value):
        return value
    if isinstance(value, dict) and value.keys() == {"id"} and _is_name(value["id"]):
        return VoiceId(id=value["id"])
    raise ValueError(f'expected the name of a voice, of at most {LONGEST_NAME} characters, or {{"id": …}}.')


Tokens = Annotated[int | str, PlainValidator(_tokens)]
Voice = Annotated[str | VoiceId, BeforeValidator(_voice)]
Modality = Literal["text", "audio"]


class Pcm(Frozen):
    type: Literal["audio/pcm"]
    rate: int = Field(default=24_000, ge=24_000, le=24_000)


class Pcmu(Frozen):
    type: Literal["audio/pcmu"]


class Pcma(Frozen):
    type: Literal["audio/pcma"]


AudioFormat = Annotated[Pcm | Pcmu | Pcma, Field(discriminator="type")]


def wire_of(chosen: Pcm | Pcmu | Pcma) -> WireFormat:
    return FORMATS[chosen.type]


def _known_recogniser(name: str) -> str:
    recogniser_named(name)
    return name


def _cleared(text: str) -> str | None:
    return text or None


Language = Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(language_code)]


class Transcription(Frozen):
    """delay is taken and shown: here the words come when a turn has ended, as soon as they are known."""

    model: Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(_known_recogniser)] | None = None
    language: Language | None = None
    prompt: Annotated[str, Field(max_length=LONGEST_PROMPT), AfterValidator(_cleared)] | None = None
    languages: list[Language] | None = Field(default=None, max_length=100)
    keywords: list[str] | None = Field(default=None, max_length=1000)
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class NoiseReduction(Frozen):
    type: Literal["near_field", "far_field"]


class ServerVad(Frozen):
    type: Literal["server_vad"]
    threshold: float = Field(default=0.5, ge=0.0, le=1.0)
    prefix_padding_ms: int = Field(default=300, ge=0, le=MOST_PADDING_MS)
    silence_duration_ms: int = Field(default=200, ge=0, le=MOST_PADDING_MS)
    idle_timeout_ms: int | None = Field(default=None, ge=5_000, le=30_000)
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(Frozen):
    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class AudioInput(Frozen):
    format: AudioFormat = Pcm(type="audio/pcm")
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: TurnDetection | None = ServerVad(type="server_vad")


class AudioOutput(Frozen):
    format: AudioFormat = Pcm(type="audio/pcm")
    voice: Voice = "marin"
    speed: float = Field(default=1.0, ge=0.25, le=1.5)


class Audio(Frozen):
    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class Tool(Frozen):
    """For a language model to call, as the choice is for it; who only synthesizes speech takes and shows both."""

    type: Literal["function"]
    name: str = Field(min_length=1, max_length=LONGEST_NAME)
    description: str | None = None
    parameters: Json | None = None


class FunctionChoice(Frozen):
    type: Literal["function"]
    name: str = Field(max_length=LONGEST_NAME)


class McpChoice(Frozen):
    type: Literal["mcp"]
    server_label: str = Field(max_length=LONGEST_NAME)
    name: str | None = Field(default=None, max_length=LONGEST_NAME)


ToolChoice = Literal["auto", "none", "required"] | FunctionChoice | McpChoice


class Tracing(Frozen):
    """Taken and shown, as are the two classes below."""

    group_id: str | None = None
    workflow_name: str | None = None
    metadata: Any = None


class TokenLimits(Frozen):
    post_instructions: int | None = Field(default=None, ge=0)


class Truncation(Frozen):
    type: Literal["retention_ratio"]
    retention_ratio: float = Field(ge=0.0, le=1.0)
    token_limits: TokenLimits | None = None


class Prompt(Frozen):
    id: str = Field(max_length=LONGEST_NAME)
    variables: dict[str, str | Json] | None = None
    version: str | None = Field(default=None, max_length=LONGEST_NAME)


class Reasoning(Frozen):
    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class RealtimeSettings(Frozen):
    """Of a session that listens and speaks."""

    type: Literal["realtime"]
    model: str = Field(default=MODEL, min_length=1, max_length=LONGEST_NAME)
    output_modalities: list[Modality] = Field(default=["audio"], min_length=1, max_length=1)
    instructions: str = Field(default="", max_length=LONGEST_INSTRUCTIONS)
    tools: list[Tool] = Field(default=[], max_length=128)
    tool_choice: ToolChoice = "auto"
    max_output_tokens: Tokens = "inf"
    tracing: Literal["auto"] | Tracing | None = None
    truncation: Literal["auto", "disabled"] | Truncation = "auto"
    prompt: Prompt | None = None
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None
    parallel_tool_calls: bool | None = Field(default=None, exclude_if=lambda value: value is None)
    reasoning: Reasoning | None = Field(default=None, exclude_if=lambda value: value is None)
    audio: Audio = Audio()

    def updated(self, given: Any) -> Self:
        """With what `given` changes, all of it or nothing. Raises Fault, whose param begins with "session"."""
        return _updated(self, given)

    def to_json(self) -> Json:
        return {"object": "realtime.session", **_shown(self)}


class TranscriptionAudio(Frozen):
    input: AudioInput = AudioInput()

    @field_serializer("input")
    def _without_responses(self, value: AudioInput) -> Json:
        shown = value.model_dump()
        if shown["turn_detection"] is not None:
            del shown["turn_detection"]["create_response"], shown["turn_detection"]["interrupt_response"]
        return shown


class TranscriptionSettings(Frozen):
    """Of a session that only listens."""

    type: Literal["transcription"]
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None
    audio: TranscriptionAudio = TranscriptionAudio()

    def updated(self, given: Any) -> Self:
        """As RealtimeSettings.updated."""
        return _updated(self, given)

    def to_json(self) -> Json:
        return {"object": "realtime.transcription_session", **_shown(self)}


Settings = RealtimeSettings | TranscriptionSettings
_NEWER = ("languages", "keywords", "delay")  # of a transcription: shown only where they are set


def _updated(current: Settings, given: Any) -> Any:
    kind = given.get("type") if isinstance(given, dict) else None
    if kind in ("realtime", "transcription") and kind != current.type:
        told = f"Passing a {kind} session update event to a {current.type} session is not allowed."
        raise Fault("invalid_parameter", told)
    read(type(current), given, "session")  # alone first: what is wrong with it is its own mistake
    return read(type(current), _merged(current.model_dump(), given), "session")


def _merged(current: Any, given: Any) -> Any:
    """Objects member by member; another `type` is another thing, of which nothing stays."""
    if not isinstance(current, dict) or not isinstance(given, dict):
        return given
    if "type" in current and given.get("type", current["type"]) != current["type"]:
        return given
    return current | {name: _merged(current.get(name), value) for name, value in given.items()}


def _shown(settings: Settings) -> Json:
    shown = settings.model_dump()
    if (transcription := shown["audio"]["input"]["transcription"]) is not None:
        for name in _NEWER:
            if transcription[name] is None:
                del transcription[name]
    return shown
