"""What a recorded voice holds: how much of it the model will use, and whether given words can be its words.

Asked when a voice is stored, by the model's own measures (models/dia/voice.py): a pair that cannot belong together
would else fail at each use. Knows no route and no file.
"""

from dataclasses import dataclass
from typing import Self

from models.audio.silence import SHORTEST_VOICE_SECONDS, cut_at_pause, trim_silence, voiced_seconds
from models.dia.script import cut_transcript, implausible_seconds, parse_script
from models.errors import InvalidRequest, UnreadableAudio
from models.inputs import DialogueInputs
from models.request import Audio

USED_SECONDS = float(DialogueInputs.model_fields["max_audio_prompt_seconds"].default)  # at most, of any recording


@dataclass(frozen=True)
class VoiceRecording:
    """seconds: from the first sound to the last; used_seconds: of those, what the model hears.

    speech_seconds and used_speech_seconds: the same without pauses.
    """

    seconds: float
    used_seconds: float
    speech_seconds: float
    used_speech_seconds: float

    @classmethod
    def of(cls, audio: Audio, sample_rate: int) -> Self:
        """Of audio [1, L]."""
        trimmed = trim_silence(audio, sample_rate)
        used = cut_at_pause(trimmed, sample_rate, USED_SECONDS)
        return cls(
            seconds=trimmed.shape[1] / sample_rate,
            used_seconds=used.shape[1] / sample_rate,
            speech_seconds=voiced_seconds(trimmed, sample_rate),
            used_speech_seconds=voiced_seconds(used, sample_rate),
        )

    def check_speech(self, field: str) -> None:
        """Raises UnreadableAudio, which names `field`, where too little of it sounds."""
        if self.speech_seconds < SHORTEST_VOICE_SECONDS:
            raise UnreadableAudio(
                field,
                f"holds {self.speech_seconds:.2f} s of sound; at least {SHORTEST_VOICE_SECONDS:g} s of speech are "
                "needed. Record 5 to 10 s.",
            )

    def check_words(self, transcript: str) -> None:
        """Raises InvalidRequest for words that cannot be those of so much speech."""
        estimate = implausible_seconds(parse_script(transcript, field="transcript").text, self.speech_seconds)
        if estimate is not None:
            raise InvalidRequest(
                "transcript",
                f"takes about {estimate:.0f} s to say, but the recording holds {self.speech_seconds:.1f} s of speech. "
                "Give exactly its words, or none: it is then listened to.",
            )

    def note(self, transcript: str) -> str | None:
        """What is not used of it and of its words; None where all is."""
        if self.used_seconds == self.seconds:
            return None
        cut = f"of {self.seconds:.1f} s, {self.used_seconds:.1f} s are used: a voice is heard for {USED_SECONDS:g} s"
        if not transcript:
            return cut
        text = parse_script(transcript, field="transcript").text
        _, dropped = cut_transcript(text, self.used_speech_seconds / self.speech_seconds)
        return f"{cut}; these of its words are taken to lie behind the cut: {dropped!r}"
