"""The figure of docs/masks.md: `python docs/figures/masks.py`.

One simulated day, whose truth is known, under several masks and distances.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import rasterio
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from rasterio.windows import from_bounds

from sits_data.aoi import features_of, read_aoi
from sits_data.build import build_cube
from sits_data.cube import RawCube, open_raw
from sits_data.grid import cube_grid
from sits_data.mask import QA, MaskName, Refinement, clear_pixels, qa_from_scl, refine, refined_qa
from sits_data.plan import Request
from sits_data.plot.colour import RGB, choose_stretch, fit, paint
from sits_data.plot.page import ACCENT, QUIET, WARM, WIDTH_IN, Page, new_page
from sits_data.plot.scale_bar import draw_scale_bar
from sits_data.simulate import SimulatedCatalog, simulate_catalog

SEED, SIZE_PX, COVER = 2, 240, 0.2
BITS = {
    "cloud": (QA.CLOUD, "#f4f6f8"), "shadow": (QA.SHADOW, "#3b4754"), "cirrus": (QA.CIRRUS, "#7fc8d8"),
    "snow": (QA.SNOW, "#d48fd0"), "clear": (QA(0), "#a9c18f"),
}  # fmt: skip
HIT, MISSED, NEEDLESS = "#ffffff", WARM, ACCENT
JUDGED = {"unclear, dropped": HIT, "unclear, kept": MISSED, "clear, dropped": NEEDLESS}
PANELS: tuple[tuple[MaskName, float, float], ...] = (
    ("permissive", 0, 0), ("standard", 0, 0), ("strict", 0, 0),
    ("standard", 20, 0), ("standard", 0, 60), ("standard", 20, 60),
)  # fmt: skip
"""Mask, erosion and dilation in metres."""


@dataclass(frozen=True)
class Day:
    """One day of a cube and what is true of it.

    Args:
        day: solar day.
        colours: (y, x, 3) the scene as people see it.
        scl: (y, x) classes.
        clear: (y, x) truth, True = nothing hides or shades the land.
        width_m: of the window.
    """

    day: date
    colours: RGB
    scl: NDArray[np.uint8]
    clear: NDArray[np.bool_]
    width_m: int


def main(folder: Path) -> None:
    """Draw it."""
    with tempfile.TemporaryDirectory() as scratch:
        shown = _make_day(Path(scratch))
    margin, top, gap, label = 0.45, 1.25, 0.22, 0.62
    side = (WIDTH_IN - 2 * margin - 3 * gap) / 4
    with new_page(WIDTH_IN, top + 2 * (side + label) + 0.55, 150) as page:
        page.heading(
            margin,
            "One day under several masks",
            f"simulated, {shown.day}, so the truth is known · what each mask gets right and wrong",
        )
        places = [
            (margin + column * (side + gap), top + row * (side + label))
            for row in range(2)
            for column in range(4)
        ]
        axes = _panel(page, places[0], side, shown.colours, "what was seen", "true colour")
        draw_scale_bar(axes, shown.width_m)
        _panel(page, places[1], side, _painted_bits(shown.scl), "what SCL says", "the bits of qa")
        for place, (mask, erode_m, dilate_m) in zip(places[2:], PANELS, strict=True):
            found = _clear(shown.scl, mask, erode_m, dilate_m)
            steps = [f"erode {erode_m} m"] * (erode_m > 0) + [f"dilate {dilate_m} m"] * (dilate_m > 0)
            missed, needless = found & ~shown.clear, ~found & shown.clear
            note = (
                f"keeps {100 * missed.sum() / (~shown.clear).sum():.0f} % unclear, "
                f"drops {100 * needless.sum() / shown.clear.sum():.0f} % clear"
            )
            name = ", ".join([mask, *steps])
            _panel(page, place, side, _judged(shown, found), name, note)
        bottom = top + 2 * (side + label)
        _legend(page, margin, bottom, "SCL", {name: colour for name, (_, colour) in BITS.items()})
        _legend(page, places[2][0], bottom, "masks", JUDGED)
        page.save(folder / "masks.png")


def _panel(
    page: Page, place: tuple[float, float], side: float, colours: RGB, name: str, note: str
) -> Axes:
    left, top = place
    page.text(left, top - 0.08, name, size=11, bold=True)
    axes = page.picture(left, top, side, side)
    axes.imshow(fit(colours, page.pixels(side), page.pixels(side)), aspect="auto")
    page.text(left, top + side + 0.16, note, size=9, colour=QUIET)
    return axes


def _legend(page: Page, left: float, top: float, title: str, colours: Mapping[str, str]) -> None:
    page.text(left, top + 0.13, title, bold=True)
    left += 0.62
    for name, colour in colours.items():
        axes = page.picture(left, top, 0.16, 0.16)
        axes.add_patch(Rectangle((0, 0), 1, 1, color=colour))
        page.text(left + 0.24, top + 0.13, name, colour=QUIET)
        left += 0.45 + 0.075 * len(name)


def _make_day(folder: Path) -> Day:
    """The day whose cloud cover is nearest to the one wanted."""
    made = simulate_catalog(folder / "land", seed=SEED, size_px=SIZE_PX, dates=16)
    days = json.loads((made.truth / "dates.json").read_text())
    whole = [(band, one) for band, one in enumerate(days, start=1) if one["seen_fraction"] == 1]
    band, chosen = min(whole, key=lambda pair: abs(pair[1]["cloud_fraction"] - COVER))
    day = date.fromisoformat(chosen["date"])
    raw = _cube(made, day, folder / "c.zarr")
    dn = np.moveaxis(raw.read("reflectance", 0), 0, -1)
    scl = raw.read("scl", 0)
    with rasterio.open(made.truth / "clear.tif") as source:
        window = from_bounds(*raw.geobox.boundingbox.bbox, source.transform)
        clear = source.read(band, window=window) == 1
    stretch = choose_stretch(dn, clear, balanced=True)
    return Day(day, paint(dn, stretch), scl, clear, scl.shape[1] * raw.resolution_m)


def _cube(made: SimulatedCatalog, day: date, path: Path) -> RawCube:
    area = read_aoi(str(made.aoi))
    request = Request(
        catalog=str(made.catalog), collection="sentinel-2-l2a", start=day, end=day,
        bands=("B04", "B03", "B02"), grid=cube_grid(area, 10), features=features_of(area),
    )  # fmt: skip
    return open_raw(build_cube(request, path).path)


def _clear(scl: NDArray[np.uint8], mask: MaskName, erode_m: float, dilate_m: float) -> NDArray[np.bool_]:
    """(y, x) what a mask calls clear, its distances taken at SCL's 20 m as in a cube."""
    refined = refine(qa_from_scl(scl[::2, ::2]), Refinement(erode_m=erode_m, dilate_m=dilate_m), 20)
    kept, near = (each.repeat(2, 0).repeat(2, 1) for each in (refined.kept, refined.near))
    return clear_pixels(refined_qa(qa_from_scl(scl), kept, near), scl, mask)


def _painted_bits(scl: NDArray[np.uint8]) -> RGB:
    qa = qa_from_scl(scl)
    colours = np.empty((*scl.shape, 3), np.float32)
    colours[...] = _rgb(BITS["clear"][1])
    for bit, colour in BITS.values():
        colours[(qa & bit) != 0] = _rgb(colour)
    return colours


def _judged(shown: Day, found: NDArray[np.bool_]) -> RGB:
    """The scene, grey, with what a mask does right and wrong on it."""
    grey = shown.colours.mean(axis=-1, keepdims=True).repeat(3, axis=-1) * 0.75
    for part, colour, strength in (
        (~found & ~shown.clear, HIT, 0.75),
        (found & ~shown.clear, MISSED, 0.9),
        (~found & shown.clear, NEEDLESS, 0.75),
    ):
        grey[part] = grey[part] * (1 - strength) + np.array(_rgb(colour)) * strength
    return np.asarray(grey, np.float32)


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "images")
