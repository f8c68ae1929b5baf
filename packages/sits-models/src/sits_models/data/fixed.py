"""Samples of one fixed shape, for stock tasks that know neither padding nor masks."""

import torch
from torch import Tensor

from sits_models.data.curves import whole_curve
from sits_models.data.table import PixelTable


def fixed_index(table: PixelTable, curve: str, length: int) -> Tensor:
    """As many positions for every region: the middle of its curve, or its curve stretched.

    Args:
        table: the pixels.
        curve: that comes to every pixel once.
        length: positions, L.

    Returns:
        (R, L) int64 region-local rows; a region of fewer pixels repeats each as often as fits.
    """
    size = table.size[:, None]
    place = torch.arange(length, device=table.device)
    position = torch.where(size >= length, (size - length) // 2 + place, place * size // length)
    return whole_curve(table, curve)[table.first_row[:, None] + position].long()


def fixed_times(table: PixelTable, dates: int) -> Tensor:
    """As many dates for every region: the period in equal bins, of each the clearest date.

    A bin without dates takes the date nearest to its middle. Nothing is interpolated.

    Args:
        table: the pixels.
        dates: bins, T.

    Returns:
        (R, T) int64 positions of each region's calendar, ascending.
    """
    clear = table.clear_share
    chosen = torch.zeros(len(table), dates, dtype=torch.int64, device=table.device)
    for calendar, dated in enumerate(table.dated.tolist()):
        mine = torch.nonzero(table.calendar == calendar)[:, 0]
        days = (table.dates[calendar, :dated] - table.dates[calendar, 0]).double()
        span = float(days[-1]) + 1
        bin_of = (days * dates / span).long()
        middle = (torch.arange(dates, device=table.device) + 0.5) * span / dates
        nearest = (days[:, None] - middle).abs().argmin(0)
        times = nearest.expand(len(mine), -1).clone()
        for number in sorted(set(bin_of.tolist())):
            inside = torch.nonzero(bin_of == number)[:, 0]
            times[:, number] = inside[clear[mine[:, None], inside].argmax(1)]
        chosen[mine] = times
    return chosen
