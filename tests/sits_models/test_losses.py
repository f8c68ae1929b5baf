import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from sits_models.tasks.losses import Loss, loss_of

SCORES = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [5.0, 5.0, 5.0]])


def chance(right: float, *others: float) -> float:
    return math.exp(right) / sum(map(math.exp, (right, *others)))


def test_by_hand() -> None:
    target = torch.tensor([0, 2, -1])
    first, second = chance(2, 0, 0), chance(0, 0, 1)
    ce = -(math.log(first) + math.log(second)) / 2
    assert loss_of("ce", SCORES, target).item() == pytest.approx(ce)
    focal = -((1 - first) ** 2 * math.log(first) + (1 - second) ** 2 * math.log(second)) / 2
    assert loss_of("focal", SCORES, target).item() == pytest.approx(focal)
    p = SCORES[:2].softmax(1)
    # Of the class that does not occur nothing is counted; the third sample has no label.
    dice = [2 * p[0, 0] / (p[:, 0].sum() + 1), 2 * p[1, 2] / (p[:, 2].sum() + 1)]
    expected = (2 - float(dice[0]) - float(dice[1])) / 3
    assert loss_of("dice", SCORES, target).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("loss", ["ce", "focal", "dice"])
def test_no_label_costs_nothing(loss: Loss) -> None:
    scores = SCORES.clone().requires_grad_()
    found = loss_of(loss, scores, torch.full((3,), -1))
    found.backward()
    assert found.item() == 0
    assert scores.grad is not None
    assert not scores.grad.any()


@given(st.integers(0, 1000))
def test_weights_and_smoothing_are_those_of_torch(seed: int) -> None:
    draws = torch.Generator().manual_seed(seed)
    scores, weights = torch.randn(9, 4, generator=draws), torch.rand(4, generator=draws) + 0.1
    target = torch.randint(-1, 4, (9,), generator=draws)
    target[0] = 0
    expected = functional.cross_entropy(scores, target, weight=weights, ignore_index=-1)
    assert torch.allclose(loss_of("ce", scores, target, weights=weights), expected, rtol=1e-4)
    expected = functional.cross_entropy(scores, target, ignore_index=-1, label_smoothing=0.2)
    assert torch.allclose(loss_of("ce", scores, target, label_smoothing=0.2), expected, rtol=1e-4)


@pytest.mark.parametrize("loss", ["ce", "focal", "dice"])
def test_every_loss_falls_where_scores_are_right(loss: Loss) -> None:
    target = torch.tensor([0, 1, 2, 1])
    right = functional.one_hot(target, 3) * 8.0
    assert loss_of(loss, right, target) < 0.01 < loss_of(loss, -right, target)
