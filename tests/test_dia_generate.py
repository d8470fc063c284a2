"""The decode loop: sequences share steps and nothing else."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import DiaForConditionalGeneration

from conftest import plain
from models.decoding.cache import CacheShape, KeyValuePool
from models.decoding.sequence import CodeSequence
from models.dia.generate import DiaDecoder
from models.dia.layers import Packs
from models.dia.model import DiaNetwork
from models.dia.stepper import StaticStepper
from models.request import SamplingParams

DELAYS = (0, 8, 9, 10, 11, 12, 13, 14, 15)
TEXTS = (b"\x01Hi there.", b"\x01One two three. \x02Four (laughs) five six.", b"\x02Oh.", b"\x01" + b"long words " * 20)


def decoder(network: DiaNetwork, slots: int = 4) -> DiaDecoder:
    return DiaDecoder(network, KeyValuePool(network.cache_shape, slots=slots, device=network.device))


def static(network: DiaNetwork, slots: int = 4) -> DiaDecoder:
    """The decoder as it runs on a GPU, save that no graph is captured."""
    stepper = decoder(network, slots)
    stepper._step = StaticStepper(network, stepper.pool, stepper.state)
    return stepper


def sequence(number: int, **changed: float) -> CodeSequence:
    """Requests that differ in everything: text, prompt length, options, seed, length."""
    sampling = {
        "cfg_scale": 1.0 + number,
        "temperature": (1.3, 0.0, 0.7, 2.0)[number],
        "top_p": (0.95, 1.0, 0.5, 0.8)[number],
        "cfg_filter_top_k": (35, 100, 10, 60)[number],
        "seed": 100 + number,
        **changed,
    }
    prompt = np.random.default_rng(number).integers(0, 1024, (9, (0, 40, 150, 3)[number]))
    return CodeSequence(tuple(TEXTS[number]), prompt, SamplingParams(**sampling), (60, 35, 45, 20)[number], DELAYS)


def run(stepper: DiaDecoder, *sequences: CodeSequence) -> None:
    for each in sequences:
        stepper.admit(each)
    while not all(each.done for each in sequences):
        stepper.step()
    for each in sequences:
        stepper.release(each)


def codes(each: CodeSequence) -> np.ndarray:
    return each.codes(0, each.frames)


def test_codes_in_a_batch_equal_codes_alone_exactly(packed_network: DiaNetwork) -> None:
    together = [sequence(n) for n in range(4)]
    run(decoder(packed_network), *together)
    for n, each in enumerate(together):
        alone = sequence(n)
        run(decoder(packed_network, slots=1), alone)
        np.testing.assert_array_equal(codes(each), codes(alone))


def test_static_step_equals_eager_step(dia_network: DiaNetwork) -> None:
    """Slots of other lengths, free slots and slots that still read their prompt share its fixed shapes."""
    stepper = static(dia_network)
    parallel = [sequence(n) for n in range(3)]
    for each in parallel:
        stepper.admit(each)
        for _ in range(7):
            stepper.step()
    stepper.release(parallel[0])
    late = sequence(3)
    stepper.admit(late)
    while not (parallel[1].done and parallel[2].done and late.done):
        stepper.step()
    for n, each in ((1, parallel[1]), (2, parallel[2]), (3, late)):
        alone = sequence(n)
        run(decoder(dia_network), alone)
        np.testing.assert_array_equal(codes(each), codes(alone))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_captured_graph_equals_the_static_step_it_was_captured_from(dia_directory: Path) -> None:
    network = DiaNetwork.load(dia_directory, dtype=torch.float32, device=torch.device("cuda"), packs=Packs.alike(plain))
    captured, plainly = decoder(network), static(network)
    plainly._step._graphs = lambda shape: plainly._step.step(*shape)  # type: ignore[method-assign]
    for stepper in (captured, plainly):
        together = [sequence(n) for n in range(4)]
        run(stepper, *together)
        results = [codes(each) for each in together]
        if stepper is captured:
            expected = results
    for a, b in zip(results, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_joining_and_leaving_at_any_step_changes_nobody_elses_codes(dia_network: DiaNetwork) -> None:
    stepper = decoder(dia_network, slots=2)
    first, second, third = (sequence(n) for n in (0, 1, 3))
    stepper.admit(first)
    for _ in range(17):
        stepper.step()
    stepper.admit(second)
    for _ in range(9):
        stepper.step()
    stepper.release(second)  # cancelled half-way
    stepper.admit(third)  # takes over its slot, with what is left of its keys and values
    while not (first.done and third.done):
        stepper.step()
    for n, each in ((0, first), (3, third)):
        alone = sequence(n)
        run(decoder(dia_network), alone)
        np.testing.assert_array_equal(codes(each), codes(alone))


def test_same_seed_repeats_and_another_differs(dia_network: DiaNetwork) -> None:
    runs = [sequence(0, seed=s) for s in (5, 5, 6)]
    for each in runs:
        run(decoder(dia_network), each)
    np.testing.assert_array_equal(codes(runs[0]), codes(runs[1]))
    assert (codes(runs[0]) != codes(runs[2])).mean() > 0.5


def test_greedy_does_not_depend_on_the_seed(dia_network: DiaNetwork) -> None:
    runs = [sequence(1, seed=s) for s in (5, 6)]
    for each in runs:
        run(decoder(dia_network), each)
    np.testing.assert_array_equal(codes(runs[0]), codes(runs[1]))


@pytest.mark.parametrize(("option", "value"), [("cfg_scale", 5.0), ("temperature", 0.3), ("top_p", 0.1)])
def test_each_option_has_its_effect(dia_network: DiaNetwork, option: str, value: float) -> None:
    usual, changed = sequence(0), sequence(0, **{option: value})
    for each in (usual, changed):
        run(decoder(dia_network), each)
    assert (codes(usual) != codes(changed)).any()


def test_a_longer_limit_only_adds_frames(dia_network: DiaNetwork) -> None:
    """The tail after a forced end differs (there the end is heard), everything 15 frames before it does not."""
    short, long = (
        CodeSequence(tuple(TEXTS[0]), np.zeros((9, 0), np.int64), SamplingParams(seed=3), n, DELAYS) for n in (40, 80)
    )
    for each in (short, long):
        run(decoder(dia_network), each)
    assert (short.frames, long.frames) == (40, 80)
    np.testing.assert_array_equal(short.codes(0, 25), long.codes(0, 25))


def test_first_frame_is_there_after_sixteen_steps_and_then_one_each(dia_network: DiaNetwork) -> None:
    stepper, each = decoder(dia_network), sequence(0)
    stepper.admit(each)
    counts = []
    for _ in range(20):
        stepper.step()
        counts.append(each.frames)
    assert counts == [0] * 15 + [1, 2, 3, 4, 5]


def test_codes_are_never_special(dia_network: DiaNetwork) -> None:
    for n in range(4):
        each = sequence(n)
        run(decoder(dia_network), each)
        assert codes(each).min() >= 0
        assert codes(each).max() < 1024


@pytest.mark.parametrize("make", [decoder, static])
def test_codebooks_that_the_head_knows_nothing_of_are_not_computed_and_stay_at_code_0(
    hf_dia: DiaForConditionalGeneration, tmp_path: Path, make: Callable[[DiaNetwork], DiaDecoder]
) -> None:
    model = copy.deepcopy(hf_dia)
    with torch.no_grad():
        model.logits_dense.weight.view(9, 1028, -1)[4:] = 0
        model.logits_dense.weight.view(9, 1028, -1)[2] = 0  # between others: kept
    model.save_pretrained(tmp_path)
    network = DiaNetwork.load(tmp_path, dtype=torch.float32, device=torch.device("cpu"), packs=Packs.alike(plain))
    assert network.logits(torch.zeros(2, 64)).shape == (2, 4, 1028)
    each = sequence(0)
    run(make(network), each)
    assert (codes(each)[4:] == 0).all()
    assert (codes(each)[:4] != 0).mean() > 0.9


def test_the_whole_window_can_be_used_and_not_a_row_more(dia_network: DiaNetwork) -> None:
    stepper = decoder(dia_network, slots=1)
    prompt = np.zeros((9, stepper.max_frames - 5), np.int64)
    full = CodeSequence(tuple(TEXTS[0]), prompt, SamplingParams(seed=0), 5, DELAYS)
    run(stepper, full)
    assert full.frames == 5
    with pytest.raises(AssertionError):
        stepper.admit(CodeSequence(tuple(TEXTS[0]), prompt, SamplingParams(seed=0), 6, DELAYS))


def test_pool_takes_as_many_slots_as_its_budget_holds() -> None:
    shape = CacheShape(18, 4, 3072, 128, text_heads=16, text_positions=1024, text_head_dim=128, dtype=torch.bfloat16)
    assert shape.slot_bytes == 226_492_416 + 150_994_944
    tiny = CacheShape(1, 1, 8, 4, text_heads=1, text_positions=8, text_head_dim=4, dtype=torch.float32)
    assert KeyValuePool.within(tiny.slot_bytes * 3 + 1, tiny, torch.device("cpu")).slots == 3
    assert KeyValuePool.within(0, tiny, torch.device("cpu")).slots == 1


def test_a_released_slot_serves_the_next_sequence(dia_network: DiaNetwork) -> None:
    stepper = decoder(dia_network, slots=1)
    for n in range(3):
        assert stepper.free_slots == 1
        run(stepper, sequence(n))
