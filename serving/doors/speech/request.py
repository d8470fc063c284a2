"""What is asked of door 4, in OpenAI's words, and what that is in ours. Knows no route and no answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from models.errors import InvalidRequest, shown
from models.request import INPUT_LIMIT
from serving.catalog import DIA, DialogueModel, Served
from serving.intake import Submission
from serving.spoken import recorded, to_be_spoken
from serving.storage.voices import BUILT_IN, SPEAKERS, Voices

DOOR = "speech"
OPENAI_MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-03-20", "gpt-4o-mini-tts-2025-12-15")
LONGEST_INSTRUCTIONS = 4096  # characters, OpenAI's limit

# What the models call what is called otherwise here.
_FIELDS = {"text": "input"}
_VOICE_WORDS = {"audio_prompt_text": "the voice's transcript", "audio_prompt": "the voice's recording"}
_VOICE_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"], "additionalProperties": False},
    ],
    "description": "A stored voice by name or id, or a built-in one.",
}


def _voice_name(given: Any) -> Any:
    """Of "name" and {"id": "name"}."""
    if isinstance(given, dict):
        if given.keys() != {"id"}:
            raise ValueError('it must be a name, or {"id": …} and nothing else')
        return given["id"]
    return given


class SpeechRequest(BaseModel):
    """A text to speak."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={"examples": [{"model": DIA.name, "input": "Hey.", "voice": "alloy"}]},
    )

    model: str
    input: str = Field(min_length=1, max_length=INPUT_LIMIT, description="The text, or a dialogue of [S1] and [S2].")
    voice: Annotated[str, BeforeValidator(_voice_name), WithJsonSchema(_VOICE_SCHEMA)]
    instructions: str = Field("", max_length=LONGEST_INSTRUCTIONS, description="Taken, and not used: Dia follows none.")
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4, strict=True, description="The pitch is kept.")
    stream_format: Literal["audio", "sse"] = "audio"


@contextmanager
def in_their_words(voice: str) -> Iterator[None]:
    """Errors name the fields of this door, and say which part of the stored voice of this name is in the way."""
    try:
        yield
    except InvalidRequest as error:
        raise InvalidRequest.of(_in_their_words(voice, *problem) for problem in error.problems) from error


def _in_their_words(voice: str, field: str, problem: str) -> tuple[str, str]:
    if field in _VOICE_WORDS:
        return "voice", f"{shown(voice)}: {of_the_voice(f'{field} {problem}')}"
    return _FIELDS.get(field, field), problem


def of_the_voice(text: str) -> str:
    """What a model says of its audio_prompt, as this door's callers know it."""
    for name, known in _VOICE_WORDS.items():
        text = text.replace(name, known)
    return text


def asked_of(asked: SpeechRequest, voices: Voices, owner: str, served: Served) -> Submission:
    """Raises InvalidRequest. Speed and format are not in it: they belong to the listener, who may go further."""
    model = model_named(asked.model, served)
    speaker, settled = _speaker(voices, owner, asked.voice)
    return to_be_spoken(owner, DOOR, model, asked.input, speaker, settled)


def model_named(name: str, served: Served) -> DialogueModel:
    """By its name with or without the owner's, or by one of OpenAI's. Raises InvalidRequest."""
    known = {known: model for model in _speaking(served) for known in (model.name, model.full_name)}
    known |= openai_models(served)
    if not known:
        raise InvalidRequest("model", f"is {name[:60]!r}; no model that speaks is served here.")
    if name not in known:
        raise InvalidRequest("model", f"is {name[:60]!r}; there are {', '.join(known)}.")
    return known[name]


def openai_models(served: Served) -> dict[str, DialogueModel]:
    """What stands for each of OpenAI's names here; none where no model that speaks is served."""
    return {known: model for model in _speaking(served)[:1] for known in OPENAI_MODELS}


def _speaking(served: Served) -> list[DialogueModel]:
    return [model for model in served.values() if isinstance(model, DialogueModel)]


def _speaker(voices: Voices, owner: str, name: str) -> tuple[str, dict[str, Any]]:
    """(the tag of who speaks, what is settled so that it is their voice)"""
    if speaker := SPEAKERS.get(name.lower()):
        return speaker, {}
    voice = voices.find(owner, name)
    if voice is None:
        stored = [voice.name for voice in voices.of(owner)]
        raise InvalidRequest("voice", f"is {name[:60]!r}; there are {', '.join([*stored, *SPEAKERS])}.")
    # The stored bytes themselves, always: the model knows a recording that it has encoded before by its samples.
    return BUILT_IN["s1"], recorded(voice.file, voice.transcript)
