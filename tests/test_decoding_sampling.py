from math import inf

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.decoding.sampling import StepOptions, draw, generator_of, uniform_noise
from models.decoding.sequence import CodeSequence
from models.request import SamplingParams


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_noise_repeats_with_its_seed_and_differs_from_another() -> None:
    assert torch.equal(uniform_noise(seeded(7), 20, 9), uniform_noise(seeded(7), 20, 9))
    assert not torch.equal(uniform_noise(seeded(7), 20, 9), uniform_noise(seeded(8), 20, 9))


def test_noise_of_a_longer_run_starts_like_that_of_a_shorter_one() -> None:
    """So a larger max_new_tokens changes nothing before the smaller one's end."""
    assert torch.equal(uniform_noise(seeded(7), 5000, 9)[:20], uniform_noise(seeded(7), 20, 9))


def test_a_sequence_has_a_generator_of_its_seed_or_goes_on_with_the_one_it_is_given() -> None:
    options = ((), np.zeros((1, 0), np.int64), SamplingParams(seed=7), 5, (0,))
    assert torch.equal(generator_of(CodeSequence(*options)).get_state(), seeded(7).get_state())
    going_on = seeded(8)
    assert generator_of(CodeSequence(*options, generator=going_on)) is going_on


def test_noise_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    uniform_noise(seeded(7), 20, 9)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_nucleus_keeps_the_token_that_crosses_the_threshold() -> None:
    probs = torch.tensor([[[0.5, 0.3, 0.15, 0.05]]])
    highest = torch.tensor([[1 - 2**-24]])  # the largest number that uniform_noise gives
    last = [
        draw(probs, torch.tensor([[[p]]]), highest).item() for p in (0.0, 0.1, 0.5, 0.51, 0.8, 0.81, 0.96, 1.0, inf)
    ]
    assert last == [0, 0, 1, 1, 2, 2, 3, 3, 3]  # 0.5 and 0.8 are reached, not crossed


def test_draw_follows_the_weights() -> None:
    """100,000 draws: a share is off by 0.01 with a chance below 1e-9."""
    weights = torch.tensor([0.5, 0.2, 0.1, 0.0]).expand(1, 100_000, 4)
    uniform = torch.rand(1, 100_000, generator=torch.Generator().manual_seed(0))
    drawn = draw(weights, torch.tensor([[[inf]]]), uniform)
    shares = torch.bincount(drawn.flatten(), minlength=4) / 100_000
    torch.testing.assert_close(shares, torch.tensor([0.625, 0.25, 0.125, 0.0]), atol=0.01, rtol=0)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 8, width=32), min_size=1, max_size=12), st.sampled_from([0.0, 0.3, 0.95, inf]))
def test_draw_never_takes_an_index_without_weight(logits: list[float], top_p: float) -> None:
    """Rounding must not carry the highest number past the last one that may be drawn."""
    probs = torch.softmax(torch.tensor([*sorted(logits, reverse=True), -inf, -inf]), -1).expand(1, 2, -1)
    drawn = draw(probs, torch.tensor([[[top_p]]]), torch.tensor([[0.0, 1 - 2**-24]]))
    assert (drawn >= 0).all()
    assert (drawn < len(logits)).all()


def test_options_of_a_request_are_the_numbers_it_asks_for_and_greedy_is_a_nucleus_of_one() -> None:
    asked = [
        SamplingParams(cfg_scale=2.0, temperature=0.7, top_p=0.9, cfg_filter_top_k=12),
        SamplingParams(cfg_scale=3.0, temperature=0, top_p=1, cfg_filter_top_k=100),
        SamplingParams(cfg_scale=3.0, temperature=1.3, top_p=1, cfg_filter_top_k=100),
        SamplingParams(cfg_scale=3.0, temperature=1e-40, top_p=0.9, cfg_filter_top_k=100),  # logits over it: infinite
    ]
    options = StepOptions.of(torch.tensor([StepOptions.numbers(each) for each in asked]))
    assert options.cfg_scale.flatten().tolist() == [2.0, 3.0, 3.0, 3.0]
    assert options.temperature.flatten().tolist() == pytest.approx([0.7, 1.0, 1.3, 1.0])
    assert options.top_p.flatten().tolist() == pytest.approx([0.9, 0.0, inf, 0.0])
    assert options.top_k.flatten().tolist() == [12, 100, 100, 100]
