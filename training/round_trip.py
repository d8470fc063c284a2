"""What the codec costs: a teacher's reading as it was, spoken from its codes, and heard and spoken again.

Writes FOLDER/{teacher,codes,heard}/*.wav with their texts, for `python -m benchmarks.quality --audio FOLDER/...`.
"""

from pathlib import Path

import numpy as np
import soundfile
import torch

from models.codecs.dac import DacCodec
from training.codec.codebooks import BOOKS, VOICES, Codebooks, pcm
from training.corpus import load_shard, shards
from training.frames import SAMPLE_RATE


def write_round_trips(run: Path, codec_folder: Path, folder: Path, count: int) -> None:
    """`count` readings of each voice, from the last shards: the vocoder was trained on the first ones."""
    codec = DacCodec.load(codec_folder, device="cpu")
    idle = codec.codebooks - BOOKS  # books that hold nothing
    books = Codebooks.load(run / "codebooks.npz")
    for index, voice in enumerate(VOICES):
        for number, utterance in enumerate(list(load_shard(shards(run / "corpus", voice)[-1]))[:count]):
            name = f"trip-{2 * number + index:03d}"
            codes = np.pad(books.encode(utterance, index).astype(np.int64).T, ((0, idle), (0, 0)))
            audio = {
                "teacher": pcm(utterance),
                "codes": codec.decode(torch.from_numpy(codes))[0],
                "heard": codec.decode(codec.encode(pcm(utterance)[None]))[0],
            }
            for kind, samples in audio.items():
                (folder / kind).mkdir(parents=True, exist_ok=True)
                soundfile.write(folder / kind / f"{name}.wav", np.asarray(samples), SAMPLE_RATE)
                (folder / kind / f"{name}.txt").write_text(f"[{voice}] {utterance.text}\n")
