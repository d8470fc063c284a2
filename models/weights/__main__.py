"""python -m models.weights: fetch, verify and list checkpoints from a shell."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from models.errors import WeightsError
from models.weights.choice import find_builtin
from models.weights.disk import BUILTIN, WEIGHTS_DIR, has_size, locate, verify
from models.weights.download import INCOMING, fetch
from models.weights.lock import pinned
from models.weights.manifest import Checkpoint, Manifest, Repository, load_manifest
from models.weights.progress import readable

UNKNOWN = "size known at the first download"
EPILOG = """environment:
  PARLEY_WEIGHTS_DIR  where checkpoints lie (default: weights/ beside the package)
  HF_ENDPOINT         another address of the hub, a mirror for one
  HF_TOKEN            a token of the hub, for repositories that ask for one
  HF_HUB_OFFLINE      1 forbids every download

exit status: 0 done, 1 weights missing or damaged, 2 bad usage, 130 interrupted
"""
FETCH = """Download the files of a checkpoint that are missing or wrong, at the revision of weights/manifest.json.
Every file is checked against its size and sha256 before it is used. Where the manifest has none, the hub's own word
counts, once: it is recorded in lock.json beside the files. If it is interrupted, run it again: it goes on from the
last byte."""
VERIFY = """Hash every file of a checkpoint and compare with weights/manifest.json, or with the lock.json of its first
download. If all are right the checkpoint
counts as complete from then on, so this is also how files that you copied by hand are accepted. Changes no file."""


def main(argv: Sequence[str] | None = None, manifest: Manifest | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(argv)
    try:
        return options.run(options, manifest or load_manifest())
    except WeightsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.weights",
        description="Fetch, verify and list the checkpoints that Parley speaks with.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, run, help_line, description in (
        ("fetch", _fetch, "download what is missing", FETCH),
        ("verify", _verify, "hash what is here", VERIFY),
        ("list", _list, "show names, sizes, licences and what is here", None),
    ):
        command = commands.add_parser(name, help=help_line, description=description or help_line)
        if run is not _list:
            command.add_argument("name", help="name of the checkpoint, dia for one; see list")
        command.add_argument(
            "--root", type=Path, default=WEIGHTS_DIR, metavar="DIR", help="where checkpoints lie (default: %(default)s)"
        )
        command.set_defaults(run=run)
    return parser


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _fetch(options: argparse.Namespace, manifest: Manifest) -> int:
    paths = fetch(options.name, options.root, _say, manifest=manifest)
    print(paths.model.parent)
    return 0


def _verify(options: argparse.Namespace, manifest: Manifest) -> int:
    paths = verify(options.name, options.root, _say, manifest=manifest)
    print(f"{options.name} is complete and undamaged in {paths.model.parent}")
    return 0


def _list(options: argparse.Namespace, manifest: Manifest) -> int:
    for asked in manifest.checkpoints:
        checkpoint = pinned(asked, options.root) or asked
        size = readable(checkpoint.size) if checkpoint.is_pinned else UNKNOWN
        print(f"{checkpoint.name}  {size}  {_state(asked, options.root, manifest)}")
        for repository in checkpoint.repositories:
            _show(repository)
    here = "complete" if find_builtin(options.root) else "not here"
    print(f"{BUILTIN}  {here}, part of the source")
    for refusal in manifest.refused:
        print(f"refused: {' '.join((refusal.repo, *refusal.files))}: {refusal.reason}")
    return 0


def _show(repository: Repository) -> None:
    size = readable(sum(pin.size for pin in repository.pins)) if repository.is_pinned else UNKNOWN
    revision = repository.revision or "the newest revision"
    print(f"  {repository.target}  {size}  {repository.licence}  {repository.repo} @ {revision}")
    if repository.unpinned:
        print(f"    not pinned by the manifest, because {repository.unpinned}")


def _state(asked: Checkpoint, root: Path, manifest: Manifest) -> str:
    if locate(asked.name, root, manifest=manifest):
        return "complete"
    checkpoint, folder = pinned(asked, root), root / asked.name
    if checkpoint is None:
        begun = folder.exists() or (root / INCOMING / asked.name).exists()
        return f"{'begun' if begun else 'not here'}: python -m models.weights fetch {asked.name}"
    whole = sum(has_size(folder / pin.path, pin.size) for pin in checkpoint.pins)
    if whole == len(checkpoint.pins):
        return f"all files here, not checked: python -m models.weights verify {checkpoint.name}"
    if whole or (root / INCOMING / checkpoint.name).exists():
        return f"{whole} of {len(checkpoint.pins)} files here: python -m models.weights fetch {checkpoint.name}"
    return f"not here: python -m models.weights fetch {checkpoint.name}"


if __name__ == "__main__":
    sys.exit(main())
