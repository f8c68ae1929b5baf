"""Sentinel-2-like scenes with the entropy of real ones: compressible by 1.2, not by 5."""

import json
from collections.abc import Sequence
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


def scenes_and_aoi(
    work: Path, *, dates: int, size_px: int, bands: Sequence[str] = DEFAULT_BANDS, block_px: int = 1024
) -> dict[str, Any]:
    """Scenes and a square inside them, a little less than `size_px` wide; settings of a side."""
    work.mkdir(parents=True, exist_ok=True)
    name = f"scenes-{dates}-{len(bands)}-{size_px}-{block_px}"
    catalog = write_catalogue(
        work / name, dates=dates, size_px=size_px + 512, bands=bands, block_px=block_px
    )
    # 2046 px = 20 460 m is a multiple of 60 m, so that the cube is what was asked for.
    aoi = write_aoi(work, offset_px=300, size_px=size_px // 6 * 6)
    return {"catalog": str(catalog), "aoi": str(aoi), "bands": bands, "threads": 2}


def write_catalogue(
    root: Path, *, dates: int, size_px: int, bands: Sequence[str] = DEFAULT_BANDS, block_px: int = 1024
) -> Path:
    """A static catalogue of `dates` scenes of some bands and SCL; returns its `catalog.json`."""
    if (root / "catalog.json").exists():
        return root / "catalog.json"
    rng = np.random.default_rng(0)
    base = {native: _texture(rng, size_px * 10 // native) for native in (10, 20)}
    clouds = _texture(rng, size_px // 2)
    items = _items(root, dates, size_px, bands)
    for number, item in enumerate(items):
        for band in bands:
            native = base[BANDS[band].native_m]
            values = np.clip(native + LEVEL.get(band, 1500) + rng.normal(0, 18, native.shape), 1, 20000)
            write_raster(item.assets[BANDS[band].common], values.astype(np.uint16), block_px)
        cloudy = np.roll(clouds, 97 * number, 1) > 900
        write_raster(item.assets["scl"], np.where(cloudy, 9, 4).astype(np.uint8), block_px // 2)
    return _save(root, items)


def write_alike(root: Path, *, dates: int, size_px: int, bands: Sequence[str]) -> Path:
    """The same with one picture for all bands of 10 m, linked: enough to see how much memory is used."""
    if (root / "catalog.json").exists():
        return root / "catalog.json"
    items = _items(root, dates, size_px, bands)
    pictures: dict[str, pystac.Asset] = {}
    values = _texture(np.random.default_rng(0), size_px).clip(1, 20000)
    for item in items:
        for key, asset in item.assets.items():
            kind = "scl" if key == "scl" else "band"
            if kind in pictures:
                Path(asset.href).parent.mkdir(parents=True, exist_ok=True)
                Path(asset.href).hardlink_to(pictures[kind].href)
                continue
            dn = values[::2, ::2] > 900 if kind == "scl" else values
            pixels = np.where(dn, 4, 9).astype(np.uint8) if kind == "scl" else dn.astype(np.uint16)
            write_raster(asset, pixels, 1024)
            pictures[kind] = asset
    return _save(root, items)


def write_items(root: Path, *, dates: int, size_px: int) -> Path:
    """The same catalogue without any raster: all that planning needs."""
    return _save(root, _items(root, dates, size_px, DEFAULT_BANDS))


def items_at(address: str, catalog_json: Path, out: Path) -> Path:
    """All items in one file, their assets on a server of the catalogue's folder."""
    features = []
    for path in sorted(catalog_json.parent.glob("sentinel-2-l2a/*/*.json")):
        item = json.loads(path.read_text())
        for asset in item["assets"].values():
            asset["href"] = f"{address}/sentinel-2-l2a/{item['id']}/{Path(asset['href']).name}"
        item["links"] = []
        features.append(item)
    out.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return out


def write_aoi(root: Path, *, offset_px: int, size_px: int) -> Path:
    """A square inside the scenes, not aligned to their tiles, as GeoJSON in the scenes' own CRS."""
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


def _items(root: Path, dates: int, size_px: int, bands: Sequence[str]) -> list[pystac.Item]:
    """A scene every five days; its rasters are still to be written."""
    start = datetime(2020, 1, 3, 10, 30, tzinfo=UTC)
    items = [_item(start + timedelta(days=5 * number), size_px) for number in range(dates)]
    for item in items:
        folder = root / "sentinel-2-l2a" / item.id
        for band in bands:
            native_m = BANDS[band].native_m
            _add(item, folder, BANDS[band].common, native_m, size_px * 10 // native_m, "uint16")
        _add(item, folder, "scl", 20, size_px // 2, "uint8")
    return items


def _save(root: Path, items: list[pystac.Item]) -> Path:
    catalog = pystac.Catalog("benchmark", "Scenes for benchmarks")
    extent = pystac.Extent(
        pystac.SpatialExtent([[6, 40, 12, 50]]), pystac.TemporalExtent([[None, None]])
    )
    collection = pystac.Collection("sentinel-2-l2a", "Scenes for benchmarks", extent)
    catalog.add_child(collection)
    collection.add_items(items)
    catalog.normalize_and_save(str(root), pystac.CatalogType.SELF_CONTAINED)
    return root / "catalog.json"


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


def _add(item: pystac.Item, folder: Path, key: str, native_m: int, side: int, dtype: str) -> None:
    asset = pystac.Asset(str(folder / f"{key}.tif"), media_type=pystac.MediaType.COG, roles=["data"])
    asset.extra_fields = {
        "proj:shape": [side, side],
        "proj:transform": [native_m, 0, ORIGIN[0], 0, -native_m, ORIGIN[1]],
        "raster:bands": [{"nodata": 0, "data_type": dtype}],
    }
    item.add_asset(key, asset)


def write_raster(asset: pystac.Asset, values: NDArray[Any], block_px: int) -> None:
    """Write an asset's file: a cloud-optimised GeoTIFF, deflated."""
    path = Path(asset.href)
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"predictor": 2} if values.dtype == np.uint16 else {}
    with rasterio.open(
        path, "w", driver="COG", width=values.shape[1], height=values.shape[0], count=1,
        dtype=values.dtype, crs=CRS, transform=Affine(*asset.extra_fields["proj:transform"]), nodata=0,
        compress="deflate", blocksize=block_px, num_threads="all_cpus",
        overview_resampling="nearest" if values.dtype == np.uint8 else "average", **options,
    ) as sink:  # fmt: skip
        sink.write(values, 1)
