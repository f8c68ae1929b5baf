"""What somebody found already: cloud probabilities or classes as rasters, on any grid.

One file with a band a date, whose names are the dates, or a folder with a file a date, whose names hold
it (`clouds_2021-06-03.tif`, `20210603.tif`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import rasterio
import rasterio.errors
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from sits_data.detectors.base import Target, View
from sits_data.errors import InvalidRequest, UnreadableSource
from sits_data.mask import QA

DEFAULT_THRESHOLD = 0.4
"""That of s2cloudless, for probabilities from 0 to 1."""

_DAY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_KINDS: Mapping[str, QA] = {
    "cloud": QA.CLOUD, "shadow": QA.SHADOW, "cirrus": QA.CIRRUS, "snow": QA.SNOW
}  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """One band of one raster.

    Args:
        path: or its address.
        band: counted from 1.
        nodata: value that stands for nothing, where the raster itself does not say.
    """

    path: str
    band: int
    nodata: float | None = None

    def read(self, geobox: GeoBox, resampling: Resampling) -> NDArray[np.float32]:
        """(y, x) values on a grid; NaN where the raster has none.

        Raises:
            UnreadableSource: it cannot be read.
        """
        height, width = geobox.shape
        grid = {"crs": str(geobox.crs), "transform": geobox.affine, "height": height, "width": width}
        more = {} if self.nodata is None else {"src_nodata": self.nodata}
        try:
            with (
                rasterio.open(self.path) as source,
                WarpedVRT(
                    source, resampling=resampling, dtype="float32", nodata=np.nan, **grid, **more
                ) as vrt,
            ):
                return np.asarray(vrt.read(self.band), np.float32)
        except (rasterio.errors.RasterioError, OSError) as error:
            raise UnreadableSource(f"cannot read {self.path} ({error}); write it again") from error


@dataclass(frozen=True)
class Probability:
    """Cloud where a raster lies above a threshold."""

    layers: Mapping[date, Layer]
    threshold: float
    bands: tuple[str, ...] = ()
    context_m: float = 0

    def detect(self, view: View) -> NDArray[np.uint8]:
        """(y, x) the bit of cloud; none where the raster has no value."""
        values = self.layers[view.day].read(view.geobox, Resampling.bilinear)
        return np.where(values > self.threshold, np.uint8(QA.CLOUD), np.uint8(0))


@dataclass(frozen=True)
class Classes:
    """Bits of the classes of a raster."""

    layers: Mapping[date, Layer]
    bits: Mapping[int, QA]
    bands: tuple[str, ...] = ()
    context_m: float = 0

    def detect(self, view: View) -> NDArray[np.uint8]:
        """(y, x) bits; none where the raster has no value or a class that means nothing."""
        values = self.layers[view.day].read(view.geobox, Resampling.nearest)
        out = np.zeros(values.shape, np.uint8)
        for value, bit in self.bits.items():
            out[values == value] |= np.uint8(bit)
        return out


def make_probability(argument: str, target: Target) -> Probability:
    """`probability:PATH` or `probability:PATH:THRESHOLD`, in the raster's own numbers.

    Raises:
        InvalidRequest: there is no raster of some date, or no threshold for whole numbers.
        UnreadableSource: a raster cannot be opened.
    """
    if not argument:
        raise InvalidRequest(
            "say where the probabilities are, as in --detector probability:clouds.tif:0.4"
        )
    path, threshold = argument, None
    before, colon, last = argument.rpartition(":")
    if colon and re.fullmatch(r"[\d.]+", last):
        path, threshold = before, float(last)
    layers = find_layers(Path(path), target)
    if threshold is None:
        with rasterio.open(next(iter(layers.values())).path) as source:
            kind = source.dtypes[0]
        if not kind.startswith("float"):
            raise InvalidRequest(
                f"{path} holds whole numbers ({kind}), so say from which on a pixel is cloud: "
                f"--detector probability:{path}:40 for percent, :102 for 0 to 255"
            )
        threshold = DEFAULT_THRESHOLD
    return Probability(layers, threshold)


def make_classes(argument: str, target: Target) -> Classes:
    """`classes:PATH:1=cloud,2=cirrus,3=shadow`.

    Raises:
        InvalidRequest: there is no raster of some date, or classes are not named so.
        UnreadableSource: a raster cannot be opened.
    """
    path, _, legend = argument.rpartition(":")
    pairs = [pair.partition("=") for pair in legend.split(",")]
    if not path or not all(v.strip().isdigit() and k.strip() in _KINDS for v, _, k in pairs):
        raise InvalidRequest(
            f"classes are named as in classes:clouds.tif:1=cloud,3=shadow (also {', '.join(_KINDS)}), "
            f"got {argument!r}"
        )
    bits = {int(value): _KINDS[kind.strip()] for value, _, kind in pairs}
    return Classes(find_layers(Path(path), target), bits)


def find_layers(path: Path, target: Target) -> dict[date, Layer]:
    """The layer of each day of a cube.

    Raises:
        InvalidRequest: a day has none.
        UnreadableSource: the file cannot be opened.
    """
    files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else []
    found = {day: Layer(str(file), 1) for file in files if (day := _day_of(file.name)) is not None}
    if not files:
        try:
            with rasterio.open(path) as source:
                names = source.descriptions
        except rasterio.errors.RasterioError as error:
            raise UnreadableSource(f"cannot read {path} ({error}); name a raster or a folder") from error
        days = enumerate(map(_day_of, (name or "" for name in names)), start=1)
        found = {day: Layer(str(path), band) for band, day in days if day is not None}
    missing = [day for day in target.days if day not in found]
    if missing:
        raise InvalidRequest(
            f"each of the cube's {len(target.days)} dates needs a raster in {path} (a band named by its "
            f"date, or a file), {len(missing)} have none, first {missing[0]}; add them"
        )
    return {day: found[day] for day in target.days}


def _day_of(name: str) -> date | None:
    for match in _DAY.finditer(name):
        try:
            return date(*map(int, match.groups()))
        except ValueError:
            continue
    return None
