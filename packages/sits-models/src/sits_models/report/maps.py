"""A map for the page: its classes, how sure they are, and the labels that are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from sits_data.cube import RawCube, fast_codecs
from sits_data.errors import InvalidRequest
from sits_data.manifest import LabelClass
from sits_data.plot.colour import choose_composite
from sits_data.plot.thumbnail import read_thumbnail
from sits_data.store import PlanarStore
from sits_models.geotiff import NO_CLASS, read_classes
from sits_models.report.land import clear_share, label_map
from sits_models.report.pictures import data_url, gradient, paint_classes, paint_confidence, paint_ground

_MOST_PX = 1200
_SURE = 0.5


@dataclass(frozen=True)
class LegendEntry:
    """A class of a map.

    Args:
        name, colour: of the class.
        share: of the mapped pixels, 0 to 1.
        hectares: that it covers.
    """

    name: str
    colour: str
    share: float
    hectares: float


@dataclass(frozen=True)
class Picture:
    """One image of a map.

    Args:
        title, alt: in words.
        url: of the PNG, inside of the page.
        gradient: colours of a scale from 0 to 1, as CSS, or nothing.
    """

    title: str
    alt: str
    url: str
    gradient: str = ""


@dataclass(frozen=True)
class MapView:
    """A map, ready to be shown; all pictures have the same extent.

    Args:
        name: of the file.
        pictures: the classes first.
        width, height: of a picture in pixels.
        legend: classes that occur, the largest first.
        no_data: share of pixels that were never clear, 0 to 1; `no_data_ha` is their area.
        unsure: share of mapped pixels whose class has a probability below one half; None if unknown.
        agreement: share of labelled pixels that the map names alike; None without labels.
        scale_pct: length of the scale bar, percent of the width; `scale` says it.
        facts: size, resolution and CRS, in words.
        missing: what is left out, and why.
    """

    name: str
    pictures: tuple[Picture, ...]
    width: int
    height: int
    legend: tuple[LegendEntry, ...]
    no_data: float
    no_data_ha: float
    unsure: float | None
    agreement: float | None
    scale_pct: float
    scale: str
    facts: str
    missing: tuple[str, ...]


def view_map(path: Path, *, stores: Sequence[PlanarStore] = (), cube: RawCube | None = None) -> MapView:
    """Read a map that `predict` wrote.

    Args:
        path: of `map.tif`; `map.prob.tif` beside it says how sure it is.
        stores: the labels of the first one on the map's grid are shown beside it.
        cube: that was mapped; its clearest date is shown beside the map.

    Raises:
        InvalidRequest: the file is no map of ours.
    """
    classes = read_classes(path)
    with rasterio.open(path) as raster:
        counts = _count(raster)
        shape = _shown_shape(raster.shape)
        indices = raster.read(1, out_shape=shape, resampling=Resampling.mode)
        transform, facts = raster.transform, _facts(raster)
        full = raster.shape
    store = next((one for one in stores if _on_grid(one, transform, full)), None)
    missing = []
    pixel_m2 = abs(transform.a * transform.e)
    mapped = max(1, int(counts[:NO_CLASS].sum()))
    colours = [one.colour for one in classes]
    pictures = [
        Picture("Classes", f"Map of {len(classes)} classes", data_url(paint_classes(indices, colours)))
    ]
    sure = _confidence(path.with_suffix(".prob.tif"), shape)
    if sure is not None:
        pictures.append(
            Picture(
                "How sure",
                "Map of the probability of the most probable class",
                data_url(paint_confidence(sure)),
                gradient(),
            )
        )
    else:
        missing.append(f"how sure it is: {path.stem}.prob.tif is not beside it")
    known = None if store is None else _labels(store, classes)
    if known is not None:
        shown = known[_nearest(full[0], shape[0])][:, _nearest(full[1], shape[1])]
        pictures.append(
            Picture(
                "Labels", "Map of the labels that are known", data_url(paint_classes(shown, colours))
            )
        )
    if cube is None:
        missing.append("the land: its cube is not where it was, give it with --cube")
    elif cube.geobox.shape != full or not transform.almost_equals(cube.geobox.transform):
        missing.append("the land: the cube has another grid than the map")
    else:
        pictures.append(_ground(cube, store))
    bar_m = _round_length(abs(transform.a) * full[1] * 0.3)
    return MapView(
        name=path.name,
        pictures=tuple(pictures),
        width=shape[1],
        height=shape[0],
        legend=_legend(classes, counts, mapped, pixel_m2),
        no_data=float(counts[NO_CLASS] / counts.sum()),
        no_data_ha=float(counts[NO_CLASS] * pixel_m2 / 1e4),
        unsure=None if sure is None else float((sure[np.isfinite(sure)] < _SURE).mean()),
        agreement=None if known is None else _agreement(path, known),
        scale_pct=round(100 * bar_m / (abs(transform.a) * full[1]), 2),
        scale=f"{bar_m / 1000:g} km" if bar_m >= 1000 else f"{bar_m:g} m",
        facts=facts,
        missing=tuple(missing),
    )


def _count(raster: DatasetReader) -> NDArray[np.int64]:
    """Pixels of each value, (256,); window by window."""
    counts = np.zeros(NO_CLASS + 1, np.int64)
    for _, window in raster.block_windows(1):
        counts += np.bincount(raster.read(1, window=window).ravel(), minlength=len(counts))
    return counts


def _confidence(path: Path, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    """(y, x) probability of the most probable class, NaN where there is no data; None without a file."""
    if not path.is_file():
        return None
    best = np.full(shape, np.nan, np.float32)
    try:
        with rasterio.open(path) as raster:
            for band in raster.indexes:
                chances = raster.read(band, out_shape=shape, resampling=Resampling.nearest)
                best = np.fmax(best, chances)
    except RasterioError as error:
        raise InvalidRequest(
            f"{path} cannot be read ({error}); predict again with --overwrite"
        ) from error
    return best


def _on_grid(store: PlanarStore, transform: Affine, shape: tuple[int, int]) -> bool:
    """Whether a store is labelled and of a map's grid."""
    grid = store.manifest.grid
    same = grid.shape == shape and transform.almost_equals(Affine(*grid.transform))
    return same and store.manifest.label is not None


def _labels(store: PlanarStore, classes: Sequence[LabelClass]) -> NDArray[np.int64]:
    """(y, x) known classes by the map's index, -1 elsewhere."""
    index = {one.name: number for number, one in enumerate(classes)}
    by_label = np.array([index.get(one.name, -1) for one in store.manifest.classes] + [-1])
    return np.asarray(by_label[label_map(store, store.manifest.grid.shape)])


def _agreement(path: Path, known: NDArray[np.int64]) -> float | None:
    """Share of labelled and mapped pixels that have their label's class."""
    same = total = 0
    with rasterio.open(path) as raster:
        for _, window in raster.block_windows(1):
            named, label = raster.read(1, window=window), known[window.toslices()]
            both = (label >= 0) & (named != NO_CLASS)
            same, total = same + int((named[both] == label[both]).sum()), total + int(both.sum())
    return same / total if total else None


def _ground(cube: RawCube, store: PlanarStore | None) -> Picture:
    """The clearest date of the cube."""
    if store is not None and np.array_equal(store.dates, cube.dates):
        clear = clear_share(store)  # reads less than the whole cube
    else:
        clear = cube.clear_fraction("standard")
    time = int(clear.argmax())
    composite = choose_composite(cube.bands)
    factor = max(1, -(-max(cube.geobox.shape) // _MOST_PX))
    with fast_codecs():
        thumbnail = read_thumbnail(cube, time, composite, "standard", factor=factor)
    day = str(np.datetime64(int(cube.dates[time]), "D"))
    return Picture(
        f"The land on {day}",
        f"The cube on {day} in {composite.label}",
        data_url(paint_ground(thumbnail.pixels, thumbnail.clear)),
    )


def _legend(
    classes: Sequence[LabelClass], counts: NDArray[np.int64], mapped: int, pixel_m2: float
) -> tuple[LegendEntry, ...]:
    entries = (
        LegendEntry(one.name, one.colour, int(count) / mapped, int(count) * pixel_m2 / 1e4)
        for one, count in zip(classes, counts, strict=False)
        if count
    )
    return tuple(sorted(entries, key=lambda entry: -entry.share))


def _shown_shape(shape: tuple[int, int]) -> tuple[int, int]:
    factor = max(1.0, max(shape) / _MOST_PX)
    return max(1, round(shape[0] / factor)), max(1, round(shape[1] / factor))


def _nearest(count: int, shown: int) -> NDArray[np.int64]:
    return np.arange(shown) * count // shown


def _facts(raster: DatasetReader) -> str:
    crs = f"EPSG:{raster.crs.to_epsg()}" if raster.crs and raster.crs.to_epsg() else "its own CRS"
    return (
        f"{raster.width} × {raster.height} pixels of {abs(raster.transform.a):g} m, {crs}, north is up"
    )


def _round_length(longest: float) -> float:
    """The largest of 1, 2, 5, 10, … that is not longer."""
    power = 10.0 ** np.floor(np.log10(longest))
    return float(power * max(m for m in (1, 2, 5) if m * power <= longest * (1 + 1e-9)))
