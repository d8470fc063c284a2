"""Audiocraft's own classes, for the tests that hold ours against them; without the package those tests skip.

requirements-audiocraft.txt installs it without its dependencies. What its modules import and the classes under test
never use is stood in for by empty modules, which are gone again when the import is over: transformers, for one, looks
whether torchaudio is there.
"""

import importlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

import pytest
import torch

# audiocraft.solvers is training: dora, hydra and a dozen more; multibanddiffusion.py asks it for one name.
ABSENT = ("audiocraft.solvers", "av", "dora", "flashy", "num2words", "spacy", "torchaudio", "xformers")

# torch's old weight_norm, with which audiocraft builds every convolution of EnCodec, announces its successor.
old_weight_norm = pytest.mark.filterwarnings("ignore:.*torch.nn.utils.weight_norm:FutureWarning")


class _Empty(ModuleType):
    """A module in which every name is an empty class, enough for an import, a base class or an annotation."""

    __path__: Sequence[str] = []

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _StandIn(MetaPathFinder, Loader):
    """Finds the packages of ABSENT, and every module in them."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if _is_absent(fullname) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = _Empty(spec.name)
        if spec.name == "xformers":
            # The one function that is called: attention takes its queries, keys and values apart with it.
            module.ops = ModuleType("xformers.ops")  # type: ignore[attr-defined]
            module.ops.unbind = torch.unbind  # type: ignore[attr-defined]
        return module

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing in it."""


def _is_absent(name: str) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in ABSENT)


@contextmanager
def _stand_ins() -> Iterator[None]:
    real = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_absent(name)}
    finder = _StandIn()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if _is_absent(name)]:
            del sys.modules[name]
        sys.modules.update(real)


def audiocraft(module: str) -> ModuleType:
    """A module of audiocraft by its name in it, such as "models.lm". Skips the test where the package is missing."""
    if find_spec("audiocraft") is None:
        pytest.skip("audiocraft is not installed: pip install --no-deps -r requirements-audiocraft.txt")
    if "audiocraft" not in sys.modules:
        importlib.import_module("librosa")  # the real ones first: they look for optional packages when they load
        importlib.import_module("transformers.models.encodec.modeling_encodec")
    with _stand_ins(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what another torch and another numpy were told about its modules
        return importlib.import_module(f"audiocraft.{module}")
