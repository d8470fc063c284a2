"""What a language model says is read off its codes and counted against what it should say."""

import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_fixtures import random_books, tone, utterance

from models.request import SamplingParams
from training import __main__ as command
from training import check as module
from training.check import Said, Score, check, distance, phase_slips, said, scripts_of
from training.codec import codebooks
from training.codec.codebooks import BOOK_SIZE, NAMES, PARTS, Codebooks
from training.codec.features import PHASES, phase, pitch
from training.frames import ALL_BOOKS, FRAME, FRAME_RATE
from training.phones import Phone, group

BOOKS = random_books()
FRAMES = 25
SCRIPTS = ["[S1] a so.", "[S2] sa a.", "[S1] os. [S2] a."]
SAMPLING = SamplingParams()


def units(*phones: tuple[int, str, str]) -> np.ndarray:
    """Of (voice, phone, parts): one frame for each digit of parts."""
    return np.array([BOOKS.unit(voice, name) + int(part) for voice, name, parts in phones for part in parts])


@pytest.mark.parametrize(
    ("spoken", "heard"),
    [
        (units((0, "a", "00112"), (0, "s", "012")), [(0, "a"), (0, "s")]),
        (units((0, "a", "012"), (0, "a", "012")), [(0, "a"), (0, "a")]),
        (units((0, "a", "012"), (1, "a", "012")), [(0, "a"), (1, "a")]),
        (units((0, "a", "012"), (0, " ", "01"), (0, "a", "012"), (0, ".", "0")), [(0, "a"), (0, "a")]),
        (units((1, "ə", "2")), [(1, "ə")]),
        (np.array([len(BOOKS.names[0]) * PARTS, NAMES * PARTS * 2, BOOK_SIZE - 1, 1023]), []),
        (np.array([], np.int64), []),
    ],
    ids=["thirds", "twice", "both voices", "pauses", "last third", "units of no phone", "nothing"],
)
def test_phones_are_read_off_units(spoken: np.ndarray, heard: Said) -> None:
    assert said(spoken, BOOKS) == heard


@pytest.mark.parametrize("voice", [0, 1])
@pytest.mark.parametrize("seed", range(5))
def test_a_reading_is_heard_as_its_phones(seed: int, voice: int) -> None:
    u = utterance(seed)
    assert said(BOOKS.units(u, voice), BOOKS) == [(voice, name) for name, _ in u.phones if name not in " ."]


def distance_by_definition(a: Said, b: Said) -> int:
    @cache
    def rest(i: int, j: int) -> int:
        if i == len(a) or j == len(b):
            return len(a) - i + len(b) - j
        return min(rest(i + 1, j) + 1, rest(i, j + 1) + 1, rest(i + 1, j + 1) + (a[i] != b[j]))

    return rest(0, 0)


rows = st.lists(st.tuples(st.integers(0, 1), st.sampled_from("as")), max_size=8)


@given(rows, rows)
def test_distance_is_that_of_the_definition(a: Said, b: Said) -> None:
    assert distance(a, b) == distance_by_definition(a, b)


def test_voices_take_turns_at_lines_without_a_tag() -> None:
    lines = ["one", "two", "[S1] three", "four"]
    assert scripts_of(lines) == ["[S1] one", "[S2] two", "[S1] three", "[S2] four"]
    assert scripts_of(lines, 2) == ["[S1] one", "[S2] two"]


def phones_without_espeak(text: str) -> list[list[Phone]]:
    return [group(text.strip().replace("o", "ˈo").replace("e", "ə"))]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with codebooks, in which letters are phones."""
    monkeypatch.setattr(module, "phones_of", phones_without_espeak)
    monkeypatch.setattr(module, "MOST_FRAMES", FRAMES)
    BOOKS.save(tmp_path / "codebooks.npz")
    return tmp_path


class Spoken:
    """As much of a finished sequence as the check looks at."""

    def __init__(self, units: np.ndarray, ended_by_itself: bool = True) -> None:
        self.frames, self.ended_by_itself = len(units), ended_by_itself
        self._codes = np.zeros((ALL_BOOKS, len(units)), np.int64)
        self._codes[0] = units

    def codes(self, start: int, stop: int) -> np.ndarray:
        return self._codes[:, start:stop]


def test_errors_are_counted_by_phone_and_voice(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = units((0, "a", "012"), (0, " ", "0"), (0, "s", "01"), (0, "ˈo", "012"))
    missing = units((1, "s", "012"), (1, "a", "012"))
    other_voice = units((0, "ˈo", "012"), (0, "s", "012"), (0, "a", "012"))
    spoken = [Spoken(right), Spoken(missing), Spoken(other_voice, ended_by_itself=False)]
    monkeypatch.setattr(module, "speak", lambda *_: spoken)
    frames = len(right) + len(missing) + len(other_voice)
    assert check(run, Path(), SCRIPTS, SAMPLING) == Score(round(2 / 9, 4), round(2 / 3, 3), frames, 0.0, 0.25)


def test_a_script_that_says_nothing_is_named(run: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing to say: '\[S2\]  '"):
        check(run, Path(), [*SCRIPTS, "[S2]  "], SAMPLING)


def test_a_steady_tone_slips_by_less_than_a_step_and_a_frozen_one_by_its_pitch() -> None:
    audio = tone(200, 40 * FRAME)
    pitches = pitch(audio)
    codes = np.zeros((codebooks.BOOKS, 40), np.int64)
    codes[1], codes[codebooks.PHASE_BOOK] = pitches * (len(codebooks.LEVELS) + 1), phase(audio, pitches)
    assert phase_slips(codes)[3:-3].max() < 2 / PHASES
    codes[codebooks.PHASE_BOOK] = codes[codebooks.PHASE_BOOK, 20]
    assert phase_slips(codes).mean() == pytest.approx(200 / FRAME_RATE - 2, abs=0.05)
    codes[codebooks.PHASE_BOOK, ::2] = 0
    assert not len(phase_slips(codes)), "no two voiced frames in a row"


def test_scripts_share_the_model_and_are_not_mixed_up(
    run: Path, dia_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = module.speak(dia_directory, SCRIPTS, SAMPLING)
    assert all(0 < sequence.frames <= FRAMES and sequence.done for sequence in together)
    monkeypatch.setattr(module, "SLOTS", 1)
    for one, other in zip(together, module.speak(dia_directory, SCRIPTS, SAMPLING), strict=True):
        np.testing.assert_array_equal(one.codes(0, one.frames), other.codes(0, other.frames))
    assert len({sequence.codes(0, sequence.frames).tobytes() for sequence in together}) == len(SCRIPTS)


def test_the_same_script_twice_is_two_takes(run: Path, dia_directory: Path) -> None:
    one, other = module.speak(dia_directory, SCRIPTS[:1] * 2, SAMPLING)
    assert one.codes(0, one.frames).tobytes() != other.codes(0, other.frames).tobytes()


def test_the_command_prints_one_line(
    run: Path, dia_directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "lines.txt").write_text("a so.\nsa a.\nnot this one.\n")
    options = ["--model", str(dia_directory), "--lines", str(run / "lines.txt"), "--limit", "2", "--temperature", "0.7"]
    monkeypatch.setattr(sys, "argv", ["training", "--run", str(run), "check", *options, "--cfg-scale", "1"])
    command.main()
    (line,) = capsys.readouterr().out.splitlines()
    score = json.loads(line)
    assert (score["lines"], score["temperature"], score["cfg_scale"]) == (2, 0.7, 1.0)
    expected = check(run, dia_directory, scripts_of(["a so.", "sa a."]), SamplingParams(temperature=0.7, cfg_scale=1.0))
    assert (score["phone_errors"], score["frames"]) == (expected.phone_errors, expected.frames)
    assert score["phone_errors"] > 0.3, "random weights say nothing right"


def test_an_empty_list_is_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "lines.txt").write_text("\n")
    monkeypatch.setattr(sys, "argv", ["training", "check", "--lines", str(run / "lines.txt")])
    with pytest.raises(ValueError, match=r"lines\.txt holds no text"):
        command.main()


def test_espeak_says_what_should_be_said() -> None:
    pytest.importorskip("piper", reason="needs training/requirements.txt")
    names = (" ", ".", "h", "ə", "l", "ˈoʊ", "b", "ˈaɪ")
    books = Codebooks((names, names), BOOKS.envelopes)
    phones = [(0, "h"), (0, "ə"), (0, "l"), (0, "ˈoʊ"), (1, "b"), (1, "ˈaɪ")]
    assert module._expected("[S1] Hello. [S2] Bye.", books) == phones
