"""One region along every curve: each drawn on the field, with its planar image under it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sits_data.orders import (
    ORDERS,
    WalkKey,
    neighbours,
    order,
    permutation,
    random_walks,
    slice_through,
)
from sits_data.plot.colour import Stretch
from sits_data.plot.field import Field, draw_curve, draw_field, draw_planar
from sits_data.plot.page import QUIET, WIDTH_IN, Page, new_page

WALKS, STEPS = 3, 50
"""Of the walks that are shown: how many, and their pixels."""

_MARGIN, _GAP, _COLUMNS = 0.45, 0.32, 5
_DATES_IN = 0.75
_SIDE = (WIDTH_IN - 2 * _MARGIN - _DATES_IN - (_COLUMNS - 1) * _GAP) / _COLUMNS
_PLANAR_IN = 1.5
_ROW_IN = _SIDE + _PLANAR_IN + 1.05
_TOP = 1.3


@dataclass(frozen=True)
class Shown:
    """A curve on the page.

    Args:
        title: its name.
        note: what it is, in a few words.
        parts: index lists; a line is drawn along each, and their columns follow each other.
    """

    title: str
    note: str
    parts: tuple[NDArray[np.int32], ...]


def curves_of(yx: NDArray[np.int32], *, walks: int = WALKS, steps: int = STEPS) -> Iterator[Shown]:
    """Every curve of a region: the orders, pixels in no order, walks, and slices through its middle.

    Args:
        yx: (P, 2) row and column of each pixel, in raster order.
        walks: how many random walks.
        steps: pixels of a walk.
    """
    notes = {
        "raster": "row by row",
        "snake": "every other row reversed",
        "spiral": "outwards from the centre",
        "hilbert": "recursive quarters, any rectangle",
        "hilbert2k": "on the square of side 2ᵏ around it",
    }
    for name in ORDERS:
        yield Shown(name, notes[name], (order(name, yx),))
    key = WalkKey(run=0, region=0, epoch=-1, view=0)
    yield Shown("random", "the control: no order", (permutation(len(yx), key),))
    drawn = random_walks(neighbours(yx), count=walks, length=steps, key=key)
    yield Shown("walk", f"{walks} random walks of {steps} pixels", tuple(drawn))
    centre = int(((yx - yx.mean(axis=0)) ** 2).sum(axis=1).argmin())
    yield Shown("x", "an x-t slice: a row of the field", (slice_through(yx, centre, "x"),))
    yield Shown("y", "a y-t slice: a column of the field", (slice_through(yx, centre, "y"),))
    yield Shown("oblique", "a slice two right, one down", (slice_through(yx, centre, (1, 2)),))


def draw_curves_page(field: Field, subtitle: str, stretch: Stretch, out: Path, dpi: int) -> None:
    """Draw them all on one page.

    Args:
        field: the region; its own curve is left aside.
        subtitle: below the heading.
        stretch: of the channels of `field.false_colour`.
        out: the PNG.
        dpi: dots per inch.
    """
    shown = list(curves_of(field.yx))
    rows = [shown[start : start + _COLUMNS] for start in range(0, len(shown), _COLUMNS)]
    with new_page(WIDTH_IN, _TOP + _ROW_IN * len(rows) - 0.1, dpi) as page:
        title = f"{field.name} along every curve: {len(field.yx)} pixels, {len(field.dates)} dates"
        page.heading(_MARGIN, title, subtitle)
        for number, curves in enumerate(rows):
            _draw_row(page, _TOP + number * _ROW_IN, field, curves, stretch)
        page.save(out)


def _draw_row(page: Page, top: float, field: Field, curves: Sequence[Shown], stretch: Stretch) -> None:
    for column, curve in enumerate(curves):
        left = _MARGIN + _DATES_IN + column * (_SIDE + _GAP)
        page.text(left, top, curve.title, size=11, bold=True)
        page.text(left, top + 0.2, curve.note, size=8.5, colour=QUIET)
        axes = draw_field(page, (left, top + 0.28, _SIDE), field, faded=True)
        joined = np.concatenate(curve.parts)
        whole = replace(field, order=joined, order_name=curve.title)
        draw_curve(axes, whole, _SIDE, breaks=np.cumsum([len(part) for part in curve.parts])[:-1])
        place = (left, top + 0.38 + _SIDE, _SIDE, _PLANAR_IN)
        draw_planar(page, place, whole, stretch, label=False, dates=column == 0)
