"""The command: options → what requests cost, what callers hear, one JSON document as the last line of stdout."""

import argparse
import json
from collections.abc import Sequence

from benchmarks import machine
from benchmarks.serve import __doc__ as purpose
from benchmarks.serve.figures import Row
from benchmarks.serve.requests import measure_requests
from benchmarks.serve.speech import measure_speech

TEXT = "[S1] The harbour was quiet that morning. [S2] Then the first boats came in."


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    report: Row = {"machine": machine.describe(), "text": options.text}
    if not options.no_http:
        rows = measure_requests(options.text, options.connections, options.seconds)
        report |= {"seconds": options.seconds, "requests": rows}
    if not options.no_engine:
        rows = measure_speech(options.model, options.text, options.callers, options.dialogues)
        report |= {"model": options.model, "speech": rows}
    print(json.dumps(report))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    assert purpose is not None
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=purpose.split("\n")[0])
    parser.add_argument("--connections", nargs="+", type=int, default=[1, 16, 64], help="that ask at once")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each kind of request and number of connections")
    parser.add_argument("--callers", nargs="+", type=int, default=[1, 4, 16], help="that hear dialogues at once")
    parser.add_argument("--dialogues", type=int, default=1, help="that each caller hears, one after the other")
    parser.add_argument("--model", default="dia-builtin", help="the real engine's, as PARLEY_MODEL")
    parser.add_argument("--text", default=TEXT, help="what is asked for and spoken")
    parser.add_argument("--no-http", action="store_true", help="leave the requests out")
    parser.add_argument("--no-engine", action="store_true", help="leave the real engine out")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
