"""What is said: on a real conversation, on what is no speech; what the model is asked, and how it fails."""

import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from listening_fixtures import Clip

from benchmarks.quality.errors import count_errors
from models.errors import InvalidRequest, TranscriptionFailed, WeightsError
from models.listening import transcribe as transcribe_module
from models.listening.packaged import PackagedFile
from models.listening.transcribe import SAMPLE_RATE, Segment, Transcriber, is_installed, shared_transcriber
from models.listening.whisper import LANGUAGES, PACKAGED


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    if not is_installed():
        pytest.skip("no transcriber is installed: pip install -r requirements.txt")
    return Transcriber(threads=1)


@pytest.fixture(scope="module")
def segments(transcriber: Transcriber, clip: Clip) -> list[Segment]:
    return list(transcriber.transcribe(clip.samples))


def test_a_conversation_on_the_telephone_is_heard(segments: Sequence[Segment], clip: Clip) -> None:
    """Two speakers who talk into each other, in a language that nobody named."""
    errors = count_errors(clip.words, " ".join(segment.text for segment in segments))
    assert errors.total / errors.words <= 0.20


def test_segments_come_in_order_within_the_speech(segments: Sequence[Segment], clip: Clip) -> None:
    edges = [edge for segment in segments for edge in (segment.start, segment.end)]
    assert edges == sorted(edges)
    assert clip.starts[0] - 0.5 <= edges[0] <= clip.starts[0] + 0.5
    assert edges[-1] <= clip.samples.size / SAMPLE_RATE
    assert all(segment.text == segment.text.strip() != "" for segment in segments)


def test_the_same_audio_has_the_same_words(transcriber: Transcriber, clip: Clip) -> None:
    part = clip.samples[round(12.5 * SAMPLE_RATE) : round(14.3 * SAMPLE_RATE)]
    first, again = ([s.text for s in transcriber.transcribe(part, "en")] for _ in range(2))
    assert first == again
    assert "New Jersey" in " ".join(first)


@pytest.mark.parametrize("kind", ["nothing", "silence", "noise", "sine"])
def test_where_nobody_speaks_no_word_is_heard(kind: str, transcriber: Transcriber) -> None:
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    samples = {
        "nothing": time[:0],
        "silence": 0 * time,
        "noise": 0.1 * np.random.default_rng(0).standard_normal(time.size),
        "sine": 0.5 * np.sin(2 * np.pi * 440 * time),
    }[kind]
    assert list(transcriber.transcribe(samples.astype(np.float32))) == []


def test_a_language_that_the_model_does_not_know_is_refused_at_once(transcriber: Transcriber, clip: Clip) -> None:
    with pytest.raises(InvalidRequest, match=r"language: is 'klingon'; the model knows one of \d+ codes"):
        transcriber.transcribe(clip.samples, language="klingon")


def test_more_prompt_than_the_model_reads_is_refused_at_once(transcriber: Transcriber, clip: Clip) -> None:
    with pytest.raises(InvalidRequest, match=r"prompt: is, with the keywords, \d{3} tokens long; the model reads 223"):
        transcriber.transcribe(clip.samples, prompt="word " * 150, keywords=["name"] * 80)


class FakeModel:
    """Answers with `pieces`, or breaks down; keeps what it was asked."""

    supported_languages = ("en", "de")

    def __init__(self, *pieces: tuple[str, float], fault: Exception | None = None) -> None:
        self.pieces, self.fault = pieces, fault
        self.asked: dict[str, Any] = {}
        self.hf_tokenizer = SimpleNamespace(encode=lambda text, add_special_tokens: text.split())

    def transcribe(self, samples: np.ndarray, **options: Any) -> tuple[Any, None]:
        self.asked = options
        return self._segments(), None

    def _segments(self) -> Any:
        for n, (text, compression) in enumerate(self.pieces):
            yield SimpleNamespace(text=text, start=n, end=n + 1, compression_ratio=compression)
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a Transcriber of a FakeModel, and every audio sound like speech."""

    def make(*pieces: tuple[str, float], fault: Exception | None = None) -> tuple[Transcriber, FakeModel]:
        model = FakeModel(*pieces, fault=fault)
        monkeypatch.setattr(transcribe_module, "_load", lambda folder, threads: model)
        monkeypatch.setattr(transcribe_module, "whisper_folder", lambda name, root: name)
        monkeypatch.setattr(transcribe_module, "SpeechDetector", lambda: SimpleNamespace(push=lambda samples: [1.0]))
        return Transcriber(), model

    return make


SECOND = np.ones(SAMPLE_RATE, np.float32)


def test_language_prompt_and_keywords_reach_the_model(fake: Any) -> None:
    transcriber, model = fake((" Guten Tag. ", 0.9))
    heard = list(transcriber.transcribe(SECOND, "de", "Ein Gespräch.", ("Parley", "Dia")))
    assert heard == [Segment("Guten Tag.", 0.0, 1.0)]
    wanted = {"language": "de", "initial_prompt": "Ein Gespräch.", "hotwords": "Parley, Dia", "temperature": 0.0}
    assert wanted.items() <= model.asked.items()
    assert model.asked["vad_filter"]
    assert not model.asked["condition_on_previous_text"]


@pytest.mark.parametrize(("languages", "heard"), [((), None), (("de",), "de"), (("fr", "de"), "de"), (("fr",), "fr")])
def test_the_most_likely_of_the_languages_that_it_may_be_is_taken(
    languages: tuple[str, ...], heard: str | None, fake: Any
) -> None:
    transcriber, model = fake((" Guten Tag. ", 0.9))
    model.supported_languages = ("en", "de", "fr")
    model.detect_language = lambda samples: ("en", 0.6, [("en", 0.6), ("de", 0.3), ("fr", 0.1)])
    list(transcriber.transcribe(SECOND, languages=languages))
    assert model.asked["language"] == heard
    list(transcriber.transcribe(SECOND, "en", languages=languages))
    assert model.asked["language"] == "en"


def test_the_languages_are_whispers() -> None:
    tokenizer = pytest.importorskip("faster_whisper.tokenizer")
    assert set(tokenizer._LANGUAGE_CODES) == LANGUAGES


def test_all_who_listen_share_one_model(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_WEIGHTS_DIR", str(tmp_path))
    assert shared_transcriber() is shared_transcriber(PACKAGED) is shared_transcriber(PACKAGED, tmp_path)


def test_what_is_left_out_is_not_asked_for(fake: Any) -> None:
    transcriber, model = fake()
    assert list(transcriber.transcribe(SECOND, prompt="")) == []
    assert {"language": None, "initial_prompt": None, "hotwords": None}.items() <= model.asked.items()


def test_a_piece_that_runs_in_circles_and_one_without_words_are_dropped(fake: Any) -> None:
    transcriber, _ = fake((" One.", 0.8), (" and on" * 100, 11.0), ("  ", 0.1), (" Two.", 0.8))
    assert [segment.text for segment in transcriber.transcribe(SECOND)] == ["One.", "Two."]


def test_a_breakdown_is_told_after_what_was_heard(fake: Any) -> None:
    transcriber, _ = fake((" One.", 0.8), fault=RuntimeError("out of memory"))
    heard = transcriber.transcribe(SECOND)
    assert next(heard).text == "One."
    with pytest.raises(TranscriptionFailed, match=r"whisper-base broke down on 1\.0 s of audio: out of memory"):
        next(heard)


def test_many_threads_at_once_load_one_model(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    transcriber, model = fake((" One.", 0.8))
    loads, both = [], threading.Barrier(4)

    def load(folder: str, threads: int) -> FakeModel:
        loads.append(folder)
        return model

    def hear() -> None:
        both.wait()
        heard.append([segment.text for segment in transcriber.transcribe(SECOND)])

    heard: list[list[str]] = []
    monkeypatch.setattr(transcribe_module, "_load", load)
    threads = [threading.Thread(target=hear) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (loads, heard) == (["whisper-base"], [["One."]] * 4)


def test_an_unknown_model_is_refused_by_name() -> None:
    with pytest.raises(WeightsError, match=r"'whisper-huge'; there are whisper-base"):
        Transcriber("whisper-huge")
    assert not is_installed("whisper-huge")


def test_a_folder_without_a_model_is_no_breakdown_of_ours(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcribe_module, "whisper_folder", lambda name, root: tmp_path)
    with pytest.raises(WeightsError, match="holds no model of Whisper that can be loaded"):
        Transcriber().load()


def test_without_the_library_nothing_counts_as_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcribe_module, "_ENGINE", "no_such_library")
    assert not is_installed()


def test_a_file_of_a_package_that_is_not_there_is_not_found() -> None:
    assert PackagedFile("x", "no_such_package", "file", "no-such", "pip").find() is None
    assert PackagedFile("x", "models", "no_such_file", "no-such", "pip").find() is None
