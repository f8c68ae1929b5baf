"""s2cloudless: gradient-boosted trees on ten bands of Level-1C, pixel by pixel.

It was trained on top-of-atmosphere reflectance and needs B10, which Level-2A does not have: so it reads
Level-1C items, given as a STAC catalogue on disk, beside the cube. It works at 20 m, averages over a
disk of 40 m, and leaves the dilation to us.

Source: Skakun et al. (2022), "Cloud Mask Intercomparison eXercise (CMIX)", Remote Sensing of
Environment 274; github.com/sentinel-hub/sentinel2-cloud-detector, `S2PixelCloudDetector`; ESA,
Sentinel-2 Products Specification Document (RADIO_ADD_OFFSET since baseline 04.00).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

import numpy as np
import pystac
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from sits_data.bands import BANDS, find_asset
from sits_data.detectors.base import Target, View
from sits_data.detectors.rasters import Layer
from sits_data.errors import DetectorUnavailable, InvalidRequest, UnknownRadiometry
from sits_data.mask import QA

MODEL_BANDS = ("B01", "B02", "B04", "B05", "B08", "B8A", "B09", "B10", "B11", "B12")
"""What it wants to see, in this order."""

DEFAULT_THRESHOLD = 0.4
WORK_M = 20
AVERAGE_PX = 2

_B10_KEYS = ("cirrus", "B10", "B10_60m")
_OTHERWISE = "give Level-1C items, or probabilities that are ready: --detector probability:FILE"


class Model(Protocol):
    """What is used of `s2cloudless.S2PixelCloudDetector`."""

    def get_cloud_masks(self, data: NDArray[np.float32]) -> NDArray[np.uint8]:
        """(N, y, x) 1 = cloud, from (N, y, x, band) reflectance."""


@dataclass(frozen=True)
class Source:
    """The Level-1C bands of one scene: reflectance = DN * 1e-4 + offset."""

    layers: tuple[Layer, ...]
    offset: float

    def read(self, geobox: GeoBox) -> NDArray[np.float32]:
        """(y, x, band) reflectance; NaN where nothing was observed."""
        dn = np.stack([layer.read(geobox, Resampling.bilinear) for layer in self.layers], axis=-1)
        return np.where(dn > 0, dn * 1e-4 + self.offset, np.nan).astype(np.float32)


@dataclass(frozen=True)
class S2Cloudless:
    """The detector."""

    model: Model
    sources: Mapping[date, Sequence[Source]]
    bands: tuple[str, ...] = ()
    context_m: float = AVERAGE_PX * WORK_M

    def detect(self, view: View) -> NDArray[np.uint8]:
        """(y, x) the bit of cloud; none where Level-1C has no data."""
        height, width = view.geobox.shape
        factor = max(1, WORK_M // int(view.geobox.resolution.x))
        coarse = GeoBox(
            (-(-height // factor), -(-width // factor)),
            view.geobox.affine * Affine.scale(factor),
            view.geobox.crs,
        )
        seen = np.full((*coarse.shape, len(MODEL_BANDS)), np.nan, np.float32)
        for source in self.sources[view.day]:
            missing = np.isnan(seen).any(axis=-1)
            if missing.any():
                seen[missing] = source.read(coarse)[missing]
        valid = np.isfinite(seen).all(axis=-1)
        cloud = np.asarray(self.model.get_cloud_masks(np.nan_to_num(seen)[None]))[0] > 0
        fine = (cloud & valid).repeat(factor, 0).repeat(factor, 1)[:height, :width]
        return np.where(fine, np.uint8(QA.CLOUD), np.uint8(0))


def make(argument: str, target: Target) -> S2Cloudless:
    """`s2cloudless:CATALOG` or `s2cloudless:CATALOG:THRESHOLD`.

    Args:
        argument: path of a catalogue, an item collection or an item of Level-1C; above which
            probability a pixel is cloud, 0.4 unless said.
        target: the cube.

    Raises:
        DetectorUnavailable: s2cloudless is not installed.
        InvalidRequest: there are no items, or none of some date, or they are not Level-1C.
        UnknownRadiometry: an item does not tell its processing baseline.
    """
    path, threshold = argument, DEFAULT_THRESHOLD
    before, colon, last = argument.rpartition(":")
    if colon and re.fullmatch(r"[\d.]+", last):
        path, threshold = before, float(last)
    if not path:
        raise InvalidRequest(
            "s2cloudless needs top-of-atmosphere bands with B10, which Level-2A does not have; "
            f"{_OTHERWISE}, or s2cloudless:l1c/catalog.json"
        )
    sources: dict[date, list[Source]] = {}
    longitude = target.geobox.extent.to_crs("EPSG:4326").centroid.coords[0][0]
    for item in _items(Path(path)):
        sources.setdefault(_solar_day(item, longitude), []).append(_source(item))
    missing = [day for day in target.days if day not in sources]
    if missing:
        raise InvalidRequest(
            f"each of the cube's {len(target.days)} dates needs a Level-1C item in {path}, "
            f"{len(missing)} have none, first {missing[0]}; {_OTHERWISE}"
        )
    try:
        from s2cloudless import S2PixelCloudDetector
    except ImportError as error:
        raise DetectorUnavailable(
            f's2cloudless is not installed ({error}); pip install "sits-data[s2cloudless]"'
        ) from error
    model = S2PixelCloudDetector(threshold=threshold, average_over=AVERAGE_PX, dilation_size=None)
    return S2Cloudless(model, sources)


def _items(path: Path) -> list[pystac.Item]:
    try:
        content = json.loads(path.read_bytes())
        if isinstance(content, dict) and pystac.ItemCollection.is_item_collection(content):
            return list(pystac.ItemCollection.from_file(str(path)))
        whole = pystac.read_file(str(path))
    except (OSError, ValueError, KeyError, TypeError, pystac.STACError, pystac.STACTypeError) as error:
        raise InvalidRequest(f"{path} is no STAC catalogue ({error}); {_OTHERWISE}") from error
    if isinstance(whole, pystac.Item):
        return [whole]
    assert isinstance(whole, pystac.Catalog)
    return list(whole.get_items(recursive=True))


def _source(item: pystac.Item) -> Source:
    layers = []
    for band in MODEL_BANDS:
        key = find_asset(item.assets, _B10_KEYS if band == "B10" else BANDS[band].asset_keys())
        if key is None:
            raise InvalidRequest(
                f"s2cloudless needs {', '.join(MODEL_BANDS)} of Level-1C, item {item.id} has no {band}; "
                f"{_OTHERWISE}"
            )
        layers.append(Layer(str(item.assets[key].get_absolute_href()), 1, nodata=0))
    said = item.properties
    baseline = str(said.get("s2:processing_baseline", said.get("processing:version", "")))
    if not re.fullmatch(r"\d\d\.\d\d", baseline):
        raise UnknownRadiometry(
            f"item {item.id} does not tell its processing baseline (s2:processing_baseline), which says "
            "whether 1000 was added to its numbers; add it"
        )
    return Source(tuple(layers), -0.1 if baseline >= "04.00" else 0.0)


def _solar_day(item: pystac.Item, longitude: float) -> date:
    if item.datetime is None:
        raise InvalidRequest(f"item {item.id} has no datetime; {_OTHERWISE}")
    return (item.datetime + timedelta(hours=longitude / 15)).date()
