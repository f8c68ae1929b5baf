"""The pixels of regions as tensors: where each observation lies, and what is known of each region."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sits_data.manifest import LabelClass
from sits_data.orders import Direction, OrderName, neighbours, order, runs, spectral
from sits_models.data.normalisation import Normalisation

Window = tuple[int, int]
"""First day and stop, counted from 1970-01-01."""

NO_DAY = 1 << 40
"""Stands behind the last date of a calendar that is shorter than others."""

_CELLS = 1 << 21

_log = logging.getLogger("sits_models")


class Near(NamedTuple):
    """The neighbours of each pixel in its region, see `sits_data.orders.Neighbours`; N is 4 or 8.

    Args:
        rows: (P, N) int32 rows of the table, left-packed; the rest repeats the pixel itself.
        degree: (P,) int32, 1 … N.
        bounds: (P, N) int32 sums of weights; None weighs all alike.
    """

    rows: Tensor
    degree: Tensor
    bounds: Tensor | None = None


class TableRuns(NamedTuple):
    """The unbroken rows, columns or oblique lines of all regions, see `sits_data.orders.runs`.

    Args:
        rows: (N,) int32 region-local rows, one run after another.
        start: (N,) int64 where the run of each pixel starts in `rows`.
        length: (N,) int64 of that run.
        place: (N,) int64 of each pixel in its run.
    """

    rows: Tensor
    start: Tensor
    length: Tensor
    place: Tensor


class Stretch(NamedTuple):
    """Regions after each other whose pixels lie after each other and share their dates.

    Args:
        rows: of the table.
        digits: (rows, T, C) int16, the bits of uint16 DN.
        quality: (rows, T) uint8 bits.
    """

    rows: slice
    digits: Tensor
    quality: Tensor


@dataclass(frozen=True, eq=False)
class PixelTable:
    """One row a pixel, a region's rows after each other; all tensors lie on `device`.

    A *cell* is what was observed of one pixel on one date. Cells of a pixel follow each other, in the
    order of its region's *calendar*; regions of one store share one, those of several may differ.

    Args:
        pixels: of each shard, (cells, C) int16, the bits of uint16 DN; 0 = not observed.
        qa: of each shard, (cells,) uint8 bits.
        yx: (N, 2) int32 row and column on the cube's grid, of all shards.
        curves: (N,) int32 region-local rows along each stored curve.
        first_row, size: (R,) int64 where each region's rows start, and how many they are.
        first_cell: (R,) int64 where its cells start, counted through all shards; a region is in one.
        calendar: (R,) int64 its row of `dates`.
        region_id: (R,) int64 id in the source; its number where there are several sources.
        label: (R,) int64, -1 = unlabelled.
        pixel_label: (N,) int64, -1 = unlabelled; None where labels are those of regions.
        dates: (D, T) int64 days since 1970-01-01, ascending, then `NO_DAY`.
        dated: (D,) int64 how many days each calendar has.
        classes: by label.
        bands: ids in the order of the band axis.
        scale, offset: reflectance = DN * scale + offset.
        unclear_bits: bits of `qa` that count as unclear.
        resolution_m: pixel size.
        device: where the tensors lie.
        resident: False where `pixels` and `qa` are mapped from disk; else they are one shard.
        targets: (R, P) int64 several labels a region, -1 = unlabelled; None where it has one.
    """

    pixels: tuple[Tensor, ...]
    qa: tuple[Tensor, ...]
    yx: Tensor
    curves: Mapping[str, Tensor]
    first_row: Tensor
    size: Tensor
    first_cell: Tensor
    calendar: Tensor
    region_id: Tensor
    label: Tensor
    pixel_label: Tensor | None
    dates: Tensor
    dated: Tensor
    classes: tuple[LabelClass, ...]
    bands: tuple[str, ...]
    scale: float
    offset: float
    unclear_bits: int
    resolution_m: int
    device: torch.device
    resident: bool
    targets: Tensor | None = None

    def __len__(self) -> int:
        return len(self.first_row)

    @cached_property
    def centre(self) -> Tensor:
        """(R, 2) float32 mean row and column of each region."""
        region = torch.repeat_interleave(torch.arange(len(self), device=self.device), self.size)
        total = torch.zeros(len(self), 2, dtype=torch.float64, device=self.device)
        total.index_add_(0, region, self.yx.double())
        return (total / self.size[:, None]).float()

    @cached_property
    def boxes(self) -> tuple[Tensor, Tensor]:
        """(R, 2) int32 first row and column of each region on the grid, and (R, 2) int32 its extent."""
        region = torch.repeat_interleave(torch.arange(len(self), device=self.device), self.size)
        place = region[:, None].expand(-1, 2)
        empty = self.yx.new_zeros(len(self), 2)
        low, high = (
            empty.scatter_reduce(0, place, self.yx, how, include_self=False) for how in ("amin", "amax")
        )
        return low, high - low + 1

    @cached_property
    def clear_share(self) -> Tensor:
        """(R, T) float16 share of each region's pixels that are clear on each date; read once.

        0 where its calendar has ended.
        """
        region = torch.repeat_interleave(torch.arange(len(self), device=self.device), self.size)
        total = torch.zeros(len(self), self.dates.shape[1], device=self.device)
        for rows, _, quality in self.stretches():
            clear = ((quality & self.unclear_bits) == 0).float()
            total[:, : clear.shape[1]].index_add_(0, region[rows], clear)
        return (total / self.size[:, None]).half()

    def curve(self, name: OrderName, dihedral: int = 0) -> Tensor:
        """(N,) int32 region-local rows along a curve: a stored one, or found when it is first asked for.

        Args:
            name: of an order.
            dihedral: its variant, 0 … 7, see `sits_data.orders.order`.
        """
        stored = f"{name}:{dihedral}" if dihedral else name
        if stored in self.curves:
            return self.curves[stored]
        key = name, dihedral
        if key not in self._found:
            parts = [order(name, yx, dihedral=dihedral) for yx in self._outlines()]
            self._found[key] = torch.from_numpy(np.concatenate(parts)).to(self.device)
        return self._found[key]

    def runs(self, direction: Direction) -> TableRuns:
        """The runs of one direction of every region; found when they are first asked for."""
        if direction not in self._runs:
            parts = [runs(yx, direction) for yx in self._outlines()]
            rows = np.concatenate([part.rows for part in parts])
            length = np.concatenate([part.length for part in parts])
            start = np.repeat(np.cumsum(length) - length, length)
            # What is known of each place along the runs is wanted of each pixel.
            first = np.repeat(self.first_row.cpu().numpy(), self.size.cpu().numpy())
            pixel = np.empty(len(rows), np.int64)
            pixel[first + rows] = np.arange(len(rows))
            of_place = start, np.repeat(length, length), np.arange(len(rows)) - start
            found = [rows, *(one[pixel] for one in of_place)]
            self._runs[direction] = TableRuns(*(torch.from_numpy(one).to(self.device) for one in found))
        return self._runs[direction]

    def _outlines(self) -> list[NDArray[np.int32]]:
        """(P, 2) row and column of the pixels of each region."""
        return np.split(self.yx.cpu().numpy(), self.first_row.cpu().numpy()[1:])

    @cached_property
    def _found(self) -> dict[tuple[str, int], Tensor]:
        return {}

    @cached_property
    def _runs(self) -> dict[Direction, TableRuns]:
        return {}

    @cached_property
    def _nears(self) -> dict[tuple[int, float | None], Near]:
        return {}

    @property
    def neighbours(self) -> Near:
        """Which of the 8 pixels around each are of its region."""
        return self.near()

    def near(self, *, connectivity: Literal[4, 8] = 8, sigma: float | None = None) -> Near:
        """Who borders whom within each region; found when a walk first asks.

        Args:
            connectivity: 4 counts sides only, 8 corners too.
            sigma: of `sits_data.orders.spectral`, in squared reflectance; None weighs all alike.
        """
        key = connectivity, sigma
        if key not in self._nears:
            self._nears[key] = self._find_near(connectivity, sigma)
        return self._nears[key]

    def _find_near(self, connectivity: Literal[4, 8], sigma: float | None) -> Near:
        region = np.repeat(np.arange(len(self)), self.size.cpu().numpy())
        near = neighbours(self.yx.cpu().numpy(), region, connectivity=connectivity)
        if sigma is not None:
            near = spectral(near, self.spectra.cpu().numpy(), sigma)
        rows, degree = (torch.from_numpy(part).to(self.device) for part in near[:2])
        bounds = None if near.bounds is None else torch.from_numpy(near.bounds).to(self.device)
        return Near(rows, degree, bounds)

    @cached_property
    def spectra(self) -> Tensor:
        """(N, C) float32 median reflectance of each pixel on its clear dates; 0 without any."""
        found = []
        for _, digits, quality in self.stretches():
            dn = digits.int() & 0xFFFF
            clear = (quality & self.unclear_bits) == 0
            seen = clear[..., None] & (dn != 0).all(2, keepdim=True)
            values = (dn * self.scale + self.offset).where(seen, torch.nan)
            found.append(values.nanmedian(1).values.nan_to_num())
        return torch.cat(found)

    def stretches(self) -> Iterator[Stretch]:
        """All pixels in order, a bounded number of cells at a time."""
        dated = self.dated[self.calendar].cpu()
        shard = torch.searchsorted(self.shard_ends, self.first_cell, right=True).cpu()
        first, size, cell = self.first_row.cpu(), self.size.cpu(), self.first_cell.cpu()
        ends = (first + size).tolist()
        change = torch.nonzero((dated.diff() != 0) | (shard.diff() != 0))[:, 0] + 1
        bounds = [0, *change.tolist(), len(self)]
        for region, stop in pairwise(bounds):
            dates, number = int(dated[region]), int(shard[region])
            shift = 0 if number == 0 else int(self.shard_ends[number - 1])
            start, row = int(cell[region]) - shift, int(first[region])
            step = max(1, _CELLS // dates)
            for offset in range(0, ends[stop - 1] - row, step):
                rows = slice(row + offset, min(row + offset + step, ends[stop - 1]))
                cells = slice(start + offset * dates, start + (rows.stop - row) * dates)
                shape = rows.stop - rows.start, dates
                digits = self.pixels[number][cells].view(*shape, len(self.bands))
                yield Stretch(rows, digits, self.qa[number][cells].view(shape))

    def days(self, regions: Tensor) -> Tensor:
        """The calendars of some regions: (B, T) int64, `NO_DAY` where one has ended."""
        return self.dates[self.calendar[regions]]

    def span(self, regions: Tensor, window: Window | None = None) -> tuple[Tensor, Tensor]:
        """Which positions of each region's calendar lie in a window: first and stop, (B,) int64."""
        if window is None:
            stop = self.dated[self.calendar[regions]]
            return torch.zeros_like(stop), stop
        days = self.days(regions).contiguous()
        edges = torch.tensor(window, device=self.device).expand(len(days), -1).contiguous()
        first, stop = torch.searchsorted(days, edges).unbind(1)
        return first, stop

    def positions(self, regions: Tensor, window: Window | None = None) -> Tensor:
        """All positions of each region's calendar in a window: (B, T) int64, -1 padded at the tail."""
        first, stop = self.span(regions, window)
        longest = int((stop - first).max()) if len(regions) else 0
        place = first[:, None] + torch.arange(longest, device=self.device)
        return torch.where(place < stop[:, None], place, -1)

    def observations(self, regions: Tensor, index: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """Digital numbers and quality of some pixels on some dates.

        Args:
            regions: (B,) int64 positions.
            index: (B, L) int64 region-local rows.
            times: (B, T) int64 positions of the region's calendar.

        Returns:
            (B, L, T, C) int16 bits of DN and (B, L, T) uint8.
        """
        dated = self.dated[self.calendar[regions], None, None]
        cells = self.first_cell[regions, None, None] + index[..., None] * dated + times[:, None]
        if len(self.pixels) == 1:
            return self.pixels[0][cells], self.qa[0][cells]
        digits = self.pixels[0].new_empty(*cells.shape, len(self.bands))
        quality = self.qa[0].new_empty(cells.shape)
        for shard, which in self.by_shard(regions):
            local = cells[which] - (self.shard_ends[shard] - len(self.qa[shard]))
            digits[which], quality[which] = self.pixels[shard][local], self.qa[shard][local]
        return digits, quality

    def by_shard(self, regions: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Which of some regions lie in which shard: its number, and (n,) int64 places in `regions`."""
        shard = torch.searchsorted(self.shard_ends, self.first_cell[regions], right=True)
        for number in sorted(set(shard.tolist())):
            yield number, torch.nonzero(shard == number)[:, 0]

    def affine(self, normalisation: Normalisation | None, device: torch.device) -> tuple[Tensor, Tensor]:
        """Gain and bias of digital numbers, (C,) float32 each; reflectance without a normalisation."""
        if normalisation is None:
            bands = len(self.bands)
            return torch.full((bands,), self.scale, device=device), torch.full(
                (bands,), self.offset, device=device
            )
        gain, bias = normalisation.affine(self.scale, self.offset)
        return torch.from_numpy(gain).to(device), torch.from_numpy(bias).to(device)

    @cached_property
    def shard_ends(self) -> Tensor:
        """(S,) int64 cells of all shards up to each one's end."""
        return torch.tensor([len(shard) for shard in self.qa], device=self.device).cumsum(0)


def say_padded(table: PixelTable, length: int) -> None:
    """Log how many regions are smaller than a view of so many positions along a curve, if any is."""
    small = int((table.size < length).sum())
    if small:
        text = "%d of %d regions have fewer than %d pixels and are padded"
        _log.info(text, small, len(table), length)
