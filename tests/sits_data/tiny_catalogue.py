"""Hand-made catalogues of tiny COGs: known numbers, in the layout of Earth Search v1."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray

from sits_data.bands import BANDS
from sits_data.grid import Grid
from sits_data.plan import Request

COLLECTION = "sentinel-2-l2a"
GRID = Grid(crs="EPSG:32631", resolution_m=10, left=600000, bottom=5639820, right=600120, top=5640000)
"""12 columns and 18 rows of 10 m, near Brussels."""

START, END = date(2020, 1, 1), date(2020, 12, 31)
ITEM = "S2A_31UFS_20200115_0_L2A"


@dataclass(frozen=True)
class Product:
    """One product of one tile; what is not given is drawn from a generator that its id seeds.

    Args:
        id: of the item, and its folder's name.
        when: acquisition, UTC.
        grid: of its rasters; the resolution is each band's own.
        values: native numbers by band id or `scl`.
        baseline, offset_applied: what says which offset the numbers carry; None leaves it out.
        properties: more of the item's, or others; None removes one.
        missing: assets that the item does not list.
        hrefs: other addresses of assets, by band id or `scl`.
    """

    id: str = ITEM
    when: str = "2020-01-15T10:50:00Z"
    grid: Grid = GRID
    values: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    baseline: str | None = "02.13"
    offset_applied: bool | None = False
    properties: Mapping[str, Any] = field(default_factory=dict)
    missing: Sequence[str] = ()
    hrefs: Mapping[str, str] = field(default_factory=dict)

    def array(self, key: str) -> NDArray[Any]:
        """Native numbers of a band or of the scene classification."""
        if key in self.values:
            return np.asarray(self.values[key])
        rng = np.random.default_rng(zlib.crc32(f"{self.id}{key}".encode()))
        shape = native_shape(self.grid, key)
        if key == "scl":
            return rng.integers(1, 12, shape, dtype=np.uint8)
        return rng.integers(1, 9000, shape, dtype=np.uint16)


def native_m(key: str) -> int:
    return 20 if key == "scl" else BANDS[key].native_m


def native_shape(grid: Grid, key: str) -> tuple[int, int]:
    step = native_m(key)
    return (grid.top - grid.bottom) // step, (grid.right - grid.left) // step


def daily(days: int, **fields: Any) -> list[Product]:
    """Products of consecutive days of January 2020."""
    return [
        Product(id=f"S2A_31UFS_202001{d:02}_0_L2A", when=f"2020-01-{d:02}T10:50:00Z", **fields)
        for d in range(1, days + 1)
    ]


def write_catalogue(
    folder: Path, products: Sequence[Product], bands: Sequence[str] = ("B04", "B11")
) -> Path:
    """Write rasters, items, collection and catalogue; the path of `catalog.json`."""
    links = []
    for product in products:
        home = folder / "items" / product.id
        home.mkdir(parents=True, exist_ok=True)
        for key in (*bands, "scl"):
            write_raster(home / f"{key}.tif", product.array(key), product.grid, native_m(key))
        _write_json(home / "item.json", make_item(product, bands))
        links.append({"rel": "item", "href": f"./items/{product.id}/item.json"})
    _write_json(folder / "collection.json", {
        "type": "Collection", "stac_version": "1.1.0", "id": COLLECTION, "description": "tiny",
        "license": "other", "links": links,
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]},
        },
    })  # fmt: skip
    _write_json(folder / "catalog.json", {
        "type": "Catalog", "stac_version": "1.1.0", "id": "tiny", "description": "tiny",
        "links": [{"rel": "child", "href": "./collection.json"}],
    })  # fmt: skip
    return folder / "catalog.json"


def make_item(product: Product, bands: Sequence[str]) -> dict[str, Any]:
    """The item of a product, its assets beside it."""
    outline = product.grid.geobox.extent.to_crs("EPSG:4326").geom
    properties = {
        "datetime": product.when,
        "platform": "sentinel-2a",
        "proj:code": product.grid.crs,
        "grid:code": "MGRS-31UFS",
        "eo:cloud_cover": 10.0,
        "s2:processing_baseline": product.baseline,
        "earthsearch:boa_offset_applied": product.offset_applied,
    }
    properties |= product.properties
    assets = {}
    for key in (*bands, "scl"):
        if key in product.missing:
            continue
        name = "scl" if key == "scl" else BANDS[key].common
        assets[name] = {"href": product.hrefs.get(key, f"./{key}.tif"), "type": "image/tiff"}
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": product.id,
        "collection": COLLECTION,
        "geometry": shapely.geometry.mapping(outline),
        "bbox": list(outline.bounds),
        "properties": {name: value for name, value in properties.items() if value is not None},
        "links": [],
        "assets": assets,
    }


def write_raster(path: Path, values: NDArray[Any], grid: Grid, step: int) -> None:
    """A tiled, compressed GeoTIFF."""
    height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", dtype=values.dtype, count=1, height=height, width=width,
        crs=grid.crs, transform=Affine(step, 0, grid.left, 0, -step, grid.top), nodata=0,
        compress="deflate", predictor=2, tiled=True, blockxsize=256, blockysize=256,
    ) as raster:  # fmt: skip
        raster.write(values, 1)


def request(catalog: Path | str, grid: Grid = GRID, **fields: Any) -> Request:
    """A request for 2020 and the two bands that tiny catalogues have."""
    plain = {"collection": COLLECTION, "start": START, "end": END, "bands": ("B04", "B11")}
    return Request(catalog=str(catalog), grid=grid, **(plain | fields))


def write_aoi(path: Path, grid: Grid = GRID) -> Path:
    """A GeoJSON in degrees whose cube lies on the grid: the grid's outline, 15 m inside."""
    inside = shapely.box(grid.left + 15, grid.bottom + 15, grid.right - 15, grid.top - 15)
    box = type(grid.geobox.extent)(inside, grid.crs).to_crs("EPSG:4326").geom
    _write_json(path, {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(box)}],
    })  # fmt: skip
    return path


def repeated(values: NDArray[Any], factor: int) -> NDArray[Any]:
    """Each value as a square of so many pixels."""
    return values.repeat(factor, 0).repeat(factor, 1)


def shifted(dn: NDArray[Any]) -> NDArray[np.uint16]:
    """Numbers without an offset in the cube's convention."""
    moved = np.minimum(dn.astype(np.int64) + 1000, 65535)
    return np.where(dn == 0, 0, moved).astype(np.uint16)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))
