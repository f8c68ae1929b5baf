"""Names of curves, and the index lists that they stand for in every region of a table.

A name is a word, or a word and options after a colon:

- ``hilbert``, ``snake``, ``spiral``, ``raster``, ``hilbert2k``: each pixel once; ``hilbert:3`` is one of
  the eight dihedral variants, ``hilbert:*`` any of them
- ``walk``: a random walk; ``walk:4`` steps to 4 neighbours, ``walk:onward`` never straight back,
  ``walk:iid`` starts anywhere, ``walk:sigma=0.01`` prefers neighbours of a like spectrum, and
  ``walk:4,onward`` is both
- ``random``: pixels in no order, the control
- ``x``, ``y``: the row or column of the region through a random pixel
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from sits_data.errors import InvalidRequest
from sits_data.orders import DIHEDRALS, ORDERS, OrderName, WalkLaw
from sits_data.orders.walks import SHUFFLE
from sits_models.data.table import PixelTable
from sits_models.ops.philox import below, philox
from sits_models.ops.walks import random_walks

WALK, USUAL = "walk", "hilbert"
Slice = Literal["x", "y"]

# Where counters of walks count walks, this is a purpose: no draw shares its words with another.
_CURVE = 1 << 20


@dataclass(frozen=True)
class Curve:
    """A name, taken apart.

    Args:
        kind: of an order, "walk", "random", "x" or "y".
        dihedral: of an order, 0 … 7; None draws one.
        law: of a walk.
        connectivity: of a walk.
        sigma: of a walk's weights, in squared reflectance; None weighs all neighbours alike.
    """

    kind: str
    dihedral: int | None = 0
    law: WalkLaw = field(default_factory=WalkLaw)
    connectivity: Literal[4, 8] = 8
    sigma: float | None = None


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


@lru_cache(maxsize=256)
def parse_curve(name: str) -> Curve:
    """What a name means.

    Raises:
        InvalidRequest: nothing; the message says which names there are.
    """
    kind, _, options = name.partition(":")
    if kind == WALK:
        return _parse_walk(name, options.split(",") if options else [])
    if kind in ORDERS and (options in ("", "*") or options in map(str, range(DIHEDRALS))):
        return Curve(kind, None if options == "*" else int(options or 0))
    if name in ("random", *get_args(Slice)):
        return Curve(name)
    raise InvalidRequest(
        f"unknown curve {name!r}; use one of {', '.join(ORDERS)}, each also with :0 to :7 for a "
        "dihedral variant and :* for any, or walk, random, x, y"
    )


def is_drawn(name: str) -> bool:
    """Whether a curve is another one each time: a walk, a slice, or a random variant.

    Raises:
        InvalidRequest: there is no such curve.
    """
    curve = parse_curve(name)
    return curve.kind not in ORDERS or curve.dihedral is None


def _parse_walk(name: str, options: list[str]) -> Curve:
    backtrack, starts, connectivity, sigma = True, "stratified", 8, None
    for option in options:
        match option.partition("="):
            case (("4" | "8"), "", ""):
                connectivity = int(option)
            case "onward", "", "":
                backtrack = False
            case (("iid" | "stratified"), "", ""):
                starts = option
            case "sigma", "=", text if _is_positive(text):
                sigma = float(text)
            case _:
                raise InvalidRequest(
                    f"unknown option {option!r} of the curve {name!r}; walks have 4 or 8, onward, iid "
                    "and sigma=NUMBER, with commas"
                )
    law = WalkLaw(backtrack=backtrack, starts=cast(Literal["stratified", "iid"], starts))
    return Curve(WALK, law=law, connectivity=cast(Literal[4, 8], connectivity), sigma=sigma)


def _is_positive(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False


def draw_index(table: PixelTable, regions: Tensor, name: str, length: int, draw: Draw) -> Tensor:
    """One index list of each region: a run of a curve in either direction, a walk, or a slice.

    Args:
        table: the pixels.
        regions: (B,) int64 positions in it.
        name: of a curve, see this module.
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
    if curve.kind in get_args(Slice):
        return _slice(table, regions, cast(Slice, curve.kind), length, words)
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
    if is_drawn(name) or curve.dihedral is None:
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


def _slice(table: PixelTable, regions: Tensor, direction: Slice, length: int, words: Tensor) -> Tensor:
    """The run through a pixel; of a longer one, the part with the pixel nearest to its middle."""
    runs = table.runs(direction)
    pixel = table.first_row[regions] + below(words[:, 2], table.size[regions])
    start, count, at = (one[pixel] for one in (runs.start, runs.length, runs.place))
    skip = (at - length // 2).clamp(min=0).minimum((count - length).clamp(min=0))
    place = skip[:, None] + torch.arange(length, device=table.device)
    inside = place < count[:, None]
    rows = runs.rows[start[:, None] + torch.where(inside, place, 0)].long()
    return torch.where(inside, rows, -1)
