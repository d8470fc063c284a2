"""`cog predict` without Docker: starts Cog's server here, sends one prediction, writes the file it returns.

    python -m container.predict_local -i text="[S1] Hello. [S2] Hi!" -i audio_prompt=@voice.wav -o out.wav
    python -m container.predict_local --music -i prompt="slow piano over rain" -o out.mp3

What the predictor prints appears while it runs. Ctrl-C cancels the prediction and stops the server.
Exit status: 0 done, 1 the prediction or the server failed, 2 the inputs are wrong, 130 cancelled.
"""

import argparse
import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from container import schema
from container.arguments import ArgumentError, describe_inputs, parse_inputs
from container.client import CogClient, Document, Response
from container.components import Schema, inputs_of
from container.outputs import write_output
from container.server import CogServer, LogLine, ServerError
from container.source import DeclarationError

DONE, FAILED, WRONG_INPUT, CANCELLED = 0, 1, 2, 130
PREDICTION_ID = "local"
CANCEL_SECONDS = 10.0
_BAR = re.compile(r"\s*\d+%\|")  # how a bar of tqdm begins
_CLEAR_LINE = "\x1b[K"

# Our spelling of the predictor (see cog.yaml) makes Cog's Python side warn at every start; the user cannot act on it.
_QUIET = {"PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "ignore::DeprecationWarning")}


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        document = json.loads(schema.generate(_reference(arguments)))
        options = _parser(document).parse_args(arguments)
        inputs = parse_inputs(options.input, document)
        _check_output(options.output)
        _fit_format(inputs, options.output, document)
    except DeclarationError as error:
        return _fail(str(error), FAILED)
    except ArgumentError as error:
        return _fail(str(error), WRONG_INPUT)
    try:
        with CogServer(options.predictor, environment=_QUIET, on_log=_show) as server:
            return _predict(server.client, inputs, options.output)
    except ServerError as error:
        return _fail(str(error), FAILED)
    except KeyboardInterrupt:
        return _fail("Stopped.", CANCELLED)


def _predict(client: CogClient, inputs: Document, path: Path | None) -> int:
    try:
        response = client.predict(inputs, PREDICTION_ID)
    except KeyboardInterrupt:
        client.cancel_and_wait(PREDICTION_ID, CANCEL_SECONDS)
        return _fail("Cancelled.", CANCELLED)
    except OSError as error:
        return _fail(f"The server gave no answer: {error}", FAILED)
    if response.status != 200:
        return _fail(_refusal(response), WRONG_INPUT if response.status == 422 else FAILED)
    prediction = response.json()
    if prediction["status"] != "succeeded" or prediction.get("output") is None:
        return _fail(_failure(prediction), FAILED)
    for line in write_output(prediction["output"], path):
        print(line)
    print(", ".join(f"{name} {value}" for name, value in prediction["metrics"].items()), file=sys.stderr)
    return DONE


def _failure(prediction: Document) -> str:
    """The predictor's own message, without the prefixes that Cog's layers put before it."""
    error: str = prediction.get("error") or f"{prediction['status']} without an output."
    return f"The prediction failed: {error.replace('Prediction failed: ', '')}"


def _refusal(response: Response) -> str:
    """What the server says of a request it did not take: one line an input, if it names inputs."""
    try:
        return "\n".join(f"{detail['loc'][-1]}: {detail['msg']}" for detail in response.json()["detail"])
    except (ValueError, TypeError, LookupError):
        return f"The server answered {response.status}: {response.text}"


def _show(line: LogLine) -> None:
    """What the predictor prints, as it comes. On a terminal a progress bar stays on its line."""
    if line.is_output:
        stays = sys.stderr.isatty() and _BAR.match(line.text) is not None
        print(
            f"{_CLEAR_LINE}{line.text}" if stays else line.text,
            end="\r" if stays else "\n",
            file=sys.stderr,
            flush=True,
        )


def _fail(message: str, status: int) -> int:
    print(message, file=sys.stderr)
    return status


def _check_output(path: Path | None) -> None:
    if path is None:
        return
    writable = os.access(path, os.W_OK) if path.exists() else os.access(path.parent, os.W_OK)
    if not writable or not (path.is_file() or not path.exists()):
        raise ArgumentError(f"--output {path}: no file can be written there. Name a file in a folder that exists.")


def _fit_format(inputs: Document, path: Path | None, document: Schema) -> None:
    """`-o out.mp3` asks for mp3 where the predictor can choose; a format given beside it must be the same."""
    formats = inputs_of(document).get("output_format", {}).get("enum", ())
    wanted = "" if path is None else path.suffix.lower().removeprefix(".")
    if formats and wanted and wanted not in formats:
        raise ArgumentError(f"--output {path}: the predictor writes no {wanted}. End the name in {', '.join(formats)}.")
    if wanted in formats and inputs.setdefault("output_format", wanted) != wanted:
        given = inputs["output_format"]
        raise ArgumentError(f"output_format is {given}, but --output {path} says {wanted}. Leave one of them out.")


def _reference(arguments: Sequence[str] | None) -> str:
    """The predictor, found before the rest is parsed, because the help lists its inputs."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    _add_predictor(early)
    reference: str = early.parse_known_args(arguments)[0].predictor
    return reference


def _parser(document: Schema) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m container.predict_local",
        description="Run one prediction on Cog's own server, without Docker.",
        epilog=f"inputs:\n{describe_inputs(document)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    help_input = "an input; a file as NAME=@FILE; may be repeated"
    parser.add_argument("-i", "--input", action="append", default=[], metavar="NAME=VALUE", help=help_input)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: output.<format>; out.mp3 asks for mp3"
    )
    _add_predictor(parser)
    return parser


def _add_predictor(parser: argparse.ArgumentParser) -> None:
    predictor = parser.add_mutually_exclusive_group()
    predictor.add_argument("--predictor", default=schema.DEFAULT_REFERENCE, help="default: %(default)s")
    predictor.add_argument(
        "--music",
        dest="predictor",
        action="store_const",
        const=schema.MUSIC_REFERENCE,
        help=f"the same as --predictor {schema.MUSIC_REFERENCE}",
    )


def _command() -> int:
    for ending in (signal.SIGTERM, signal.SIGHUP):  # being ended takes the server along, like Ctrl-C
        signal.signal(ending, signal.default_int_handler)
    try:
        return main()
    except KeyboardInterrupt:  # before there was a server, or once more while it ended
        return _fail("Stopped.", CANCELLED)


if __name__ == "__main__":
    sys.exit(_command())
