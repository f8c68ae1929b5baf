"""The figure of docs/gaps-and-composites.md: `python docs/figures/gaps_and_composites.py`.

A simulated site, whose cloud-free truth is known: one pixel through two seasons, and one month of a
corner of the site.
"""

import sys
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from numpy.typing import NDArray

from sits_data import build_cube, open_cube
from sits_data.aoi import read_aoi
from sits_data.composite import Compositing, composite
from sits_data.gapfill import Filling, gapfill
from sits_data.grid import cube_grid
from sits_data.numbers import to_numbers, to_reflectance
from sits_data.plan import Request
from sits_data.plot.colour import choose_stretch, paint
from sits_data.plot.page import ACCENT, FAINT, GREEN, INK, QUIET, RULE, WARM, WIDTH_IN, Page, new_page
from sits_data.simulate import simulate_catalog

BANDS = ("B02", "B03", "B04", "B08")
MARGIN = 0.45
LINES = {
    "linear": (Filling(), WARM, "-"),
    "Savitzky-Golay": (Filling("savgol"), ACCENT, "-"),
    "Whittaker": (Filling("whittaker"), "#aa4499", "-"),
}


def main(folder: Path) -> None:
    """Draw it."""
    with TemporaryDirectory() as scratch:
        cube, truth = simulated(Path(scratch))
    with new_page(WIDTH_IN, 7.6, 150) as page:
        page.heading(
            MARGIN,
            "What fills the gaps, and what a month becomes",
            "simulated fields, 72 dates in two seasons, clouds as the scene classification sees them; "
            "the truth without clouds is known",
        )
        draw_series(page, cube, truth)
        draw_month(page, cube, truth)
        page.save(folder / "gaps-and-composites.png")


def simulated(folder: Path) -> tuple[xr.Dataset, xr.DataArray]:
    """A cube as built, in memory, and its cloud-free truth."""
    land = simulate_catalog(folder / "land", seed=1, size_px=120, dates=72).folder
    grid = cube_grid(read_aoi(land / "aoi.geojson"), 10)
    request = Request(
        catalog=str(land / "catalog.json"), collection="sentinel-2-l2a",
        start=date(2000, 1, 1), end=date(2100, 1, 1), bands=BANDS, grid=grid,
    )  # fmt: skip
    cube = open_cube(build_cube(request, folder / "field.zarr").path).load()
    images = []
    for day in cube["time"].dt.strftime("%Y-%m-%d").values:
        with rasterio.open(land / f"truth/reflectance/{day}.tif") as file:
            window = file.window(grid.left, grid.bottom, grid.right, grid.top)
            layers = [file.descriptions.index(band) + 1 for band in BANDS]
            images.append(to_reflectance(file.read(layers, window=window)))
    return cube, cube["reflectance"].copy(data=np.stack(images))


def draw_series(page: Page, cube: xr.Dataset, truth: xr.DataArray) -> None:
    """NDVI of the pixel whose truth varies most among those that are often clear."""
    clear = (cube["qa"] == 0).values
    span = np.ptp(ndvi(truth.values), axis=0)
    y, x = np.unravel_index(np.where(clear.mean(axis=0) > 0.45, span, 0).argmax(), span.shape)
    days = cube["time"].values
    seen = clear[:, y, x]
    axes = page.axes(MARGIN + 0.55, 1.35, WIDTH_IN - 2 * MARGIN - 0.55, 2.55)
    observed = ndvi(cube["reflectance"].values)[:, y, x]
    axes.plot(days, ndvi(truth.values)[:, y, x], color=RULE, lw=5, label="truth", zorder=1)
    for name, (settings, colour, style) in LINES.items():
        filled = ndvi(gapfill(cube, settings)["reflectance"].values)[:, y, x]
        axes.plot(days, filled, color=colour, lw=1.3, ls=style, label=name, zorder=2)
    axes.scatter(
        days[~seen], observed[~seen], s=22, marker="x", color=QUIET, lw=1, label="not clear", zorder=3
    )
    axes.scatter(
        days[seen], observed[seen], s=26, color=GREEN, ec="white", lw=0.7, label="clear", zorder=4
    )
    axes.set(ylim=(-0.1, 1), yticks=[0, 0.5, 1], xlim=(days[0], days[-1]))
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=6,
        frameon=False,
        labelcolor=INK,
        handlelength=1.4,
    )
    axes.grid(axis="y", color=FAINT, lw=0.8)
    date_axis(axes)
    page.text(MARGIN, 2.05, "NDVI", colour=QUIET)


def draw_month(page: Page, cube: xr.Dataset, truth: xr.DataArray) -> None:
    """One month by each method, beside the median of the truth on the same days."""
    months = composite(cube, Compositing("P1M", "count"))
    counts = months["count"]
    dates = cube["time"].resample(time="1MS").count()
    # Of the months in which nearly every pixel was seen the cloudiest.
    share = counts.mean(("y", "x")) / dates.values
    usable = ((counts > 0).mean(("y", "x")) > 0.99) & (dates.values >= 4)
    month = int(share.where(usable).argmin("time"))
    first = counts["time"].values[month]
    after = months["time_bnds"].values[month, 1]
    within = (cube["time"].values >= first) & (cube["time"].values < after)
    target = np.median(truth.values[within], axis=0)
    images = {"truth": target}
    for method in ("median", "medoid", "least-cloudy", "max-ndvi"):
        made = composite(cube, Compositing("P1M", method))["reflectance"]
        images[method] = made.values[month]
    side, gap, top = 2.31, 0.22, 4.95
    colours = [paintable(image) for image in images.values()]
    stretch = choose_stretch(colours[0][None], np.ones((1, *target.shape[1:]), bool))
    page.text(
        MARGIN, top - 0.35,
        f"{str(first)[:7]}: {int(within.sum())} dates, {100 * float(share[month]):.0f} % clear",
        size=12, bold=True,
    )  # fmt: skip
    for column, (name, image, painted) in enumerate(zip(images, images.values(), colours, strict=True)):
        left = MARGIN + column * (side + gap)
        axes = page.picture(left, top, side, side, frame=False)
        axes.imshow(paint(painted, stretch), aspect="auto")
        page.text(left, top - 0.08, name, size=10)
        if column:
            off = 1e4 * np.sqrt(np.nanmean(np.square(image - target)))
            page.text(left + side, top - 0.08, f"RMSE {off:.0f}", size=9, colour=QUIET, align="right")
    page.text(
        MARGIN, top + side + 0.22, "RMSE of reflectance in four bands, in units of 0.0001", colour=QUIET
    )


def paintable(image: NDArray[np.float32]) -> NDArray[np.uint16]:
    """(y, x, 3) numbers of red, green and blue."""
    return np.moveaxis(to_numbers(image)[[2, 1, 0]], 0, -1)


def ndvi(reflectance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of (time, band, y, x)."""
    red, infrared = reflectance[:, 2], reflectance[:, 3]
    return (infrared - red) / np.maximum(infrared + red, 0.02)


def date_axis(axes: Axes) -> None:
    """Months."""
    locator = AutoDateLocator(minticks=6, maxticks=20)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "images")
