"""A planar store on one page: a map of its regions, and some of them with curve and planar image."""

import string
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

import numpy as np
import shapely
from numpy.typing import NDArray

from sits_data.errors import InvalidRequest
from sits_data.orders import OrderName, order
from sits_data.plot.colour import Composite, Stretch, choose_stretch
from sits_data.plot.curves import draw_curves_page
from sits_data.plot.field import (
    Field,
    curve_title,
    draw_curve,
    draw_field,
    draw_planar,
    draw_vegetation,
)
from sits_data.plot.page import ACCENT, QUIET, WIDTH_IN, Page, iso, new_page, shorten
from sits_data.plot.region_map import draw_map
from sits_data.store import PlanarStore

Layout = Literal["map", "field", "curves"]

_MARGIN, _TOP = 0.45, 1.1
_MAP_WIDTH = 4.35
_FIELDS = 3
_SAMPLED_REGIONS, _SAMPLED_PIXELS = 64, 100
_GOOD_PIXELS = 350
"""A field of so many pixels is large enough to have texture and small enough to show its curve."""


def plot_store(
    store: PlanarStore,
    out: Path,
    *,
    regions: Sequence[int] = (),
    order_name: OrderName | None = None,
    layout: Layout = "map",
    dpi: int = 150,
) -> None:
    """Draw a store.

    Args:
        store: to draw.
        out: the PNG.
        regions: positions of the regions to draw, at most 4; by default well-shaped ones of different
            classes.
        order_name: the curve; by default Hilbert's where the store has it, else its first.
        layout: `map` puts a map and some regions on a page, `field` one region alone, `curves` one
            region along every curve.
        dpi: dots per inch; the page is 13.33 inches wide.

    Raises:
        InvalidRequest: a region that there is not, or too many.
        OutputNotWritable: no permission, or the disk is full.
    """
    _check(store, regions, layout)
    count = _FIELDS if layout == "map" else 1
    chosen = list(regions) or choose_regions(store, count)
    fields = [load_field(store, index, order_name) for index in chosen]
    match layout:
        case "map":
            _draw_map_page(store, fields, out, dpi)
        case "field":
            _draw_field_page(store, fields[0], out, dpi)
        case "curves":
            field = fields[0]
            stretch = planar_stretch(store, field.false_colour)
            draw_curves_page(field, _describe(store, field), stretch, out, dpi)


def choose_regions(store: PlanarStore, count: int) -> list[int]:
    """Compact regions of a good size, of different classes as far as there are.

    Args:
        store: to choose from.
        count: how many, at most all.
    """
    pixels = np.asarray(store.regions["pixels"].to_numpy(), np.float64)
    shapes = store.to_geopandas().geometry.to_numpy()
    west, south, east, north = shapely.bounds(shapes).T
    compact = shapely.area(shapes) / np.maximum((east - west) * (north - south), 1e-9)
    cost = np.abs(np.log(pixels / _GOOD_PIXELS)) + 2 * (1 - compact)
    # Among about equal ones, such as chips, take some that lie apart: golden section of the index.
    apart = np.arange(len(cost)) * 0.618034 % 1
    cost = np.round(4 * cost)
    ranked = np.lexsort((apart, cost))
    # The best of each class first, then the second best, …
    turn = _occurrence(store.labels[ranked])
    best = ranked[np.lexsort((np.arange(len(ranked)), store.labels[ranked] < 0, turn))]
    return [int(index) for index in best[:count]]


def planar_stretch(store: PlanarStore, composite: Composite) -> Stretch:
    """One stretch for all planar images of a store, from a sample of its regions.

    What the mask misses lies at the edge of clouds: dates on which most of a region is clear decide.
    """
    pixels, clear = [], []
    for index in np.unique(np.linspace(0, len(store) - 1, _SAMPLED_REGIONS).astype(int)):
        seen = store.clear(int(index))
        rows = slice(None, None, -(-len(seen) // _SAMPLED_PIXELS))
        pixels.append(store.region(int(index)).pixels[rows][:, :, list(composite.positions)])
        clear.append(seen[rows] & (seen.mean(axis=0) > 0.95))
    return choose_stretch(np.concatenate(pixels), np.concatenate(clear))


def _occurrence(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """How often each value has come before."""
    by_label = np.argsort(labels, kind="stable")
    ordered = labels[by_label]
    first = np.searchsorted(ordered, ordered)
    turn = np.empty(len(labels), np.int64)
    turn[by_label] = np.arange(len(labels)) - first
    return turn


def _check(store: PlanarStore, regions: Sequence[int], layout: Layout) -> None:
    most = 4 if layout == "map" else 1
    if len(regions) > most:
        raise InvalidRequest(
            f"the layout {layout} shows at most {most} region{'s' * (most > 1)}, got {len(regions)}; "
            "name fewer with --region"
        )
    wrong = [index for index in regions if not 0 <= index < len(store)]
    if wrong:
        raise InvalidRequest(
            f"{store.path} has regions 0 to {len(store) - 1}, got {wrong[0]}; choose others with "
            "--region"
        )


def load_field(store: PlanarStore, index: int, order_name: OrderName | None = None) -> Field:
    """What is drawn of a region.

    Args:
        store: whose region.
        index: its position.
        order_name: the curve through its pixels; None is Hilbert's, or the first stored one.
    """
    region = store.region(index)
    stored = store.manifest.orders
    name = order_name or ("hilbert" if "hilbert" in stored or not stored else stored[0])
    curve = store.order(index, name) if name in stored else order(cast(OrderName, name), region.yx)
    label = store.manifest.classes[region.label].name if region.label >= 0 else None
    return Field(
        index=index,
        name=label or f"region {index}",
        pixels=region.pixels,
        clear=store.clear(index),
        yx=region.yx,
        order=curve,
        order_name=name,
        dates=store.dates,
        bands=store.manifest.bands,
    )


def _draw_map_page(store: PlanarStore, fields: Sequence[Field], out: Path, dpi: int) -> None:
    pitch = {1: 3.6, 2: 2.7}.get(len(fields), 2.08)
    height = max(_TOP + pitch * len(fields) + 0.35, 5.6)
    manifest = store.manifest
    span = f"{iso(store.dates[0])} to {iso(store.dates[-1])}"
    stretch = planar_stretch(store, fields[0].false_colour)
    with new_page(WIDTH_IN, height, dpi) as page:
        page.heading(
            _MARGIN,
            f"{store.path.name}: {_count(len(store), 'region')}, {_count(len(store.dates), 'date')}",
            f"{manifest.pixels:,} pixels of {manifest.grid.resolution_m} m ({manifest.grid.crs}), "
            f"{_count(len(manifest.bands), 'band')} · {span} · planar images in "
            f"{fields[0].false_colour.label} · {_mask_note(store)}",
        )
        chosen = [field.index for field in fields]
        draw_map(page, (_MARGIN, _TOP, _MAP_WIDTH, height - _TOP - 0.35), store, chosen)
        for number, field in enumerate(fields):
            last = number == len(fields) - 1
            _draw_row(
                page,
                _TOP + number * pitch,
                pitch - 0.6,
                string.ascii_uppercase[number],
                field,
                stretch,
                last=last,
            )
        page.save(out)


def _draw_row(
    page: Page, top: float, height: float, letter: str, field: Field, stretch: Stretch, *, last: bool
) -> None:
    left = _MARGIN + _MAP_WIDTH + 0.4
    side = min(height, 2.3)
    page.text(left, top + 0.03, letter, size=11, bold=True)
    page.text(
        left + 0.2, top + 0.03, shorten(field.name, int((side + 0.7) / 0.09)), size=10.5, bold=True
    )
    planar_left = left + side + 1.0
    vegetation_left = WIDTH_IN - _MARGIN - 0.8
    axes = draw_field(page, (left, top + 0.17, side), field)
    draw_curve(axes, field, side)
    _note(page, (planar_left, vegetation_left - 0.28), top + 0.03, field)
    width = vegetation_left - 0.28 - planar_left
    draw_planar(page, (planar_left, top + 0.17, width, height), field, stretch, label=last)
    draw_vegetation(page, (vegetation_left, top + 0.17, 0.8, height), field, label=last)


def _note(page: Page, span: tuple[float, float], top: float, field: Field) -> None:
    left, right = span
    page.text(left, top, f"region {field.index} · {_count(len(field.yx), 'pixel')}", colour=QUIET)
    page.text(
        right,
        top,
        f"field shown on {iso(field.dates[field.shown_date])} ◂",
        colour=ACCENT,
        align="right",
    )


def _draw_field_page(store: PlanarStore, field: Field, out: Path, dpi: int) -> None:
    side, top = 3.1, 1.35
    height = top + side + 0.62
    lefts = (_MARGIN, _MARGIN + side + 0.3)
    planar_left = lefts[1] + side + 1.05
    vegetation_left = WIDTH_IN - _MARGIN - 0.85
    day = iso(field.dates[field.shown_date])
    name = shorten(field.name, 60)
    title = f"{name}: {_count(len(field.yx), 'pixel')} on {_count(len(field.dates), 'date')}"
    stretch = planar_stretch(store, field.false_colour)
    with new_page(WIDTH_IN, height, dpi) as page:
        page.heading(
            _MARGIN,
            title,
            _describe(store, field),
        )
        captions = (
            (lefts[0], f"The field on {day}"),
            (lefts[1], f"A {curve_title(field.order_name)} through its pixels"),
            (planar_left, "Its planar image: a row a date, a column a pixel"),
        )
        for left, caption in captions:
            page.text(left, top - 0.15, caption, size=11)
        draw_field(page, (lefts[0], top, side), field)
        draw_curve(draw_field(page, (lefts[1], top, side), field, faded=True), field, side)
        place = (planar_left, top, vegetation_left - 0.28 - planar_left, side)
        draw_planar(page, place, field, stretch, label=True)
        draw_vegetation(page, (vegetation_left, top, 0.85, side), field, label=True)
        page.save(out)


def _describe(store: PlanarStore, field: Field) -> str:
    return (
        f"region {field.index} of {store.path.name} · field in {field.true_colour.label}, planar image "
        f"in {field.false_colour.label} · {_mask_note(store)}"
    )


def _mask_note(store: PlanarStore) -> str:
    return f"hatched: not clear ({store.manifest.mask})"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
