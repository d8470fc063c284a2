"""The codebooks that an exported checkpoint speaks in, found again, so that its training can go on without its run.

Codebooks are fitted to readings. On another machine the teachers read a little differently, or other sentences, so
units and envelopes come in another order, which the checkpoint does not understand. An export holds no codebooks, but
two of its parts tell what they were. The rows of the vocoder's tables began as the centres of the envelopes and have
hardly moved. And the language model says which unit it expects wherever a teacher speaks a phone.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import linear_sum_assignment

from training import published
from training.codec.codebooks import (
    BOOK_SIZE,
    CEPSTRA,
    NAMES,
    PARTS,
    PHASE_BOOK,
    Codebooks,
    Floats,
    nearest,
    pcm,
    phone_names,
)
from training.codec.features import envelope
from training.coding import sample_of
from training.corpus import Utterance as Reading
from training.frames import VOICES
from training.language.batches import Batch, Specials, collate, group
from training.language.losses import hidden_of
from training.language.network import DiaTraining
from training.language.recipe import Recipe, Weights
from training.language.utterances import Example, Placed, Utterance, join

PHONES = NAMES * len(VOICES)
ROUNDS = 8  # at most
SCALE_ROUNDS = 10
PRIOR = 20.0  # frames that a row counts for beside those that are nearest to it
READINGS = 120  # of each voice, for the phones
ROWS = 4000  # of a batch
LEAST_SHARE = 0.4  # of probability, that one which was taught by these teachers gives to the right phone
Shares = npt.NDArray[np.float64]
Phones = npt.NDArray[np.int64]
log = logging.getLogger("training")


def recover(run: Path, checkpoint: Path, recipe: Recipe) -> None:
    """Write RUN/codebooks.npz, by some of the readings in RUN/corpus. checkpoint: of an export, with model and codec.

    Raises FileExistsError if there are codebooks, since readings may have been encoded in them, and ValueError if the
    language model does not expect what the teachers say.
    """
    path = run / "codebooks.npz"
    if path.exists():
        raise FileExistsError(f"{path} is there. Move it and {run / 'codes'} away: codes of others do not go with it.")
    samples = [sample_of(run / "corpus", voice) for voice in VOICES]
    names = tuple(tuple(phone_names(readings)) for readings in samples)
    frames = np.concatenate([envelope(pcm(u)) for readings in samples for u in readings])
    rows = published.load_vocoder(checkpoint / "codec").tables[PHASE_BOOK + 1 :, :, :CEPSTRA].detach().numpy()
    books = Codebooks(names, centres(rows, frames))
    phones = find_phones(_network(checkpoint / "model", recipe), _batches(books, samples, recipe))
    found = tuple(in_order(own, phones[v * NAMES : (v + 1) * NAMES] - v * NAMES) for v, own in enumerate(names))
    Codebooks(found, books.envelopes).save(path)


def centres(rows: Floats, frames: Floats) -> Floats:
    """[ENVELOPES, BOOK_SIZE, CEPSTRA] from a vocoder's rows of the same shape, by envelopes [N, CEPSTRA] of readings.

    Rows are centres divided by some number, with noise that training has added. The number is the one that brings them
    nearest to the envelopes; the noise goes where each becomes the mean of what is nearest to it.
    """
    scale = float(np.sqrt(np.square(frames).mean() / np.square(rows[0]).mean()))
    for _ in range(SCALE_ROUNDS):
        said = _sums(scale * rows, frames)
        scale *= float((said * frames).sum() / np.square(said).sum())
    found, rest = [], frames
    for row in scale * rows:
        at = nearest(rest, row)
        counts = np.bincount(at, minlength=BOOK_SIZE)[:, None]
        sums = np.stack([np.bincount(at, rest[:, d], BOOK_SIZE) for d in range(CEPSTRA)], axis=1)
        found.append(((sums + PRIOR * row) / (counts + PRIOR)).astype(np.float32))
        rest = rest - found[-1][nearest(rest, found[-1])]
    log.info("envelopes: rows times %.4f; what the codes leave unsaid deviates by %.3f nepers", scale, rest.std())
    return np.stack(found)


def find_phones(network: DiaTraining, batches: Sequence[Batch]) -> Phones:
    """[PHONES]: for each phone of `batches` the one that the network means by it, those of both voices in a row.

    Phones are matched by what it expects, until it reads in their place what it expects in their place.
    """
    found = np.arange(PHONES)
    for _ in range(ROUNDS):
        masses, counts = expected(network, batches, found)
        right = float(masses[np.arange(PHONES), found].sum() / counts.sum())
        log.info("the right phone is expected with a probability of %.3f", right)
        before, found = found, _matched(masses / np.maximum(counts, 1)[:, None])
        if (before == found)[counts > 0].all():
            break
    if right < LEAST_SHARE:
        raise ValueError(
            f"The checkpoint expects the right phone with a probability of {right:.2f} only, so its units are not "
            "found. Was it trained on readings of these teachers? If not, begin with random weights."
        )
    return found


@torch.no_grad()
def expected(network: DiaTraining, batches: Sequence[Batch], phones: Phones) -> tuple[Shares, Shares]:
    """Where a phone begins: probabilities that the network gives to its own [PHONES, PHONES], how many began [PHONES].

    phones: what it reads in place of each. In later frames it would expect what it has just read, right or not.
    """
    units = torch.arange(network.config.eos + 3)
    units[: PHONES * PARTS] = torch.from_numpy((phones[:, None] * PARTS + np.arange(PARTS)).reshape(-1))
    firsts = network.head()[0][: PHONES * PARTS : PARTS].T.to(network.dtype)
    masses, counts = np.zeros((PHONES, PHONES)), np.zeros(PHONES)
    for batch in batches:
        read, said = batch.codes[..., 0], batch.targets[..., 0]
        begins = (said >= 0) & (said < PHONES * PARTS) & (said % PARTS == 0) & (said != read)
        codes = torch.cat([units[read][..., None], batch.codes[..., 1:]], dim=-1)
        rows = hidden_of(network, replace(batch, codes=codes), Weights()).rows[begins]
        given = (rows.to(network.dtype) @ firsts).float().softmax(-1)
        begun = said[begins].numpy() // PARTS
        np.add.at(masses, begun, given.double().numpy())
        counts += np.bincount(begun, minlength=PHONES)
    return masses, counts


def in_order(names: Sequence[str], places: Phones) -> tuple[str, ...]:
    """Each name at its place. Places of no name, before the last one, get a number: no reading needs them."""
    at = dict(zip(places.tolist(), names, strict=False))
    return tuple(at.get(place, f"#{place}") for place in range(max(at) + 1))


def with_rare_phones(readings: Sequence[Reading], count: int) -> list[Reading]:
    """Those whose rarest phone is the rarest: what is frequent is in any of them."""
    often = Counter(name for reading in readings for name, _ in reading.phones)
    return sorted(readings, key=lambda reading: min(often[name] for name, _ in reading.phones))[:count]


def _sums(books: Floats, vectors: Floats) -> Floats:
    """[N, CEPSTRA]: what the codes of each vector stand for."""
    rest = vectors
    for book in books:
        rest = rest - book[nearest(rest, book)]
    return vectors - rest


def _matched(shares: Shares) -> Phones:
    """[PHONES]: a different one for each, of the same voice, with the largest shares in all."""
    found = []
    for voice in range(len(VOICES)):
        own = slice(voice * NAMES, (voice + 1) * NAMES)
        found.append(linear_sum_assignment(shares[own, own], maximize=True)[1] + voice * NAMES)
    return np.concatenate(found)


def _network(folder: Path, recipe: Recipe) -> DiaTraining:
    dtype = torch.bfloat16 if recipe.bfloat16 else torch.float32
    network = DiaTraining.seeded(recipe.config(), recipe.size.codebooks, 1, dtype, recipe.seed)
    network.load_state_dict(published.load_model(folder), strict=False)  # what was dropped at export is not asked
    return network


def _batches(books: Codebooks, samples: Sequence[Sequence[Reading]], recipe: Recipe) -> list[Batch]:
    config = recipe.config()
    chosen = [(voice, reading) for voice, own in enumerate(samples) for reading in with_rare_phones(own, READINGS)]
    said = [_example(reading, books, voice) for voice, reading in chosen]
    return [collate(part, Specials(config.eos, config.pad, config.bos)) for part in group(said, ROWS)]


def _example(reading: Reading, books: Codebooks, voice: int) -> Example:
    """One reading in codes. Which letter a frame speaks, and which phone, is not asked."""
    text, codes = reading.text.encode("ascii"), books.encode(reading, voice)
    char, phone = np.zeros(reading.frames, np.float32), np.zeros(reading.frames, np.int16)
    return join([Placed(Utterance(voice, text, codes, char, phone, np.zeros(len(text), np.int16)))], ())
