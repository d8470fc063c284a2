"""Checkpoints that look right and are not: Dia before 0626, and pickles. Knows names and configurations, no tensors."""

import json
from collections.abc import Mapping
from pathlib import Path

from models.errors import WeightsError
from models.weights.manifest import Manifest, load_manifest

OLD_REPO, REPO = "nari-labs/Dia-1.6B", "nari-labs/Dia-1.6B-0626"
PICKLE_SUFFIXES = frozenset({".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"})


def refuse_old(config: Mapping[str, object], where: str = "config.json", *, manifest: Manifest | None = None) -> None:
    """Raise WeightsError if `config` is the one of Dia before 0626: its top level has sections `model` and `data`.

    `where` names the file in the message.
    """
    if not all(isinstance(config.get(section), Mapping) for section in ("model", "data")):
        return
    reasons = [refusal.reason for refusal in (manifest or load_manifest()).refused if refusal.repo == OLD_REPO]
    raise WeightsError(
        f"{where} is of {OLD_REPO}, which is refused: {'; '.join(reasons)}. Take {REPO}: "
        "python -m models.weights fetch dia"
    )


def refuse_pickle(folder: Path) -> None:
    """Raise WeightsError if the weights in `folder` are pickles only; a folder that is not there passes."""
    if not folder.is_dir() or any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLE_SUFFIXES)
    if pickles:
        raise WeightsError(
            f"{folder} holds weights only as {', '.join(pickles)}, which is refused: it is a Python pickle, and a "
            "pickle can run any program when it is opened. Put the safetensors files of the same checkpoint there."
        )


def refuse_folder(folder: Path) -> None:
    """Both refusals, for a folder in the hub's format; where there is no readable config.json only the second."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        config = None
    if isinstance(config, Mapping):
        refuse_old(config, str(folder / "config.json"))
    refuse_pickle(folder)
