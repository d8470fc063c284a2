"""What is read is spoilt, what is to be said is not."""

import numpy as np
import pytest
import torch
from training_language_fixtures import BORROWED, SILENCE, SIZE, utterance

from training.language.batches import DROPPED, IGNORE, Specials, collate
from training.language.corruption import corrupt, voices_swapped
from training.language.recipe import Corruption
from training.language.utterances import Placed, join

SPECIALS = Specials(SIZE.codes, SIZE.codes + 1, SIZE.codes + 2)
SWAPPED = voices_swapped(BORROWED, SIZE.codes)


def test_corruption_spoils_what_is_read_and_never_what_is_to_be_said() -> None:
    batch = collate([join([Placed(utterance(0, "abc de abc."))], SILENCE) for _ in range(20)], SPECIALS)
    spoilt = corrupt(batch, Corruption(), SPECIALS, np.random.default_rng(0))
    assert torch.equal(spoilt.targets, batch.targets)
    assert (spoilt.codes[:, 0] == SPECIALS.bos).all()
    first, others = ((spoilt.codes[..., k] == DROPPED).float().mean() for k in (0, 1))
    assert 0 < first < others
    replaced = (spoilt.codes != batch.codes) & (spoilt.codes != DROPPED)
    assert replaced.any()
    assert (batch.codes[replaced] < SPECIALS.eos).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_dropped_text_leaves_nothing_to_guide(seed: int) -> None:
    batch = collate([join([Placed(utterance(0, "abc."))], SILENCE) for _ in range(8)], SPECIALS)
    spoilt = corrupt(batch, Corruption(drop_text=0.5), SPECIALS, np.random.default_rng(seed))
    dropped = ~spoilt.ids.any(1)
    assert dropped.any()
    assert not dropped.all()
    assert not spoilt.guided[dropped].any()
    assert (spoilt.phones[dropped] == IGNORE).all()
    assert spoilt.mask[dropped].sum(1).tolist() == [1] * int(dropped.sum())


def test_a_unit_becomes_the_other_voices_and_stays_itself_where_that_has_none() -> None:
    borrowed = ([-1, -1, -1, 0, 1, -1], [3, 4, -1, -1, -1, -1])  # units 0 to 2 are the first voice's
    assert voices_swapped(borrowed, 7).tolist() == [3, 4, 2, 0, 1, 5, 6]


def test_a_stretch_in_the_other_voice_is_read_and_never_to_be_said() -> None:
    batch = collate([join([Placed(utterance(0, "abc de abc."))], SILENCE) for _ in range(40)], SPECIALS)
    how = Corruption(drop_text=0.0, severity=0.0, swap_voice=0.5)
    spoilt = corrupt(batch, how, SPECIALS, np.random.default_rng(0), SWAPPED)
    assert torch.equal(spoilt.targets, batch.targets)
    changed = spoilt.codes[..., 0] != batch.codes[..., 0]
    assert torch.equal(spoilt.codes[..., 0][changed], SWAPPED[batch.codes[..., 0][changed]])
    assert 0.3 < changed.any(1).float().mean() < 0.7
    for row in changed[changed.any(1)]:
        where = row.nonzero().flatten()
        assert len(where) == where[-1] - where[0] + 1, "one stretch"
    bare = (spoilt.codes[..., 1:] == DROPPED).all(-1) & changed
    assert bare.any()
    assert (changed & ~bare).any()
    assert not (spoilt.codes[~changed] != batch.codes[~changed]).any()


def test_without_a_table_no_voice_is_swapped() -> None:
    batch = collate([join([Placed(utterance(0, "abc."))], SILENCE)], SPECIALS)
    how = Corruption(drop_text=0.0, severity=0.0, swap_voice=1.0)
    assert torch.equal(corrupt(batch, how, SPECIALS, np.random.default_rng(0)).codes, batch.codes)
