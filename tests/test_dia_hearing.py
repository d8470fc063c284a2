"""A recording without its words is listened to: by a stand-in as to the rules, and by Whisper as to the words."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from dia_fixtures import request, wav
from listening_fixtures import Clip

from models.decoding.sequence import CodeSequence
from models.dia import hearing
from models.dia.hearing import Hearing
from models.dia.pipeline import DiaPipeline
from models.engine import Engine
from models.errors import InvalidRequest, TranscriptionFailed, WeightsError
from models.inputs import DialogueInputs
from models.listening.transcribe import Segment, is_installed, shared_transcriber
from models.request import AudioGenerationRequest
from serving.work.backend import EngineBackend

ROOT = Path(__file__).parent.parent


class StandIn:
    """Hears `words` in everything, and keeps how much it was given of what."""

    def __init__(self, *words: str, fault: Exception | None = None) -> None:
        self.words, self.fault = words, fault
        self.heard: list[tuple[int, str | None]] = []

    def transcribe(self, samples: np.ndarray, language: str | None = None) -> Iterator[Segment]:
        self.heard.append((samples.size, language))
        if self.fault is not None:
            raise self.fault
        return iter([Segment(word, n, n + 1) for n, word in enumerate(self.words)])


@pytest.fixture
def listening(noisy: DiaPipeline, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """What the pipeline listens with."""
    stand_in = StandIn("Hello, this is", "my own voice.")
    monkeypatch.setattr(noisy, "hearing", Hearing(stand_in))
    return stand_in


def test_what_is_heard_comes_first_and_is_said(
    engine: Engine, admitted: list[CodeSequence], listening: StandIn, tmp_path: Path
) -> None:
    generated = engine.generate(request("[S1] Hi.", audio_prompt=wav(tmp_path / "clip.wav", 1.5)))
    assert bytes(admitted[0].conditioning) == b"\x01 Hello, this is my own voice. \x01 Hi."
    (note,) = [note for note in generated.notes if note.startswith("audio_prompt_text")]
    assert note.startswith("audio_prompt_text: taken to be 'Hello, this is my own voice.', as heard in audio_prompt")
    ((size, language),) = listening.heard
    assert 1.0 < size / 16_000 <= 1.5
    assert language == "en"


class Log:
    """Keeps the lines of a prediction's log."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, line: str) -> None:
        self.lines.append(line)

    def progress(self, share: float, seconds: float) -> None: ...
    def audio(self, pcm: bytes, sample_rate: int) -> None: ...


def test_a_hosted_prediction_says_in_its_log_what_was_heard(engine: Engine, listening: StandIn, tmp_path: Path) -> None:
    log = Log()
    inputs = DialogueInputs.parse(text="[S1] Hi.", audio_prompt=wav(tmp_path / "clip.wav", 1.5), max_new_tokens=500)
    EngineBackend(engine).make("a", inputs, tmp_path, False, log)
    assert any(line.startswith("note: audio_prompt_text: taken to be 'Hello, this") for line in log.lines)


@pytest.mark.parametrize(("text", "speaker"), [("[S2] Hi.", "[S2]"), ("[S2] Hi. [S1] Oh.", "[S1]"), ("Hi.", "[S1]")])
def test_the_voice_is_that_of_the_first_speaker_unless_only_the_other_speaks(
    text: str, speaker: str, noisy: DiaPipeline, listening: StandIn, tmp_path: Path
) -> None:
    plan = noisy.prepare(request(text, audio_prompt=wav(tmp_path / "clip.wav", 1.5)))
    assert plan.voice.transcript == f"{speaker} Hello, this is my own voice."


def test_a_long_recording_is_cut_before_it_is_listened_to(
    noisy: DiaPipeline, listening: StandIn, tmp_path: Path
) -> None:
    """So that its words are those of the part that is kept, with none to be guessed away."""
    clip = wav(tmp_path / "clip.wav", 12, gap_every=2.0)
    plan = noisy.prepare(request("[S1] Hi.", audio_prompt=clip, max_audio_prompt_seconds=2))
    assert [note.split(":")[0] for note in plan.notes] == ["audio_prompt", "audio_prompt_text"]
    assert "cut to" in plan.notes[0]
    assert listening.heard[0][0] / 16_000 == pytest.approx(plan.voice.seconds, abs=0.01)


def test_the_same_recording_is_listened_to_once(noisy: DiaPipeline, listening: StandIn, tmp_path: Path) -> None:
    clip, other = wav(tmp_path / "clip.wav", 1.5), wav(tmp_path / "other.wav", 2.5)
    for source in (clip, clip.read_bytes(), other):
        noisy.prepare(request(audio_prompt=source))
    assert len(listening.heard) == 2


def test_words_that_were_given_are_not_listened_for(noisy: DiaPipeline, listening: StandIn, tmp_path: Path) -> None:
    clip = wav(tmp_path / "clip.wav", 1.5)
    noisy.prepare(request(audio_prompt=clip, audio_prompt_transcription="[S1] Hello this is me."))
    noisy.prepare(request(None, prompt="[S1] Hello this is me. Hi.", audio_prompt=clip))
    assert listening.heard == []


def prepared_with(noisy: DiaPipeline, stand_in: StandIn, made: AudioGenerationRequest) -> None:
    noisy.hearing = Hearing(stand_in)
    noisy.prepare(made)


def test_a_recording_in_which_no_words_are_heard_is_refused(
    noisy: DiaPipeline, listening: StandIn, tmp_path: Path
) -> None:
    made = request(audio_prompt=wav(tmp_path / "clip.wav", 1.5))
    with pytest.raises(InvalidRequest, match="audio_prompt_text: is missing, and no words were heard in audio_prompt"):
        prepared_with(noisy, StandIn(), made)


def test_words_that_cannot_be_all_of_the_recording_are_refused(
    noisy: DiaPipeline, listening: StandIn, tmp_path: Path
) -> None:
    made = request(audio_prompt=wav(tmp_path / "clip.wav", 1.5))
    with pytest.raises(InvalidRequest, match=r"was heard in audio_prompt cannot be all of it: 'no no .*Write down"):
        prepared_with(noisy, StandIn("no no " * 40), made)


def test_a_breakdown_of_the_recogniser_is_not_the_callers_mistake(
    noisy: DiaPipeline, listening: StandIn, tmp_path: Path
) -> None:
    made = request(audio_prompt=wav(tmp_path / "clip.wav", 1.5))
    with pytest.raises(TranscriptionFailed, match="out of memory"):
        prepared_with(noisy, StandIn(fault=TranscriptionFailed("out of memory")), made)


def test_codes_without_their_words_are_refused(noisy: DiaPipeline, listening: StandIn) -> None:
    """A recording can be listened to, codes cannot."""
    with pytest.raises(InvalidRequest, match=r"audio_prompt_text: is missing.*words of audio_prompt_tokens"):
        noisy.prepare(request(audio_prompt_tokens=np.zeros((90, 9), np.int64)))


def test_a_recogniser_that_is_named_must_be_here(tmp_path: Path) -> None:
    environ = {"PARLEY_TRANSCRIBER": "whisper-small", "PARLEY_WEIGHTS_DIR": str(tmp_path)}
    with pytest.raises(WeightsError, match=r"PARLEY_TRANSCRIBER is 'whisper-small'.*fetch whisper-small"):
        Hearing.from_environ(environ)


def test_where_nothing_is_installed_words_are_asked_for_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "is_installed", lambda model, root: False)
    with pytest.raises(InvalidRequest, match=r"audio_prompt_text: is missing.*no transcriber.*Write down.*pip install"):
        Hearing.from_environ({}).words(np.ones((1, 100), np.float32), 44_100)


def test_a_process_that_never_listens_loads_nothing_to_listen_with() -> None:
    """A container starts as quickly as before."""
    code = "import sys, models.registry; models.registry.Hearing.from_environ({}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "models.listening.transcribe" in loaded
    assert {"faster_whisper", "ctranslate2", "onnxruntime", "av"}.isdisjoint(loaded)


def test_whisper_hears_a_real_recording(noisy: DiaPipeline, clip: Clip, tmp_path: Path) -> None:
    """ "This is Diane in New Jersey.", on the telephone."""
    if not is_installed():
        pytest.skip("no transcriber is installed: pip install -r requirements.txt")
    noisy.hearing = Hearing(shared_transcriber())
    soundfile.write(tmp_path / "diane.wav", clip.samples[round(12.5 * 16_000) : round(14.3 * 16_000)], 16_000)
    plan = noisy.prepare(request("[S1] Hi.", audio_prompt=tmp_path / "diane.wav"))
    assert "in New Jersey" in plan.voice.transcript
    assert plan.voice.transcript.startswith("[S1] ")
    assert "in New Jersey" in plan.notes[0]
