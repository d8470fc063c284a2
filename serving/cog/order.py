"""The inputs of a prediction → what a container is asked. Knows what both containers take, no HTTP and no answer."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.audio.encode import AudioFormat
from models.errors import InvalidRequest
from models.inputs import DialogueInputs, Inputs, MusicInputs, SoundInputs
from serving.catalog import DIA

MOST_FILE_BYTES = 74 << 20  # in base64 about the 100 MiB that coglet takes


@dataclass(frozen=True)
class Order:
    """body: of the request, the same for every container. kind: of what it makes, for the file's name."""

    body: bytes
    kind: str
    output_format: AudioFormat
    seed: int | None


def order_of(inputs: Inputs) -> Order:
    """Raises InvalidRequest for what a container cannot be asked."""
    match inputs:
        case DialogueInputs():
            _check_length(inputs)
            return Order(_body(_given(inputs)), "dialogue", inputs.output_format, inputs.seed)
        case MusicInputs():
            return Order(_body(_given(inputs)), "music", inputs.output_format, inputs.seed)
        case SoundInputs():
            return Order(_body(_as_music(inputs)), "sound", inputs.output_format, inputs.seed)
    raise AssertionError(inputs)


def _check_length(inputs: DialogueInputs) -> None:
    if inputs.max_new_tokens > DIA.most_tokens:  # which a door settled, as the text is long
        raise InvalidRequest(
            "text",
            f"is {len(inputs.text)} characters long, and may take more than the {DIA.most_tokens} tokens, "
            f"{DIA.most_tokens // DIA.tokens_per_second:.0f} s, that a container speaks at once. Send it in parts.",
        )


def _as_music(inputs: SoundInputs) -> dict[str, Any]:
    """The container of music makes sounds too, in the words of music: whole seconds, and a recording to be gone on from
    by its own flag."""
    if inputs.duration % 1:
        raise InvalidRequest(
            "duration", f"is {inputs.duration}; a container makes whole seconds. Send {round(inputs.duration)}."
        )
    said = {"model_version": inputs.model_name, "duration": int(inputs.duration)}
    return {**_given(inputs), **said, "continuation": inputs.input_audio is not None}


def _body(given: dict[str, Any]) -> bytes:
    return json.dumps({"input": given}).encode()


def _given(inputs: Inputs) -> dict[str, Any]:
    """coglet refuses null, and takes files as data: URIs. Raises InvalidRequest."""
    return {name: _shown(name, value) for name, value in inputs.model_dump(exclude_none=True).items()}


def _shown(name: str, value: Any) -> Any:
    if not isinstance(value, Path):
        return value
    if (size := value.stat().st_size) > MOST_FILE_BYTES:
        raise InvalidRequest(
            name, f"is {size} bytes long; a container takes at most {MOST_FILE_BYTES}. Send a compressed recording."
        )
    return f"data:application/octet-stream;base64,{base64.b64encode(value.read_bytes()).decode()}"
