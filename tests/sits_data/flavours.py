"""Synthetic items in the field layout of each catalogue: the same 24 scenes, told four ways."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from tiny_catalogue import GRID, native_m, native_shape, write_raster

from sits_data.bands import BANDS, SCL_NATIVE_M

type Json = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """What all catalogues know of a scene."""

    number: int

    @property
    def when(self) -> datetime:
        return datetime(2024, 1, 1, 10, 50, 31) + timedelta(days=5 * self.number)

    @property
    def tile(self) -> str:
        return ("31UFS", "31UES", "31UDS")[self.number % 3]

    @property
    def cloud_pct(self) -> float:
        return float(self.number * 37 % 100)

    @property
    def outline(self) -> shapely.Polygon:
        west = 4.4 - 0.6 * (self.number % 3)
        return shapely.box(west, 50.8, west + 0.5, 51.2)

    @property
    def datatake(self) -> str:
        return f"GS2A_{self.when:%Y%m%dT%H%M%S}_{44000 + self.number:06d}_N05.10"

    @property
    def datastrip(self) -> str:
        stamp = f"{self.when:%Y%m%dT%H%M%S}"
        return f"S2A_OPER_MSI_L2A_DS_2APS_{stamp}_S{stamp}_N05.10"


SCENES = tuple(Scene(number) for number in range(24))


def earth_search(scene: Scene, files: str) -> Json:
    """Earth Search v1, `sentinel-2-l2a`."""
    properties = _properties(scene) | {
        "platform": "sentinel-2a",
        "proj:epsg": 32631,
        "grid:code": f"MGRS-{scene.tile}",
        "s2:processing_baseline": "05.10",
        "s2:datatake_id": scene.datatake,
        "s2:datastrip_id": scene.datastrip,
        "earthsearch:boa_offset_applied": True,
    }
    assets = {
        band.common: {
            "href": f"{files}/{band.id}.tif",
            "eo:bands": [{"name": band.common}],
            "raster:bands": [{"nodata": 0, "scale": 0.0001, "offset": -0.1}],
        }
        for band in BANDS.values()
    }
    assets["scl"] = {"href": f"{files}/scl.tif", "roles": ["data", "reflectance"]}
    assets["red-jp2"] = {"href": "s3://sentinel-s2-l2a/B04.jp2"}
    name = f"S2A_{scene.tile}_{scene.when:%Y%m%d}_0_L2A"
    return _item(scene, name, "sentinel-2-l2a", properties, assets)


def earth_search_c1(scene: Scene, files: str) -> Json:
    """Earth Search v1, `sentinel-2-c1-l2a`: the same keys, and no word on the offset."""
    item = earth_search(scene, files)
    del item["properties"]["earthsearch:boa_offset_applied"], item["assets"]["red-jp2"]
    name = f"S2A_T{scene.tile}_{scene.when:%Y%m%dT%H%M%S}_L2A"
    return item | {"id": name, "collection": "sentinel-2-c1-l2a"}


def planetary_computer(scene: Scene, files: str) -> Json:
    """Planetary Computer: ESA's band names, no `raster:bands`, blobs that need a token."""
    properties = _properties(scene) | {
        "platform": "Sentinel-2A",
        "proj:epsg": 32631,
        "s2:mgrs_tile": scene.tile,
        "s2:processing_baseline": "05.10",
        "s2:datatake_id": scene.datatake,
        "s2:datastrip_id": scene.datastrip,
    }
    assets = {id_: {"href": f"{files}/{id_}.tif", "eo:bands": [{"name": id_}]} for id_ in BANDS}
    assets["SCL"] = {"href": f"{files}/scl.tif"}
    stamp = f"{scene.when:%Y%m%dT%H%M%S}"
    return _item(scene, f"S2A_MSIL2A_{stamp}_R051_T{scene.tile}_{stamp}", "sentinel-2-l2a", properties,
                 assets)  # fmt: skip


def cdse(scene: Scene, files: str) -> Json:
    """Copernicus Data Space: an asset a band and resolution, each with its own projection."""
    properties = _properties(scene) | {
        "start_datetime": f"{scene.when.isoformat()}Z",
        "end_datetime": f"{scene.when.isoformat()}Z",
        "platform": "sentinel-2a",
        "grid:code": f"MGRS-{scene.tile}",
        "processing:version": "05.10",
        "eopf:datatake_id": scene.datatake,
        "eopf:datastrip_id": scene.datastrip,
    }
    values = {"nodata": 0, "data_type": "uint16", "raster:scale": 0.0001, "raster:offset": -0.1}
    assets = {
        f"{band.id}_{metres}m": {
            "href": f"{files}/{band.id}.jp2", "bands": [{"name": band.id}], "proj:code": "EPSG:32631",
            **values,
        }
        for band in BANDS.values()
        for metres in (10, 20, 60)
        if metres >= band.native_m and (band.id, metres) not in {("B08", 20), ("B08", 60)}
    }  # fmt: skip
    assets |= {
        f"SCL_{metres}m": {"href": f"{files}/scl.jp2", "proj:code": "EPSG:32631"}
        for metres in (SCL_NATIVE_M, 60)
    }
    assets["thumbnail"] = {"href": "https://datahub.creodias.eu/quicklook.jpg", "proj:code": None}
    assets["Product"] = {"href": f"{files}/product.zip", "storage:refs": "x"}
    stamp = f"{scene.when:%Y%m%dT%H%M%S}"
    name = f"S2A_MSIL2A_{stamp}_N0510_R051_T{scene.tile}_{stamp}"
    return _item(scene, name, "sentinel-2-l2a", properties, assets) | {"stac_version": "1.1.0"}


FLAVOURS: dict[str, Callable[[Scene, str], Json]] = {
    "earth-search": earth_search,
    "planetary-computer": planetary_computer,
    "cdse": cdse,
}


def values(key: str) -> NDArray[Any]:
    """Native numbers of a band or of `scl`, the same in every catalogue."""
    height, width = native_shape(GRID, key)
    if key == "scl":
        return np.full((height, width), 4, np.uint8)
    first = 1000 * (list(BANDS).index(key) + 1)
    return (first + np.arange(height * width)).reshape(height, width).astype(np.uint16)


def write_rasters(folder: Path) -> None:
    """The rasters that all items point to, as GeoTIFF and, without loss, as JPEG 2000."""
    folder.mkdir(parents=True)
    for key in (*BANDS, "scl"):
        tif = folder / f"{key}.tif"
        write_raster(tif, values(key), GRID, native_m(key))
        with rasterio.open(tif) as raster, rasterio.open(
            tif.with_suffix(".jp2"), "w", driver="JP2OpenJPEG", quality="100", reversible="yes",
            count=1, dtype=raster.dtypes[0], height=raster.height, width=raster.width, crs=raster.crs,
            transform=raster.transform,
        ) as copy:  # fmt: skip
            copy.write(raster.read(1), 1)


def _properties(scene: Scene) -> Json:
    return {"datetime": f"{scene.when.isoformat()}Z", "eo:cloud_cover": scene.cloud_pct}


def _item(scene: Scene, name: str, collection: str, properties: Json, assets: Json) -> Json:
    return {
        "type": "Feature", "stac_version": "1.0.0", "stac_extensions": [], "id": name,
        "collection": collection, "geometry": shapely.geometry.mapping(scene.outline),
        "bbox": list(scene.outline.bounds), "properties": properties, "links": [], "assets": assets,
    }  # fmt: skip
