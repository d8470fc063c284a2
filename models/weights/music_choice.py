"""Which checkpoint plays music and sounds, and why, in one line. Knows the names, not how any of them is loaded."""

from collections.abc import Callable, Mapping
from pathlib import Path

from models.errors import WeightsError
from models.weights.choice import Choice, make_once, obtain, offline_switch
from models.weights.disk import RANDOM_MUSIC, RANDOM_SOUND, RANDOM_STEREO, is_all_there, locate, paths_in, weights_dir
from models.weights.manifest import Manifest, load_manifest
from models.weights.progress import Progress, silent

SIZES = ("small", "medium", "large", "melody", "melody-large")
AUDIOGEN = "audiogen-medium"
PUBLISHED = (*(f"musicgen-{size}" for size in SIZES), *(f"musicgen-stereo-{size}" for size in SIZES), AUDIOGEN)
RANDOM_NAMES = (RANDOM_MUSIC, RANDOM_STEREO, RANDOM_SOUND)
MUSIC_NAMES = (*PUBLISHED, *RANDOM_NAMES)
DEFAULT = "musicgen-melody"  # of the sizes whose every input works: it takes a melody, and it is mono
DIFFUSION = "multi-band-diffusion"
NOISE = "random weights, which make noise and no music; for tests"


def choose_music(
    environ: Mapping[str, str],
    asked: str | None = None,
    root: Path | None = None,
    *,
    make_random: Callable[[Path, str], None],
    progress: Progress = silent,
    manifest: Manifest | None = None,
) -> Choice:
    """The checkpoint that PARLEY_MUSIC_MODEL names, whichever is asked for; without it the one that is asked for.

    A published one comes from disk or from the hub, and never is another taken in its place. Random weights are made
    when they are asked for by name; PARLEY_MUSIC_MODEL=musicgen-random stands for those of stereo and of AudioGen too,
    where the one that is asked for is such. It may also be the path of a folder of one's own, laid out as the others
    are: model/, and codec/ and text/ where it needs them.
    `make_random` writes the checkpoint of a name below the folder it is given. `root` is PARLEY_WEIGHTS_DIR unless
    given. Raises WeightsError for an unknown name and for a checkpoint that cannot be had.
    """
    root = root or weights_dir(environ)
    named = _named(environ)
    if "/" in named:
        return _own(Path(named))
    asked = asked or named or DEFAULT
    name = _name_of(named, asked)
    why = ", as PARLEY_MUSIC_MODEL says" if named else ""
    if asked != name:
        why += f", though {asked} is asked for"
    if name in RANDOM_NAMES:
        return Choice(make_once(name, root, lambda folder: make_random(folder, name)), f"Using {name} ({NOISE}){why}")
    return _published(name, environ, root, progress, manifest or load_manifest(), why)


def is_out_of_reach(
    environ: Mapping[str, str], asked: str, root: Path | None = None, *, manifest: Manifest | None = None
) -> bool:
    """Whether choose_music is bound to fail: for its name, or as its files are not here and downloads are switched off.

    Looks at the disk alone, for a moment. What only the hub or the bytes of the files could tell is no reason.
    """
    root, manifest = root or weights_dir(environ), manifest or load_manifest()
    named = _named(environ)
    if "/" in named:
        return not _holds_model(Path(named))
    try:
        name = _name_of(named, asked)
    except WeightsError:
        return True
    if name in RANDOM_NAMES or offline_switch(environ) is None:
        return False
    return locate(name, root, manifest=manifest) is None and not is_all_there(manifest.checkpoint(name), root)


def _named(environ: Mapping[str, str]) -> str:
    return environ.get("PARLEY_MUSIC_MODEL", "").strip()


def _name_of(named: str, asked: str) -> str:
    """Of the checkpoint that plays what is asked for. Raises WeightsError."""
    name = _checked(named, "PARLEY_MUSIC_MODEL is ") if named else _checked(asked, "The model asked for is ")
    return _random_like(asked) if name == RANDOM_MUSIC else name


def _random_like(asked: str) -> str:
    """The random weights of the same form: 16 kHz, two channels, or one."""
    if asked.startswith("audiogen"):
        return RANDOM_SOUND
    return RANDOM_STEREO if "stereo" in asked else RANDOM_MUSIC


def _own(folder: Path) -> Choice:
    """A fine-tune, say, as audiocraft exports it. Its files are not checked against anything."""
    if not _holds_model(folder):
        raise WeightsError(
            f"PARLEY_MUSIC_MODEL is the path {str(folder)!r}, and there is no {folder / 'model'}. Put config.json and "
            "model.safetensors there, or state_dict.bin and compression_state_dict.bin; or name one of "
            f"{', '.join(MUSIC_NAMES)}."
        )
    paths = paths_in(folder.parent, folder.name)
    return Choice(paths, f"Playing with the checkpoint in {folder}, which nothing verified, as PARLEY_MUSIC_MODEL says")


def _holds_model(folder: Path) -> bool:
    return (folder / "model").is_dir()


def _published(
    name: str, environ: Mapping[str, str], root: Path, progress: Progress, manifest: Manifest, why: str
) -> Choice:
    try:
        paths = obtain(name, environ, root, progress, manifest=manifest)
    except WeightsError as error:
        raise WeightsError(
            f"{str(error).rstrip('.')}. To try the inputs without weights, set PARLEY_MUSIC_MODEL={RANDOM_MUSIC}: it "
            "makes noise."
        ) from error
    return Choice(paths, f"Playing with {manifest.checkpoint(name).title} from {root / name}{why}")


def _checked(name: str, where: str) -> str:
    if name in MUSIC_NAMES:
        return name
    raise WeightsError(f"{where}{name!r}; it must be one of {', '.join(MUSIC_NAMES)}.")
