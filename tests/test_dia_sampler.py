"""The sampler against the rules written down one after the other over the full vocabulary, a codebook at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.decoding.sampling import StepOptions
from models.dia.sampler import CANDIDATES, sample_codes
from models.request import SamplingParams

EOS, K, V = 1024, 9, 1028


def options(*requests: SamplingParams) -> StepOptions:
    return StepOptions.of(torch.tensor([StepOptions.numbers(request) for request in requests]))


def literal(cond: torch.Tensor, uncond: torch.Tensor, request: SamplingParams, uniform: float, codebook: int) -> int:
    """nari-labs/dia's order of work, cond and uncond [V]."""
    guided = cond + request.cfg_scale * (cond - uncond)
    keep = guided.topk(request.cfg_filter_top_k).indices
    logits = torch.full_like(cond, -torch.inf)
    logits[keep] = cond[keep]
    logits[EOS + 1 :] = -torch.inf
    if codebook > 0:
        logits[EOS] = -torch.inf
    if request.temperature == 0:
        return int(logits.argmax())
    logits = logits / request.temperature
    if int(logits.argmax()) == EOS:
        logits[:EOS] = -torch.inf
    else:
        logits[EOS] = -torch.inf
    kept = torch.full_like(logits, -torch.inf)
    again = logits.topk(request.cfg_filter_top_k).indices
    kept[again] = logits[again]
    probs, ids = torch.softmax(kept, -1).sort(descending=True, stable=True)
    if request.top_p < 1:
        remove = probs.cumsum(-1) > request.top_p
        remove = torch.cat([torch.tensor([False]), remove[:-1]])
        probs = probs.masked_fill(remove, 0)
    total, running = probs.cumsum(-1)[-1], 0
    while running < V - 1 and probs.cumsum(-1)[running] <= uniform * total:
        running += 1
    return int(ids[running])


requests = st.builds(
    SamplingParams,
    cfg_scale=st.floats(1, 5, width=32),
    temperature=st.sampled_from([0.0, 0.1, 0.7, 1.0, 1.3, 2.0]),
    top_p=st.sampled_from([0.1, 0.5, 0.9, 0.95, 1.0]),
    cfg_filter_top_k=st.integers(10, 100),
    seed=st.integers(0, 2**31),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(requests, min_size=1, max_size=3))
def test_codes_equal_the_rules_applied_one_by_one(batch: list[SamplingParams]) -> None:
    generator = torch.Generator().manual_seed(batch[0].seed)
    cond = 3 * torch.randn(len(batch), K, V, generator=generator)
    cond[:, 0, EOS] += 6  # likely enough that the end is sometimes the best, sometimes a candidate, sometimes neither
    uncond = 3 * torch.randn(len(batch), K, V, generator=generator)
    uniform = torch.rand(len(batch), K, generator=generator)
    ours = sample_codes(cond, uncond, options(*batch), uniform, EOS)
    for b, request in enumerate(batch):
        expected = [literal(cond[b, k], uncond[b, k], request, float(uniform[b, k]), k) for k in range(K)]
        assert ours[b].tolist() == expected


def test_guidance_chooses_candidates_but_the_conditional_logits_are_drawn_from() -> None:
    """Peers on the older weights draw from the guided logits; 0626 must not."""
    cond, uncond = torch.zeros(1, 1, V), torch.zeros(1, 1, V)
    cond[..., 5], uncond[..., 5] = 4.0, 4.0  # likely, and as likely without the text
    cond[..., 6:15], uncond[..., 6:15] = 3.0, -9.0  # made likely by the text
    greedy = SamplingParams(temperature=0, cfg_filter_top_k=10, seed=0)
    assert sample_codes(cond, uncond, options(greedy), torch.zeros(1, 1), EOS).item() == 5
    cond[..., 15], uncond[..., 15] = 3.0, -9.0  # now ten others guide better: 5 is no candidate any more
    assert sample_codes(cond, uncond, options(greedy), torch.zeros(1, 1), EOS).item() in range(6, 16)


def test_the_end_comes_when_it_is_likeliest_and_only_then() -> None:
    cond = torch.zeros(1, K, V)
    cond[..., 7], cond[..., EOS] = 5.0, 4.99
    request = SamplingParams(seed=0, temperature=2.0, top_p=1.0)
    uniform = torch.rand(500, 1, K, generator=torch.Generator().manual_seed(0))
    assert all((sample_codes(cond, 0 * cond, options(request), u, EOS) != EOS).all() for u in uniform)
    cond[..., EOS] = 5.01
    for u in uniform:
        codes = sample_codes(cond, 0 * cond, options(request), u, EOS)
        assert codes[0, 0] == EOS
        assert (codes[0, 1:] < EOS).all()


@pytest.mark.parametrize("special", [1025, 1026, 1027])
def test_special_codes_are_never_spoken(special: int) -> None:
    cond = torch.zeros(1, K, V)
    cond[..., special] = 50.0
    assert (sample_codes(cond, 0 * cond, options(SamplingParams(seed=0)), torch.rand(1, K), EOS) < EOS).all()


def test_a_request_whose_only_candidates_are_special_speaks_the_likeliest_code() -> None:
    """top_k 1 is what temperature 0 becomes in MAX's parameters."""
    cond = torch.zeros(1, K, V)
    cond[..., 1026], cond[..., 300] = 50.0, 2.0
    for temperature in (0.0, 1.3):
        request = SamplingParams(seed=0, cfg_filter_top_k=1, temperature=temperature)
        assert (sample_codes(cond, 0 * cond, options(request), torch.rand(1, K), EOS) == 300).all()


def test_as_many_candidates_are_sorted_as_the_widest_request_may_ask_for() -> None:
    from models.inputs import DialogueInputs

    limits = {type(m).__name__: m for m in DialogueInputs.model_fields["cfg_filter_top_k"].metadata}
    assert limits["Le"].le <= CANDIDATES
