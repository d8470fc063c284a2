"""Shards of readings → shards of codes and labels, which is all the language model is trained on.

FOLDER/S1/00000.npz holds `codes` uint16 [frames, BOOKS], `char` float32 [frames] (the letter each frame speaks),
`phone` int16 [frames], `letters` int16 [letters] (the phone read from each letter, or -1) and `meta`, a JSON list of
text and frames. FOLDER/labels.json names the phones and gives, for each voice, a frame of silence in codes and its unit
for each unit of the other voice.
"""

import json
import logging
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from training.alignment import Aligner, label_letters
from training.codec.codebooks import Codebooks, Codes
from training.corpus import Utterance, load_shard, shards
from training.files import whole_file
from training.frames import VOICES

FIT_SHARDS = 6  # of each voice, for the codebooks and the alignment
FIT_UTTERANCES = 400
SILENCE = 3  # frames before the first sound of every reading
log = logging.getLogger("training")


def encode_corpus(run: Path, seed: int) -> None:
    """Encode every shard that has not been encoded yet; fit codebooks and alignment first if there are none."""
    out = run / "codes"
    out.mkdir(parents=True, exist_ok=True)
    samples = [sample_of(run / "corpus", voice) for voice in VOICES]
    books = _codebooks(run, samples, seed)
    aligner = Aligner.fit([pair for sample in samples for pair in map(_pair, sample)])
    names = _labels(out, samples, books)
    for index, voice in enumerate(VOICES):
        (out / voice).mkdir(exist_ok=True)
        for path in shards(run / "corpus", voice):
            target = out / voice / path.name
            if not target.exists():
                _encode_shard(path, target, index, books, aligner, names)
                log.info("encoded %s", target)


def sample_of(corpus: Path, voice: str) -> list[Utterance]:
    """The first readings of one voice: what is fitted is fitted to these."""
    paths = shards(corpus, voice)[:FIT_SHARDS]
    return list(islice((u for path in paths for u in load_shard(path)), FIT_UTTERANCES))


def _pair(utterance: Utterance) -> tuple[str, list[str]]:
    return utterance.text, [name for name, _ in utterance.phones]


def _codebooks(run: Path, samples: Sequence[Sequence[Utterance]], seed: int) -> Codebooks:
    path = run / "codebooks.npz"
    if not path.exists():
        Codebooks.fit(samples, seed).save(path)
    return Codebooks.load(path)


def _labels(out: Path, samples: Sequence[Sequence[Utterance]], books: Codebooks) -> dict[str, int]:
    path = out / "labels.json"
    if not path.exists():
        phones = sorted({name for names in books.names for name in names})
        silence = {voice: _silence(samples[i], i, books).tolist() for i, voice in enumerate(VOICES)}
        borrowed = {voice: books.counterparts(i, 1 - i) for i, voice in enumerate(VOICES)}
        labels = {"phones": phones, "silence": silence, "borrowed": borrowed}
        with whole_file(path) as file:
            file.write(json.dumps(labels, ensure_ascii=False).encode())
    return {name: i for i, name in enumerate(json.loads(path.read_text())["phones"])}


def _silence(sample: Sequence[Utterance], voice: int, books: Codebooks) -> Codes:
    """The most usual codes of the first frames."""
    first = np.concatenate([books.encode(u, voice)[:SILENCE] for u in sample[:50]])
    return np.array([np.bincount(column).argmax() for column in first.T], np.uint16)


def _encode_shard(
    path: Path, target: Path, voice: int, books: Codebooks, aligner: Aligner, names: dict[str, int]
) -> None:
    codes, char, phone, letters, meta = [], [], [], [], []
    for u in load_shard(path):
        try:
            of_letter = aligner.align(u.text, [name for name, _ in u.phones])
            label = np.array([names[name] for name, _ in u.phones])
        except KeyError as error:
            log.warning("left out %r: no phone %s in the sample", u.text, error)
            continue
        lengths = np.diff([0, *(end for _, end in u.phones)])
        codes.append(books.encode(u, voice))
        char.append(np.repeat(of_letter, lengths).astype(np.float32))
        phone.append(np.repeat(label, lengths).astype(np.int16))
        letters.append(label_letters(len(u.text), of_letter, label))
        meta.append({"text": u.text, "frames": u.frames})
    with whole_file(target) as file:
        np.savez(
            file,
            codes=np.concatenate(codes),
            char=np.concatenate(char),
            phone=np.concatenate(phone),
            letters=np.concatenate(letters),
            meta=np.array(json.dumps(meta)),
        )
