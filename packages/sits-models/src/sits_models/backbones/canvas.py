"""The paper's canvas: a year of a planar image as a square picture, for networks made for photographs.

Source: Chelali, Kurtz, Puissant and Vincent, CVIU 208-209 (2021) 103221, sections 3.4 and 4.4.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from sits_data.errors import InvalidRequest
from sits_models.backbones.fourier import main_year
from sits_models.ops.resample import resample

Fit = Literal["centre", "repeat"]

_YEAR_DAYS = 365


class Canvas(NamedTuple):
    """Planar images on squares of side S.

    Args:
        image: (B, C, S, S) float, 0 … 1; 0 where there is no pixel, or one that was never clear.
        column: (B, L) int64 column in which each position stands (first); 0 where it is padded.
    """

    image: Tensor
    column: Tensor


def paint(batch: Mapping[str, Tensor], *, bands: Sequence[int], side: int, fit: Fit) -> Canvas:
    """Interpolate a year onto `side` equal steps, and set positions onto as many columns.

    The year is the calendar year (UTC) of each sample that has most of its dates, the later of two;
    clear dates of other years serve as neighbours to interpolate from. Values are those of
    `Normalisation`, -1 and 1 the percentiles of each band; they become 0 and 1, and are cut there.

    Args:
        batch: `image` (B, C, T, L), `clear`, `dates`, `pad_mask` and `index` of the contract.
        bands: positions of the bands that are painted.
        side: of the square, S.
        fit: "centre" sets positions side by side in the middle, between columns of 0; "repeat" starts
            over and over until the square is full.

    Raises:
        InvalidRequest: there are more positions than columns.
    """
    index, dates, real = batch["index"], batch["dates"], batch["pad_mask"]
    length = index.shape[1]
    if length > side:
        raise InvalidRequest(
            f"a canvas has {side} columns, got images of {length} positions; use --data.length {side}"
        )
    # Days in parts of `side`, so that all instants are whole numbers.
    steps = torch.arange(side, device=dates.device) * _YEAR_DAYS
    grid = main_year(dates, real)[:, None] * side + steps
    filled = resample(batch["image"][:, list(bands)], batch["clear"], dates * side, grid, pad_mask=real)
    values = ((filled.values + 1) / 2).clamp(0, 1) * filled.observed[:, None, None]

    count, before, column = _columns(index, side=side, fit=fit)
    place = torch.arange(side, device=index.device) - before  # of the position in each column
    shown = (place >= 0) & (place < count) if fit == "centre" else count > 0
    place = place.clamp(0, length - 1) if fit == "centre" else place % count.clamp(min=1)
    shape = (*values.shape[:3], side)
    image = values.gather(3, place[:, None, None].expand(shape)) * shown[:, None, None]
    return Canvas(image, column)


def unpaint(painted: Tensor, batch: Mapping[str, Tensor], *, fit: Fit) -> Tensor:
    """What a canvas says of each observation: at its position's first column and its date's step.

    Args:
        painted: (B, S, S) values.
        batch: what `paint` took.
        fit: the same.

    Returns:
        (B, T, L); 0 where nothing was clear, and on dates of other years than the canvas shows.
    """
    side = painted.shape[2]
    _, _, column = _columns(batch["index"], side=side, fit=fit)
    day = batch["dates"] - main_year(batch["dates"], batch["pad_mask"])[:, None]
    inside = (day >= 0) & (day < _YEAR_DAYS)
    row = torch.where(inside, (day * side + _YEAR_DAYS // 2) // _YEAR_DAYS, 0).clamp(max=side - 1)
    who = torch.arange(len(painted), device=painted.device)[:, None, None]
    found = painted[who, row[:, :, None], column[:, None]]
    return found * (batch["clear"] & inside[:, :, None])


def _columns(index: Tensor, *, side: int, fit: Fit) -> tuple[Tensor, Tensor, Tensor]:
    """Positions (B, 1) of each image, columns (B, 1) before them, and that of each (B, L)."""
    count = (index >= 0).sum(1, keepdim=True)
    before = (side - count) // 2 if fit == "centre" else torch.zeros_like(count)
    column = torch.arange(index.shape[1], device=index.device) + before
    return count, before, torch.where(index >= 0, column, 0)
