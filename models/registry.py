"""Name → how to load that model family. Add a family here.

A family's own directory knows nothing of this file; doors know nothing of the families.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.codecs.mbd_random import write_random_diffusion
from models.decoding.runtime import Runtime
from models.dia.hearing import Hearing
from models.dia.pipeline import DiaPipeline
from models.dia.random_checkpoint import write_random_checkpoint
from models.musicgen import random_checkpoint as random_music
from models.musicgen.pipeline import DIFFUSION_FILE, DIFFUSION_RATE, MusicgenPipeline
from models.weights import (
    DIFFUSION,
    MUSIC_NAMES,
    Choice,
    Progress,
    choose,
    choose_music,
    obtain,
    offline_switch,
    silent,
)


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
        *(FamilySpec(name, MusicgenPipeline.load) for name in MUSIC_NAMES),
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


def load_music(environ: Mapping[str, str], name: str | None = None, progress: Progress = silent) -> tuple[Any, str]:
    """The pipeline of a checkpoint of music or sounds, one of MUSIC_NAMES; and one line that says which plays and why.

    PARLEY_MUSIC_MODEL has the last word on which it is; without a name it is musicgen-melody. What is not here is
    fetched; multi-band diffusion, when it is first asked for. Raises as load_dialogue does.
    """
    runtime = Runtime.from_environ(environ)
    choice = find_music(environ, name, progress)

    def diffusion_folder() -> Path:
        if choice.paths.name in random_music.VARIANTS:  # it comes with a diffusion of its own
            return choice.paths.model
        return obtain(DIFFUSION, environ, progress=progress).model

    # A folder of one's own has a name of its own.
    load = FAMILIES[choice.paths.name].load if choice.paths.name in FAMILIES else MusicgenPipeline.load
    # Demucs fetches its own weights; what random weights make of a melody is noise either way.
    separates = choice.paths.name not in random_music.VARIANTS and offline_switch(environ) is None
    return load(choice.paths, runtime, diffusion_folder, separates=separates), choice.note


def find_music(environ: Mapping[str, str], name: str | None = None, progress: Progress = silent) -> Choice:
    """What load_music would load, with its files here: the part of it that can take long or fail, without the memory.

    Raises WeightsError.
    """
    return choose_music(environ, name, make_random=_write_random_music, progress=progress)


def _write_random_music(folder: Path, name: str) -> None:
    """A random checkpoint, with a diffusion as random where there is one for its sample rate."""
    random_music.write_random_checkpoint(folder, name)
    sample_rate = random_music.VARIANTS[name].sample_rate
    if sample_rate == DIFFUSION_RATE:
        file = folder / "model" / DIFFUSION_FILE
        write_random_diffusion(file, sample_rate=sample_rate, latent_width=random_music.LATENT_WIDTH)
