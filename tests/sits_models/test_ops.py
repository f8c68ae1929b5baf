"""Back-projection and resampling: equal to their NumPy definitions, on fresh random inputs."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sits_data.planar import coverage, gather
from sits_data.planar import scatter as numpy_scatter
from sits_data.series import resample as numpy_resample
from sits_models.ops.resample import resample
from sits_models.ops.scatter import scatter


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 9999),
    walks=st.integers(1, 4),
    length=st.integers(1, 12),
    size=st.integers(1, 9),
    reduce=st.sampled_from(["mean", "sum", "max"]),
)
def test_scatter_equals_the_definition(
    seed: int, walks: int, length: int, size: int, reduce: Any
) -> None:
    draws = np.random.default_rng(seed)
    index = draws.integers(-1, size, (walks, length))
    values = draws.normal(size=(walks, length, 3))
    ours = scatter(torch.from_numpy(values), torch.from_numpy(index), size, reduce=reduce)
    theirs = numpy_scatter(values.transpose(0, 2, 1), index, size, reduce=reduce)
    np.testing.assert_allclose(ours.values.numpy(), theirs, rtol=1e-12)
    assert ours.counts.tolist() == coverage(index, size).tolist()


def test_scatter_undoes_gather() -> None:
    pixels = np.random.default_rng(0).normal(size=(7, 2, 3))
    order = np.random.default_rng(1).permutation(7)
    columns = torch.from_numpy(gather(pixels, order)).movedim(-1, 0)  # (L, B, T)
    back = scatter(columns, torch.from_numpy(order), 7).values
    np.testing.assert_array_equal(back.transpose(1, 2).numpy(), pixels)


@pytest.mark.parametrize("reduce", ["mean", "sum", "max"])
def test_scatter_has_gradients_and_compiles(reduce: Any) -> None:
    rows = torch.tensor([[0, 2, -1], [2, 1, 0]])
    values = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: scatter(x, rows, 3, reduce=reduce).values, values)
    compiled = torch.compile(scatter, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(
        compiled(values, rows, 3, reduce=reduce).values, scatter(values, rows, 3, reduce=reduce).values
    )


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 9999),
    dates=st.integers(1, 9),
    padding=st.integers(0, 3),
    share=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
)
def test_resample_equals_the_definition(seed: int, dates: int, padding: int, share: float) -> None:
    draws = np.random.default_rng(seed)
    days = np.sort(draws.choice(60, dates, replace=False)) + 18_000
    image = draws.normal(size=(1, 2, dates + padding, 4))
    clear = draws.random((1, dates + padding, 4)) < share
    grid = draws.integers(17_990, 18_070, 11)
    ours = resample(
        torch.from_numpy(image),
        torch.from_numpy(clear),
        torch.from_numpy(np.append(days, np.zeros(padding, int)))[None],
        torch.from_numpy(grid),
        pad_mask=torch.arange(dates + padding)[None] < dates,
    )
    theirs = numpy_resample(image[0, :, :dates].T, clear[0, :dates].T, days, grid)
    np.testing.assert_allclose(ours.values[0].numpy(), theirs.values.T, atol=1e-12)
    assert ours.observed[0].tolist() == theirs.observed.tolist()
    np.testing.assert_array_equal(ours.distance[0].numpy(), theirs.distance.T)


def test_resample_takes_a_grid_for_each_sample_and_compiles() -> None:
    image, clear = torch.randn(3, 2, 5, 4), torch.rand(3, 5, 4) < 0.6
    dates, grid = torch.arange(5).expand(3, 5) * 10, torch.tensor([[0, 7], [11, 40], [39, 3]])
    whole = resample(image, clear, dates, grid)
    for one in range(3):
        alone = resample(image[one : one + 1], clear[one : one + 1], dates[:1], grid[one])
        torch.testing.assert_close(whole.values[one : one + 1], alone.values)
    compiled = torch.compile(resample, fullgraph=True, backend="aot_eager")(image, clear, dates, grid)
    torch.testing.assert_close(compiled.values, whole.values)
