"""Sentences read by the teachers, on disk in shards. A run that was cut off goes on with the first missing shard.

A shard is FOLDER/S1/00000.npz with `audio` int16 [samples at 44.1 kHz] and `meta`, a JSON list with the text, the
number of frames and the phones of each reading, in the order of the audio.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.files import whole_file
from training.frames import FRAME, SAMPLE_RATE
from training.reading import Teacher, read

SHARD = 100  # sentences
log = logging.getLogger("training")


@dataclass(frozen=True)
class Utterance:
    """One reading: audio int16 [frames * 512] at 44.1 kHz; each phone with the frame it ends before."""

    text: str
    frames: int
    phones: tuple[tuple[str, int], ...]
    audio: npt.NDArray[np.int16]


def generate(
    folder: Path, voice: str, make_teacher: Callable[[], Teacher], sentences: Sequence[str], hours: float
) -> None:
    """Read sentences into shards until there are `hours` of audio or not enough sentences for another shard."""
    (folder / voice).mkdir(parents=True, exist_ok=True)
    teacher = None
    seconds = 0.0
    for index in range(len(sentences) // SHARD):
        path = shard_path(folder, voice, index)
        if not path.exists():
            teacher = teacher or make_teacher()
            _write(path, read_all(teacher, sentences[index * SHARD : (index + 1) * SHARD]))
        seconds += sum(u.frames for u in load_shard(path)) * FRAME / SAMPLE_RATE
        log.info("%s shard %d: %.2f of %.2f hours", voice, index, seconds / 3600, hours)
        if seconds >= hours * 3600:
            return


def shard_path(folder: Path, voice: str, index: int, suffix: str = ".npz") -> Path:
    return folder / voice / f"{index:05d}{suffix}"


def shards(folder: Path, voice: str) -> list[Path]:
    return sorted((folder / voice).glob("[0-9]*.npz"))


def load_shard(path: Path) -> Iterator[Utterance]:
    with np.load(path) as file:
        audio, meta = file["audio"], json.loads(str(file["meta"]))
    start = 0
    for entry in meta:
        end = start + entry["frames"] * FRAME
        phones = tuple((name, frame) for name, frame in entry["phones"])
        yield Utterance(entry["text"], entry["frames"], phones, audio[start:end])
        start = end


def read_all(teacher: Teacher, sentences: Sequence[str]) -> Iterator[Utterance]:
    """What the teacher makes of each sentence, but for those with a sound that it does not have."""
    for text in sentences:
        try:
            reading = read(teacher, text)
        except KeyError as error:  # a sound of another language that a borrowed word brought in
            log.warning("left out %r: the teacher has no sound %s", text, error)
            continue
        pcm = np.round(np.clip(reading.audio, -1, 1) * 32767).astype(np.int16)
        yield Utterance(text, len(pcm) // FRAME, reading.phones, pcm)


def _write(path: Path, utterances: Iterator[Utterance]) -> None:
    kept = list(utterances)
    meta = [{"text": u.text, "frames": u.frames, "phones": u.phones} for u in kept]
    with whole_file(path) as file:
        np.savez(file, audio=np.concatenate([u.audio for u in kept]), meta=np.array(json.dumps(meta)))
