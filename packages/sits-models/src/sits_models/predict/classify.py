"""From the pixels of chips to the probability of each class at each of them."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sits_models.data.curves import curve_windows
from sits_models.data.normalisation import Normalisation
from sits_models.data.table import PixelTable
from sits_models.ops.gather import planar_batch


def classify_pixels(
    backbone: nn.Module,
    head: nn.Module,
    table: PixelTable,
    *,
    normalisation: Normalisation,
    curve: str,
    length: int,
    batch_size: int,
    device: torch.device,
    advance: Callable[[float], object] | None = None,
) -> NDArray[np.float32]:
    """Probabilities of the classes at each pixel.

    Each region is read twice along its curve, the second time with windows shifted by half a window,
    and the two are averaged: a pixel at the edge of one window lies inside the other.

    Args:
        backbone: batch → features with `pixels` (B, L, D), in evaluation mode on `device`.
        head: (…, D) → (…, K), there too.
        table: the pixels.
        normalisation: that the backbone was trained with.
        curve: a stored one.
        length: positions of a window, L.
        batch_size: windows at once.
        device: that computes.
        advance: told how many pixels are done since it was last called.

    Returns:
        (N, K) float32, rows of the table, 0 … 1; NaN where a pixel was never clear.
    """
    regions = torch.arange(len(table), device=table.device)
    total = torch.zeros(0)
    seen = torch.zeros(len(table.yx), dtype=torch.bool)
    passes = (0, length // 2) if length > 1 else (0,)
    for shift in passes:
        index, owner = curve_windows(table, regions, curve, length=length, shift=shift)
        for first in range(0, len(owner), batch_size):
            places, region = index[first : first + batch_size], owner[first : first + batch_size]
            chances, clear = _of_windows(backbone, head, table, region, places, normalisation, device)
            inside = places >= 0
            rows = (table.first_row[region, None] + places)[inside]
            if not len(total):
                total = torch.zeros(len(table.yx), chances.shape[2])
            total[rows] += chances[inside]
            seen[rows] = clear[inside]
            if advance is not None:
                advance(len(rows) / len(passes))
    total /= len(passes)
    total[~seen] = torch.nan
    return total.numpy()


def _of_windows(
    backbone: nn.Module,
    head: nn.Module,
    table: PixelTable,
    region: Tensor,
    index: Tensor,
    normalisation: Normalisation,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """(B, L, K) probabilities and (B, L) whether a position was ever clear, on the CPU."""
    batch = planar_batch(table, region, index, normalisation=normalisation, device=device)
    with torch.inference_mode():
        chances = head(backbone(batch).pixels.float()).softmax(-1)
    return chances.cpu(), batch["clear"].any(1).cpu()
