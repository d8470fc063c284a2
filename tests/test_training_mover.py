"""Muon moves the weights of convolutions, AdamW biases, alphas and whatever else is given."""

import torch
from torch import Tensor, nn

from training.codec.mover import Mover
from training.codec.snake import Snake

RATES = (1e-2, 1e-3)


def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv1d(4, 8, 3, padding=1), Snake(8), nn.Conv1d(8, 4, 1))


def learn(net: nn.Module, mover: Mover, table: nn.Parameter, steps: int) -> None:
    x = torch.randn(2, 4, 20, generator=torch.Generator().manual_seed(1))
    for _ in range(steps):
        (net(x + table).square().mean()).backward()
        mover.step(1.0)


def values(net: nn.Module, table: nn.Parameter) -> list[Tensor]:
    return [p.detach().clone() for p in (*net.parameters(), table)]


def made() -> tuple[nn.Sequential, Mover, nn.Parameter]:
    net, table = network(), nn.Parameter(torch.ones(4, 1))
    return net, Mover(net, [table], RATES, (0.9, 0.99)), table


def test_weights_move_by_orthogonal_steps_and_the_rest_by_its_own_rate() -> None:
    net, mover, table = made()
    before = values(net, table)
    learn(net, mover, table, 1)
    moved = [a - b for a, b in zip(values(net, table), before, strict=True)]
    weight, *_, last = moved
    spread = torch.linalg.svdvals(weight.flatten(1))
    assert spread.max() < 2 * spread.min(), "all directions alike"
    torch.testing.assert_close(last.abs(), torch.full_like(last, RATES[0]), rtol=0.01, atol=0)
    assert all(p.grad is None for p in (*net.parameters(), table))


def test_a_run_that_was_cut_off_ends_as_a_whole_one() -> None:
    net, mover, table = made()
    learn(net, mover, table, 6)
    whole = values(net, table)
    net, mover, table = made()
    learn(net, mover, table, 3)
    other, again, same = made()
    other.load_state_dict(net.state_dict())
    same.data.copy_(table.data)
    again.load_state_dict(mover.state_dict())
    learn(other, again, same, 3)
    for a, b in zip(values(other, same), whole, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
