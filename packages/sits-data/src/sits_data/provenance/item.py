"""From what is known of a product to its STAC item; nothing is read here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pystac.extensions.datacube import SCHEMA_URI as DATACUBE
from pystac.extensions.file import SCHEMA_URI as FILE
from pystac.extensions.projection import SCHEMA_URI as PROJECTION

from sits_data.bands import BANDS
from sits_data.output import write_atomically, writing_to

PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
_LIBRARIES = ("sits-data", "numpy", "odc-stac", "rasterio", "xarray", "zarr")
_EDGE_M = 1000
"""Outlines in degrees get a vertex every kilometre, since straight edges in UTM bend."""


@dataclass(frozen=True)
class Source:
    """What a product was derived from.

    Args:
        title: id of a scene, or name of a cube.
        href: address of its STAC item.
    """

    title: str
    href: str


@dataclass(frozen=True)
class Product:
    """What an item says of a cube or a store.

    Args:
        name: of the folder.
        geobox: its grid.
        dates: (T,) days since 1970-01-01, ascending.
        dimensions, variables: as the datacube extension has them.
        lineage: how it was made, one sentence.
        sources: items that it was derived from.
        assets: its files.
        properties: more to say; names begin with `sits:`.
    """

    name: str
    geobox: GeoBox
    dates: NDArray[np.int32]
    dimensions: Mapping[str, Any]
    variables: Mapping[str, Any]
    lineage: str
    sources: tuple[Source, ...]
    assets: Mapping[str, pystac.Asset]
    properties: Mapping[str, Any] = field(default_factory=dict)


def item_file(path: Path) -> Path:
    """Where the item of a cube or a store lies: beside it, as `NAME.item.json`.

    Not inside: zarr-python warns of files in a group that are not its own, and the manifest of a
    store names every file.
    """
    return path.with_name(f"{path.name}.item.json")


def make_item(product: Product) -> pystac.Item:
    """The STAC item of a product."""
    outline = product.geobox.extent.to_crs("EPSG:4326", resolution=_EDGE_M).geom
    first, last = (_midnight(product.dates[index]) for index in (0, -1))
    item = pystac.Item(
        id=product.name,
        geometry=shapely.geometry.mapping(outline),
        bbox=list(outline.bounds),
        datetime=None,
        start_datetime=first,
        end_datetime=last + timedelta(days=1, seconds=-1),
        properties={
            "created": pystac.utils.datetime_to_str(datetime.now(UTC)),
            "description": "Contains modified Copernicus Sentinel data",
            "constellation": "sentinel-2",
            "instruments": ["msi"],
            "gsd": abs(product.geobox.resolution.x),
            "proj:code": str(product.geobox.crs),
            "proj:transform": list(product.geobox.transform)[:6],
            "proj:shape": list(product.geobox.shape),
            "proj:bbox": list(product.geobox.boundingbox.bbox),
            "cube:dimensions": dict(product.dimensions),
            "cube:variables": dict(product.variables),
            "processing:lineage": product.lineage,
            "processing:software": {name: version(name) for name in _LIBRARIES},
            **product.properties,
        },
        stac_extensions=[DATACUBE, PROJECTION, PROCESSING, FILE],
        assets=dict(product.assets),
    )
    for source in product.sources:
        link = pystac.Link("derived_from", source.href, "application/json", title=source.title)
        item.add_link(link)
    return item


def write_item(product: Product, path: Path) -> Path:
    """Write the item of what lies at a path beside it, whole or not at all.

    Raises:
        OutputNotWritable: no permission, or the disk is full.
    """
    out = item_file(path)
    content = make_item(product).to_dict(include_self_link=False, transform_hrefs=False)
    with writing_to(out):
        write_atomically(out, (json.dumps(content, indent=1) + "\n").encode())
    return out


def grid_dimensions(
    geobox: GeoBox, dates: NDArray[np.int32], bands: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """The dimensions of a cube; x and y reach from the first pixel's centre to the last one's."""
    step_x, step_y = geobox.resolution.x, geobox.resolution.y
    left, bottom, right, top = geobox.boundingbox.bbox
    half_x, half_y = abs(step_x) / 2, abs(step_y) / 2
    assert geobox.crs is not None
    plane = {"type": "spatial", "reference_system": geobox.crs.to_epsg()}
    return {
        "x": plane | {"axis": "x", "extent": [left + half_x, right - half_x], "step": step_x},
        "y": plane | {"axis": "y", "extent": [bottom + half_y, top - half_y], "step": step_y},
        "time": time_dimension(dates),
        "band": {"type": "bands", "values": list(bands)},
    }


def time_dimension(dates: NDArray[np.int32]) -> dict[str, Any]:
    """The dates of a series, as days at 00:00 UTC."""
    values = [pystac.utils.datetime_to_str(_midnight(day)) for day in dates]
    return {"type": "temporal", "extent": [values[0], values[-1]], "values": values}


def describe_bands(bands: tuple[str, ...]) -> list[dict[str, Any]]:
    """Reflectance bands as STAC 1.1 has them."""
    about = {band.id: f"{band.common}, {band.wavelength_nm:g} nm" for band in BANDS.values()}
    return [{"name": name, "description": about.get(name, name)} for name in bands]


def _midnight(day: np.integer[Any] | int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=int(day))
