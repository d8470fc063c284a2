"""Reads a checkpoint of Multi-Band Diffusion as audiocraft publishes it: one file with the models of all bands.

The file is a dict of `sample_rate`, `n_bands` and, by its number, of each band: `model_state` and `processor_state`,
tensors, and `cfg`, the settings of its training (audiocraft/models/loaders.py, load_diffusion_models). Settings are
pickled objects of OmegaConf, which is not needed here: harmless stand-ins of ours take their place, and torch unpickles
nothing but tensors, plain values and them. Knows no setting and no layer.
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from models.errors import WeightsError

_NODES = ("Any", "String", "Integer", "Float", "Boolean", "Bytes", "Path", "Enum", "None", "Literal")


@dataclass(frozen=True)
class BandFile:
    """What the file holds of one band."""

    settings: dict[str, Any]  # plain values; references such as "${sample_rate}" as they stand
    model: Mapping[str, Tensor]
    processor: Mapping[str, Tensor]


def read_bands(path: Path) -> tuple[int, list[BandFile]]:
    """The sample rate in Hz and the bands. Raises WeightsError.

    The tensors are views of the mapped file: copy what is to be kept.
    """
    contents = _load(path)
    try:
        sample_rate, bands = contents["sample_rate"], [contents[band] for band in range(contents["n_bands"])]
        files = [BandFile(_plain(band["cfg"]), band["model_state"], band["processor_state"]) for band in bands]
    except (KeyError, TypeError) as error:
        raise WeightsError(
            f"{path.name} is no checkpoint of Multi-Band Diffusion ({error!r}). Fetch it again."
        ) from error
    whole = isinstance(sample_rate, int | float) and sample_rate % 1 == 0
    if not whole or not files or any(not isinstance(file.settings, dict) for file in files):
        raise WeightsError(f"{path.name} holds {len(files)} bands at {sample_rate!r} Hz. Fetch it again.")
    return int(sample_rate), files


class _Node:
    """In the place of OmegaConf's value, list or dict."""

    value: Any = None

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.value = state["_content"] if "_content" in state else state.get("_val")


class _Metadata:
    """In the place of what OmegaConf keeps about a node, and of the types that it says there."""

    def __init__(self, *_: object) -> None:
        """A type is sometimes called: defaultdict(dict)."""

    def __setstate__(self, state: object) -> None:
        """None of it is used."""


_STAND_INS = [
    *((_Node, f"omegaconf.nodes.{name}Node") for name in _NODES),
    *((_Node, f"omegaconf.{name.lower()}config.{name}Config") for name in ("Dict", "List")),
    *((_Metadata, f"omegaconf.base.{name}") for name in ("Metadata", "ContainerMetadata")),
    *((_Metadata, f"builtins.{name}") for name in ("dict", "list", "tuple", "str", "int", "float", "bool", "object")),
    *((_Metadata, f"typing.{name}") for name in ("Any", "Dict", "List", "Union")),
    (_Metadata, "collections.defaultdict"),
]


def _load(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_STAND_INS):  # type: ignore[arg-type]
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    # torch says what is wrong with a file by whatever its parts happen to raise.
    except (OSError, EOFError, RuntimeError, UnpicklingError, ValueError, TypeError, LookupError) as error:
        problem = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(f"{path} cannot be read ({problem}). Delete it and fetch it again.") from error


def _plain(node: Any) -> Any:
    """A tree of nodes as dicts, lists and scalars."""
    if isinstance(node, _Node):
        return _plain(node.value)
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    return node
