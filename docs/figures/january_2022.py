"""The figure of docs/radiometry.md: `python docs/figures/january_2022.py`.

A simulated farm, seen by Earth Search's flavour of Sentinel-2 through January 2022: of one field, red
reflectance and NDVI as the numbers are stored, and as a cube of sits-data has them.
"""

import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import rasterio.features
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, MonthLocator
from numpy.typing import NDArray

from sits_data.aoi import read_aoi
from sits_data.build import build_cube
from sits_data.cube import open_cube
from sits_data.grid import cube_grid
from sits_data.plan import Request
from sits_data.plot.page import ACCENT, FAINT, INK, QUIET, RULE, WARM, WIDTH_IN, new_page
from sits_data.simulate import SimulatedCatalog, simulate_catalog

BASELINE_04 = np.datetime64("2022-01-25")
BANDS = ("B04", "B08")
HEIGHT_IN = 6.9
CROP = 9120
"""Grassland: green all year, so nothing but the numbers' meaning changes in January."""

KINDS = {
    (False, 0): ("before baseline 04.00", QUIET, "o"),
    (True, -1000): ("04.00 on, 1000 added", WARM, "^"),
    (True, 0): ("04.00 on, taken away again", ACCENT, "v"),
}
"""Baseline 04.00 or later, offset inside the numbers → label, colour, marker."""


@dataclass(frozen=True)
class Series:
    """One field on its clear dates.

    Args:
        days: (date,) datetime64[D].
        reflectance: (date, band) as a cube has it.
        offset_dn: (date,) what the numbers of the scene held.
        modern: (date,) of baseline 04.00 or later.
        truth: (date, band) what the simulator made the field.
    """

    days: NDArray[np.datetime64]
    reflectance: NDArray[np.float64]
    offset_dn: NDArray[np.int32]
    modern: NDArray[np.bool_]
    truth: NDArray[np.float64]

    @property
    def as_stored(self) -> NDArray[np.float64]:
        """(date, band) the stored numbers over 10000, as scripts from before 2022 read them."""
        return np.asarray(self.reflectance - self.offset_dn[:, None] / 10_000)


def main(folder: Path) -> None:
    """Simulate, build, draw."""
    with tempfile.TemporaryDirectory() as scratch:
        made = simulate_catalog(
            Path(scratch) / "farm", seed=7, size_px=96, start=date(2021, 3, 1), end=date(2022, 11, 30),
            dates=90, wrong_flags=True,
        )  # fmt: skip
        draw(folder / "january-2022.png", field_series(made, Path(scratch) / "farm.zarr"))


def field_series(made: SimulatedCatalog, out: Path) -> Series:
    """The largest grassland of the farm, where it is wholly clear in truth."""
    request = Request(
        catalog=str(made.catalog), collection="sentinel-2-l2a", start=made.start, end=made.end,
        bands=BANDS, grid=cube_grid(read_aoi(str(made.aoi)), 10),
    )  # fmt: skip
    result = build_cube(request, out)
    cube = open_cube(result.path)
    where = _largest_field(made, request)
    values = cube.reflectance.values[:, :, where].mean(axis=-1, dtype=float)
    days = cube.time.values.astype("datetime64[D]")
    clear = _truly_clear(made, request, where)
    at = [number for number, day in enumerate(days) if clear[str(day)]]
    scenes = [day.scenes[0] for day in result.plan.days]
    return Series(
        days=days[at],
        reflectance=values[at],
        offset_dn=np.array([scenes[number].offset_dn for number in at], np.int32),
        modern=np.array([(scenes[number].baseline or "") >= "04.00" for number in at]),
        truth=np.stack([_truth(made, request, where, str(days[number])) for number in at]),
    )


def _largest_field(made: SimulatedCatalog, request: Request) -> NDArray[np.bool_]:
    """(y, x) True inside it."""
    parcels = gpd.read_file(made.parcels)
    grass = parcels[(parcels["crop_code_2021"] == CROP) & (parcels["crop_code_2022"] == CROP)]
    outline = grass.loc[grass["area_px"].idxmax()].geometry
    box = request.grid.geobox
    return np.asarray(
        rasterio.features.rasterize([outline], out_shape=box.shape, transform=box.affine), bool
    )


def _on_grid(path: Path, request: Request) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Descriptions and (band, y, x) values of a raster of the truth, cut to the cube's grid."""
    grid = request.grid
    with rasterio.open(path) as raster:
        row, col = raster.index(grid.left + 5, grid.top - 5)
        rows, cols = grid.shape
        values = raster.read()[:, row : row + rows, col : col + cols]
        return raster.descriptions, values.astype(float)


def _truly_clear(made: SimulatedCatalog, request: Request, where: NDArray[np.bool_]) -> dict[str, bool]:
    days, clear = _on_grid(made.truth / "clear.tif", request)
    return {day: bool(one[where].all()) for day, one in zip(days, clear, strict=True)}


def _truth(
    made: SimulatedCatalog, request: Request, where: NDArray[np.bool_], day: str
) -> NDArray[np.float64]:
    names, dn = _on_grid(made.truth / "reflectance" / f"{day}.tif", request)
    return np.array([dn[names.index(band)][where].mean() / 10_000 - 0.1 for band in BANDS])


def draw(out: Path, series: Series) -> None:
    """Two rows, red and NDVI; two columns, as stored and as a cube has it."""
    margin, top, height, gap = 0.75, 1.8, 2.1, 0.5
    width = (WIDTH_IN - 2 * margin - gap) / 2
    red_top = 0.05 + float(max(series.as_stored[:, 0].max(), series.reflectance[:, 0].max()))
    with new_page(WIDTH_IN, HEIGHT_IN, 150) as page:
        page.heading(
            margin,
            "Why a series jumps in January 2022",
            "a simulated meadow on its clear dates · ESA adds 1000 to the numbers of all that it makes "
            "since, older scenes too; some catalogues take it away again",
        )
        columns = {
            "As stored: number / 10 000": series.as_stored,
            "In a cube of sits-data": series.reflectance,
        }
        for column, (title, values) in enumerate(columns.items()):
            left = margin + column * (width + gap)
            page.text(left, top - 0.3, title, size=12, bold=True)
            for row, (name, shown, truth) in enumerate(
                (
                    ("red reflectance (B04)", values[:, 0], series.truth[:, 0]),
                    ("NDVI", _ndvi(values), _ndvi(series.truth)),
                )
            ):
                axes = page.axes(left, top + row * (height + 0.35), width, height)
                _draw_series(axes, series, shown, truth)
                axes.set_ylim((0, red_top) if row == 0 else (0, 1))
                if column == 0:
                    axes.set_ylabel(name)
                if row == 0:
                    axes.tick_params(labelbottom=False)
                    axes.text(
                        BASELINE_04, 1.01, "25 January 2022", transform=axes.get_xaxis_transform(),
                        ha="center", va="bottom", fontsize=8.5, color=QUIET,
                    )  # fmt: skip
        _legend(page.figure.axes[0])
        page.save(out)


def _draw_series(
    axes: Axes, series: Series, shown: NDArray[np.float64], truth: NDArray[np.float64]
) -> None:
    axes.grid(axis="y", color=FAINT)
    axes.set_axisbelow(True)
    axes.axvline(BASELINE_04, color=RULE, linestyle=(0, (4, 3)))
    axes.plot(series.days, truth, color=RULE, linewidth=1.4, label="truth")
    for (modern, offset_dn), (label, colour, marker) in KINDS.items():
        at = (series.modern == modern) & (series.offset_dn == offset_dn)
        axes.plot(
            series.days[at], shown[at], marker, color=colour, markersize=5, label=label,
            markeredgecolor="white", markeredgewidth=0.4,
        )  # fmt: skip
    axes.xaxis.set_major_locator(MonthLocator((1, 4, 7, 10)))
    axes.xaxis.set_major_formatter(DateFormatter("%b %Y"))


def _legend(axes: Axes) -> None:
    figure = axes.figure
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper left", bbox_to_anchor=(0.75 / WIDTH_IN, 1 - 0.95 / HEIGHT_IN),
        ncols=4, frameon=False, labelcolor=INK, borderaxespad=0, handlelength=1.4, borderpad=0,
    )  # fmt: skip


def _ndvi(values: NDArray[np.float64]) -> NDArray[np.float64]:
    red, nir = values[:, 0], values[:, 1]
    return np.asarray((nir - red) / (nir + red))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "images")
