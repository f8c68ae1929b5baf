"""Where and when, as sines and cosines."""

import math

import torch
from torch import Tensor

_DAYS_PER_YEAR = 365.2425


def day_of_year(dates: Tensor, frequencies: int) -> Tensor:
    """The season of dates: whole waves a year, so that December lies beside January.

    Args:
        dates: (…) int64 days since 1970-01-01.
        frequencies: F, waves of a year, half a year, … 1/F year.

    Returns:
        (…, 2 F) float32.
    """
    phase = (dates.double() % _DAYS_PER_YEAR) / _DAYS_PER_YEAR
    waves = torch.arange(1, frequencies + 1, device=dates.device, dtype=torch.float64)
    return _waves(phase[..., None] * waves)


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
    return torch.cat([angle.sin(), angle.cos()], dim=-1).float()
