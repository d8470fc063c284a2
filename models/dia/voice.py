"""A caller's voice prompt → codes of a clean clip, and the words that clip says. Knows no passage and no sampling.

A transcript that says more than its audio makes the model speak the rest, so the two are kept in step: a clip that is
cut takes its transcript with it, and a pair that cannot belong together is refused.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from models.audio.read import read_audio
from models.audio.silence import cut_at_pause, is_silent, level, trim_silence, voiced_seconds
from models.codecs.dac import DacCodec
from models.decoding.public_codes import check_codes
from models.dia.script import cut_transcript, estimate_seconds, parse_script
from models.errors import InvalidRequest, UnreadableAudio
from models.request import Audio, AudioGenerationRequest

# Prompt and new speech share the window, 35.5 s in Dia-1.6B; more prompt than this would leave too little to speak in.
VOICE_SHARE = 0.56
SHORTEST_SECONDS = 0.5  # of speech; less carries no voice
CACHED_VOICES = 32


@dataclass(frozen=True, eq=False)
class Voice:
    """A prompt ready for the model, except that `audio` may still have to be encoded."""

    transcript: str  # "[S1] …", what the clip says
    seconds: float
    codes: np.ndarray | None = None  # [K, T]
    audio: Audio | None = None  # [1, L] at the codec's rate
    notes: tuple[str, ...] = ()


def read_voice(
    request: AudioGenerationRequest, codec: DacCodec, window_frames: int, *, plain_text: bool = False
) -> Voice | None:
    """The voice that a request asks for, its words plain ones if the model reads no others.

    No model work; raises InvalidRequest or UnreadableAudio.
    """
    longest = round(VOICE_SHARE * window_frames / codec.frame_rate, 1)  # seconds: 19.9 in Dia-1.6B
    if request.audio_prompt is not None:
        return _from_audio(request, codec.sample_rate, longest, plain_text)
    if len(request.audio_prompt_tokens):
        codes = check_codes(request.audio_prompt_tokens, "audio_prompt_tokens", codec.codebooks, codec.codebook_size)
        seconds = codes.shape[1] / codec.frame_rate
        if seconds > longest:
            raise InvalidRequest(
                "audio_prompt_tokens",
                f"holds {codes.shape[1]} frames, {seconds:.1f} s; a prompt may be {longest:g} s long. "
                "Send fewer frames, and only the words they say.",
            )
        words, notes = _transcript(request, seconds, plain_text)
        return Voice(words, seconds, codes=codes, notes=notes)
    return None


class VoiceCache:
    """Codes of the voices used last, by the samples they come from: the same clip is encoded once."""

    def __init__(self, most: int = CACHED_VOICES) -> None:
        self._most = most
        self._codes: OrderedDict[str, np.ndarray] = OrderedDict()

    def get(self, voice: Voice) -> np.ndarray | None:
        """[K, T], or None if the voice is still to be encoded."""
        if voice.codes is not None:
            return voice.codes
        key = self._key(voice)
        if key in self._codes:
            self._codes.move_to_end(key)
        return self._codes.get(key)

    def put(self, voice: Voice, codes: np.ndarray) -> None:
        self._codes[self._key(voice)] = codes
        while len(self._codes) > self._most:
            self._codes.popitem(last=False)

    @staticmethod
    def _key(voice: Voice) -> str:
        assert voice.audio is not None
        return hashlib.sha256(voice.audio.tobytes()).hexdigest()


def _from_audio(request: AudioGenerationRequest, sample_rate: int, longest: float, plain_text: bool) -> Voice:
    assert request.audio_prompt is not None
    audio = read_audio(request.audio_prompt, field="audio_prompt", sample_rate=sample_rate)
    if is_silent(audio):
        raise UnreadableAudio("audio_prompt", "is silent. Send a recording of someone speaking.")
    audio = trim_silence(audio, sample_rate)
    spoken = voiced_seconds(audio, sample_rate)
    if spoken < SHORTEST_SECONDS:
        raise UnreadableAudio(
            "audio_prompt", f"holds {spoken:.2f} s of sound; at least {SHORTEST_SECONDS:g} s of speech are needed."
        )
    transcript, lost = _transcript(request, spoken, plain_text)
    kept, words, notes = _cut(audio, spoken, transcript, sample_rate, request.max_audio_prompt_seconds, longest)
    return Voice(words, kept.shape[1] / sample_rate, audio=level(kept, sample_rate), notes=lost + notes)


def _transcript(request: AudioGenerationRequest, seconds: float, plain_text: bool) -> tuple[str, tuple[str, ...]]:
    """The prompt's words as a script, and what plain words cannot say of it.

    Raises InvalidRequest if there are none, or not as many as the audio can hold.
    """
    if request.prompt is not None and not request.audio_prompt_transcription:
        return "", ()  # the caller's own prompt holds the words
    if not request.audio_prompt_transcription.strip():
        raise InvalidRequest(
            "audio_prompt_text",
            "is missing: the model needs the words of the voice prompt to clone it, and this build has no transcriber. "
            "Write down what the recording says.",
        )
    script = parse_script(request.audio_prompt_transcription, field="audio_prompt_text", plain=plain_text)
    words = script.text
    estimate = estimate_seconds(words)
    if not seconds / 5 - 2 <= estimate <= 2.5 * seconds + 2:
        raise InvalidRequest(
            "audio_prompt_text",
            f"takes about {estimate:.0f} s to say, but audio_prompt holds {seconds:.1f} s of speech. "
            "Give exactly the words of the recording.",
        )
    return words, script.notes if plain_text else ()


def _cut(
    audio: Audio, spoken: float, transcript: str, sample_rate: int, max_seconds: int, longest: float
) -> tuple[Audio, str, tuple[str, ...]]:
    """Audio and words of at most max_seconds, and what was left out. `spoken` is the audio's voiced seconds."""
    limit = min(float(max_seconds), longest)
    kept = cut_at_pause(audio, sample_rate, limit)
    if kept.shape[1] == audio.shape[1]:
        return audio, transcript, ()
    why = "max_audio_prompt_seconds" if max_seconds <= longest else "the most that leaves room to speak"
    note = (
        f"audio_prompt: {audio.shape[1] / sample_rate:.1f} s of speech were cut to {kept.shape[1] / sample_rate:.1f} s "
        f"({limit:g} s: {why})"
    )
    if not transcript:  # a caller's own prompt holds the words, and has to hold no others than these
        return kept, "", (f"{note}; prompt must hold the words of that part only",)
    words, dropped = cut_transcript(transcript, voiced_seconds(kept, sample_rate) / spoken)
    if not words:
        raise InvalidRequest(
            "max_audio_prompt_seconds",
            f"cuts audio_prompt to {kept.shape[1] / sample_rate:.1f} s, where no whole word of audio_prompt_text "
            "fits. Allow more seconds.",
        )
    more = f" and {len(dropped) - 60} more characters" if len(dropped) > 60 else ""
    return kept, words, (f"{note}; these of its words were taken to lie behind the cut: {dropped[:60]!r}{more}",)
