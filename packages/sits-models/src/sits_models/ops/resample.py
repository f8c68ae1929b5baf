"""Series on irregular dates, put onto a grid of days.

Nothing here is done unasked: views show the dates that were acquired. Some networks and all tables need
the same columns in every row.

The twin of `sits_data.series`.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Resampled(NamedTuple):
    """Series on a grid.

    Args:
        values: (B, C, G, L) float; 0 where a position was never clear.
        observed: (B, L) bool, whether a position was clear at least once.
        distance: (B, G, L) int64 days to the nearest clear date; -1 where there is none.
    """

    values: Tensor
    observed: Tensor
    distance: Tensor


def resample(
    image: Tensor, clear: Tensor, dates: Tensor, grid: Tensor, *, pad_mask: Tensor | None = None
) -> Resampled:
    """Interpolate between the clear dates of each position, linear in days; hold the first and the last.

    Args:
        image: (B, C, T, L) float.
        clear: (B, T, L) bool; what is not clear is missing.
        dates: (B, T) int64 days, ascending.
        grid: (G,) or (B, G) int64 days, ascending or not.
        pad_mask: (B, T) bool, False where `dates` ends; None is True everywhere.
    """
    batch, dated, length = clear.shape
    grid = grid.expand(batch, -1).contiguous()
    if pad_mask is not None:
        clear = clear & pad_mask[..., None]
        far = dates.amax(1, keepdim=True) + 1
        dates = torch.where(pad_mask, dates, far)
    dates = dates.contiguous()
    number = torch.arange(dated, device=clear.device)[:, None]
    # The last clear date up to each date, and the first from each on; one more row says that none is.
    last = torch.where(clear, number, -1).cummax(1).values
    first = torch.where(clear, number, dated).flip(1).cummin(1).values.flip(1)
    last = torch.nn.functional.pad(last, (0, 0, 1, 0), value=-1)
    first = torch.nn.functional.pad(first, (0, 0, 0, 1), value=dated)
    until = torch.searchsorted(dates, grid, right=True)[..., None].expand(-1, -1, length)
    since = torch.searchsorted(dates, grid)[..., None].expand(-1, -1, length)
    before, after = last.gather(1, until), first.gather(1, since)
    observed = clear.any(1)
    # At an edge both are the one date that is known.
    before, after = (
        torch.where(before < 0, after, before).clamp(0, dated - 1),
        torch.where(after >= dated, before, after).clamp(0, dated - 1),
    )
    day = dates[..., None].expand(-1, -1, length)
    left, right, asked = day.gather(1, before), day.gather(1, after), grid[..., None]
    share = ((asked - left).to(image.dtype) / (right - left).clamp(min=1)).clamp(0, 1)[:, None]
    channels = image.shape[1]
    low, high = (image.gather(2, one[:, None].expand(-1, channels, -1, -1)) for one in (before, after))
    values = torch.where(observed[:, None, None], low + (high - low) * share, 0)
    distance = torch.minimum((asked - left).abs(), (right - asked).abs())
    return Resampled(values, observed, torch.where(observed[:, None], distance, -1))
