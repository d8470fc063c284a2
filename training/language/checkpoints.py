"""A training run on disk: everything needed to go on. FOLDER/00001234.pt is the state after that many steps."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.files import whole_file
from training.language.network import EXTRA

KEPT = 2  # checkpoints
AVERAGE = "average"


def save(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write a checkpoint and delete all but the last KEPT."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{step:08d}.pt"
    with whole_file(path) as file:
        torch.save(state, file)
    for old in checkpoints(folder)[:-KEPT]:
        old.unlink()
    return path


def checkpoints(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted(folder.glob("*.pt"))


def load(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def state_for_export(checkpoint: Path) -> dict[str, Tensor]:
    """The averaged weights, float32, under the names of DiaForConditionalGeneration; nothing that only training has."""
    average = load(checkpoint)[AVERAGE]
    return {name: weight.float().contiguous() for name, weight in average.items() if not name.startswith(EXTRA)}
