"""Where and when, as numbers that a network can use."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# Days of 10 000 Gregorian years, so that whole numbers suffice.
_DAYS, _YEARS = 3_652_425, 10_000
_NEW_YEARS = np.arange("1970", "2100", dtype="datetime64[Y]").astype("datetime64[D]").astype(np.int64)


def day_of_year(dates: Tensor, frequencies: int) -> Tensor:
    """The season of dates: whole waves a year, so that December lies beside January.

    Args:
        dates: (…) int64 days since 1970-01-01.
        frequencies: F, waves of a year, half a year, … 1/F year.

    Returns:
        (…, 2 F) float32.
    """
    turns = (dates * _YEARS % _DAYS).float() / _DAYS
    return _waves(turns[..., None] * torch.arange(1, frequencies + 1, device=dates.device))


def years_back(dates: Tensor, classes: int) -> Tensor:
    """Whole years before the newest date of each series, one of them marked.

    The season repeats itself; this says which of two summers was the last one.

    Args:
        dates: (B, T) int64 days since 1970-01-01; padded ones are 0.
        classes: K; the last one stands for K-1 years and more.

    Returns:
        (B, T, K) float32.
    """
    age = (dates.amax(-1, keepdim=True) - dates) * _YEARS // _DAYS
    return functional.one_hot(age.clamp(max=classes - 1), classes).float()


def date_code(dates: Tensor, width: int, *, waves: int, years: int) -> Tensor:
    """Dates as positions of tokens: their season, their year, and zeros; nothing of it is learned.

    Args:
        dates: (B, T) int64 days since 1970-01-01; padded ones are 0.
        width: W, at least 2 `waves` + `years`.
        waves: of `day_of_year`.
        years: classes of `years_back`.

    Returns:
        (B, T, W) float32.
    """
    code = torch.cat([day_of_year(dates, waves), years_back(dates, years)], dim=-1)
    return functional.pad(code, (0, width - code.shape[-1]))


def main_year(dates: Tensor, real: Tensor, *, first_day: int = 1) -> Tensor:
    """The year that most dates of each series lie in; of equals, the newest.

    Args:
        dates: (B, T) int64 days since 1970-01-01, ascending.
        real: (B, T) bool, False where padded.
        first_day: of the year on which a year begins: 1 = 1 January, 274 = 1 October.

    Returns:
        (B,) int64 its first day since 1970-01-01.
    """
    starts = torch.as_tensor(_NEW_YEARS, device=dates.device) + first_day - 1
    year = (torch.searchsorted(starts, dates, right=True) - 1).clamp(min=0)
    count = torch.zeros(len(dates), len(starts), dtype=torch.int64, device=dates.device)
    count.scatter_add_(1, year, real.long())
    place = torch.arange(len(starts), device=dates.device)
    return starts[(count * len(starts) + place).argmax(1)]


def metres(yx: Tensor, frequencies: int, *, longest_m: float) -> Tensor:
    """Places as waves of `longest_m`, half of it, a quarter, …, along both axes.

    Args:
        yx: (…, 2) float32 metres.
        frequencies: F.
        longest_m: length of the longest wave.

    Returns:
        (…, 4 F) float32.
    """
    waves = 2.0 ** torch.arange(frequencies, device=yx.device) / longest_m
    return _waves((yx[..., None] * waves).flatten(-2))


def _waves(turns: Tensor) -> Tensor:
    angle = 2 * math.pi * turns
    return torch.cat([angle.sin(), angle.cos()], dim=-1)
