"""A region three ways: as an image, with the curve through its pixels, and as a planar image."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sits_data.planar import gather
from sits_data.plot.colour import (
    Composite,
    Pixels,
    Stretch,
    choose_composite,
    choose_stretch,
    fit,
    ndvi,
    ndvi_bands,
    paint,
    veil,
)
from sits_data.plot.page import ACCENT, FAINT, GREEN, QUIET, Page, iso, spread_ticks

CURVE_COLOURS = "plasma"
_MIN_CLEAR = 0.5


@dataclass(frozen=True)
class Field:
    """What is drawn of one region.

    Args:
        index: its position in the store.
        name: its class, or what else it is called.
        pixels: (P, T, B) DN, 0 = not observed.
        clear: (P, T), True = usable.
        yx: (P, 2) row and column on the grid.
        order: (P,) rows along the curve.
        order_name: of the curve.
        dates: (T,) days since 1970-01-01.
        bands: ids along the band axis.
    """

    index: int
    name: str
    pixels: Pixels
    clear: NDArray[np.bool_]
    yx: NDArray[np.int32]
    order: NDArray[np.int32]
    order_name: str
    dates: NDArray[np.int32]
    bands: tuple[str, ...]

    @cached_property
    def shown_date(self) -> int:
        """Index of the date to show: of the clearest ones the greenest, or that with most contrast.

        Greenest by near infrared minus red: haze that the mask missed and a low sun both lower it.
        """
        share = self.clear.mean(axis=0)
        found = ndvi_bands(self.bands)
        if found is None:
            score = self.pixels.std(axis=0).mean(axis=-1)
        else:
            red, near_infrared = (self.pixels[..., index].astype(np.float64) for index in found)
            score = (near_infrared - red).mean(axis=0)
        return int(np.where(share >= share.max() - 1e-9, score, -np.inf).argmax())

    @property
    def true_colour(self) -> Composite:
        """For the field as an image."""
        return choose_composite(self.bands)

    @property
    def false_colour(self) -> Composite:
        """For the planar image: near infrared shows what grows."""
        return choose_composite(self.bands, vegetation=True)


def draw_field(
    page: Page, place: tuple[float, float, float], field: Field, *, faded: bool = False
) -> Axes:
    """The region's pixels on the date shown, at the top left of a square of white paper.

    Args:
        page: to draw on.
        place: left, top and side of the square in inches.
        field: the region.
        faded: lighter, as the ground for a curve.
    """
    left, top, side = place
    axes = page.picture(left, top, side, side, frame=False)
    yx = field.yx - field.yx.min(axis=0)
    height, width = yx.max(axis=0) + 1
    pixels = field.pixels[:, field.shown_date][:, list(field.true_colour.positions)]
    colours = paint(pixels, choose_stretch(pixels, field.clear[:, field.shown_date], balanced=True))
    if faded:
        colours = colours * 0.55 + 0.45
    image = np.ones((height, width, 3), np.float32)
    image[yx[:, 0], yx[:, 1]] = colours
    axes.imshow(image, aspect="equal")
    longest = max(height, width)
    axes.set(xlim=(-0.5, longest - 0.5), ylim=(longest - 0.5, -0.5))
    return axes


def draw_curve(
    axes: Axes, field: Field, side_in: float, *, breaks: NDArray[np.integer[Any]] | None = None
) -> None:
    """The curve, coloured by position; steps over gaps are thin; a dot starts it, a square ends it.

    Args:
        axes: with the field, in pixels.
        field: the region.
        side_in: side of the axes in inches.
        breaks: positions at which another curve starts, such as the next walk; None is one curve.
    """
    path = (field.yx - field.yx.min(axis=0))[field.order][:, ::-1].astype(float)
    cell_points = 72 * side_in / (np.ptp(axes.get_xlim()) or 1)
    line_width = float(np.clip(cell_points * 0.22, 0.5, 2.4))
    colours = matplotlib.colormaps[CURVE_COLOURS]
    if len(path) > 1:
        segments = np.stack([path[:-1], path[1:]], axis=1)
        steps = np.abs(np.diff(path, axis=0)).max(axis=1)
        shades = colours(np.linspace(0, 1, len(segments)))
        joined = np.ones(len(steps), bool)
        joined[[] if breaks is None else np.asarray(breaks) - 1] = False
        near, segments, shades = (one[joined] for one in (steps <= 1, segments, shades))
        axes.add_collection(LineCollection(segments[~near], colors=shades[~near], lw=line_width * 0.4))
        casing = LineCollection(segments[near], colors="white", lw=line_width * 1.9, alpha=0.75)
        casing.set_capstyle("round")
        axes.add_collection(casing)
        line = LineCollection(segments[near], colors=shades[near], lw=line_width)
        line.set_capstyle("round")
        axes.add_collection(line)
    size = float(np.clip(cell_points * 0.75, 4.5, 9))
    for point, marker, shade in ((path[0], "o", colours(0.0)), (path[-1], "s", colours(1.0))):
        axes.plot(*point, marker, ms=size, mfc=shade, mec="white", mew=1.2, zorder=5, clip_on=False)


def draw_planar(
    page: Page,
    place: tuple[float, float, float, float],
    field: Field,
    stretch: Stretch,
    *,
    label: bool,
    dates: bool = True,
) -> None:
    """The planar image: rows are dates, columns positions along the curve, whose colours lie below.

    Args:
        page: to draw on.
        place: left, top, width and height in inches; date labels need 0.75 inches more at the left.
        field: the region.
        stretch: of the channels of `field.false_colour`.
        label: write below what the columns are.
        dates: write beside the rows what they are.
    """
    left, top, width, height = place
    axes = page.axes(left, top, width, height)
    exact = page.pixels(height), page.pixels(width)
    shown = list(field.false_colour.positions)
    image = gather(field.pixels[:, :, shown], field.order).transpose(1, 2, 0)
    clear = field.clear[field.order].T
    colours = fit(paint(image, stretch), *exact)
    unclear = fit(~clear & (image > 0).all(axis=-1), *exact) >= 0.5
    rows, length = clear.shape
    axes.imshow(
        veil(colours, unclear, strength=0.94, dpi=page.dpi, hatching=0.3), aspect="auto",
        extent=(0, length, rows - 0.5, -0.5),
    )  # fmt: skip
    ticks = spread_ticks(rows, int(height / 0.2)) if dates else []
    axes.set_yticks(ticks, [iso(field.dates[t]) for t in ticks], fontsize=8)
    axes.tick_params(axis="x", bottom=False, labelbottom=False)
    _draw_position_strip(page, (left, top + height, width), length, field.order_name, label=label)
    axes.plot(
        1.012, 1 - (field.shown_date + 0.5) / rows, "<", ms=5, color=ACCENT,
        transform=axes.transAxes, clip_on=False,
    )  # fmt: skip


def draw_vegetation(
    page: Page, place: tuple[float, float, float, float], field: Field, *, label: bool
) -> None:
    """Mean NDVI of the clear pixels beside the rows of the planar image, with the middle 80 percent.

    Args:
        page: to draw on.
        place: left, top, width and height in inches.
        field: the region; without red and near infrared nothing is drawn.
        label: write below what it is.
    """
    found = ndvi_bands(field.bands)
    if found is None:
        return
    axes = page.axes(*place)
    values = ndvi(field.pixels[..., found[0]], field.pixels[..., found[1]])
    values = np.where(field.clear, values, np.nan)
    rows = np.flatnonzero(np.isfinite(values).mean(axis=0) >= _MIN_CLEAR)
    if len(rows):
        low, high = np.nanpercentile(values[:, rows], (10, 90), axis=0)
        mean = np.nanmean(values[:, rows], axis=0)
        axes.fill_betweenx(rows, low, high, color=GREEN, alpha=0.18, lw=0)
        axes.plot(mean, rows, color=GREEN, lw=1.2, marker="o", ms=2.2)
    axes.set(ylim=(values.shape[1] - 0.5, -0.5), xlim=(0, 1), yticks=[], xticks=[0, 0.5, 1])
    axes.set_xticklabels(["0", "", "1"])
    axes.grid(axis="x", color=FAINT, lw=0.8)
    axes.spines["left"].set_visible(False)
    if label:
        page.text(
            place[0] + place[2] / 2, place[1] + place[3] + 0.4, "mean NDVI", colour=QUIET, align="center"
        )


def _draw_position_strip(
    page: Page, place: tuple[float, float, float], length: int, order_name: str, *, label: bool
) -> None:
    """A strip in the curve's colours under a planar image: what links the two."""
    left, top, width = place
    axes = page.axes(left, top + 0.03, width, 0.07)
    axes.imshow(
        np.linspace(0, 1, 256)[None], cmap=CURVE_COLOURS, aspect="auto", extent=(0, length, 0, 1)
    )
    ticks = MaxNLocator(5, integer=True).tick_values(0, length)
    axes.set(yticks=[], xticks=[tick for tick in ticks if 0 <= tick <= length], xlim=(0, length))
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(axis="x", length=2, pad=2)
    if label:
        page.text(
            left + width / 2, top + 0.4, f"position along the {curve_title(order_name)} (pixels)",
            colour=QUIET, align="center",
        )  # fmt: skip


def curve_title(order_name: str) -> str:
    """What a curve is called in captions: `Hilbert curve`, `raster scan`, `snake`."""
    return {"hilbert": "Hilbert curve", "raster": "raster scan"}.get(order_name, order_name)
