"""What a response says, and in whose voice, from what was asked and what the conversation holds.

The model behind the socket is a speech synthesizer without a language model: a response says the instructions that
were given for it; else the last text that anybody wrote, the session itself left out; else once more what was last said
aloud.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from models.audio.silence import cut_at_pause
from models.dia.normalise import normalise
from models.errors import InvalidRequest
from models.request import AudioGenerationRequest
from serving.realtime.audio_formats import Samples, to_sound
from serving.realtime.conversation import Conversation, Item
from serving.realtime.settings import VoiceId
from serving.realtime.workers import NamedVoice, VoicePrompt
from serving.storage.voices import BUILT_IN, ID_PREFIX

SPEAKERS = tuple(BUILT_IN.values())  # "[S1]", "[S2]"
BETWEEN_SECONDS = 0.3  # of silence between two speakers of one prompt
PROMPT_RATE = 24_000  # Hz, of items as recordings
PROMPT_SECONDS = AudioGenerationRequest.max_audio_prompt_seconds  # that a model listens to

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


@dataclass(frozen=True, eq=False)
class Recording:
    """Of an item, as a voice. is_cut: it is not all of the item, whose words are no longer its own."""

    item: Item
    samples: Samples
    rate: int
    is_cut: bool = False


def recordings_of(items: Sequence[Item]) -> list[Recording]:
    """Each cut at a pause to its share of what a model listens to, so that it need not cut what comes last.

    Raises InvalidRequest.
    """
    share = (PROMPT_SECONDS - BETWEEN_SECONDS * (len(items) - 1)) / max(len(items), 1)
    return [_recording_of(item, share) for item in items]


def _recording_of(item: Item, most_seconds: float) -> Recording:
    part = item.audio
    if part is None or part.samples is None or part.wire is None:
        raise InvalidRequest("voice", f"is item {item.id!r}, whose audio is not kept any more.")
    samples, rate = part.samples, part.wire.rate
    if len(samples) <= most_seconds * rate:
        return Recording(item, samples, rate)
    beginning = to_sound(samples[: round((most_seconds + 1) * rate)])  # and what tells a pause at the limit
    kept = cut_at_pause(beginning[np.newaxis], rate, most_seconds).shape[1]
    return Recording(item, samples[:kept], rate, is_cut=True)


def voice_of_recordings(recordings: Sequence[Recording], words: Iterable[str]) -> NamedVoice:
    """Of one speaker or two, one after the other, with what each says. Raises InvalidRequest."""
    sounds, said = [], []
    for recording, speaker, text in zip(recordings, SPEAKERS, words, strict=False):
        if not text.strip():
            raise InvalidRequest("voice", f"is item {recording.item.id!r}, in which no word was understood.")
        sounds.append(_at_prompt_rate(recording.samples, recording.rate))
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
