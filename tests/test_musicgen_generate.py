"""MusicGen in the decode loop: sequences share steps and nothing else, on any of its steppers and packings."""

import numpy as np
import pytest
import torch
from musicgen_fixtures import LAYOUTS, asked, conditioning, decoder, network, prompt, run, sequence, tiny

from models.decoding.cache import KeyValuePool
from models.decoding.decoder import PREFILL_ROWS
from models.decoding.runtime import Runtime
from models.decoding.sequence import CodeSequence
from models.errors import InvalidRequest
from models.musicgen.generate import MusicgenDecoder
from models.musicgen.layers import Packs
from models.musicgen.network import MusicgenNetwork
from models.musicgen.stepper import StaticStepper

OPTIONS = (
    asked(),
    asked(temperature=0.0, cfg_scale=2.0),
    asked(top_p=0.7, temperature=1.4, seed=8),
    asked(cfg_filter_top_k=0, cfg_scale=1.0, seed=9),
)
TUNES = (None, [0, 4, 7, 11, 7, 4, 2], [1] * 7, None)


def request(net: MusicgenNetwork, number: int) -> CodeSequence:
    """Requests that differ in everything: text, melody, prompt, options, seed, length."""
    return sequence(
        net.config,
        OPTIONS[number],
        text=("a waltz", "", "drums and a bass line", "x")[number],
        tune=TUNES[number] if net.config.melody else None,
        frames=(20, 12, 17, 30)[number],
        known=(0, 9, 30, 3)[number],
    )


def static(net: MusicgenNetwork, slots: int = 4) -> MusicgenDecoder:
    """The decoder as it runs on a GPU, save that no graph is captured."""
    stepper = decoder(net, slots)
    stepper._step = StaticStepper(net, stepper.pool, stepper.state)
    return stepper


@pytest.fixture(scope="module", params=LAYOUTS)
def net(request: pytest.FixtureRequest) -> MusicgenNetwork:
    return network(LAYOUTS[request.param])


@pytest.fixture(params=["float32", "float16", "bfloat16", "int8"])
def packed(request: pytest.FixtureRequest) -> MusicgenNetwork:
    """The network as each setting of PARLEY_WEIGHTS keeps it on a CPU."""
    try:
        runtime = Runtime.from_environ({"PARLEY_DEVICE": "cpu", "PARLEY_WEIGHTS": request.param})
    except InvalidRequest as error:
        pytest.skip(str(error))
    return network(tiny(), Packs.of(runtime), runtime.dtype)


def test_codes_in_a_batch_equal_codes_alone_exactly(packed):
    together = run(decoder(packed), *(request(packed, n) for n in range(4)))
    for n, codes in enumerate(together):
        np.testing.assert_array_equal(codes, run(decoder(packed, slots=1), request(packed, n))[0])


def test_a_melody_in_a_batch_is_followed_as_alone():
    """Conditions before the rows make a slot's positions its own."""
    melody = network(LAYOUTS["melody"])
    together = run(decoder(melody), *(request(melody, n) for n in range(4)))
    for n, codes in enumerate(together):
        np.testing.assert_array_equal(codes, run(decoder(melody, slots=1), request(melody, n))[0])


def test_static_step_equals_eager_step(net):
    """Slots of other lengths, free slots and slots that still read their prompt share its fixed shapes."""
    stepper = static(net)
    parallel = [request(net, n) for n in range(3)]
    for each in parallel:
        stepper.admit(each)
        for _ in range(5):
            stepper.step()
    stepper.release(parallel[0])
    late = request(net, 3)
    stepper.admit(late)
    while not (parallel[1].done and parallel[2].done and late.done):
        stepper.step()
    for n, each in ((1, parallel[1]), (2, parallel[2]), (3, late)):
        (alone,) = run(decoder(net), request(net, n))
        np.testing.assert_array_equal(each.codes(0, each.frames), alone)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_captured_graph_equals_the_static_step_it_was_captured_from(net):
    on_gpu = network(net.config, device="cuda")
    captured, plainly = decoder(on_gpu), static(on_gpu)
    plainly._step._graphs = lambda shape: plainly._step.step(*shape)  # type: ignore[attr-defined]
    wanted, found = (run(stepper, *(request(on_gpu, n) for n in range(4))) for stepper in (plainly, captured))
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_joining_and_leaving_at_any_step_changes_nobody_elses_codes(net):
    stepper = decoder(net, slots=2)
    first, second, third = (request(net, n) for n in (0, 2, 3))
    stepper.admit(first)
    for _ in range(6):
        stepper.step()
    stepper.admit(second)
    for _ in range(4):
        stepper.step()
    stepper.release(second)  # cancelled half-way
    stepper.admit(third)  # takes over its slot, with what is left of its keys and values
    while not (first.done and third.done):
        stepper.step()
    for n, each in ((0, first), (3, third)):
        (alone,) = run(decoder(net), request(net, n))
        np.testing.assert_array_equal(each.codes(0, each.frames), alone)


@pytest.mark.parametrize("block", [1, 4, 100])
def test_prefill_in_blocks_leaves_what_single_steps_leave(net, block):
    """Blocks that hold conditions, rows, and the border between them."""
    condition = request(net, 1 if net.config.melody else 0).conditioning
    rows = torch.from_numpy(prompt(net.config, 21).T)
    with torch.inference_mode():
        prefix = net.read_prefix(condition)
        P = prefix.shape[1]
        pools = [KeyValuePool(net.cache_shape, slots=1, device=net.device) for _ in range(2)]
        for pool in pools:
            pool.text[0] = net.read_text(condition)
        net.prefill(prefix, rows[:0], pools[0], 0, 0)
        for i in range(20):
            net.step(rows[i : i + 1], pools[0], [0], [P + i])
        for i in range(0, P + 20, block):
            stop = min(i + block, P + 20)
            net.prefill(prefix[:, i:stop], rows[max(0, i - P) : max(0, stop - P)], pools[1], 0, i)
        after = [net.step(rows[20:], pool, [0], [P + 20]) for pool in pools]
    torch.testing.assert_close(after[1][0], after[0][0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after[1][1], after[0][1], atol=1e-4, rtol=1e-4)


def test_a_prompt_longer_than_a_block_is_read_in_several_steps_while_others_go_on():
    long = network(tiny(melody=True, chroma_length=PREFILL_ROWS))
    stepper = decoder(long, slots=2)
    first, second = (sequence(long.config, asked(), frames=10, known=known) for known in (0, 3))
    stepper.admit(first)
    for _ in range(5):
        stepper.step()
    before = first.frames
    stepper.admit(second)
    stepper.step()
    assert (first.frames, second.frames) == (before + 1, 0)
    while not (first.done and second.done):
        stepper.step()
    for known, each in ((0, first), (3, second)):
        (alone,) = run(decoder(long), sequence(long.config, asked(), frames=10, known=known))
        np.testing.assert_array_equal(each.codes(0, 10), alone)


def test_same_seed_repeats_and_another_differs(net):
    first, again, other = (run(decoder(net), sequence(net.config, asked(seed=s)))[0] for s in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


def test_greedy_does_not_depend_on_the_seed(net):
    first, other = (run(decoder(net), sequence(net.config, asked(temperature=0.0, seed=s)))[0] for s in (5, 6))
    np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize("changed", [{"cfg_scale": 6.0}, {"temperature": 0.5}, {"top_p": 0.3}, {"cfg_filter_top_k": 3}])
def test_each_option_has_its_effect(net, changed):
    usual, other = (run(decoder(net), sequence(net.config, asked(**options)))[0] for options in ({}, changed))
    assert (usual != other).any()


def test_text_and_melody_have_their_effect(net):
    usual = run(decoder(net), sequence(net.config, asked(temperature=0.0)))[0]
    assert (run(decoder(net), sequence(net.config, asked(temperature=0.0), text="drums"))[0] != usual).any()
    if net.config.melody:
        tuned = sequence(net.config, asked(temperature=0.0), tune=TUNES[1])
        assert (run(decoder(net), tuned)[0] != usual).any()


def test_a_run_ends_at_its_limit_and_never_by_itself(net):
    each = sequence(net.config, asked(), frames=11, known=4)
    codes = run(decoder(net), each)[0]
    assert (each.frames, each.ended_by_itself) == (11, False)
    assert codes.shape == (net.config.codebooks, 11)
    assert codes.min() >= 0
    assert codes.max() < net.config.vocabulary


def test_the_whole_window_can_be_used_and_not_a_frame_more(net):
    stepper = decoder(net, slots=1)
    assert stepper.max_frames == net.config.max_frames == 60
    run(stepper, sequence(net.config, asked(), frames=5, known=55))
    with pytest.raises(AssertionError):
        stepper.admit(sequence(net.config, asked(), frames=6, known=55))
    assert stepper.free_slots == 1


def test_a_failed_admission_takes_no_slot(net):
    stepper = decoder(net, slots=1)
    wide = CodeSequence(conditioning(tiny(text_width=21), "x"), prompt(net.config, 0), asked(), 5, net.config.delays)
    with pytest.raises(AssertionError):
        stepper.admit(wide)
    assert stepper.free_slots == 1


def test_a_text_as_wide_as_the_network_goes_in_as_it_is():
    config = tiny(text_width=32, projects_text=False)
    assert network(config).text is None
    codes = run(decoder(network(config)), sequence(config, asked()))[0]
    assert codes.shape == (4, 20)
