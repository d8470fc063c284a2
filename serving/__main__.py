"""Hosting, from the command line.

python -m serving                 everything in one process: HTTP, the queue, the model
python -m serving worker          only work on the queue (with DATABASE_URL, as many as there are machines)
python -m serving token NAME      draw a token for a caller; prints it once, prints the line to keep
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from typing import Any

from models.audio.ffmpeg_process import require_ffmpeg
from models.engine import Engine
from models.engine_pool import EnginePool, capacity_from
from models.errors import InvalidRequest, ParleyError, WeightsError
from models.weights import is_out_of_reach, load_manifest
from serving.access import CREATE, METRICS, READ, check_name, hash_token, new_token, read_scopes
from serving.catalog import DIA
from serving.cog.backend import CogBackend
from serving.intake import Lacks
from serving.processes import leave, serve, work
from serving.settings import Settings
from serving.storage.database import DATABASE_AWAY, in_short, is_sqlite
from serving.work.backend import Backend, Backends, EngineBackend
from serving.work.music_backend import MusicBackend

log = logging.getLogger("parley")


def main(arguments: Sequence[str] | None = None) -> int:
    options = vars(_parser().parse_args(arguments))
    command = options.pop("command")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("dbos").setLevel(logging.WARNING)
    logging.getLogger("faster_whisper").setLevel(logging.WARNING)  # it tells of every recording that it hears
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it writes whole URLs, signatures and all
    try:
        if command == "token":
            return _token(options["name"], options["scopes"])
        settings = Settings.from_environ(os.environ, **options)
        load = partial(load_backends, settings)
        return work(settings, load) if command == "worker" else serve(settings, load, lacks_of(settings))
    except ParleyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except DATABASE_AWAY as error:
        print(f"error: the database is away, or lets nobody in: {in_short(error)}", file=sys.stderr)
        return 1


def load_backends(settings: Settings) -> Backends:
    """The models of this machine, and the containers that make the audio of others, once each has one that is ready."""
    require_ffmpeg()
    backends: dict[str, Backend] = {**_containers(settings)}
    here = [name for name in settings.served if name not in backends]
    if DIA.full_name in here:
        backends[DIA.full_name] = EngineBackend(_engine())
    if music := [name for name in here if name != DIA.full_name]:
        backends |= dict.fromkeys(music, _music_backend())
    return backends


def _containers(settings: Settings) -> dict[str, CogBackend]:
    """One backend for models of the same containers, so that these are not asked for more than they take at once."""
    backends = {urls: CogBackend(urls) for urls in settings.containers.values()}
    for backend in backends.values():
        backend.wait_until_ready()
    return {name: backends[urls] for name, urls in settings.containers.items()}


def lacks_of(settings: Settings) -> Lacks:
    """Which checkpoints of music this machine cannot have; none where others may work on what is asked here."""
    if settings.http_only or settings.containers or not is_sqlite(settings.database):
        return lambda checkpoint: False
    return partial(is_out_of_reach, os.environ, manifest=load_manifest())


def _music_backend() -> MusicBackend:
    """A checkpoint is fetched and loaded when it is asked for."""
    from models.registry import find_music, load_music

    def find(name: str) -> str:
        return find_music(os.environ, name, progress=log.info).paths.name

    def load(name: str) -> Any:
        try:
            pipeline, note = load_music(os.environ, name, progress=log.info)
        except InvalidRequest as error:  # of a setting of this process, and of nothing that its caller asked for
            raise WeightsError(str(error)) from error
        log.info(note)
        return pipeline

    return MusicBackend(EnginePool(load, capacity_from(os.environ)), find)


def _engine() -> Engine:
    # What a process in front of containers does without: torch, and librosa's compiler.
    from models.audio.silence import warm_up
    from models.registry import load_dialogue

    warm_up()
    pipeline, note = load_dialogue(os.environ, progress=log.info)
    log.info(note)
    return Engine(pipeline)


def _token(name: str, scopes: str | None) -> int:
    token = new_token()
    line = [check_name(name), hash_token(token)]
    if scopes is not None:
        read_scopes(scopes)
        line.append(scopes)
    print(*line)
    print(f"The token, shown this once: {token}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving", description="Hosting around the model container.")
    shared = argparse.ArgumentParser(add_help=False)
    _add_settings(shared)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("web", parents=[shared], help="HTTP, the queue and the model (the default)")
    commands.add_parser("worker", parents=[shared], help="only work on the queue")
    token = commands.add_parser("token", help="draw a token for a caller")
    token.add_argument("name")
    token.add_argument(
        "--scopes", help=f"what it is for: {CREATE}, {METRICS}, both with a comma, or {READ} (default: both)"
    )
    _add_settings(parser)
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    for f in fields(Settings):
        flag = f"--{f.name.replace('_', '-')}"
        default = "" if f.default == "" or f.default is False else f" (default: {f.default})"
        text = f"{f.metadata['help']}{default}"
        options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text.replace("%", "%%")}
        if isinstance(f.default, bool):
            parser.add_argument(flag, action="store_true", **options)
        else:
            parser.add_argument(flag, type=type(f.default), metavar=f.name.upper(), **options)


if __name__ == "__main__":
    leave(main())
