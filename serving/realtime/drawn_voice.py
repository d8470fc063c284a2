"""The voice in which a model that has none of its own began to speak, for what it says next. Knows no socket.

Dia-1.6B draws a voice anew for each text without a recording. What it has said becomes the recording of what follows,
until there is enough of it.
"""

import io
from dataclasses import dataclass

import numpy as np
import soundfile

from models.audio.silence import SHORTEST_VOICE_SECONDS, voiced_seconds
from models.dia.script import implausible_seconds
from models.request import Audio, AudioChunk, AudioGenerationRequest, GenerationStatus

ENOUGH_SECONDS = 5.0  # of sound: Dia's authors advise 5 to 10 of a recording
MOST_SECONDS = AudioGenerationRequest.max_audio_prompt_seconds  # a longer one is cut, and its words with it
MARGINS = (0.9, 1.1)  # who reads it as a recording frames it anew, and may count somewhat more or less speech


@dataclass(frozen=True, eq=False)
class DrawnVoice:
    """What was said in it: sound [1, L], and its words, "[S1] …"."""

    audio: Audio
    sample_rate: int
    words: str

    @property
    def seconds(self) -> float:
        return self.audio.shape[1] / self.sample_rate

    @property
    def file(self) -> bytes:
        """WAV, as a recording is handed in."""
        file = io.BytesIO()
        soundfile.write(file, self.audio[0], self.sample_rate, format="WAV", subtype="PCM_16")
        return file.getvalue()


class Drawing:
    """Of one text: once it is said, it belongs to the voice. voice: that it is said in, if there is one."""

    def __init__(self, voice: DrawnVoice | None, words: str) -> None:
        self._voice, self._words = voice, words
        self._pieces: list[Audio] = []

    def push(self, chunk: AudioChunk) -> DrawnVoice | None:
        """The voice for what is said next, as far as this has been said."""
        self._pieces.append(chunk.audio)
        if chunk.status is not GenerationStatus.END_OF_SEQUENCE:
            return self._voice
        return with_more(self._voice, np.concatenate(self._pieces, axis=1), chunk.sample_rate, self._words)


def with_more(voice: DrawnVoice | None, audio: Audio, sample_rate: int, words: str) -> DrawnVoice | None:
    """The voice once this was said in it too; as it was where it needs no more, or where this is no good for one.

    What a model would refuse as a recording is no good: too short, or a take that cannot hold these words.
    """
    longer = DrawnVoice(audio, sample_rate, words)
    if voice is not None:
        longer = DrawnVoice(np.concatenate([voice.audio, audio], axis=1), sample_rate, f"{voice.words} {words}")
    needs_more = voice is None or voice.seconds < ENOUGH_SECONDS
    return longer if needs_more and longer.seconds <= MOST_SECONDS and _is_good(longer) else voice


def _is_good(voice: DrawnVoice) -> bool:
    spoken = voiced_seconds(voice.audio, voice.sample_rate)
    return spoken * min(MARGINS) >= SHORTEST_VOICE_SECONDS and all(
        implausible_seconds(voice.words, spoken * share) is None for share in MARGINS
    )
