"""Sentinel-2-like scenes with the entropy of real ones: compressible by 1.2, not by 5."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import rasterio
import rasterio.warp
from affine import Affine
from numpy.typing import NDArray
from scipy import ndimage

from sits_data.bands import BANDS, DEFAULT_BANDS

ORIGIN = (600000, 5100000)
CRS = "EPSG:32632"
LEVEL = {"B02": 300, "B03": 500, "B04": 600, "B08": 2200}


def write_catalogue(root: Path, *, dates: int, size_px: int, block_px: int = 1024) -> Path:
    """A static catalogue of `dates` scenes of ten bands and SCL; returns its `catalog.json`."""
    catalog_json = root / "catalog.json"
    if catalog_json.exists():
        return catalog_json
    rng = np.random.default_rng(0)
    base = {native: _texture(rng, size_px * 10 // native) for native in (10, 20)}
    clouds = _texture(rng, size_px // 2)
    catalog = pystac.Catalog("benchmark", "Scenes for benchmarks")
    collection = pystac.Collection(
        "sentinel-2-l2a", "Scenes for benchmarks",
        pystac.Extent(
            pystac.SpatialExtent([[6, 40, 12, 50]]), pystac.TemporalExtent([[None, None]])
        ),
    )  # fmt: skip
    catalog.add_child(collection)
    for number in range(dates):
        when = datetime(2024, 1, 3, 10, 30, tzinfo=UTC) + timedelta(days=5 * number)
        item = _item(when, size_px)
        folder = root / "sentinel-2-l2a" / item.id
        folder.mkdir(parents=True, exist_ok=True)
        for band in DEFAULT_BANDS:
            native = BANDS[band].native_m
            noise = rng.normal(0, 18, base[native].shape)
            values = np.clip(base[native] + LEVEL.get(band, 1500) + noise, 1, 20000)
            _add(item, folder, BANDS[band].common, native, values.astype(np.uint16), block_px)
        cloudy = np.roll(clouds, 97 * number, 1) > 900
        scl = np.where(cloudy, 9, 4).astype(np.uint8)
        _add(item, folder, "scl", 20, scl, block_px // 2)
        collection.add_item(item)
    catalog.normalize_and_save(str(root), pystac.CatalogType.SELF_CONTAINED)
    return catalog_json


def write_aoi(root: Path, catalog_json: Path, *, offset_px: int, size_px: int) -> Path:
    """A square inside the scenes, not aligned to their tiles, as GeoJSON in the scenes' own CRS."""
    del catalog_json
    left, top = ORIGIN[0] + 10 * offset_px, ORIGIN[1] - 10 * offset_px
    right, bottom = left + 10 * size_px, top - 10 * size_px
    ring = [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]
    feature = {
        "type": "Feature",
        "properties": {},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    path = root / f"aoi-{size_px}.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    return path


def _texture(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    out = np.full((size, size), 1500.0)
    for step, amplitude in ((4, 120), (16, 250), (64, 400), (256, 500)):
        coarse = rng.normal(0, amplitude, (size // step + 2,) * 2)
        out += ndimage.zoom(coarse, step, order=1)[:size, :size]
    return out


def _item(when: datetime, size_px: int) -> pystac.Item:
    box = rasterio.warp.transform_bounds(
        CRS, "EPSG:4326",
        ORIGIN[0], ORIGIN[1] - 10 * size_px, ORIGIN[0] + 10 * size_px, ORIGIN[1],
    )  # fmt: skip
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    properties: dict[str, Any] = {
        "platform": "sentinel-2a",
        "proj:epsg": 32632,
        "proj:code": CRS,
        "grid:code": "MGRS-32TPR",
        "s2:processing_baseline": "05.10",
        "earthsearch:boa_offset_applied": True,
        "eo:cloud_cover": 20.0,
    }
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return pystac.Item(f"S2A_32TPR_{when:%Y%m%d}_0_L2A", geometry, list(box), when, properties)


def _add(
    item: pystac.Item,
    folder: Path,
    key: str,
    native_m: int,
    values: NDArray[Any],
    block_px: int,
) -> None:
    path = folder / f"{key}.tif"
    transform = Affine(native_m, 0, ORIGIN[0], 0, -native_m, ORIGIN[1])
    options = {"predictor": 2} if values.dtype == np.uint16 else {}
    with rasterio.open(
        path, "w", driver="COG", width=values.shape[1], height=values.shape[0], count=1,
        dtype=values.dtype, crs=CRS, transform=transform, nodata=0, compress="deflate",
        blocksize=block_px, num_threads="all_cpus",
        overview_resampling="nearest" if values.dtype == np.uint8 else "average", **options,
    ) as sink:  # fmt: skip
        sink.write(values, 1)
    asset = pystac.Asset(str(path), media_type=pystac.MediaType.COG, roles=["data"])
    asset.extra_fields = {
        "proj:shape": list(values.shape),
        "proj:transform": list(transform)[:6],
        "raster:bands": [{"nodata": 0, "data_type": str(values.dtype)}],
    }
    item.add_asset(key, asset)
