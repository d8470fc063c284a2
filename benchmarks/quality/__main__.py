"""The command: options → a voice and a judge → figures, one JSON document as the last line of stdout."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.quality import __doc__ as purpose
from benchmarks.quality.hearing import Heard
from benchmarks.quality.judge import Judge, Listener
from benchmarks.quality.lines import HELD_OUT, LISTS
from benchmarks.quality.measure import MEASURES, judge_folder, measure
from benchmarks.quality.synthesis import Studio
from models.audio.ffmpeg_process import require_ffmpeg
from models.audio.silence import warm_up
from models.decoding.runtime import Runtime
from models.decoding.threads import usable_cpus
from models.engine import Engine
from models.errors import ParleyError
from models.registry import FAMILIES, load_dialogue
from models.weights import CheckpointPaths

SAMPLING = {
    "temperature": float,
    "cfg_scale": float,
    "top_p": float,
    "cfg_filter_top_k": int,
    "max_new_tokens": int,
    "speed_factor": float,
}


def main(arguments: Sequence[str] | None = None, load_judge: Callable[..., Listener] = Judge.load) -> int:
    options = _options(arguments)
    try:
        print(json.dumps(_report(options, load_judge(cpu_threads=options.judge_threads))))
    except ParleyError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _report(options: argparse.Namespace, judge: Listener) -> dict[str, Any]:
    report: dict[str, Any] = {"machine": machine.describe()}
    if options.audio:
        heard, figures = judge_folder(options.audio, judge, options.limit)
        report["audio"] = options.audio.name
    else:
        heard, figures, facts = _speak(options, judge)
        report |= facts
    if options.save:
        _save(heard, options.save)
    return report | figures


def _speak(options: argparse.Namespace, judge: Listener) -> tuple[list[Heard], dict[str, Any], dict[str, Any]]:
    """Judged takes, figures, and what they were made with."""
    require_ffmpeg()
    warm_up()
    sampling = {name: value for name in SAMPLING if (value := getattr(options, name)) is not None}
    with ExitStack() as stack:
        pipeline, note = _pipeline(options)
        engine = stack.enter_context(Engine(pipeline))
        folder = options.save or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="parley-quality-")))
        folder.mkdir(parents=True, exist_ok=True)
        studio = Studio(engine, folder, sampling, options.seed)
        heard, figures = measure(studio, judge, options.lists, options.measures, options.limit, options.jobs)
    return heard, figures, {"model": pipeline.name, "note": note, "sampling": sampling, "seed": options.seed}


def _pipeline(options: argparse.Namespace) -> tuple[Any, str]:
    """The pipeline as predict.py loads it, or the one of --checkpoint."""
    environ = dict(os.environ)
    if options.model:
        environ["PARLEY_MODEL"] = options.model
    if not options.checkpoint:
        return load_dialogue(environ, progress=lambda line: print(line, file=sys.stderr))
    name = options.model or "dia-builtin"
    paths = CheckpointPaths(name, options.checkpoint / "model", options.checkpoint / "codec")
    return FAMILIES[name].load(paths, Runtime.from_environ(environ)), f"Speaking with {options.checkpoint}"


def _save(heard: Sequence[Heard], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(one.as_json(), ensure_ascii=False) + "\n" for one in heard)
    (folder / "heard.jsonl").write_text("".join(lines), encoding="utf-8")


def _names(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(known)}")
        return names

    return parse


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description=purpose,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", choices=FAMILIES, help="as PARLEY_MODEL says, unless given")
    parser.add_argument("--checkpoint", type=Path, metavar="DIR", help="speak with DIR/model and DIR/codec")
    parser.add_argument("--audio", type=Path, metavar="DIR", help="judge DIR/*.wav with *.txt; speak nothing")
    parser.add_argument("--lists", type=_names(LISTS), metavar="NAME,…", help=f"of {', '.join(LISTS)}")
    parser.add_argument(
        "--measures", type=_names(MEASURES), metavar="NAME,…", help=f"of {', '.join(MEASURES)}; without --lists, all"
    )
    parser.add_argument("--limit", type=_positive, metavar="N", help="the first N lines of each list")
    parser.add_argument(
        "--jobs", type=_positive, default=1, metavar="N", help="requests at a time (default: %(default)s)"
    )
    parser.add_argument("--judge-threads", type=_positive, default=usable_cpus(), metavar="N", help="default: all CPUs")
    parser.add_argument("--save", type=Path, metavar="DIR", help="keep wavs, texts and DIR/heard.jsonl")
    parser.add_argument("--seed", type=int, default=0, help="base of each line's own seed (default: %(default)s)")
    for name, kind in SAMPLING.items():
        flags = [f"--{name.replace('_', '-')}", *(["--top-k"] if name == "cfg_filter_top_k" else [])]
        parser.add_argument(*flags, dest=name, type=kind, help="default: that of the public input")
    options = parser.parse_args(arguments)
    if options.measures is None:
        options.measures = [] if options.lists else list(MEASURES)  # a chosen list is a quick look
    options.lists = options.lists or list(HELD_OUT)
    return options


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


if __name__ == "__main__":
    sys.exit(main())
