"""Joined utterances keep their labels, batches are the grids of inference, the stream is a function of its place."""

import re
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from training_language_fixtures import (
    BORROWED,
    FRAMES_A_LETTER,
    HEAD,
    MIXING,
    SILENCE,
    SIZE,
    utterance,
    utterances,
    write_run,
)

from models.decoding.delay import delay_prefix
from models.dia.tokenizer import END, decode, encode
from training.language.batches import DROPPED, IGNORE, Specials, Stream, collate, group, mix, validation
from training.language.recipe import DELAYS
from training.language.utterances import Example, Labels, Placed, borrow, join, load_utterances

SPECIALS = Specials(SIZE.codes, SIZE.codes + 1, SIZE.codes + 2)


def labels_point_at_what_is_spoken(example: Example) -> bool:
    """The fixtures' phones are letters: the letter that `char` points at must be the phone of every frame."""
    pointed = example.ids[example.char.astype(int)]
    spoken = example.phone >= 0
    letters = np.where((pointed >= 97) & (pointed <= 122), pointed - 96, -1)
    return bool(spoken.any() and (letters[spoken] == example.phone[spoken]).all())


def test_text_of_a_dialogue_is_what_the_tokenizer_makes() -> None:
    parts = [Placed(utterance(0, "abc.")), Placed(utterance(0, "de.")), Placed(utterance(1, "ea."))]
    assert join(parts, SILENCE).ids.tolist() == encode("[S1] abc. de. [S2] ea.", end_mark=True)


def test_pauses_are_written_where_they_are() -> None:
    parts = [
        Placed(utterance(0, "a."), 5, True),
        Placed(utterance(0, "b."), 6, True),
        Placed(utterance(1, "c."), 7, True),
    ]
    example = join(parts, SILENCE, end_pause=4)
    assert decode(example.ids.tolist()[:-1]) == "[S1] ... a. ... b. [S2] ... c. ..."
    assert (example.codes[:5, 1:] == SILENCE[0][1:]).all()
    assert set(example.ids[example.char[:5].astype(int)]) == {ord(".")}
    assert set(example.char[-4:]) == {len(example.ids) - 3}


def test_where_it_ends_attention_belongs_on_the_end_mark() -> None:
    batch = collate([join([Placed(utterance(0, text))], SILENCE) for text in ("abc de.", "bad.")], SPECIALS)
    for ids, targets, char, guided in zip(batch.ids, batch.targets, batch.char, batch.guided, strict=True):
        (end,) = (targets[:, 0] == SPECIALS.eos).nonzero().flatten().tolist()
        assert guided[end]
        assert int(ids[int(char[end])]) == END
        assert not guided[end + 1 :].any()


def test_a_gap_between_turns_points_at_the_space_and_is_the_first_speakers() -> None:
    first, second = utterance(0, "ab."), utterance(1, "cd.")
    example = join([Placed(first), Placed(second, gap=4)], SILENCE)
    gap = slice(first.frames, first.frames + 4)
    assert (example.codes[gap, 1:] == SILENCE[0][1:]).all()
    assert (example.codes[gap, 0] - SILENCE[0][0]).tolist() == [0, 0, 1, 2], "how far it is can be seen"
    assert set(example.char[gap]) == {len("_ ab.")}
    assert (example.phone[gap] == -1).all()


def test_where_a_voice_begins_is_known() -> None:
    parts = [Placed(utterance(0, "ab.")), Placed(utterance(0, "cd."), gap=2), Placed(utterance(1, "ea."), gap=4)]
    third = sum(part.utterance.frames for part in parts[:2]) + 2 + 4
    batch = collate([join(parts, SILENCE), join(parts[:2], SILENCE)], SPECIALS)
    assert batch.begins.nonzero().tolist() == [[0, 0], [0, third], [1, 0]]


def test_labels_stay_aligned_through_every_kind_of_join() -> None:
    examples = mix(utterances(200), SILENCE, MIXING, np.random.default_rng(1))
    assert all(labels_point_at_what_is_spoken(e) for e in examples)
    for e in examples:
        known = e.letters >= 0
        assert (e.ids[known] - 96 == e.letters[known]).all()


def test_every_utterance_is_used_once_and_all_kinds_occur() -> None:
    items = utterances(200)
    examples = mix(items, SILENCE, MIXING, np.random.default_rng(1))
    frames = sum(int((e.phone >= 0).sum()) for e in examples)
    assert frames == sum(int((u.phone >= 0).sum()) for u in items)
    assert max(e.frames for e in examples) <= MIXING.most_frames
    kinds = Counter((int((e.ids == 1).sum()), int((e.ids == 2).sum())) for e in examples)
    assert {(1, 0), (0, 1), (1, 1)} <= set(kinds)
    assert any(a + b > 2 for a, b in kinds)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_turns_of_a_dialogue_may_have_two_utterances(share: float) -> None:
    mixing = replace(MIXING, one=0.0, same_speaker=0.0, pause_share=0.0, longer_turns=share)
    examples = mix(utterances(200), SILENCE, mixing, np.random.default_rng(1))
    dialogues = [bytes(e.ids.tolist()) for e in examples if {1, 2} <= set(e.ids.tolist())]
    longer = [text for text in dialogues if re.search(rb"\. [a-z]", text)]
    assert len(dialogues) > 20
    assert bool(longer) == (share > 0)


def test_codes_and_targets_are_the_grid_of_inference() -> None:
    example = join([Placed(utterance(0, "abc."))], SILENCE)
    batch = collate([example], SPECIALS)
    T, K = example.codes.shape
    wide = torch.zeros(9, T, dtype=torch.long)
    wide[:K] = torch.from_numpy(example.codes.T)
    grid = delay_prefix(wide, DELAYS, SPECIALS.bos)[:K].T  # [rows, K]
    rows = batch.codes.shape[1]
    for k, delay in enumerate(DELAYS[:K]):
        last = 1 + delay + T  # the row of eos
        assert batch.codes[0, :last, k].tolist() == grid[: min(last, rows), k].tolist()
        assert batch.codes[0, last:, k].tolist() == ([SPECIALS.eos] + [SPECIALS.pad] * 20)[: max(0, rows - last)]
        assert batch.targets[0, delay : delay + T, k].tolist() == grid[1 + delay : last, k].tolist()
    assert batch.targets[0, T, 0] == SPECIALS.eos
    assert int((batch.targets != IGNORE).sum()) == T * K + 1


def test_a_row_is_labelled_with_the_frame_it_is_to_say() -> None:
    batch = collate([join([Placed(utterance(0, "ab."))], SILENCE)], SPECIALS)
    row = HEAD + FRAMES_A_LETTER  # the first of "b"
    assert batch.phones[0, row] == 2
    assert batch.targets[0, row, 0] == 2
    assert batch.ids[0, int(batch.char[0, row])] == ord("b")


def test_batches_stay_within_their_rows_and_hold_every_example() -> None:
    examples = mix(utterances(100), SILENCE, MIXING, np.random.default_rng(1))
    groups = group(examples, MIXING.batch_rows)
    assert sum(map(len, groups)) == len(examples)
    for members in groups:
        B, T, _ = collate(members, SPECIALS).codes.shape
        assert B == 1 or MIXING.batch_rows >= B * T


def test_a_stream_that_is_taken_up_goes_on_as_the_first_would_have() -> None:
    stream = Stream(utterances(), SILENCE, MIXING, seed=5)
    whole = list(islice(stream.batches(), 12))
    place = whole[4][0]
    again = list(islice(Stream(utterances(), SILENCE, MIXING, seed=5).batches(*place), 7))
    for (_, ours), (_, theirs) in zip(whole[5:], again, strict=True):
        assert all((a.ids == b.ids).all() and (a.codes == b.codes).all() for a, b in zip(ours, theirs, strict=True))


def test_no_held_out_text_is_trained_on() -> None:
    items = utterances(2000)
    held_out = {u.text for u in items if u.held_out}
    assert 0 < len(held_out) < 60
    assert not held_out & {u.text for u in Stream(items, SILENCE, MIXING, 0).utterances}
    assert validation(items, SILENCE, MIXING)


def test_what_is_on_disk_comes_back(tmp_path: Path) -> None:
    items = utterances(20)
    write_run(tmp_path, items)
    found = load_utterances(tmp_path / "codes")
    assert sorted((u.speaker, u.text, u.char.tolist(), u.letters.tolist()) for u in found) == sorted(
        (u.speaker, u.text, u.char.tolist(), u.letters.tolist()) for u in items
    )
    assert Labels.load(tmp_path / "codes").silence == SILENCE


def test_a_reading_can_be_lent_to_the_other_voice() -> None:
    own, other = utterance(1, "abc de."), utterance(0, "abc de.")
    (lent,) = borrow([other, own], 1, BORROWED[1])
    assert lent.speaker == 1
    assert lent.text == own.text
    spoken = other.codes[:, 0] < SILENCE[0][0]
    np.testing.assert_array_equal(lent.codes[spoken, 0], other.codes[spoken, 0] + 5)
    assert (lent.codes[:, 1:] < 0).all(), "how the other voice would sound is not known"


def test_what_is_not_known_of_a_lent_reading_is_neither_read_nor_learned() -> None:
    (lent,) = borrow([utterance(0, "abc de.")], 1, BORROWED[1])
    batch = collate([join([Placed(lent)], SILENCE)], SPECIALS)
    assert (batch.targets[..., 1:] == IGNORE).all()
    assert batch.frames == lent.frames + 1
    codes = batch.codes[0]
    assert ((codes[:, 1:] == DROPPED) | (codes[:, 1:] >= SIZE.codes)).all()


def test_a_unit_without_a_counterpart_is_not_lent() -> None:
    assert borrow([utterance(0, "abc.")], 1, [-1] * SIZE.codes) == []


def test_the_voice_with_fewer_readings_gets_lent_ones() -> None:
    items = [u for u in utterances() if u.speaker == 0 or u.text < b"b"]
    stream = Stream(items, SILENCE, MIXING, 0, BORROWED)
    lent = [u for u in stream.utterances if u.codes.dtype == np.int64]
    assert lent
    assert {u.speaker for u in lent} == {1}
    others = len(stream.utterances) - len(lent)
    assert len(lent) == round(MIXING.borrowed_share * others)
