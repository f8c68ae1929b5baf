"""Views of a region by other curves, walks and dates, under another light: nothing is warped or blurred.

A draw is keyed by (run, region, epoch, number of the view): the same on any device, in any batch.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from sits_data.errors import InvalidRequest
from sits_data.orders import parse_curve
from sits_models.contract import Batch
from sits_models.data.curves import Draw, draw_index
from sits_models.data.regions import RegionBatch
from sits_models.data.table import NO_DAY
from sits_models.ops.philox import below, philox, uniform

Span = Literal["scattered", "window"]

_MIN_CLEAR = 0.1
# Where counters of walks count walks, these count purposes: no draw shares its words with another.
_CURVE, _DATES, _LIGHT = 1 << 20, 1 << 21, 1 << 22


@dataclass(frozen=True)
class View:
    """How one view of a region is drawn.

    Args:
        length: positions, L; a smaller region is padded, unless a walk shows it.
        dates: dates, T, among those on which at least a tenth of the region is clear, as far as
            there are; fewer are padded.
        span: "scattered" over the period, or a "window" of dates that follow each other.
        curves: of which one is drawn: a run of a curve, in either direction, a "walk", or what else
            `sits_data.orders.names` names.
        apart: whether a view of an even number and the next one share no date, as far as the region's
            clear dates allow: then the curve of time itself says what belongs together.
        gain: each band's reflectance is multiplied by one factor of 1 - gain … 1 + gain. Atmosphere and
            sun do so too, and brightness alone would tell regions apart without their classes.

    Source: dates apart after Saget et al., Resampling augmentation for time series contrastive
    learning (arXiv 2506.18587); walks and curves after Chelali et al., CVIU 208-209 (2021).
    """

    length: int
    dates: int
    span: Span = "scattered"
    curves: tuple[str, ...] = ("hilbert", "snake", "walk")
    apart: bool = False
    gain: float = 0.0

    def check(self) -> None:
        """Stop if there is no curve of one of the names.

        Raises:
            InvalidRequest: says which there are.
        """
        if not self.curves:
            raise InvalidRequest("views need at least one curve, got none; give --model.curves [walk]")
        for name in self.curves:
            parse_curve(name)


def draw(batch: RegionBatch, view: View, *numbers: int) -> Batch:
    """Views of each region of a batch, those of the first number first.

    Args:
        batch: B regions.
        view: how to draw.
        numbers: of the views, part of their keys.

    Returns:
        len(numbers) · B views.
    """
    place, several = batch.table.device, len(numbers)
    number = torch.tensor(numbers, device=place).repeat_interleave(len(batch))
    batch = replace(batch, regions=batch.regions.to(place).repeat(several))
    light = _light(batch, view, number) if view.gain else None
    return batch.view(_index(batch, view, number), _times(batch, view, number), light)


def _index(batch: RegionBatch, view: View, number: Tensor) -> Tensor:
    """Region-local rows, (B, L), -1 where a region has ended."""
    table, regions = batch.table, batch.regions
    draw = Draw(batch.run, batch.epoch, number)
    options = [draw_index(table, regions, name, view.length, draw) for name in view.curves]
    words = philox((batch.run, table.region_id[regions]), (0, _CURVE, batch.epoch, number))
    chosen = below(words[:, 2], len(options))
    return torch.stack(options)[chosen, torch.arange(len(regions), device=table.device)]


def _times(batch: RegionBatch, view: View, number: Tensor) -> Tensor:
    """Positions of each region's calendar, (B, T) ascending, -1 padded at the tail."""
    table, regions = batch.table, batch.regions
    position = table.positions(regions, batch.window)
    place, real = torch.arange(position.shape[1], device=table.device), position >= 0
    clear = real & (table.clear_share[regions].gather(1, position.clamp(min=0)) >= _MIN_CLEAR)
    clear |= real & ~clear.any(1, keepdim=True)
    number = number[:, None]
    draw_of, part = (number // 2, number % 2) if view.apart else (number, 0)
    key = (batch.run, table.region_id[regions, None])
    words = philox(key, (place // 4, _DATES, batch.epoch, draw_of))[:, ::4].flatten(1)[:, : len(place)]
    count = clear.sum(1, keepdim=True)
    wanted = count.clamp(max=view.dates)
    if view.span == "scattered":
        rank = torch.where(clear, words, 1 << 32)
        first = torch.zeros_like(count)
        if view.apart:  # the even view takes the first half of the draw, the odd one what follows
            evens = ((count + 1) // 2).clamp(max=view.dates)
            first = torch.where(count > 1, part * evens, 0)
            wanted = torch.where(count > 1, torch.minimum(wanted, (count + 1 - part) // 2), wanted)
    else:
        rank = torch.where(clear, place, len(place) + place)
        first = below(words[:, :1], count - wanted + 1)
    order = rank.argsort(dim=1, stable=True)
    taken = torch.arange(min(view.dates, len(place)), device=table.device)
    chosen = torch.gather(order, 1, (first + taken).clamp(max=len(place) - 1))
    times = torch.gather(position, 1, chosen)
    times = torch.where(taken < wanted, times, NO_DAY).sort(1).values  # sorts behind every date
    return torch.where(times < NO_DAY, times, -1)


def _light(batch: RegionBatch, view: View, number: Tensor) -> Tensor:
    """A factor of each band, (B, C) float32."""
    table, bands = batch.table, len(batch.table.bands)
    blocks = torch.arange(-(-bands // 4), device=table.device)
    key = (batch.run, table.region_id[batch.regions, None])
    words = philox(key, (blocks, _LIGHT, batch.epoch, number[:, None])).flatten(1)[:, :bands]
    return (1 + view.gain * (2 * uniform(words) - 1)).float()
