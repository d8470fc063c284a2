"""Speech → words: Whisper by faster-whisper on CTranslate2, on the CPU. Knows no turn, no file and no socket.

Whisper writes sentences of its own where nobody speaks, and loops after long silence: audio without speech is answered
before it is asked, the rest has its silences taken out first, and a piece that repeats itself is dropped. Decoding is
beam search at temperature 0, so that the same audio always has the same words.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.decoding.threads import usable_cpus
from models.errors import InvalidRequest, TranscriptionFailed, WeightsError
from models.listening.resample import Samples
from models.listening.token_scores import Token, TokenScores
from models.listening.vad import FRAME_LENGTH, SpeechDetector
from models.listening.whisper import PACKAGED, find_whisper, whisper_folder, whisper_names
from models.weights import weights_dir

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

SAMPLE_RATE = 16_000  # Hz
COMPUTE_TYPE = "int8"  # the words of float32 on the clip of the tests, in half the time
BEAM_SIZE = 5
SPEECH = 0.5  # probability, of a frame; audio without one frame of it is not transcribed
# Above this, a piece repeats itself: Whisper's own sign of a decoder that runs in circles, where its authors would draw
# another one at random.
HIGHEST_COMPRESSION = 2.4
MOST_PROMPT_TOKENS = 223  # of prompt and keywords together: half of the decoder's 448 positions, less one
_MOST_THREADS = 4  # more gain nothing on a network of this size
_ENGINE = "faster_whisper"


@dataclass(frozen=True)
class Segment:
    """Words that belong together, a sentence or so, with seconds from the start of the audio.

    tokens: what the model wrote, with its certainty, where that was asked for.
    """

    text: str  # without white space around it
    start: float
    end: float
    tokens: tuple[Token, ...] | None = None


def is_installed(model: str = PACKAGED, root: Path | None = None) -> bool:
    """Whether a Transcriber of that model can work here. Loads nothing."""
    return find_spec(_ENGINE) is not None and find_whisper(model, root)


def shared_transcriber(model: str = PACKAGED, root: Path | None = None) -> "Transcriber":
    """The one of this process, so that all who listen load it once. Raises WeightsError for a name no model has."""
    return _shared(model, root or weights_dir(os.environ))


@cache
def _shared(model: str, root: Path) -> "Transcriber":
    return Transcriber(model, root=root)


class Transcriber:
    """One model, loaded when it is first needed, for any number of threads, one at a time.

    model: "whisper-base" comes with a package; bigger ones, such as "whisper-small", are fetched by models.weights.
    root: where fetched checkpoints lie. threads: of the CPU; 0 takes what this process may use, up to 4.
    Raises WeightsError for a name that no model has.
    """

    def __init__(self, model: str = PACKAGED, *, root: Path | None = None, threads: int = 0) -> None:
        if model not in whisper_names():
            raise WeightsError(f"No recogniser is called {model!r}; there are {', '.join(whisper_names())}.")
        self.name = model
        self._root = root
        self._threads = threads or min(_MOST_THREADS, usable_cpus())
        self._model: WhisperModel | None = None
        self._loading = threading.Lock()

    def load(self) -> None:
        """Read the weights now, 0.5 s for whisper-base, rather than at first use. Raises WeightsError."""
        self._loaded()

    def transcribe(
        self,
        samples: Samples,
        language: str | None = None,
        prompt: str | None = None,
        keywords: Sequence[str] = (),
        *,
        languages: Sequence[str] = (),
        with_tokens: bool = False,
    ) -> Iterator[Segment]:
        """[L] at 16 kHz → segments in order, each as soon as it is heard; none where nobody speaks.

        language: as ISO 639-1, heard from the first 30 s if None, among `languages` where there are some. prompt: text
        as it might stand before these words, for their style and spelling. keywords: names and terms that are likely.
        with_tokens: each segment has its own.
        Raises, before the first segment, InvalidRequest for a language that the model does not know and for more prompt
        than it reads, and WeightsError if the model is not here; TranscriptionFailed if it breaks down.
        """
        assert samples.ndim == 1, samples.shape
        model = self._loaded()
        hotwords = ", ".join(keywords)
        for one in languages if language is None else (language,):
            _check_language(model, one)
        _check_prompt(model, prompt, hotwords)
        if max(SpeechDetector().push(_whole_frames(samples)), default=0.0) < SPEECH:
            return iter(())
        if language is None and languages:
            language = _most_likely(model, samples, languages)
        return self._segments(model, samples, language, prompt, hotwords, TokenScores(model) if with_tokens else None)

    def _segments(
        self,
        model: "WhisperModel",
        samples: Samples,
        language: str | None,
        prompt: str | None,
        hotwords: str,
        scores: TokenScores | None,
    ) -> Iterator[Segment]:
        try:
            heard, _ = (scores.model if scores else model).transcribe(
                samples,
                language=language,
                initial_prompt=prompt or None,
                hotwords=hotwords or None,
                beam_size=BEAM_SIZE,
                temperature=0.0,
                condition_on_previous_text=False,
                vad_filter=True,
            )
            for piece in heard:
                text = piece.text.strip()
                if text and piece.compression_ratio <= HIGHEST_COMPRESSION:
                    tokens = scores.of(piece.tokens) if scores else None
                    yield Segment(text, float(piece.start), float(piece.end), tokens)
        except (RuntimeError, ValueError) as error:  # what CTranslate2 raises
            seconds = samples.size / SAMPLE_RATE
            raise TranscriptionFailed(f"{self.name} broke down on {seconds:.1f} s of audio: {error}") from error

    def _loaded(self) -> "WhisperModel":
        with self._loading:
            if self._model is None:
                self._model = _load(whisper_folder(self.name, self._root), self._threads)
            return self._model


def _load(folder: Path, threads: int) -> "WhisperModel":
    # Half a second, and libraries that a process which never transcribes can do without.
    try:
        from faster_whisper import WhisperModel
    except ModuleNotFoundError as error:
        raise WeightsError(
            f"Speech cannot be transcribed here: {error.name} is not installed. pip install -r requirements.txt"
        ) from error
    try:
        return WhisperModel(str(folder), device="cpu", compute_type=COMPUTE_TYPE, cpu_threads=threads)
    except (RuntimeError, ValueError) as error:
        raise WeightsError(f"{folder} holds no model of Whisper that can be loaded: {error}") from error


def _most_likely(model: "WhisperModel", samples: Samples, languages: Sequence[str]) -> str:
    if len(languages) == 1:
        return languages[0]
    _, _, probabilities = model.detect_language(samples)
    return max(languages, key=dict(probabilities).__getitem__)


def _check_language(model: "WhisperModel", language: str) -> None:
    known = model.supported_languages
    if language not in known:
        listed = (
            ", ".join(known) if len(known) < 10 else f"one of {len(known)} codes of ISO 639-1, such as en, de or zh"
        )
        raise InvalidRequest("language", f"is {language!r}; the model knows {listed}.")


def _check_prompt(model: "WhisperModel", prompt: str | None, hotwords: str) -> None:
    """The library would drop the beginning of one that is too long, without a word."""
    texts = [f" {text}" for text in (prompt, hotwords) if text]
    tokens = sum(len(model.hf_tokenizer.encode(text, add_special_tokens=False)) for text in texts)
    if tokens > MOST_PROMPT_TOKENS:
        raise InvalidRequest(
            "prompt",
            f"is, with the keywords, {tokens} tokens long; the model reads {MOST_PROMPT_TOKENS}, about 900 characters "
            "of English. Shorten it.",
        )


def _whole_frames(samples: Samples) -> Samples:
    """[L] → with silence behind, so that a short word at the very end is in a whole frame too."""
    return np.pad(samples, (0, -samples.size % FRAME_LENGTH))
