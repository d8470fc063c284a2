import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.decoding.delay import UNKNOWN, delay_prefix, undelay

DELAYS = (0, 8, 9, 10, 11, 12, 13, 14, 15)
BOS = 1026


def naive_prefix(codes: torch.Tensor, delays: tuple[int, ...]) -> torch.Tensor:
    """Entry by entry: row r of codebook k holds what the undelayed prompt, begin-of-sequence first, holds at r - d."""
    K, T = codes.shape
    grid = torch.empty(K, T + 1 + max(delays), dtype=codes.dtype)
    for k in range(K):
        for r in range(grid.shape[1]):
            frame = r - delays[k] - 1
            grid[k, r] = BOS if frame < 0 else codes[k, frame] if frame < T else UNKNOWN
    return grid


@given(st.integers(0, 40), st.lists(st.integers(0, 20), min_size=1, max_size=9))
def test_prefix_equals_the_rule_written_entry_by_entry(frames: int, delays: list[int]) -> None:
    codes = torch.arange(len(delays) * frames).reshape(len(delays), frames)
    assert torch.equal(delay_prefix(codes, delays, BOS), naive_prefix(codes, tuple(delays)))


def test_prefix_without_prompt_holds_every_begin_of_sequence() -> None:
    """nari-labs/dia loses the one of codebook 8 at row 15: its buffer is a row short."""
    grid = delay_prefix(torch.zeros(9, 0, dtype=torch.long), DELAYS, BOS)
    assert grid.shape == (9, 16)
    assert (grid == BOS).sum(1).tolist() == [1 + d for d in DELAYS]


def test_prefix_keeps_the_last_code_of_the_slowest_codebook() -> None:
    codes = torch.arange(9 * 5).reshape(9, 5)
    assert delay_prefix(codes, DELAYS, BOS)[8, -1] == codes[8, -1]


def test_undelay_inverts_delay() -> None:
    codes = torch.randint(0, 1024, (9, 50), generator=torch.Generator().manual_seed(0))
    grid = delay_prefix(codes, DELAYS, BOS)[:, 1:]
    assert torch.equal(undelay(grid[None], DELAYS)[0], codes)


@pytest.mark.parametrize("codes", [torch.zeros(1, 8, 20), torch.zeros(1, 9, 14)])
def test_undelay_refuses_what_it_cannot_align(codes: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"codebooks|columns"):
        undelay(codes, DELAYS)
