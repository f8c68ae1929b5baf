"""Where the regions of a store lie, in the colours of their classes, over the land."""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
from affine import Affine
from matplotlib import patheffects
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from rasterio.features import rasterize

from sits_data.cube import RawCube, fast_codecs, open_raw
from sits_data.errors import SitsDataError
from sits_data.plot.colour import RGB, choose_composite, choose_stretch, fit, paint
from sits_data.plot.page import INK, QUIET, Page, shorten
from sits_data.plot.scale_bar import draw_scale_bar_below
from sits_data.plot.thumbnail import read_thumbnail
from sits_data.store import PlanarStore

UNLABELLED_COLOUR = "#9aa5b1"
_LEGEND_ROWS = 6
_LINE = 0.215
_LEGEND_WIDTH = 2.9
_FILL = 0.62
_MANY_REGIONS = 5000
_SAMPLED_REGIONS = 64


@dataclass(frozen=True)
class Window:
    """The part of the cube's grid that is shown: rows and columns."""

    top: int
    left: int
    height: int
    width: int


def draw_map(
    page: Page, place: tuple[float, float, float, float], store: PlanarStore, chosen: Sequence[int]
) -> None:
    """The map with its legend below.

    Args:
        page: to draw on.
        place: left, top, and the largest width and height in inches, legend included.
        store: whose regions.
        chosen: regions to mark A, B, C, …
    """
    left, top, max_width, max_height = place
    frame = store.to_geopandas()
    window = _shown_window(store, frame)
    entries = _legend_entries(store)
    # One column where that leaves the map its width.
    full_height = max_width * window.height / window.width
    columns = 1 if full_height + _LINE * len(entries) + 0.32 <= max_height else 2
    legend_height = _LINE * -(-len(entries) // columns) + 0.32
    scale = min(max_width / window.width, (max_height - legend_height) / window.height)
    width, height = window.width * scale, window.height * scale
    axes = page.picture(left, top, width, height)
    exact = page.pixels(height), page.pixels(width)
    axes.imshow(_paint_map(store, frame, window, exact, chosen), aspect="auto", extent=(0, 1, 0, 1))
    resolution_m = store.manifest.grid.resolution_m
    draw_scale_bar_below(page, left + width, top + height + 0.19, resolution_m / scale)
    for letter, index in zip(string.ascii_uppercase, chosen, strict=False):
        point = frame.geometry.iloc[index].representative_point()
        column, row = ~_transform(store) * (point.x, point.y)
        axes.text(
            (column - window.left) / window.width, 1 - (row - window.top) / window.height, letter,
            color="white", fontsize=11, fontweight="bold", ha="center", va="center_baseline",
            path_effects=[patheffects.withStroke(linewidth=3, foreground=INK)],
        )  # fmt: skip
    _draw_legend(page, (left, top + height + 0.32, max_width), entries, columns)


def _transform(store: PlanarStore) -> Affine:
    return Affine(*store.manifest.grid.transform)


def _shown_window(store: PlanarStore, frame: gpd.GeoDataFrame) -> Window:
    """The regions' extent with a little land around, within the grid."""
    height, width = store.manifest.grid.shape
    west, south, east, north = frame.total_bounds
    left, top = ~_transform(store) * (west, north)
    right, bottom = ~_transform(store) * (east, south)
    margin = 1 + 0.02 * max(right - left, bottom - top)
    first_row, first_column = max(0, int(top - margin)), max(0, int(left - margin))
    last_row, last_column = min(height, int(bottom + margin)), min(width, int(right + margin))
    return Window(first_row, first_column, last_row - first_row, last_column - first_column)


def _paint_map(
    store: PlanarStore,
    frame: gpd.GeoDataFrame,
    window: Window,
    exact: tuple[int, int],
    chosen: Sequence[int],
) -> RGB:
    """Colours at the size on the page: (y, x, 3)."""
    fine = _transform(store) * Affine.translation(window.left, window.top)
    fine *= Affine.scale(window.width / exact[1], window.height / exact[0])
    numbers = rasterize(
        zip(frame.geometry, range(1, len(frame) + 1), strict=True),
        out_shape=exact, transform=fine, dtype="int32",
    )  # fmt: skip
    ground = _ground(store, window, exact)
    colours = np.ones((*exact, 3), np.float32) * 0.93 if ground is None else ground * 0.55 + 0.45
    palette = np.array(
        [to_rgb(one.colour) for one in store.manifest.classes] + [to_rgb(UNLABELLED_COLOUR)], np.float32
    )
    label = np.append(store.labels, -1)[numbers - 1]
    if store.manifest.label is not None and store.manifest.label.per_pixel:
        rows = np.arange(exact[0]) * window.height // exact[0]
        columns = np.arange(exact[1]) * window.width // exact[1]
        label = _pixel_labels(store, window)[np.ix_(rows, columns)]
    amount = np.where(label < 0, 0.25, _FILL)[..., None] * (numbers > 0)[..., None]
    colours = colours * (1 - amount) + palette[label] * amount
    if np.sqrt(numbers.size / len(frame)) > 14 * page_line(exact):
        colours = np.where(_edges(numbers, 1)[..., None], colours * 0.55, colours)
    marked = np.where(np.isin(numbers, np.array(chosen) + 1), numbers, 0)
    ink = np.array(to_rgb(INK), np.float32)
    return np.where(_edges(marked, 2 * page_line(exact))[..., None], ink, colours).astype(np.float32)


def page_line(exact: tuple[int, int]) -> int:
    """Device pixels of a thin line."""
    return max(1, round(max(exact) / 600))


def _edges(numbers: NDArray[np.int32], width: int) -> NDArray[np.bool_]:
    """Where a number ends: (y, x), lines of `width` pixels."""
    edge = np.zeros(numbers.shape, bool)
    for step in range(1, width + 1):
        down = numbers[step:] != numbers[:-step]
        right = numbers[:, step:] != numbers[:, :-step]
        edge[:-step] |= down
        edge[:, :-step] |= right
    return edge


def _pixel_labels(store: PlanarStore, window: Window) -> NDArray[np.int32]:
    """Labels of the window's pixels: (y, x), -1 outside of the regions."""
    labels = np.full((window.height, window.width), -1, np.int32)
    for index in range(len(store)):
        region = store.region(index)
        assert region.labels is not None
        labels[region.yx[:, 0] - window.top, region.yx[:, 1] - window.left] = region.labels
    return labels


def _ground(store: PlanarStore, window: Window, exact: tuple[int, int]) -> RGB | None:
    """What lies under the regions on a clear date: of the cube beside the store, or the store's own.

    Returns:
        (y, x, 3) at the size on the page; None where reading all regions would take too long.
    """
    time = _clearest_date(store)
    composite = choose_composite(store.manifest.bands)
    cube = _find_cube(store)
    if cube is not None:
        factor = max(1, window.height // exact[0])
        with fast_codecs():
            whole = read_thumbnail(cube, time, composite, "standard", factor=factor).pixels
        top, left = window.top // factor, window.left // factor
        height, width = -(-window.height // factor), -(-window.width // factor)
        pixels = whole[top : top + height, left : left + width]
    elif len(store) <= _MANY_REGIONS:
        pixels = np.zeros((window.height, window.width, len(composite.positions)), np.uint16)
        for index in range(len(store)):
            region = store.region(index)
            shown = region.pixels[:, time][:, list(composite.positions)]
            pixels[region.yx[:, 0] - window.top, region.yx[:, 1] - window.left] = shown
    else:
        return None
    seen = np.asarray((pixels > 0).all(axis=-1))
    colours = np.where(seen[..., None], paint(pixels, choose_stretch(pixels, seen)), 1)
    return fit(colours, *exact)


def _clearest_date(store: PlanarStore) -> int:
    """Index of the date on which most of a sample of the regions was clear."""
    sample = np.unique(np.linspace(0, len(store) - 1, _SAMPLED_REGIONS).astype(int))
    return int(np.mean([store.clear(int(i)).mean(axis=0) for i in sample], axis=0).argmax())


def _find_cube(store: PlanarStore) -> RawCube | None:
    """The cube that the store was made from, if it still lies beside it."""
    name = Path(str(store.manifest.cube.get("path", ""))).name
    for folder in (store.path.resolve().parent, Path.cwd()):
        try:
            cube = open_raw(folder / name)
        except SitsDataError:
            continue
        if cube.attributes.get("plan") == store.manifest.cube.get("plan"):
            return cube
    return None


def _legend_entries(store: PlanarStore) -> list[tuple[str, str, str]]:
    """Colour, name and number of regions of each class there is, the most frequent first."""
    if store.manifest.label is None:
        return [(UNLABELLED_COLOUR, "unlabelled", f"{len(store)}")]
    counts = np.bincount(store.labels + 1, minlength=len(store.manifest.classes) + 1)
    ranked = sorted(
        ((int(counts[k + 1]), one.name, one.colour) for k, one in enumerate(store.manifest.classes)),
        key=lambda entry: -entry[0],
    )
    entries = [(colour, name, f"{count}") for count, name, colour in ranked if count]
    if counts[0]:
        entries.append((UNLABELLED_COLOUR, "unlabelled", f"{counts[0]}"))
    most = 2 * _LEGEND_ROWS
    if len(entries) > most:
        rest = entries[most - 1 :]
        regions = sum(int(count) for _, _, count in rest)
        entries = [*entries[: most - 1], ("#ffffff", f"{len(rest)} more classes", f"{regions}")]
    return entries


def _draw_legend(
    page: Page, place: tuple[float, float, float], entries: Sequence[tuple[str, str, str]], columns: int
) -> None:
    left, top, width = place
    rows = -(-len(entries) // columns)
    column_width = min(width / columns, _LEGEND_WIDTH)
    for number, (colour, name, count) in enumerate(entries):
        column, row = divmod(number, rows)
        x, y = left + column * column_width, top + row * _LINE + 0.05
        swatch = Rectangle(
            (x / page.width_in, 1 - y / page.height_in), 0.13 / page.width_in, 0.13 / page.height_in,
            facecolor=colour, transform=page.figure.transFigure,
        )  # fmt: skip
        page.figure.add_artist(swatch)
        page.text(x + 0.2, y - 0.005, shorten(name, 18 if columns == 2 else 40), size=9)
        page.text(
            x + column_width - (0.25 if columns == 2 else 0),
            y - 0.005,
            count,
            size=9,
            colour=QUIET,
            align="right",
        )
