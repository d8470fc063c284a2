"""The run, end to end on random weights with a judge that knows one sentence, and the figures of takes made by hand."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.quality.__main__ import main
from benchmarks.quality.errors import count_errors
from benchmarks.quality.hearing import Heard
from benchmarks.quality.judge import SAMPLE_RATE, Word
from benchmarks.quality.lines import Line, read_list
from benchmarks.quality.measure import figures
from benchmarks.quality.report import bootstrap
from benchmarks.quality.synthesis import Take
from benchmarks.quality.timbre import FEWEST_PIECES
from models.dia.random_checkpoint import write_random_checkpoint


class FixedJudge:
    """Hears the first sentence of the everyday list in everything."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def transcribe(self, audio: np.ndarray, sample_rate: int) -> str:
        assert (audio.ndim, sample_rate) == (1, SAMPLE_RATE)
        self.sizes.append(audio.size)
        return read_list("everyday")[0].words

    def words(self, audio: np.ndarray, sample_rate: int) -> list[Word]:
        parts = self.transcribe(audio, sample_rate).split()
        return [Word(f" {part}", 0.1 * i, 0.1 * i + 0.1) for i, part in enumerate(parts)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    write_random_checkpoint(folder)
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[dict, FixedJudge, str]:
    judge = FixedJudge()
    code = main([str(one) for one in arguments], load_judge=lambda cpu_threads: judge)
    output = capsys.readouterr()
    assert code == 0, output.err
    return json.loads(output.out.splitlines()[-1]), judge, output.err


def test_a_checkpoint_is_spoken_judged_and_kept(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_DEVICE", "cpu")
    options = ("--checkpoint", checkpoint, "--model", "dia-random", "--limit", 1, "--max-new-tokens", 500)
    lists = ("--lists", "everyday,dialogues", "--measures", "latency,prompts", "--jobs", 2, "--seed", 5)
    report, judge, errors = run(capsys, *options, *lists, "--save", tmp_path / "kept", "--top-k", 20)

    assert report["model"] == "dia-random"
    assert report["sampling"] == {"max_new_tokens": 500, "cfg_filter_top_k": 20}
    assert list(report["lists"]) == ["everyday", "dialogues", "prompted"]
    assert report["overall"]["lines"] == 2
    assert report["lists"]["everyday"]["wer"] == 0.0 < report["lists"]["dialogues"]["wer"]
    assert report["lists"]["everyday"]["wer_by_speaker"] == {"S1": 0.0}
    assert report["first_audio_seconds"]["requests"] == 2
    assert report["first_audio_seconds"]["median"] > 0
    assert report["times_real_time"]["median_of_takes"] > 0
    assert report["times_real_time"]["audio_seconds"] == pytest.approx(2 * 500 * 512 / 44_100, rel=0.5)
    assert "spoken 2/2" in errors

    kept = tmp_path / "kept"
    heard = [json.loads(line) for line in (kept / "heard.jsonl").read_text().splitlines()]
    assert [one["name"] for one in heard] == ["everyday-001", "dialogues-001", "prompted-001"]
    assert (kept / "dialogues-001.txt").read_text() == f"{read_list('dialogues')[0].script}\n"
    written = soundfile.info(kept / "everyday-001.wav")
    assert written.samplerate == 44_100
    assert judge.sizes[0] == pytest.approx(written.frames * SAMPLE_RATE / 44_100, abs=1)

    again, _, _ = run(capsys, "--audio", kept)
    assert again["overall"] == report["overall"]


def test_a_folder_that_lacks_a_text_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(100), SAMPLE_RATE)
    assert main(["--audio", str(tmp_path)], load_judge=lambda cpu_threads: FixedJudge()) == 1
    assert "--audio: holds a.wav without a.txt" in capsys.readouterr().err


def test_a_folder_without_recordings_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--audio", str(tmp_path)], load_judge=lambda cpu_threads: FixedJudge()) == 1
    assert "holds no .wav files" in capsys.readouterr().err


def test_a_list_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--lists", "everyday,weather"])
    assert "weather: choose from everyday, open" in capsys.readouterr().err


def heard(name: str, number: int, script: str, transcript: str, pitches: Sequence[float | None], **take: object):
    """With timbres of two numbers, both of which a voice has where its pitch is."""
    line = Line(name, number, script)
    timbres = tuple(pitch and np.array([pitch, pitch + number % 3], np.float32) for pitch in pitches)
    errors = count_errors(line.words, transcript)
    return Heard(Take(line, Path("x.wav"), **take), transcript, errors, pitches[0], timbres)


def test_voices_of_dialogues_are_compared_with_voices_alone() -> None:
    takes = [
        *(
            heard("everyday", n, "[S1] Hello there.", "hello there", [97.0 + n], ended=True)
            for n in range(FEWEST_PIECES)
        ),
        *(
            heard("everyday", n, "[S2] Hello there.", "hello there", [197.0 + n], ended=True)
            for n in range(FEWEST_PIECES)
        ),
        heard("dialogues", 1, "[S1] Who is it? [S2] Me.", "who is it me", [104.0, 190.0], ended=True),
        heard("dialogues", 2, "[S2] Who is it? [S1] Me.", "who is it me", [104.0, 98.0], ended=True),
        heard("dialogues", 3, "[S1] Who is it? [S2] Me.", "who is it", [104.0, None], ended=True),
        heard("prompted", 1, "[S2] Hello there.", "hello there", [160.0], ended=True),
        heard("prompted", 2, "[S2] Hello there.", "hello there", [110.0], ended=True),
    ]
    found = figures(takes)
    assert found["voices_hz"] == {"S1": 99.5, "S2": 199.5}
    separation = found["speaker_separation"]["dialogues"]
    assert (separation["right"], separation["of"]) == (1, 3)
    assert (separation["turns"]["right"], separation["turns"]["of"]) == (4, 6)
    assert found["prompts_kept"]["S2"] == {"share": 0.5, "right": 1, "of": 2}


def test_a_take_is_complete_if_it_ended_by_itself_with_its_last_word() -> None:
    takes = [
        heard("everyday", 1, "[S1] Hello there.", "hello there", [100.0], ended=True),
        heard("everyday", 2, "[S2] Hello there.", "hello there", [200.0], ended=False),
        heard("everyday-again", 1, "[S1] Hello there.", "hello", [100.0], ended=True),
        heard("everyday-again", 2, "[S2] Hello there.", "hello there there", [200.0], ended=True),
        heard("everyday-again", 3, "[S1] Hello there.", "hello their", [100.0], ended=True),
    ]
    found = figures(takes)
    last_word = {"right": 2, "misheard": 1, "missing": 1, "repeated": 1}
    assert found["completeness"] == {"share": 0.4, "right": 2, "of": 5, "ended": 4, "last_word": last_word}
    assert found["overall"]["lines"] == 2  # the second seeds have a rate of their own
    assert found["lists"]["everyday-again"]["wer"] == 0.5


def test_lines_that_were_taken_again_are_counted() -> None:
    notes = ("text: replaced typographic characters", "passage 1, take 1: is silent (-70 dBFS)")
    takes = [heard("open", i, "[S1] Hello.", "hello", [None], notes=notes[:i]) for i in (0, 1, 2)]
    assert figures(takes)["lists"]["open"]["retaken"] == 1


def test_a_failed_take_counts_as_silence_and_says_why() -> None:
    take = Take(Line("open", 1, "[S1] Hello there."), None, failure="No take of passage 1 gave audio")
    found = figures([Heard(take, "", count_errors("Hello there.", ""), None, (None,))])
    assert found["overall"]["wer"] == 1.0
    assert found["lists"]["open"]["failures"] == {"No take of passage 1 gave audio": 1}


def test_an_interval_holds_its_rate_and_narrows_with_more_lines() -> None:
    few, many = bootstrap([0, 1, 0, 2], [10] * 4), bootstrap([0, 1, 0, 2] * 50, [10] * 200)
    assert few[0] <= many[0] <= 0.075 <= many[1] <= few[1]
    assert many[1] - many[0] < few[1] - few[0]
    assert bootstrap([0, 1, 0, 2], [10] * 4) == few
