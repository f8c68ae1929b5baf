"""The index lists that the names of curves stand for, in every region of a table.

See `sits_data.orders.names` for the names.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from sits_data.errors import InvalidRequest
from sits_data.orders import DIHEDRALS, ORDERS, Direction, OrderName, parse_curve
from sits_data.orders.walks import SHUFFLE
from sits_models.data.table import PixelTable
from sits_models.ops.philox import below, philox
from sits_models.ops.walks import random_walks

WALK, USUAL = "walk", "hilbert"

# Where counters of walks count walks, this is a purpose: no draw shares its words with another.
_CURVE = 1 << 20


@dataclass(frozen=True)
class Draw:
    """Which draw is meant; with the id of a region it names all that is random.

    Args:
        run: seed of the run.
        epoch: -1 is evaluation.
        view: number of the view, or (B,) int64 one a region.
    """

    run: int
    epoch: int
    view: int | Tensor


def draw_index(table: PixelTable, regions: Tensor, name: str, length: int, draw: Draw) -> Tensor:
    """One index list of each region: a run of a curve in either direction, a walk, or a slice.

    Args:
        table: the pixels.
        regions: (B,) int64 positions in it.
        name: of a curve.
        length: positions, L; a smaller region is padded at the tail, unless a walk shows it.
        draw: which one.

    Returns:
        (B, L) int64 region-local rows, -1 = padded.

    Raises:
        InvalidRequest: there is no such curve.
    """
    curve, regions = parse_curve(name), regions.to(table.device)
    if curve.kind == WALK:
        return random_walks(
            table, regions, length=length, run=draw.run, epoch=draw.epoch, view=draw.view,
            law=curve.law, near=table.near(connectivity=curve.connectivity, sigma=curve.sigma),
        )[:, 0]  # fmt: skip
    if curve.kind == "random":
        return _random_rows(table, regions, length, draw)
    words = philox((draw.run, table.region_id[regions]), (0, _CURVE, draw.epoch, draw.view))
    if curve.kind == "line":
        return _line(table, regions, curve.direction, length, words)
    size = table.size[regions]
    first = below(words[:, 0], (size - length).clamp(min=0) + 1)[:, None]
    last = torch.minimum(first + length, size[:, None]) - 1
    place = torch.arange(length, device=table.device)
    backwards = (words[:, 1] % 2 == 1)[:, None]
    position = torch.where(backwards, last - place, first + place)
    inside = (position >= first) & (position <= last)
    rows = table.first_row[regions, None] + torch.where(inside, position, 0)
    order = cast(OrderName, curve.kind)
    if curve.dihedral is not None:
        along = table.curve(order, curve.dihedral)[rows]
    else:
        variants = torch.stack([table.curve(order, number) for number in range(DIHEDRALS)])
        along = variants[below(words[:, 3], DIHEDRALS)[:, None], rows]
    return torch.where(inside, along.long(), -1)


def whole_curve(table: PixelTable, name: str) -> Tensor:
    """(N,) int32 region-local rows along a curve that comes to every pixel once.

    Raises:
        InvalidRequest: it does not, or there is no such curve.
    """
    curve = parse_curve(name)
    if curve.drawn or curve.dihedral is None:
        raise InvalidRequest(
            f"a curve that comes to every pixel once is wanted here, got {name!r}; use one of "
            f"{', '.join(ORDERS)}"
        )
    return table.curve(cast(OrderName, curve.kind), curve.dihedral)


def curve_windows(
    table: PixelTable, regions: Tensor, curve: str, *, length: int, shift: int = 0
) -> tuple[Tensor, Tensor]:
    """Whole regions along a curve, cut into windows.

    Args:
        table: the pixels.
        regions: (B,) int64 positions.
        curve: that comes to every pixel once.
        length: positions of a window, L.
        shift: positions by which the first window starts before the curve, 0 … length-1.

    Returns:
        Index (W, L) int64 of region-local rows, -1 where a window sticks out, and (W,) int64: which
        of `regions` each window shows. Windows of a region follow each other.

    Raises:
        InvalidRequest: there is no such curve.
    """
    regions = regions.to(table.device)
    size = table.size[regions]
    windows = (size + shift + length - 1) // length
    owner = torch.repeat_interleave(torch.arange(len(regions), device=table.device), windows)
    number = torch.arange(len(owner), device=table.device) - (windows.cumsum(0) - windows)[owner]
    position = (number * length - shift)[:, None] + torch.arange(length, device=table.device)
    inside = (position >= 0) & (position < size[owner, None])
    rows = table.first_row[regions[owner], None] + torch.where(inside, position, 0)
    return torch.where(inside, whole_curve(table, curve)[rows].long(), -1), owner


def _random_rows(table: PixelTable, regions: Tensor, length: int, draw: Draw) -> Tensor:
    """The first pixels of `sits_data.orders.permutation`."""
    size = table.size[regions, None]
    place = torch.arange(int(size.max()) if len(size) else 0, device=table.device)
    number = draw.view[:, None] if isinstance(draw.view, Tensor) else draw.view
    key = draw.run, table.region_id[regions, None]
    words = philox(key, (place, SHUFFLE, draw.epoch, number))[..., 0]
    rows = torch.where(place < size, words, 1 << 32).argsort(dim=1, stable=True)[:, :length]
    rows = torch.nn.functional.pad(rows, (0, length - rows.shape[1]))
    return torch.where(torch.arange(length, device=table.device) < size, rows, -1)


def _line(
    table: PixelTable, regions: Tensor, direction: Direction, length: int, words: Tensor
) -> Tensor:
    """The run through a pixel; of a longer one, the part with the pixel nearest to its middle."""
    runs = table.runs(direction)
    pixel = table.first_row[regions] + below(words[:, 2], table.size[regions])
    start, count, at = (one[pixel] for one in (runs.start, runs.length, runs.place))
    skip = (at - length // 2).clamp(min=0).minimum((count - length).clamp(min=0))
    place = skip[:, None] + torch.arange(length, device=table.device)
    inside = place < count[:, None]
    rows = runs.rows[start[:, None] + torch.where(inside, place, 0)].long()
    return torch.where(inside, rows, -1)
