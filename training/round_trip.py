"""What the codec costs: a teacher's reading as it was, spoken from its codes, and heard and spoken again.

Writes FOLDER/{teacher,codes,heard}/*.wav with their texts, for `python -m benchmarks.quality --audio FOLDER/...`.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import torch

from models.codecs.dac import DacCodec
from training.codec.codebooks import BOOKS, Codebooks, Codes, pcm
from training.corpus import Utterance, load_shard, shards
from training.frames import SAMPLE_RATE, VOICES

Floats = npt.NDArray[np.float32]


def write_round_trips(run: Path, codec_folder: Path, folder: Path, count: int) -> None:
    """`count` readings of each voice, from the last shards: the vocoder was trained on the first ones."""
    codec = DacCodec.load(codec_folder, device="cpu")
    books = Codebooks.load(run / "codebooks.npz")
    for index, voice in enumerate(VOICES):
        for number, utterance in enumerate(islice(_last(run / "corpus", voice), count)):
            name = f"trip-{len(VOICES) * number + index:03d}"
            versions = _versions(codec, pcm(utterance), books.encode(utterance, index))
            _write(folder, name, f"[{voice}] {utterance.text}\n", versions)


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
