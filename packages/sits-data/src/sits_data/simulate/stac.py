"""Items, collection and catalogue in the layout of Earth Search v1 `sentinel-2-l2a`, STAC 1.1."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from shapely.geometry import mapping

from sits_data.bands import BANDS, DEFAULT_BANDS, DN_OFFSET, DN_SCALE, SCL, SCL_NATIVE_M
from sits_data.grid import Grid
from sits_data.simulate.orbits import Pass
from sits_data.simulate.place import Tile, footprint
from sits_data.simulate.products import Product
from sits_data.simulate.scene import View
from sits_data.simulate.scl import Classes

type Json = dict[str, Any]

COLLECTION = "sentinel-2-l2a"
ABOUT = "Simulated Sentinel-2 Level-2A scenes with known truth, made by sits_data.simulate."
COG_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"
EXTENSIONS = [
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in (
        "eo/v1.1.0", "grid/v1.1.0", "mgrs/v1.0.0", "projection/v2.0.0", "raster/v1.1.0", "sat/v1.0.0",
        "view/v1.0.0",
    )
]  # fmt: skip
PERCENTAGES = {
    "s2:nodata_pixel_percentage": SCL.NO_DATA,
    "s2:saturated_defective_pixel_percentage": SCL.SATURATED_OR_DEFECTIVE,
    "s2:dark_features_percentage": SCL.DARK_AREA,
    "s2:cloud_shadow_percentage": SCL.CLOUD_SHADOW,
    "s2:vegetation_percentage": SCL.VEGETATION,
    "s2:not_vegetated_percentage": SCL.NOT_VEGETATED,
    "s2:water_percentage": SCL.WATER,
    "s2:unclassified_percentage": SCL.UNCLASSIFIED,
    "s2:medium_proba_clouds_percentage": SCL.CLOUD_MEDIUM,
    "s2:high_proba_clouds_percentage": SCL.CLOUD_HIGH,
    "s2:thin_cirrus_percentage": SCL.CIRRUS,
    "s2:snow_ice_percentage": SCL.SNOW,
}
CLOUDS = (SCL.CLOUD_MEDIUM, SCL.CLOUD_HIGH, SCL.CIRRUS)


def item_id(flown: Pass, tile: Tile, product: Product) -> str:
    """Such as `S2A_32ULB_20210310_0_L2A`."""
    return f"{flown.platform}_{tile.mgrs}_{flown.day:%Y%m%d}_{product.sequence}_L2A"


def make_item(flown: Pass, tile: Tile, product: Product, seen_as: View) -> Json:
    """The item of one product of one tile; its assets lie beside it."""
    outline = footprint(tile.grid)
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": EXTENSIONS,
        "id": item_id(flown, tile, product),
        "collection": COLLECTION,
        "geometry": mapping(outline),
        "bbox": list(outline.bounds),
        "properties": _properties(flown, tile, product, seen_as.scl),
        "links": [
            {"rel": "root", "href": "../../catalog.json", "type": "application/json"},
            {"rel": "parent", "href": "../../collection.json", "type": "application/json"},
            {"rel": "collection", "href": "../../collection.json", "type": "application/json"},
        ],
        "assets": _assets(tile.grid, product),
    }


def make_collection(items: Iterable[Json], title: str) -> Json:
    """The collection of all items, with their extent."""
    items = list(items)
    west, south = np.min([i["bbox"][:2] for i in items], axis=0).tolist()
    east, north = np.max([i["bbox"][2:] for i in items], axis=0).tolist()
    times = sorted(i["properties"]["datetime"] for i in items)
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": COLLECTION,
        "title": title,
        "description": ABOUT,
        "keywords": ["sentinel-2", "msi", "surface reflectance", "simulated"],
        "license": "MIT",
        "extent": {
            "spatial": {"bbox": [[west, south, east, north]]},
            "temporal": {"interval": [[times[0], times[-1]]]},
        },
        "summaries": {
            name: sorted({i["properties"][name] for i in items})
            for name in ("platform", "grid:code", "proj:code", "s2:processing_baseline")
        },
        "links": [
            {"rel": "root", "href": "./catalog.json", "type": "application/json"},
            {"rel": "parent", "href": "./catalog.json", "type": "application/json"},
            *(
                {
                    "rel": "item",
                    "href": f"./items/{i['id']}/{i['id']}.json",
                    "type": "application/geo+json",
                }
                for i in items
            ),
        ],
    }


def make_catalog(title: str) -> Json:
    """The root."""
    return {
        "type": "Catalog",
        "stac_version": "1.1.0",
        "id": "sits-data-simulated",
        "title": title,
        "description": ABOUT,
        "links": [
            {"rel": "root", "href": "./catalog.json", "type": "application/json"},
            {
                "rel": "child",
                "href": "./collection.json",
                "type": "application/json",
                "title": COLLECTION,
            },
        ],
    }


def _properties(flown: Pass, tile: Tile, product: Product, scl: Classes) -> Json:
    compact = "%Y%m%dT%H%M%S"
    baseline = product.baseline
    packed = baseline.replace(".", "")
    made, start = f"{product.generated:{compact}}", f"{flown.start:{compact}}"
    strip = f"{_strip_start(flown, product):{compact}}"
    satellite, orbit = flown.platform, f"{flown.absolute_orbit:06d}"
    return {
        "datetime": _iso(flown.sensed),
        "platform": f"sentinel-2{satellite[-1].lower()}",
        "constellation": "sentinel-2",
        "instruments": ["msi"],
        "gsd": 10,
        "proj:code": tile.grid.crs,
        "mgrs:utm_zone": int(tile.mgrs[:2]),
        "mgrs:latitude_band": tile.mgrs[2],
        "mgrs:grid_square": tile.mgrs[3:],
        "grid:code": f"MGRS-{tile.mgrs}",
        "sat:relative_orbit": flown.track.relative,
        "view:sun_azimuth": round(flown.sun_azimuth, 5),
        "view:sun_elevation": round(flown.sun_elevation, 5),
        "view:azimuth": flown.track.view_azimuth,
        "view:incidence_angle": flown.track.view_incidence,
        "eo:cloud_cover": _percent(np.isin(scl, CLOUDS)),
        **{name: _percent(scl == value) for name, value in PERCENTAGES.items()},
        "s2:product_type": "S2MSI2A",
        "s2:processing_baseline": baseline,
        "s2:product_uri": f"{satellite}_MSIL2A_{start}_N{packed}_R{flown.track.relative:03d}"
        f"_T{tile.mgrs}_{made}.SAFE",
        "s2:generation_time": _iso(product.generated),
        "s2:datatake_id": f"G{satellite}_{start}_{orbit}_N{baseline}",
        "s2:datatake_type": "INS-NOBS",
        "s2:datastrip_id": f"{satellite}_OPER_MSI_L2A_DS_{product.station}_{made}_S{strip}_N{baseline}",
        "s2:granule_id": f"{satellite}_OPER_MSI_L2A_TL_{product.station}_{made}_A{orbit}"
        f"_T{tile.mgrs}_N{baseline}",
        "s2:sequence": str(product.sequence),
        "earthsearch:boa_offset_applied": product.flag,
        "created": _iso(product.generated + timedelta(hours=3)),
        "updated": _iso(product.generated + timedelta(hours=3)),
    }


def _strip_start(flown: Pass, product: Product) -> datetime:
    """When the datastrip began: soon after the datatake, the second one just before the land."""
    if product.strip == 1:
        return flown.sensed - timedelta(seconds=5)
    return flown.start + timedelta(seconds=109)


def _assets(grid: Grid, product: Product) -> Json:
    # As in the real catalogue, `offset` follows the baseline even where the offset is already applied.
    offset = DN_OFFSET if product.has_offset else 0
    assets = {}
    for band in (BANDS[b] for b in DEFAULT_BANDS):
        scaled = {"data_type": "uint16", "scale": DN_SCALE, "offset": offset}
        assets[band.common] = _asset(grid, band.native_m, f"{band.id}.tif", scaled) | {
            "title": f"{band.common} (band {band.id.removeprefix('B').lstrip('0')}) - {band.native_m}m",
            "eo:bands": [
                {"name": band.common, "center_wavelength": round(band.wavelength_nm / 1000, 3)}
            ],
            "roles": ["data", "reflectance"],
        }
    assets["scl"] = _asset(grid, SCL_NATIVE_M, "SCL.tif", {"data_type": "uint8"}) | {
        "title": "Scene classification map (SCL)",
        "roles": ["data", "reflectance"],
    }
    return assets


def _asset(grid: Grid, step: int, file: str, values: Json) -> Json:
    return {
        "href": f"./{file}",
        "type": COG_TYPE,
        "gsd": step,
        "proj:shape": [(grid.top - grid.bottom) // step, (grid.right - grid.left) // step],
        "proj:transform": [step, 0, grid.left, 0, -step, grid.top],
        "raster:bands": [{"nodata": 0, "spatial_resolution": step, **values}],
    }


def _percent(which: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    return round(100 * float(which.mean()), 6)


def _iso(when: datetime) -> str:
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
