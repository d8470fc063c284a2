import torch

from models.decoding.sampling import draw, nucleus, uniform_noise


def test_noise_repeats_with_its_seed_and_differs_from_another() -> None:
    assert torch.equal(uniform_noise(7, 20, 9), uniform_noise(7, 20, 9))
    assert not torch.equal(uniform_noise(7, 20, 9), uniform_noise(8, 20, 9))


def test_noise_of_a_longer_run_starts_like_that_of_a_shorter_one() -> None:
    """So a larger max_new_tokens changes nothing before the smaller one's end."""
    assert torch.equal(uniform_noise(7, 5000, 9)[:20], uniform_noise(7, 20, 9))


def test_noise_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    uniform_noise(7, 20, 9)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_nucleus_keeps_the_token_that_crosses_the_threshold() -> None:
    probs = torch.tensor([[[0.5, 0.3, 0.15, 0.05]]])
    kept = [nucleus(probs, torch.tensor([p])).count_nonzero().item() for p in (0.1, 0.5, 0.51, 0.8, 0.81, 0.96, 1.0)]
    assert kept == [1, 2, 2, 3, 3, 4, 4]  # 0.5 and 0.8 are reached, not crossed


def test_draw_follows_the_weights() -> None:
    """100,000 draws: a share is off by 0.01 with a chance below 1e-9."""
    weights = torch.tensor([0.5, 0.0, 0.2, 0.1]).expand(1, 100_000, 4)
    drawn = draw(weights, torch.rand(1, 100_000, generator=torch.Generator().manual_seed(0)))
    shares = torch.bincount(drawn.flatten(), minlength=4) / 100_000
    torch.testing.assert_close(shares, torch.tensor([0.625, 0.0, 0.25, 0.125]), atol=0.01, rtol=0)


def test_draw_never_takes_an_index_without_weight() -> None:
    weights = torch.tensor([[[0.0, 0.7, 0.0, 0.3, 0.0]]])
    for u in (0.0, 0.7, 0.69999999, 1.0):
        assert draw(weights, torch.tensor([[u]])).item() in (1, 3)
