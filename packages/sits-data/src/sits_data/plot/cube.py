"""A cube on one page: thumbnails of some dates on one stretch, and all dates along a time line."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from numpy.typing import NDArray
from pyproj import CRS

from sits_data.cube import RawCube, fast_codecs
from sits_data.mask import MaskName, clear_pixels, strict_classes
from sits_data.plot.colour import (
    Composite,
    choose_composite,
    choose_stretch,
    fit,
    ndvi,
    ndvi_bands,
    paint,
    veil,
)
from sits_data.plot.page import (
    ACCENT,
    ACCENT_PALE,
    FAINT,
    GREEN,
    QUIET,
    WIDTH_IN,
    Page,
    iso,
    new_page,
)
from sits_data.plot.scale_bar import draw_scale_bar
from sits_data.plot.thumbnail import Thumbnail, read_thumbnail

_MARGIN, _GAP = 0.45, 0.12
_GRID_TOP, _GRID_HEIGHT = 1.02, 4.55
_TIMELINE_HEIGHT = 1.35
_THUMB_HEIGHT = 1.95
_LABEL, _LABEL_WIDTH = 0.24, 1.3
_TALL = 0.4
_SAMPLE_PX = 1024
_MIN_CLEAR = 0.2


class _Cells(NamedTuple):
    """How thumbnails are laid out, in inches; a narrow one has a wider place, for its label."""

    columns: int
    rows: int
    width: float
    height: float
    place: float
    gap: float

    @property
    def total_width(self) -> float:
        return self.columns * self.place + (self.columns - 1) * self.gap

    @property
    def total_height(self) -> float:
        return self.rows * (self.height + _LABEL) + (self.rows - 1) * _GAP


def plot_cube(
    cube: RawCube, out: Path, *, mask: MaskName = "standard", dates: int | None = None, dpi: int = 150
) -> None:
    """Draw a cube: the clearest date of each of some equal parts of the series, and a time line.

    Args:
        cube: finished or not.
        out: the PNG.
        mask: which pixels count as clear.
        dates: how many thumbnails; by default as many as fill two rows.
        dpi: dots per inch; the page is 13.33 inches wide.

    Raises:
        OutputNotWritable: no permission, or the disk is full.
    """
    with fast_codecs():
        clear = cube.clear_fraction(mask)
        cells = _lay_out(*cube.geobox.shape, available=len(clear), wanted=dates)
        chosen = choose_dates(clear, dates or cells.columns * cells.rows)
        composite = choose_composite(cube.bands)
        factor = max(1, cube.geobox.shape[0] // round(cells.height * dpi))
        thumbnails = [read_thumbnail(cube, t, composite, mask, factor=factor) for t in chosen]
        vegetation = _median_ndvi(cube, mask)
    height = _GRID_TOP + cells.total_height + 0.55 + _TIMELINE_HEIGHT + 0.5
    with new_page(WIDTH_IN, height, dpi) as page:
        page.heading(_MARGIN, *_titles(cube, clear, mask, composite))
        _draw_thumbnails(page, cube, cells, chosen, clear, thumbnails)
        _draw_timeline(page, height - _TIMELINE_HEIGHT - 0.5, cube, chosen, clear, vegetation)
        page.save(out)


def choose_dates(clear: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Dates to show, one of each of `count` equal parts of the series.

    The clearest; in every third part the cloudiest that is still half clear, so that the mask shows.

    Args:
        clear: (time,) share of clear pixels.
        count: how many, at most all.

    >>> choose_dates(np.array([0.1, 0.9, 0.8, 0.2]), 2)
    array([1, 2])
    """
    chosen = []
    for number, part in enumerate(np.array_split(np.arange(len(clear)), min(count, len(clear)))):
        clouded = part[clear[part] >= 0.5]
        if number % 3 == 2 and len(clouded):
            chosen.append(clouded[clear[clouded].argmin()])
        else:
            chosen.append(part[clear[part].argmax()])
    return np.array(chosen, np.int64)


def _lay_out(rows_px: int, columns_px: int, *, available: int, wanted: int | None) -> _Cells:
    """As large thumbnails as fit; without a wanted number, as many as fill the width in two rows."""
    aspect = columns_px / rows_px
    width = WIDTH_IN - 2 * _MARGIN
    if wanted is None:
        place = max(aspect * _THUMB_HEIGHT, _LABEL_WIDTH)
        columns = max(1, round((width + _GAP) / (place + _GAP)))
        if columns == 1:
            rows = int(np.clip(_GRID_HEIGHT // (width / aspect + _LABEL), 2, 6))
        else:
            rows = 1 if aspect < _TALL else 2
        wanted = min(columns * rows, 24)
    count = min(wanted, available)
    label_width = _LABEL_WIDTH if count <= 2 * width // (_LABEL_WIDTH + _GAP) else 0.0

    def sized(columns: int) -> _Cells:
        rows = -(-count // columns)
        widest = (width - (columns - 1) * _GAP) / columns
        tallest = (_GRID_HEIGHT - (rows - 1) * _GAP) / rows - _LABEL
        thumb = min(widest, tallest * aspect)
        place = max(thumb, label_width)
        gap = _GAP if columns == 1 else min((width - columns * place) / (columns - 1), 3 * _GAP)
        return _Cells(columns, rows, thumb, thumb / aspect, place, gap)

    fitting = [cells for cells in map(sized, range(1, count + 1)) if cells.gap >= _GAP / 2]
    # Of equal sizes the one with the fewest empty cells.
    return max(fitting, key=lambda cells: (round(cells.width, 2), -cells.columns * cells.rows))


def _titles(
    cube: RawCube, clear: NDArray[np.float64], mask: MaskName, composite: Composite
) -> tuple[str, str]:
    height, width = cube.geobox.shape
    side = cube.resolution_m / 1000
    centre = cube.geobox.geographic_extent.centroid.points[0]
    east, north = centre
    place = (
        f"{abs(north):.3f}° {'N' if north >= 0 else 'S'}, {abs(east):.3f}° {'E' if east >= 0 else 'W'}"
    )
    span = f"{iso(cube.dates[0])} to {iso(cube.dates[-1])}" if len(clear) > 1 else iso(cube.dates[0])
    title = f"{cube.path.name}: {len(clear)} date{'s' * (len(clear) > 1)}, {span}"
    crs = CRS.from_user_input(str(cube.geobox.crs))
    code = f"{crs.name.replace('WGS 84 / ', '')} ({cube.geobox.crs})"
    return title, (
        f"Sentinel-2 at {place} · {width * side:.3g} × {height * side:.3g} km, {cube.resolution_m} m, "
        f"{code} · {composite.label} · {100 * clear.mean():.0f} % clear ({mask})"
    )


def _draw_thumbnails(
    page: Page,
    cube: RawCube,
    cells: _Cells,
    chosen: NDArray[np.int64],
    clear: NDArray[np.float64],
    thumbnails: Sequence[Thumbnail],
) -> None:
    stretch = choose_stretch(
        np.stack([t.pixels for t in thumbnails]), np.stack([t.clear for t in thumbnails])
    )
    room = cells.place >= 1
    size = float(np.clip(cells.place / (0.135 if room else 0.09), 4.5, 10))
    for number, (time, thumbnail) in enumerate(zip(chosen, thumbnails, strict=True)):
        row, column = divmod(number, cells.columns)
        left = (WIDTH_IN - cells.total_width) / 2 + column * (cells.place + cells.gap)
        top = _GRID_TOP + row * (cells.height + _LABEL + _GAP) + _LABEL
        axes = page.picture(left, top, cells.width, cells.height, frame=False)
        exact = page.pixels(cells.height), page.pixels(cells.width)
        colours = fit(paint(thumbnail.pixels, stretch), *exact)
        unclear = fit(~thumbnail.clear & (thumbnail.pixels > 0).all(axis=-1), *exact) >= 0.5
        axes.imshow(veil(colours, unclear, strength=0.12, dpi=page.dpi), aspect="auto")
        page.text(left, top - 0.07, iso(cube.dates[time]), size=size)
        if room:
            page.text(
                left + cells.place, top - 0.07, f"{100 * clear[time]:.0f} %",
                size=size, colour=QUIET, align="right",
            )  # fmt: skip
        if number == 0:
            draw_scale_bar(axes, cube.geobox.shape[1] * cube.resolution_m)


def _draw_timeline(
    page: Page,
    top: float,
    cube: RawCube,
    chosen: NDArray[np.int64],
    clear: NDArray[np.float64],
    vegetation: NDArray[np.float64] | None,
) -> None:
    left, width = _MARGIN + 0.95, WIDTH_IN - 2 * _MARGIN - 0.95
    days = cube.dates.astype(np.int64)
    bars_height = _TIMELINE_HEIGHT if vegetation is None else _TIMELINE_HEIGHT * 0.42
    bars = page.axes(left, top + _TIMELINE_HEIGHT - bars_height, width, bars_height)
    span = max(float(days[-1] - days[0]), 60.0)
    gap = float(np.percentile(np.diff(days), 10)) if len(days) > 1 else span
    bar_width = float(np.clip(0.8 * gap, span / 400, span / 50))
    middle, half = (days[0] + days[-1]) / 2, span * (1 / 2 + 1 / 80)
    limits = middle - half, middle + half
    colours = np.where(np.isin(np.arange(len(days)), chosen), ACCENT, ACCENT_PALE)
    bars.bar(days, 1.0, bar_width, color=FAINT)
    bars.bar(days, clear, bar_width, color=colours.tolist())
    bars.set(xlim=limits, ylim=(0, 1), yticks=[0, 1], yticklabels=["0 %", "100 %"])
    _date_axis(bars)
    page.text(_MARGIN, top + _TIMELINE_HEIGHT - bars_height / 2, "clear", colour=QUIET)
    page.text(
        WIDTH_IN - _MARGIN, top - 0.1, "dark bars: the dates shown above; hatched: not clear",
        size=8.5, colour=ACCENT, align="right",
    )  # fmt: skip
    if vegetation is None:
        return
    lines = page.axes(left, top, width, _TIMELINE_HEIGHT * 0.5)
    good = (clear >= _MIN_CLEAR) & np.isfinite(vegetation)
    lines.plot(days[good], vegetation[good], color=GREEN, lw=1.5, zorder=2)
    lines.scatter(days[good], vegetation[good], s=16, color=GREEN, edgecolors="white", lw=0.7, zorder=3)
    lines.set(xlim=limits, ylim=(-0.05, 1), yticks=[0, 0.5, 1], xticks=[])
    page.text(_MARGIN, top + _TIMELINE_HEIGHT * 0.25, "median", colour=QUIET)
    page.text(_MARGIN, top + _TIMELINE_HEIGHT * 0.25 + 0.15, "NDVI", colour=QUIET)
    lines.grid(axis="y", color=FAINT, lw=0.8)
    lines.spines["bottom"].set_visible(False)


def _date_axis(axes: Axes) -> None:
    axes.xaxis_date()
    locator = AutoDateLocator(minticks=4, maxticks=14)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)


def _median_ndvi(cube: RawCube, mask: MaskName) -> NDArray[np.float64] | None:
    """Median NDVI of the clear pixels of each date, of the central 1024 x 1024 pixels at most."""
    found = ndvi_bands(cube.bands)
    if found is None:
        return None
    first_row, first_column = (max(0, (side - _SAMPLE_PX) // 2) for side in cube.geobox.shape)
    middle = (
        slice(first_row, first_row + _SAMPLE_PX),
        slice(first_column, first_column + _SAMPLE_PX),
    )
    medians = np.full(len(cube.dates), np.nan)
    for time in range(len(medians)):
        scl = np.asarray(cube.array("scl")[time, *middle]) if strict_classes(mask) else None
        clear = clear_pixels(np.asarray(cube.array("qa")[time, *middle]), scl, mask)
        if clear.any():
            red, infrared = np.asarray(cube.array("reflectance").oindex[time, np.array(found), *middle])
            values = ndvi(red, infrared)[clear]
            medians[time] = np.nanmedian(values) if np.isfinite(values).any() else np.nan
    return medians
