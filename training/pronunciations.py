"""How many words are read, without audio: what the text encoder is taught before the language model learns to speak.

RUN/pronunciations.npz holds `text` uint8 (bytes, one text after another), `letters` int16 (the phone each is read as,
or -1) and `meta`, a JSON list of lengths. Labels are those of RUN/codes/labels.json.
"""

import json
from pathlib import Path

import numpy as np

from training.alignment import Aligner, Pair, label_letters
from training.files import whole_file
from training.phones import phones_of
from training.sentences import WORDY, draw


def write_pronunciations(run: Path, count: int, seed: int) -> None:
    """`count` other texts than the teachers read, many of them rows of words, with the phone of each letter."""
    labels = {name: i for i, name in enumerate(json.loads((run / "codes" / "labels.json").read_text())["phones"])}
    pairs = [pair for text in draw(count, seed, WORDY) if (pair := _pair(text, labels))]
    aligner = Aligner.fit(pairs)
    letters = [
        label_letters(len(text), aligner.align(text, phones), [labels[name] for name in phones])
        for text, phones in pairs
    ]
    with whole_file(run / "pronunciations.npz") as file:
        np.savez(
            file,
            text=np.frombuffer("".join(text for text, _ in pairs).encode(), np.uint8),
            letters=np.concatenate(letters),
            meta=np.array(json.dumps([len(text) for text, _ in pairs])),
        )


def _pair(text: str, labels: dict[str, int]) -> Pair | None:
    """The text with its phones, None if it holds a sound that the teachers' sample did not."""
    phones: list[str] = []
    for sentence in phones_of(text):
        phones += [" "] if phones else []
        phones += [phone.name for phone in sentence]
    return (text, phones) if labels.keys() >= set(phones) else None
