"""Regions are named by the mean of their walks' probabilities."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sits_models.bench.votes import vote
from sits_models.contract import Batch
from sits_models.data.items import Items, each_walk
from sits_models.data.residence import open_table
from sits_models.data.task_views import TaskViews


def scores_of(batch: Batch) -> Tensor:
    """Two classes, by how far south and east a walk lies: no softmax yet."""
    return batch["yx"].mean(1) / 20


@pytest.mark.parametrize("batch_size", [7, 1000])
@pytest.mark.parametrize("walks", [1, 5, 0.1])
def test_vote_is_the_mean_of_probabilities(parcels: Path, walks: float, batch_size: int) -> None:
    table = open_table(parcels)
    regions = np.array([5, 2, 9])
    views = TaskViews(12, order="walk:iid", walks=walks)
    found = vote(
        scores_of, table, regions, views=views, normalisation=None, seed=3, batch_size=batch_size
    )
    assert found.shape == (3, 2)
    torch.testing.assert_close(found.sum(1), torch.ones(3))
    for region, mine in zip(regions, found, strict=True):
        alone = vote(scores_of, table, np.array([region]), views=views, normalisation=None, seed=3)
        torch.testing.assert_close(mine, alone[0])


def test_walks_of_a_region_are_counted() -> None:
    class Table:
        size = torch.tensor([1, 10, 11])

    some = each_walk(Table(), Items(np.array([2, 0])), 0.5)  # type: ignore[arg-type]
    assert some.regions.tolist() == [2, 2, 2, 2, 2, 2, 0]
    assert some.walks is not None
    assert some.walks.tolist() == [0, 1, 2, 3, 4, 5, 0]
    assert each_walk(Table(), Items(np.array([2, 0])), 1).regions.tolist() == [2, 0]  # type: ignore[arg-type]
    assert len(each_walk(Table(), Items(np.array([2, 0])), 1.0)) == 12  # type: ignore[arg-type]
