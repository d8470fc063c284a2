"""Name → how to load that model family. Add a family here.

A family's own directory knows nothing of this file; doors know nothing of the families.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from models.decoding.runtime import Runtime
from models.dia.hearing import Hearing
from models.dia.pipeline import DiaPipeline
from models.dia.random_checkpoint import write_random_checkpoint
from models.weights import Progress, choose, silent


@dataclass(frozen=True)
class FamilySpec:
    """One model by its public name."""

    name: str
    load: Callable[..., Any]  # (CheckpointPaths, Runtime, …) → a Pipeline as models/engine.py describes it


FAMILIES = {
    spec.name: spec
    for spec in (
        FamilySpec("dia", DiaPipeline.load),
        FamilySpec("dia-builtin", DiaPipeline.load),
        FamilySpec("dia-random", DiaPipeline.load),
    )
}


def load_dialogue(environ: Mapping[str, str], progress: Progress = silent) -> tuple[Any, str]:
    """The best dialogue pipeline that this machine can have, or the one PARLEY_MODEL names; and one line that says why.

    Raises WeightsError, and InvalidRequest for a setting that this machine cannot honour.
    """
    runtime = Runtime.from_environ(environ)
    choice = choose(environ, make_random=write_random_checkpoint, progress=progress)
    hearing = Hearing.from_environ(environ)
    return FAMILIES[choice.paths.name].load(choice.paths, runtime, hearing), choice.note
