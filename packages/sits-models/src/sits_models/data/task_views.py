"""The views that a task learns from and is judged on; methods of self-supervision draw their own.

Draws are keyed by run, region and epoch: they depend neither on the batch nor on the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sits_data.errors import InvalidRequest
from sits_data.orders import parse_curve
from sits_models.catalogue import Form
from sits_models.contract import Batch
from sits_models.data.curves import (
    USUAL,
    WALK,
    Draw,
    draw_index,
    whole_curve,
)
from sits_models.data.fixed import fixed_index, fixed_times
from sits_models.data.regions import RegionBatch
from sits_models.data.table import NO_DAY, PixelTable, say_padded
from sits_models.ops.philox import below, philox

# What a draw is for, in the place of the number of a view; from the last on walks are counted.
_PLACE, _DATES, _WALKS = 0, 1, 2


@dataclass(frozen=True, eq=False)
class TaskViews:
    """What a task sees of a region: to train under the batch's epoch, to test under epoch -1.

    Training shows a random run of positions along a curve, on a random choice of dates. Testing shows
    the middle of one curve, always the same, on all dates. Where walks are samples, testing shows other
    walks than any epoch, always the same.

    Args:
        length: positions; a region with fewer pixels is padded. A pixel is one position.
        dates: of a training view, drawn for each region; None takes all, as does more than there are.
        order: name of a curve, see `sits_data.orders.names`; None draws any of the stored ones to train
            and takes the first to test.
        fixed: dates and positions of views of one shape, to train and to test: see
            `sits_models.data.fixed`. In place of the other three, but for a curve's name.
        walks: of each region, each one sample: a whole number, or a share of its pixels, see
            `each_walk`. None shows a region once.
        form: "curve" shows what the others say; "chip" whole regions as they lie on the ground, and of
            the others `dates` alone counts.
    """

    length: int
    dates: int | None = None
    order: str | None = None
    fixed: tuple[int, int] | None = None
    walks: float | None = None
    form: Form = "curve"
    _fixed: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def check(self, tables: Sequence[PixelTable]) -> None:
        """Stop if there is no such curve; say how many regions are padded.

        Raises:
            InvalidRequest: there is none, or it cannot have a fixed shape.
        """
        if self.form == "chip":
            if self.walks is not None or self.fixed is not None:
                raise InvalidRequest("chips have neither walks nor a fixed shape; drop one of them")
            return
        drawn = self.order is not None and parse_curve(self.order).drawn
        if self.walks is not None and (not drawn or self.fixed is not None):
            raise InvalidRequest(
                f"walks need an order that is drawn, such as walk, and no fixed shape, got "
                f"{self.order or 'none'}; use --data.order walk"
            )
        if self.fixed is not None:
            if self.order is not None and drawn:
                raise InvalidRequest(
                    "fixed shapes are cut from a curve that comes to every pixel once, got "
                    f"{self.order}; name another order, or give length in place of fixed"
                )
            return
        for table in tables:
            if not drawn or parse_curve(self.order or USUAL).kind != WALK:
                say_padded(table, self.length)

    def draw(self, batch: RegionBatch) -> Batch:
        """The view of each sample of a batch."""
        if self.form == "chip":
            return batch.chip(self._times(batch))
        if self.fixed is not None:
            index, times = self._all_fixed(batch.table)
            regions = batch.regions.to(index.device)
            return batch.view(index[regions], times[regions])
        return batch.view(self._index(batch), self._times(batch))

    def _index(self, batch: RegionBatch) -> Tensor:
        """Region-local rows (B, L), -1 where a region has ended."""
        table, regions = batch.table, batch.regions.to(batch.table.device)
        if batch.rows is not None:
            return batch.rows[:, None]
        if self.order is not None and parse_curve(self.order).drawn:
            view = _PLACE if batch.walks is None else batch.walks.to(table.device) + _WALKS
            draw = Draw(batch.run, batch.epoch, view)
            return draw_index(table, regions, self.order, self.length, draw)
        curves, spare = self._curves(table), (table.size[regions] - self.length).clamp(min=0)
        if batch.epoch < 0:
            return self._along(table, regions, curves[0], spare // 2)
        words = _words(batch, _PLACE, 2)
        runs = [self._along(table, regions, name, below(words[:, 0], spare + 1)) for name in curves]
        drawn = below(words[:, 1], len(curves))
        return torch.stack(runs)[drawn, torch.arange(len(drawn), device=drawn.device)]

    def _along(self, table: PixelTable, regions: Tensor, curve: str, first: Tensor) -> Tensor:
        place = first[:, None] + torch.arange(self.length, device=table.device)
        inside = place < table.size[regions, None]
        rows = table.first_row[regions, None] + torch.where(inside, place, 0)
        return torch.where(inside, whole_curve(table, curve)[rows].long(), -1)

    def _times(self, batch: RegionBatch) -> Tensor | None:
        """Positions of each calendar (B, T), ascending, -1 padded; None is all of the batch's window."""
        if batch.epoch < 0 or self.dates is None:
            return None
        regions = batch.regions.to(batch.table.device)
        position = batch.table.positions(regions, batch.window)
        if self.dates >= position.shape[1]:
            return None
        words = _words(batch, _DATES, position.shape[1])
        chosen = torch.where(position >= 0, words, 1 << 32).argsort(dim=1, stable=True)
        times = position.gather(1, chosen[:, : self.dates])
        times = torch.where(times >= 0, times, NO_DAY).sort(dim=1).values
        return torch.where(times < NO_DAY, times, -1)

    def _curves(self, table: PixelTable) -> list[str]:
        """The curve asked for, or all that are stored; `USUAL` where none is."""
        return [self.order] if self.order is not None else list(table.curves) or [USUAL]

    def _all_fixed(self, table: PixelTable) -> tuple[Tensor, Tensor]:
        """Index lists and dates of all regions of a table, found when they are first asked for."""
        assert self.fixed is not None
        if id(table) not in self._fixed:
            index = fixed_index(table, self._curves(table)[0], self.fixed[1])
            self._fixed[id(table)] = index, fixed_times(table, self.fixed[0])
        return self._fixed[id(table)]


def _words(batch: RegionBatch, purpose: int, count: int) -> Tensor:
    """Random words of each sample: (B, count) int64 below 2³²."""
    table, regions = batch.table, batch.regions.to(batch.table.device)
    blocks = torch.arange(-(-count // 4), device=table.device)
    part = batch.rows if batch.walks is None else batch.walks
    number = 0 if part is None else part.to(table.device)[:, None]
    words = philox((batch.run, table.region_id[regions, None]), (blocks, number, batch.epoch, purpose))
    return words.flatten(1)[:, :count]
