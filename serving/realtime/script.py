"""What a response says, and in whose voice, from what was asked and what the conversation holds.

The model behind the socket is a speech synthesizer without a language model: a response says the instructions that
were given for it; else the last text that anybody wrote, the session itself left out; else once more what was last said
aloud.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future

import numpy as np
import soundfile
import soxr

from models.dia.normalise import normalise
from models.errors import InvalidRequest
from serving.realtime.audio_formats import to_sound
from serving.realtime.conversation import Conversation, Item
from serving.realtime.settings import VoiceId
from serving.realtime.workers import NamedVoice, VoicePrompt
from serving.storage.voices import BUILT_IN, ID_PREFIX

SPEAKERS = tuple(BUILT_IN.values())  # "[S1]", "[S2]"
BETWEEN_SECONDS = 0.3  # of silence between two speakers of one prompt
PROMPT_RATE = 24_000  # Hz, of items as recordings

Words = Callable[[Item], Future[str]]  # of an item's audio


def text_to_say(instructions: str | None, context: Sequence[Item]) -> str | Item | None:
    """The text; or the item that is said once more, as soon as it is known what it says; or nothing."""
    if instructions and instructions.strip():
        return instructions.strip()
    spoken = [item for item in context if item.role in ("user", "assistant")]
    for item in reversed(spoken):
        if item.written.strip() and not item.is_response:
            return item.written.strip()
    heard = (item for item in reversed(spoken) if item.heard.strip() or (item.role == "user" and _may_speak(item)))
    return next(heard, None)


def _may_speak(item: Item) -> bool:
    return item.audio is not None and not item.silent


def with_speaker(text: str, speaker: str) -> str:
    """As the model reads it: somebody speaks. Raises InvalidRequest for what no model can read."""
    clean, _ = normalise(text, "input")
    return text if any(tag in clean for tag in SPEAKERS) else f"{speaker} {text}"


def items_named(voice: str | VoiceId, conversation: Conversation) -> list[Item]:
    """The items whose voice is asked for: one, or two as "item_…,item_…". None where it is no voice of an item.

    Raises InvalidRequest for one that is not in the conversation.
    """
    if not isinstance(voice, VoiceId) or voice.id.startswith(ID_PREFIX):
        return []
    whole = conversation.get(voice.id)
    names = [voice.id] if whole is not None else [name.strip() for name in voice.id.split(",")]
    if len(names) > len(SPEAKERS):
        raise InvalidRequest("voice", f"names {len(names)} items; a dialogue has at most {len(SPEAKERS)} speakers.")
    found = [conversation.get(name) for name in names]
    for name, item in zip(names, found, strict=True):
        if item is None:
            raise InvalidRequest("voice", f"is {name[:64]!r}; the conversation has no item of this id.")
        if item.audio is None:
            raise InvalidRequest("voice", f"is item {name[:64]!r}, which has no audio, or none that is still kept.")
    return [item for item in found if item is not None]


def voice_of_items(items: Sequence[Item], words: Iterable[str]) -> NamedVoice:
    """Recordings of one speaker or two, one after the other, with what each says. Raises InvalidRequest."""
    sounds, said = [], []
    for item, speaker, text in zip(items, SPEAKERS, words, strict=False):
        part = item.audio
        if part is None or part.samples is None or part.wire is None:
            raise InvalidRequest("voice", f"is item {item.id!r}, whose audio is not kept any more.")
        if not text.strip():
            raise InvalidRequest("voice", f"is item {item.id!r}, in which no word was understood.")
        sounds.append(_at_prompt_rate(part.samples, part.wire.rate))
        said.append(with_speaker(text.strip(), speaker))
    pause = np.zeros(round(BETWEEN_SECONDS * PROMPT_RATE), np.float32)
    whole = sounds[0] if len(sounds) == 1 else np.concatenate([sounds[0], pause, sounds[1]])
    return NamedVoice(SPEAKERS[0], VoicePrompt(_wav(whole), " ".join(said)))


def _at_prompt_rate(samples: np.ndarray, rate: int) -> np.ndarray:
    return soxr.resample(to_sound(samples), rate, PROMPT_RATE)


def _wav(sound: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, PROMPT_RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()
