"""The class of a region by the vote of its walks: the mean of their probabilities.

Source: Chelali et al., CVIU 208-209 (2021) 103221, section 3.5.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sits_models.contract import Batch
from sits_models.data.normalisation import Normalisation
from sits_models.data.table import PixelTable
from sits_models.data.task_views import TaskViews
from sits_models.data.windows import walks_of


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
    total, votes = torch.zeros(0, 0), torch.zeros(len(regions), 1)
    for owner, _, batch in walks_of(
        table, regions, views=views, normalisation=normalisation, seed=seed, device=device,
        batch_size=batch_size,
    ):  # fmt: skip
        with torch.no_grad():
            chances = classify(batch).softmax(-1).float().cpu()
        if not len(total):
            total = torch.zeros(len(regions), chances.shape[1])
        total.index_add_(0, owner.cpu(), chances)
        votes.index_add_(0, owner.cpu(), torch.ones(len(owner), 1))
    return total / votes
