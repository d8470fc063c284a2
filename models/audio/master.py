"""The last stage of music and sounds: the whole of what was generated, levelled and looped, as a file.

fold the overrun of a loop → level → encode. Knows no model and no door; speech has a stage of its own in finish.py.
"""

from dataclasses import dataclass
from pathlib import Path

from models.audio.encode import AudioFormat
from models.audio.loop import seamless_loop
from models.audio.normalise import Strategy, normalise
from models.audio.write import write_audio
from models.errors import GenerationFailed
from models.request import Audio


@dataclass(frozen=True)
class MasterOptions:
    """strategy: see normalise.py. loop_seconds: what is longer is folded into the beginning; None leaves the length."""

    strategy: Strategy = "loudness"
    output_format: AudioFormat = "mp3"
    loop_seconds: float | None = None


def master(audio: Audio, sample_rate: int, options: MasterOptions) -> Audio:
    """[C, L] → [C, L'] within ±1. Raises GenerationFailed for audio without a sample."""
    if not audio.shape[1]:
        raise GenerationFailed("not one sample was generated")
    if options.loop_seconds is not None:
        audio = seamless_loop(audio, audio.shape[1] - round(options.loop_seconds * sample_rate))
    return normalise(audio, sample_rate, options.strategy)


def master_to_file(audio: Audio, path: Path, sample_rate: int, options: MasterOptions) -> Audio:
    """`master` into a file that is whole or not there; returns what is in it, before it was encoded."""
    mastered = master(audio, sample_rate, options)
    write_audio(path, [mastered], sample_rate, options.output_format)
    return mastered
