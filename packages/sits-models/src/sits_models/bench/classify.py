"""From the pixels of regions to the probability of each class at each of them: for maps and judges."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sits_models.catalogue import Form
from sits_models.data.normalisation import Normalisation
from sits_models.data.table import PixelTable
from sits_models.data.windows import Windows


def classify_pixels(
    backbone: nn.Module,
    head: nn.Module,
    table: PixelTable,
    *,
    regions: Tensor | None = None,
    normalisation: Normalisation | None,
    curve: str,
    length: int,
    batch_size: int = 64,
    device: torch.device | str,
    form: Form = "curve",
    target: int | None = None,
    advance: Callable[[float], object] | None = None,
) -> NDArray[np.float32]:
    """Probabilities of the classes at each pixel.

    Along a curve each region is read twice, the second time with windows shifted by half a window, and
    the two are averaged: a pixel at the edge of one window lies inside the other. A chip is read once.

    Args:
        backbone: batch → features with `pixels` (B, L, D), in evaluation mode on `device`.
        head: (…, D) → (…, K), there too.
        table: the pixels.
        regions: (R,) int64 positions in it; None for all.
        normalisation: that the backbone was trained with.
        curve: a stored one.
        length: positions of a window, L.
        batch_size: windows at once.
        device: that computes.
        form: of the samples that the backbone takes.
        target: which of the labels that a classifier of several gives; None where it gives one.
        advance: told how many pixels are done since it was last called.

    Returns:
        (N, K) float32, rows of the table, 0 … 1; NaN where a pixel was never clear or not asked for.
    """
    if regions is None:
        regions = torch.arange(len(table), device=table.device)
    total = torch.zeros(0)
    seen = torch.zeros(len(table.yx), dtype=torch.bool)
    passes = (0, length // 2) if length > 1 and form == "curve" else (0,)
    for shift in passes:
        windows = Windows(table, regions, form, curve, length, batch_size, normalisation, device, shift)
        for owner, places, batch in windows:
            if target is not None:
                batch["target"] = torch.full_like(batch["region"], target)
            with torch.inference_mode():
                chances = head(backbone(batch).pixels.float()).softmax(-1).cpu().flatten(1, -2)
            clear = batch["clear"].any(1).flatten(1).cpu()
            inside = places >= 0
            rows = (table.first_row[regions[owner], None] + places)[inside]
            if not len(total):
                total = torch.zeros(len(table.yx), chances.shape[2])
            total[rows] += chances[inside]
            seen[rows] = clear[inside]
            if advance is not None:
                advance(len(rows) / len(passes))
    total /= len(passes)
    total[~seen] = torch.nan
    return total.numpy()
