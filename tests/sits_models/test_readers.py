import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from sits_models.bench.readers import READERS, fit_linear, knn, linear
from sits_models.bench.readers import _inner_folds as inner_folds
from sits_models.bench.readers import _logistic_path as logistic_path


def blobs(
    count: int = 120, classes: int = 3, dim: int = 5, spread: float = 0.3
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    y = torch.arange(count) % classes
    centres = torch.randn(classes, dim, generator=generator)
    return centres[y] + spread * torch.randn(count, dim, generator=generator), y


def test_knn_by_hand() -> None:
    # Standardised, the samples lie at ±1 on two axes; by angle the nearest is what votes.
    x = torch.tensor([[3.0, 1.0], [1.0, 3.0], [-3.0, -1.0], [-1.0, -3.0]])
    y = torch.tensor([0, 1, 2, 3])
    asked = torch.tensor([[30.0, 10.0], [-0.1, -0.3]])
    assert knn(x, y, asked, k=1).tolist() == [0, 3]
    # Two votes against two: the nearer pair wins.
    assert knn(torch.cat([x, x]), torch.tensor([0, 1, 2, 3, 0, 1, 2, 3]), asked, k=4).tolist() == [0, 3]


@pytest.mark.parametrize("name", READERS)
def test_every_reader_tells_blobs_apart_and_never_names_what_nobody_showed(name: str) -> None:
    x, y = blobs()
    y = y * 2  # classes 0, 2, 4: 1 and 3 are missing
    groups = torch.arange(len(y)) // 10
    found = READERS[name](x[::2], y[::2], x[1::2], groups=groups[::2])
    assert found.dtype == torch.int64
    assert (found == y[1::2]).float().mean() > 0.9
    assert set(found.tolist()) <= {0, 2, 4}


@pytest.mark.parametrize("name", READERS)
def test_every_reader_manages_without_inner_folds(name: str) -> None:
    x, y = blobs(count=6)
    assert READERS[name](x, y, x[:3], groups=torch.zeros(6, dtype=torch.int64)).shape == (3,)


@pytest.mark.parametrize("name", READERS)
def test_units_of_features_do_not_matter(name: str) -> None:
    x, y = blobs(spread=1.0)
    scale = torch.tensor([1e3, 1e-3, 1.0, 7.0, 1.0])
    first = READERS[name](x[:80], y[:80], x[80:])
    again = READERS[name](x[:80] * scale + 5, y[:80], x[80:] * scale + 5)
    assert (first == again).float().mean() > 0.94  # rounding, and ties of forests


def test_linear_finds_the_optimum_of_scikit_learn() -> None:
    x, y = blobs(count=200, spread=1.5)
    x = x @ torch.randn(5, 5, generator=torch.Generator().manual_seed(2))
    for strength, ours in zip((0.01, 1.0), logistic_path(x, y, 3, (0.01, 1.0)), strict=True):
        theirs = LogisticRegression(C=strength, tol=1e-8, max_iter=1000).fit(x.numpy(), y.numpy())
        np.testing.assert_allclose(ours[:-1].T, theirs.coef_, atol=5e-3)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_linear_gives_a_head_on_features_as_they_are(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(40, 4, generator=generator) * torch.tensor([1.0, 50.0, 0.02, 0.0]) + 3
    y = torch.randint(0, 3, (40,), generator=generator)
    y[:3] = torch.arange(3)
    head = fit_linear(x, y, classes=4)
    assert head.weight.shape == (4, 4)
    assert torch.isfinite(head(x)).all()
    assert (linear(x, y, x) == head(x).argmax(1)).float().mean() > 0.9  # up to rounding
    assert head(x).softmax(1)[:, 3].max() < 1e-6  # a class without samples


@given(st.integers(0, 1000))
def test_inner_folds_keep_groups_together(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 4, (50,), generator=generator)
    groups = torch.randint(0, 7, (50,), generator=generator)
    for train, test in inner_folds(y, groups):
        assert not set(groups[train].tolist()) & set(groups[test].tolist())
        assert len(y[train].unique()) > 1
