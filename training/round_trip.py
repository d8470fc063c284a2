"""What the codec costs: a teacher's reading as it was, spoken from its codes, and heard and spoken again.

Writes FOLDER/{teacher,codes,heard}/*.wav with their texts, for `python -m benchmarks.quality --audio FOLDER/...`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import torch

from models.codecs.dac import DacCodec
from models.dia.verbalise import verbalise
from training.codec.codebooks import BOOKS, Codebooks, Codes, pcm
from training.corpus import Utterance, load_shard, read_all, shards
from training.frames import SAMPLE_RATE, VOICES
from training.reading import Teacher

Floats = npt.NDArray[np.float32]
Spoken = tuple[str, Utterance]  # a voice and what it read


def write_round_trips(run: Path, codec_folder: Path, folder: Path, readings: Iterable[Spoken]) -> None:
    codec = DacCodec.load(codec_folder, device="cpu")
    books = Codebooks.load(run / "codebooks.npz")
    for number, (voice, utterance) in enumerate(readings):
        versions = _versions(codec, pcm(utterance), books.encode(utterance, VOICES.index(voice)))
        _write(folder, f"trip-{number:03d}", f"[{voice}] {utterance.text}\n", versions)


def readings_of_corpus(corpus: Path, count: int) -> Iterator[Spoken]:
    """`count` of each voice in turn, from the last shards: the vocoder was trained on the first ones."""
    for utterances in islice(zip(*(_last(corpus, voice) for voice in VOICES), strict=False), count):
        yield from zip(VOICES, utterances, strict=True)


def readings_of(texts: Sequence[str], teachers: Mapping[str, Callable[[], Teacher]]) -> Iterator[Spoken]:
    """Of any texts, the voices in turn; a text with a sound that its teacher does not have is left out."""
    reading = {voice: teachers[voice]() for voice in VOICES}
    for i, text in enumerate(texts):
        voice = VOICES[i % len(VOICES)]
        for utterance in read_all(reading[voice], [verbalise(text)]):
            yield voice, replace(utterance, text=text)


def _last(corpus: Path, voice: str) -> Iterator[Utterance]:
    """All readings, the last shard's first."""
    for path in reversed(shards(corpus, voice)):
        yield from load_shard(path)


def _versions(codec: DacCodec, audio: Floats, codes: Codes) -> dict[str, Floats]:
    """Of audio [L] with codes [frames, BOOKS]: [L] each."""
    idle = codec.codebooks - BOOKS  # books that hold nothing
    given = torch.from_numpy(np.pad(codes.astype(np.int64).T, ((0, idle), (0, 0))))
    return {
        "teacher": audio,
        "codes": np.asarray(codec.decode(given)[0]),
        "heard": np.asarray(codec.decode(codec.encode(audio[None]))[0]),
    }


def _write(folder: Path, name: str, text: str, versions: Mapping[str, Floats]) -> None:
    for kind, audio in versions.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / kind / f"{name}.wav", audio, SAMPLE_RATE)
        (folder / kind / f"{name}.txt").write_text(text)
