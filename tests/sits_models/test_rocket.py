"""MiniRocket on series."""

import pytest
import torch
from torch import Tensor

from sits_models.bench.rocket import mini_rocket


def bumps(count: int, steps: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noise in two bands; class 1 has a bump in the second one, sooner or later."""
    draws = torch.Generator().manual_seed(seed)
    x = 0.3 * torch.randn(count, steps, 2, generator=draws)
    y = torch.arange(count) % 2
    first = torch.randint(0, steps - 3, (count,), generator=draws)
    place = torch.arange(steps)
    bump = (place >= first[:, None]) & (place < first[:, None] + 4)
    x[:, :, 1] += 2 * (bump & (y[:, None] == 1))
    return x, y * 2  # class 1 of 0 … 2 is missing


@pytest.mark.parametrize("steps", [6, 40])
def test_a_bump_is_found_wherever_it_is(steps: int) -> None:
    train, test = bumps(80, steps, 1), bumps(60, steps, 2)
    named = mini_rocket(*train, test[0], groups=torch.arange(80) // 8)
    assert named.dtype == torch.int64
    assert (named == test[1]).float().mean() > 0.9


def test_a_test_sample_knows_of_no_other() -> None:
    train, test = bumps(60, 20, 1), bumps(30, 20, 2)[0]
    assert mini_rocket(*train, test)[:3].equal(mini_rocket(*train, test[:3]))


def test_threads_are_left_as_they_were() -> None:
    (train, labels), before = bumps(60, 20, 1), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        mini_rocket(train, labels, train[:3])
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
