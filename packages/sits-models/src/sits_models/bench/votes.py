"""The class of a region by the vote of its walks: the mean of their probabilities.

Source: Chelali et al., CVIU 208-209 (2021) 103221, section 3.5.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sits_models.contract import Batch
from sits_models.data.items import Items, each_walk
from sits_models.data.normalisation import Normalisation
from sits_models.data.regions import RegionBatch
from sits_models.data.table import PixelTable
from sits_models.data.task_views import TaskViews


def vote(
    classify: Callable[[Batch], Tensor],
    table: PixelTable,
    regions: NDArray[np.int64],
    *,
    views: TaskViews,
    normalisation: Normalisation | None,
    seed: int,
    device: torch.device | str = "cpu",
    batch_size: int = 128,
) -> Tensor:
    """Mean probabilities over the walks of each region, those that tests see.

    Args:
        classify: batch → (B, K) scores, not yet probabilities.
        table: the pixels.
        regions: (R,) int64 positions in it, each once.
        views: how walks are drawn, and how many; `views.walks` is not None.
        normalisation: of the values.
        seed: of the run, part of the walks' key.
        device: that computes.
        batch_size: walks at once.

    Returns:
        (R, K) float32 on the CPU; rows add up to 1.
    """
    assert views.walks is not None, "regions without walks cannot vote"
    walks = each_walk(table, Items(regions), views.walks)
    assert walks.walks is not None
    owner = np.cumsum(walks.walks == 0) - 1
    total = torch.zeros(0, 0)
    for start in range(0, len(walks), batch_size):
        some = slice(start, start + batch_size)
        batch = RegionBatch(
            table=table,
            regions=torch.from_numpy(walks.regions[some]),
            window=None,
            run=seed,
            epoch=-1,
            normalisation=normalisation,
            device=torch.device("cpu"),
            walks=torch.from_numpy(walks.walks[some]),
        )
        with torch.no_grad():
            chances = classify(views.draw(batch.to(device))).softmax(-1).float().cpu()
        if not len(total):
            total = torch.zeros(len(regions), chances.shape[1])
        total.index_add_(0, torch.from_numpy(owner[some]), chances)
    return total / torch.from_numpy(np.bincount(owner, minlength=len(regions)))[:, None]
