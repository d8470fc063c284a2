"""A caller's voice prompt → codes of a clean clip, and the words that clip says. Knows no passage and no sampling.

A transcript that says more than its audio makes the model speak the rest, so the two are kept in step: a clip that is
cut takes its transcript with it, and a pair that cannot belong together is refused. A clip without words is listened
to, once it is cut, and what was heard is said.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from models.audio.read import read_audio
from models.audio.silence import (
    SHORTEST_VOICE_SECONDS,
    cut_at_pause,
    is_silent,
    level,
    trim_silence,
    voiced_seconds,
)
from models.codecs.dac import DacCodec
from models.decoding.public_codes import check_codes
from models.dia.hearing import Hearing
from models.dia.script import cut_transcript, implausible_seconds, parse_script
from models.errors import InvalidRequest, UnreadableAudio
from models.request import Audio, AudioGenerationRequest

# Prompt and new speech share the window, 35.5 s in Dia-1.6B; more prompt than this would leave too little to speak in.
VOICE_SHARE = 0.56
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
    request: AudioGenerationRequest, codec: DacCodec, window_frames: int, hearing: Hearing, *, plain_text: bool = False
) -> Voice | None:
    """The voice that a request asks for, its words plain ones if the model reads no others.

    No work of Dia's; raises InvalidRequest, UnreadableAudio, and what Hearing.words does.
    """
    longest = round(VOICE_SHARE * window_frames / codec.frame_rate, 1)  # seconds: 19.9 in Dia-1.6B
    if request.audio_prompt is not None:
        return _from_audio(request, codec.sample_rate, longest, hearing, plain_text)
    if len(request.audio_prompt_tokens):
        codes = check_codes(request.audio_prompt_tokens, "audio_prompt_tokens", codec.codebooks, codec.codebook_size)
        seconds = codes.shape[1] / codec.frame_rate
        if seconds > longest:
            raise InvalidRequest(
                "audio_prompt_tokens",
                f"holds {codes.shape[1]} frames, {seconds:.1f} s; a prompt may be {longest:g} s long. "
                "Send fewer frames, and only the words they say.",
            )
        words, notes = _given_words(request, seconds, plain_text)
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


def _from_audio(
    request: AudioGenerationRequest, sample_rate: int, longest: float, hearing: Hearing, plain_text: bool
) -> Voice:
    assert request.audio_prompt is not None
    audio = read_audio(request.audio_prompt, field="audio_prompt", sample_rate=sample_rate)
    if is_silent(audio):
        raise UnreadableAudio("audio_prompt", "is silent. Send a recording of someone speaking.")
    audio = trim_silence(audio, sample_rate)
    spoken = voiced_seconds(audio, sample_rate)
    if spoken < SHORTEST_VOICE_SECONDS:
        raise UnreadableAudio(
            "audio_prompt",
            f"holds {spoken:.2f} s of sound; at least {SHORTEST_VOICE_SECONDS:g} s of speech are needed.",
        )
    if request.prompt is None and not request.audio_prompt_transcription.strip():
        kept, notes = _cut_alone(audio, sample_rate, request.max_audio_prompt_seconds, longest)
        words, heard = _heard_words(request, kept, sample_rate, hearing, plain_text)
        notes += heard
    else:
        transcript, lost = _given_words(request, spoken, plain_text)
        kept, words, notes = _cut(audio, spoken, transcript, sample_rate, request.max_audio_prompt_seconds, longest)
        notes = lost + notes
    return Voice(words, kept.shape[1] / sample_rate, audio=level(kept, sample_rate), notes=notes)


def _given_words(request: AudioGenerationRequest, seconds: float, plain_text: bool) -> tuple[str, tuple[str, ...]]:
    """The caller's words of the prompt as a script, and what plain words cannot say of it.

    Raises InvalidRequest if there are none, or not as many as the audio can hold.
    """
    if request.prompt is not None and not request.audio_prompt_transcription:
        return "", ()  # the caller's own prompt holds the words
    if not request.audio_prompt_transcription.strip():
        raise InvalidRequest(
            "audio_prompt_text",
            "is missing: the model needs the words of audio_prompt_tokens to clone their voice. Write down what they "
            "say, or send the recording itself.",
        )
    script = parse_script(request.audio_prompt_transcription, field="audio_prompt_text", plain=plain_text)
    if (estimate := implausible_seconds(script.text, seconds)) is not None:
        raise InvalidRequest(
            "audio_prompt_text",
            f"takes about {estimate:.0f} s to say, but audio_prompt holds {seconds:.1f} s of speech. "
            "Give exactly the words of the recording.",
        )
    return script.text, script.notes if plain_text else ()


def _heard_words(
    request: AudioGenerationRequest, audio: Audio, sample_rate: int, hearing: Hearing, plain_text: bool
) -> tuple[str, tuple[str, ...]]:
    """What the prompt was heard to say, as a script, and what is to be said of it. Raises InvalidRequest."""
    heard = hearing.words(audio, sample_rate)
    text = request.input or ""
    speaker = "[S2]" if "[S2]" in text and "[S1]" not in text else "[S1]"
    script = parse_script(f"{speaker} {heard}", field="audio_prompt_text", plain=plain_text)
    seconds = voiced_seconds(audio, sample_rate)
    if (estimate := implausible_seconds(script.text, seconds)) is not None:
        raise InvalidRequest(
            "audio_prompt_text",
            f"is missing, and what was heard in audio_prompt cannot be all of it: {heard!r} takes about "
            f"{estimate:.0f} s to say, the recording holds {seconds:.1f} s of speech. Write down what it says.",
        )
    note = f"audio_prompt_text: taken to be {heard!r}, as heard in audio_prompt; if that is wrong, send the right words"
    return script.text, (note, *(script.notes if plain_text else ()))


def _cut_alone(audio: Audio, sample_rate: int, max_seconds: int, longest: float) -> tuple[Audio, tuple[str, ...]]:
    """Audio of at most max_seconds, and what is to be said of the cut, if there is one."""
    limit = min(float(max_seconds), longest)
    kept = cut_at_pause(audio, sample_rate, limit)
    if kept.shape[1] == audio.shape[1]:
        return audio, ()
    why = "max_audio_prompt_seconds" if max_seconds <= longest else "the most that leaves room to speak"
    return kept, (
        f"audio_prompt: {audio.shape[1] / sample_rate:.1f} s of speech were cut to {kept.shape[1] / sample_rate:.1f} s "
        f"({limit:g} s: {why})",
    )


def _cut(
    audio: Audio, spoken: float, transcript: str, sample_rate: int, max_seconds: int, longest: float
) -> tuple[Audio, str, tuple[str, ...]]:
    """The same with its words, and those that were left out. `spoken` is the audio's voiced seconds."""
    kept, notes = _cut_alone(audio, sample_rate, max_seconds, longest)
    if not notes:
        return audio, transcript, ()
    (note,) = notes
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
