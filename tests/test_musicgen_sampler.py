"""The sampler against audiocraft's own functions, and its form for graphs against its form for the host."""

import pytest
import torch
from audiocraft_fixtures import audiocraft
from hypothesis import given, settings
from hypothesis import strategies as st
from musicgen_fixtures import LAYOUTS, asked, sequence

from models.musicgen.noise import ExponentialNoise
from models.musicgen.sampler import MusicOptions, guide, sample_codes, sample_codes_static
from models.request import SamplingParams

K, V = 4, 300


def logits(seed: int, rows: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Conditional and unconditional, [B, K, V]; some of them tied."""
    generator = torch.Generator().manual_seed(seed)
    cond, uncond = (3 * torch.randn(rows, K, V, generator=generator) for _ in range(2))
    return cond.round(decimals=1), uncond.round(decimals=1)


def drawn(seed: int) -> torch.Tensor:
    noise = ExponentialNoise(1, K, V)
    noise.load(0, sequence(LAYOUTS["mono"], asked(seed=seed)))
    return noise.draw([0])[0]


requests = st.builds(
    SamplingParams,
    cfg_scale=st.sampled_from([0.0, 1.0, 3.0, -1.0]),
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.5]),
    top_p=st.sampled_from([0.0, 0.01, 0.5, 0.95, 1.0]),
    cfg_filter_top_k=st.sampled_from([0, 1, 7, 250, V]),
    seed=st.integers(0, 2**32 - 1),
)


@given(requests, st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_codes_are_what_audiocraft_draws_from_the_same_generator(request, seed):
    utils = audiocraft("utils.utils")
    cond, uncond = logits(seed)
    guided = uncond + (cond - uncond) * request.cfg_scale
    with torch.random.fork_rng():
        torch.manual_seed(request.seed)
        if request.temperature == 0:
            wanted = guided.argmax(-1)
        else:
            probs = torch.softmax(guided / request.temperature, dim=-1)
            if request.top_p > 0:
                wanted = utils.sample_top_p(probs, p=request.top_p)[..., 0]
            elif request.cfg_filter_top_k > 0:
                wanted = utils.sample_top_k(probs, k=request.cfg_filter_top_k)[..., 0]
            else:
                wanted = utils.multinomial(probs, num_samples=1)[..., 0]
    assert torch.equal(sample_codes(cond, uncond, [request], [drawn(request.seed)]), wanted)


@given(st.lists(requests, min_size=1, max_size=5), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_rows_of_any_options_in_one_go_are_the_same(asked_for, seed):
    """The slow twin of what a captured graph runs."""
    cond, uncond = logits(seed, len(asked_for))
    noise = [drawn(request.seed) for request in asked_for]
    options = MusicOptions.of(torch.tensor([MusicOptions.numbers(request) for request in asked_for]))
    static = sample_codes_static(cond, uncond, options, torch.stack(noise))
    assert torch.equal(static, sample_codes(cond, uncond, asked_for, noise))


@pytest.mark.parametrize("temperature", [1e-3, 1e-29, 1e-31, 1e-40])
@pytest.mark.parametrize("top_p", [0.0, 0.9])
def test_the_colder_it_is_the_surer_is_the_likeliest_code(temperature, top_p):
    """Logits over next to nothing are infinite, and draws among those gave code 0."""
    cond, uncond = (torch.randn(1, K, V, generator=torch.Generator().manual_seed(s)) for s in (1, 2))
    cold = asked(temperature=temperature, top_p=top_p)
    codes = sample_codes(cond, uncond, [cold], [drawn(1)])
    assert torch.equal(codes, sample_codes(cond, uncond, [asked(temperature=0.0)], [drawn(2)]))
    options = MusicOptions.of(torch.tensor([MusicOptions.numbers(cold)]))
    assert torch.equal(codes, sample_codes_static(cond, uncond, options, drawn(1)[None]))


@pytest.mark.parametrize("top_p", [0.0, 0.9])
def test_more_candidates_than_codes_are_all_codes(top_p):
    cond, uncond = logits(3)
    many, none = (sample_codes(cond, uncond, [asked(cfg_filter_top_k=k, top_p=top_p)], [drawn(1)]) for k in (5000, 0))
    assert torch.equal(many, none)


def test_candidates_as_likely_as_the_last_one_are_kept():
    tied = torch.zeros(1, K, V)
    codes = {int(c) for s in range(60) for c in sample_codes(tied, tied, [asked(cfg_filter_top_k=1)], [drawn(s)])[0]}
    assert len(codes) > 50


def test_codes_come_as_often_as_their_probability_says():
    """4,000 draws from probabilities 0.7, 0.2 and 0.1: each share within 4 standard deviations."""
    row = torch.full((1, 4000, V), -40.0)
    row[..., 5], row[..., 6], row[..., 7] = (torch.tensor(p).log() for p in (0.7, 0.2, 0.1))
    noise = torch.empty(4000, V).exponential_(generator=torch.Generator().manual_seed(0))
    codes = sample_codes(row, row, [asked(cfg_filter_top_k=0)], [noise])[0]
    for code, p in ((5, 0.7), (6, 0.2), (7, 0.1)):
        assert (codes == code).float().mean().item() == pytest.approx(p, abs=4 * (p * (1 - p) / 4000) ** 0.5)


def test_guidance_goes_from_one_branch_past_the_other():
    cond, uncond = logits(0)
    assert torch.equal(guide(cond, uncond, 0.0), uncond)
    torch.testing.assert_close(guide(cond, uncond, 1.0), cond)
    torch.testing.assert_close(guide(cond, uncond, 3.0), 3 * cond - 2 * uncond)


def test_each_slot_has_noise_of_its_own_seed():
    noise = ExponentialNoise(2, K, V)
    runs = {seed: sequence(LAYOUTS["mono"], asked(seed=seed)) for seed in (5, 6)}
    noise.load(0, runs[5]), noise.load(1, runs[6])
    first, other = noise.draw([0, 1])
    assert not torch.equal(first, other)
    assert not torch.equal(noise.draw([0])[0], first)  # the next row's
    noise.load(1, runs[5])
    assert torch.equal(noise.draw([1])[0], first)
