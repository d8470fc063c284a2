"""The same recording is worked on once, and others are not taken for it."""

import numpy as np

from models.musicgen.recall import Recall


def wave(seed: int, shape: tuple[int, int] = (1, 50)) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


def test_what_was_made_of_the_same_samples_is_there() -> None:
    recall: Recall[str] = Recall()
    recall.put(wave(0), "first")
    assert recall.get(wave(0)) == "first"
    assert recall.get(wave(1)) is None


def test_one_channel_is_not_taken_for_two_of_the_same_samples() -> None:
    recall: Recall[str] = Recall()
    recall.put(wave(0, (1, 50)), "mono")
    assert recall.get(wave(0, (1, 50)).reshape(2, 25)) is None


def test_the_one_used_longest_ago_is_forgotten() -> None:
    recall: Recall[int] = Recall(most=2)
    recall.put(wave(0), 0)
    recall.put(wave(1), 1)
    recall.get(wave(0))
    recall.put(wave(2), 2)
    assert [recall.get(wave(n)) for n in range(3)] == [0, None, 2]
