"""A text to be spoken, and whose voice it is in → what is handed in for it. Knows no door's own words."""

from collections.abc import Mapping
from typing import Any

from models.dia.normalise import normalise
from models.dia.script import estimate_seconds, parse_script
from models.errors import InvalidRequest
from serving.catalog import DialogueModel
from serving.intake import Submission
from serving.storage.files import FILE_PREFIX
from serving.storage.voices import BUILT_IN

SURE_SHARE = 0.85  # of the seconds of some tokens: a text that is estimated to take no more will fit them


def to_be_spoken(
    owner: str, door: str, model: DialogueModel, text: str, speaker: str, settled: Mapping[str, Any]
) -> Submission:
    """speaker: the tag of who speaks a text that names nobody. settled: of the voice, where it has a recording.

    Raises InvalidRequest, for "input". Speed and format are not in it: they belong to the listener, who may go further.
    """
    parse_script(text, "input")
    clean, _ = normalise(text, "input")
    names_speakers = any(tag in clean for tag in BUILT_IN.values())
    inputs = {
        "text": text if names_speakers else f"{speaker} {text}",
        "max_new_tokens": model.most_tokens,
        "speed_factor": 1.0,
        "output_format": "wav",
    }
    return Submission(owner, door, model, inputs, streaming=True, extra={**settled, **_room(model, clean)})


def recorded(file_id: str, transcript: str) -> dict[str, Any]:
    """What is settled for a voice of whom there is a recording; whoever speaks listens to it where it has no words."""
    words = {"audio_prompt_text": transcript} if transcript else {}
    return {"audio_prompt": FILE_PREFIX + file_id, **words}


def _room(model: DialogueModel, text: str) -> dict[str, Any]:
    """What is settled so that all of the text is spoken. Raises InvalidRequest.

    More tokens than callers may ask for, where those may be too few: this service's own engine makes as many, a
    container does not.
    """
    seconds = estimate_seconds(text)
    longest = model.most_settled_tokens / model.tokens_per_second
    if seconds > SURE_SHARE * longest:
        raise InvalidRequest(
            "input",
            f"takes about {seconds:.0f} s to speak; one request may take {SURE_SHARE * longest:.0f} s. Send it in "
            "parts.",
        )
    is_long = seconds > SURE_SHARE * model.most_tokens / model.tokens_per_second
    return {"max_new_tokens": model.most_settled_tokens} if is_long else {}
