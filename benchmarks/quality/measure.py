"""The run: which lines are spoken, in which order, and what is made of them. Time is taken while nothing is judged."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.quality import report
from benchmarks.quality.hearing import Heard, hear
from benchmarks.quality.judge import Listener
from benchmarks.quality.lines import DEVELOPMENT, Line, read_list, tagged
from benchmarks.quality.progress import Report
from benchmarks.quality.synthesis import Prompt, Studio, Take
from models.errors import InvalidRequest

SINGLE = ("everyday", "open", DEVELOPMENT)  # lists in which each line has one voice
MEASURES = ("repeats", "latency", "prompts")
REPEATED, AGAIN, PROMPTED, CALIBRATION = "everyday", "everyday-again", "prompted", "voices"
CALIBRATION_LINES = 12  # spoken where no list tells the voices' pitches
LATENCY_LINES = 20
PROMPTS = 10  # of each voice
EXTRA_LISTS = (AGAIN, PROMPTED, CALIBRATION)  # they have figures of their own, and no part in the overall rate


def measure(
    studio: Studio, judge: Listener, lists: Sequence[str], measures: Sequence[str], limit: int | None, jobs: int
) -> tuple[list[Heard], dict[str, Any]]:
    """Every judged take, and the figures of the run."""
    lines = [line for name in lists for line in read_list(name, limit)]
    if "repeats" in measures:
        lines += [replace(line, list=AGAIN) for line in read_list(REPEATED, limit)]
    if not any(name in SINGLE for name in lists):
        lines += [replace(line, list=CALIBRATION) for line in read_list(DEVELOPMENT, CALIBRATION_LINES)]
    started = time.perf_counter()
    takes = studio.speak_all(lines, jobs, Report("spoken", len(lines)))
    seconds = time.perf_counter() - started
    delays = first_audio(studio, lines) if "latency" in measures else []
    heard = hear_all(takes, judge)
    spoken = list(heard)
    if "prompts" in measures:
        heard += hear_all(prompted(studio, heard), judge)
    found = figures(heard)
    found["times_real_time"] = report.speed(spoken, jobs, seconds)
    if delays:
        found["first_audio_seconds"] = report.latency(delays)
    return heard, found


def hear_all(takes: Sequence[Take], judge: Listener) -> list[Heard]:
    return [hear(take, judge) for take in Report("judged", len(takes)).over(takes)]


def first_audio(studio: Studio, lines: Sequence[Line]) -> list[float]:
    """Seconds to the first samples of a stream, one request at a time, after a warm-up; failed ones are left out."""
    chosen = [line for line in lines if line.list not in EXTRA_LISTS][:LATENCY_LINES]
    seconds = [studio.first_audio_seconds(line) for line in (chosen[0], *chosen)][1:]
    return [one for one in seconds if one is not None]


def prompted(studio: Studio, heard: Sequence[Heard]) -> list[Take]:
    """Each voice's cleanest takes as voice prompts, each for the text of the next one."""
    pairs = []
    for speaker in (1, 2):
        own = [h for h in heard if h.line.list in SINGLE and h.line.speaker == speaker and h.take.path]
        best = sorted(own, key=lambda h: h.errors.total)[:PROMPTS]
        pairs += [(best[i], best[(i + 1) % len(best)].line) for i in range(len(best))]
    takes = []
    for number, (voice, line) in enumerate(Report("prompted", len(pairs)).over(pairs), start=1):
        assert voice.take.path is not None
        prompt = Prompt(voice.take.path, voice.line.script)
        takes.append(studio.speak(Line(PROMPTED, number, line.script), prompt))
    return takes


def judge_folder(folder: Path, judge: Listener, limit: int | None) -> tuple[list[Heard], dict[str, Any]]:
    """Figures of recordings NAME.wav with their words in NAME.txt; `everyday-001` counts to the list `everyday`."""
    heard = hear_all(recordings(folder)[:limit], judge)
    return heard, figures(heard)


def recordings(folder: Path) -> list[Take]:
    """NAME.wav with NAME.txt, in order of their names; a text without tags counts as [S1]'s. Raises InvalidRequest."""
    takes = []
    for number, path in enumerate(sorted(folder.glob("*.wav")), start=1):
        script = path.with_suffix(".txt")
        if not script.is_file():
            raise InvalidRequest("--audio", f"holds {path.name} without {script.name}. Write down what it says.")
        name, _, digits = path.stem.rpartition("-")
        (line,) = tagged([script.read_text(encoding="utf-8").strip()], name or "audio")
        takes.append(Take(replace(line, number=int(digits) if digits.isdigit() else number), path))
    if not takes:
        raise InvalidRequest("--audio", f"is {str(folder)!r}, which holds no .wav files. Name a folder that does.")
    return takes


def figures(heard: Sequence[Heard]) -> dict[str, Any]:
    """What the judged takes say, however they were made."""
    names = list(dict.fromkeys(one.line.list for one in heard))
    by_list = {name: [one for one in heard if one.line.list == name] for name in names}
    main = [one for one in heard if one.line.list not in EXTRA_LISTS]
    alone = [one for one in heard if one.line.list != PROMPTED and len(one.line.turns) == 1]
    voices = report.voices_of(alone)
    found: dict[str, Any] = {
        "overall": report.word_errors(main),
        "lists": {name: report.list_figures(theirs) for name, theirs in by_list.items()},
        "voices_hz": {f"S{speaker}": round(pitch, 1) for speaker, pitch in report.pitches_of(alone).items()},
    }
    if repeated := [one for name in (REPEATED, AGAIN) for one in by_list.get(name, [])]:
        found["completeness"] = report.completeness(repeated)
    if voices is not None:
        found["speaker_separation"] = {
            name: report.separation(several, voices)
            for name, theirs in by_list.items()
            if (several := [one for one in theirs if len(one.line.turns) > 1])
        }
        found["prompts_kept"] = {
            f"S{speaker}": report.share(report.turns_right(one, voices)[0] for one in theirs)
            for speaker in (1, 2)
            if (theirs := [one for one in by_list.get(PROMPTED, []) if one.line.speaker == speaker])
        }
    return found
