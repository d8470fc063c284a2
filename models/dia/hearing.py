"""What a recording says, where its caller does not say it: transcribed, and kept for the next time.

Knows samples and words; no script, no codec and no request.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Protocol, Self

import soxr

from models.errors import InvalidRequest, WeightsError
from models.listening.transcribe import SAMPLE_RATE, Segment, is_installed, shared_transcriber
from models.listening.whisper import PACKAGED, default_whisper
from models.request import Audio
from models.weights import weights_dir

LANGUAGE = "en"  # all that Dia speaks
KEPT_TRANSCRIPTS = 64


class Recogniser(Protocol):
    """What is wanted of models/listening/transcribe.Transcriber."""

    def transcribe(self, samples: Audio, language: str | None = None) -> Iterator[Segment]: ...


class Hearing:
    """Recordings → their words, the same recording once. Thread-safe.

    recogniser: None where none is installed; then every recording has to come with its words.
    """

    def __init__(self, recogniser: Recogniser | None) -> None:
        self._recogniser = recogniser
        self._transcripts: OrderedDict[str, str] = OrderedDict()  # by the sha256 of the samples
        self._changing = threading.Lock()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """By the model that PARLEY_TRANSCRIBER names, else by the one of the packages if it is installed.

        Loads nothing: that is left to the first recording without words. Raises WeightsError where the named model is
        not here.
        """
        root, name = weights_dir(environ), default_whisper(environ)
        if is_installed(name, root):
            return cls(shared_transcriber(name, root))
        if name != PACKAGED:
            raise WeightsError(
                f"PARLEY_TRANSCRIBER is {name!r}, which is not here. If the manifest has it, fetch it: "
                f"python -m models.weights fetch {name}"
            )
        return cls(None)

    def words(self, audio: Audio, sample_rate: int) -> str:
        """What [1, L] says. Raises InvalidRequest where nobody can tell, and what Transcriber.transcribe raises."""
        if self._recogniser is None:
            raise InvalidRequest(
                "audio_prompt_text",
                "is missing: the model needs the words of audio_prompt to clone its voice, and this build has no "
                "transcriber. Write down what the recording says, or install one: pip install -r requirements.txt",
            )
        key = hashlib.sha256(audio.tobytes()).hexdigest()
        with self._changing:
            known = self._transcripts.get(key)
        words = self._heard(self._recogniser, audio, sample_rate) if known is None else known
        with self._changing:
            self._transcripts[key] = words
            self._transcripts.move_to_end(key)
            while len(self._transcripts) > KEPT_TRANSCRIPTS:
                self._transcripts.popitem(last=False)
        if not words:
            raise InvalidRequest(
                "audio_prompt_text",
                "is missing, and no words were heard in audio_prompt. Write down what the recording says, or send one "
                "of someone speaking English clearly.",
            )
        return words

    @staticmethod
    def _heard(recogniser: Recogniser, audio: Audio, sample_rate: int) -> str:
        samples = soxr.resample(audio.mean(axis=0), sample_rate, SAMPLE_RATE)
        return " ".join(segment.text for segment in recogniser.transcribe(samples, LANGUAGE))
