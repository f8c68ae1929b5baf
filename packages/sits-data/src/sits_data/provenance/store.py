"""The item of a planar store."""

from pathlib import Path
from typing import Any

import numpy as np
import pystac
from affine import Affine
from odc.geo.geobox import GeoBox

from sits_data.cube import open_raw
from sits_data.manifest import Manifest
from sits_data.provenance.checksum import combine, file_digest, multihash
from sits_data.provenance.cube import sources_of
from sits_data.provenance.item import (
    Product,
    Source,
    describe_bands,
    item_file,
    time_dimension,
    write_item,
)

_TYPES = {"regions.parquet": "application/vnd.apache.parquet", "manifest.json": "application/json"}


def write_store_item(path: Path, *, cube: Path) -> Path:
    """Write the item of a planar store beside it, from its manifest and that of its cube.

    Args:
        path: the store.
        cube: that it was made from.

    Returns:
        Where the item is: `NAME.planar.item.json`.

    Raises:
        OutputNotWritable: no permission, or the disk is full.
    """
    manifest = Manifest.model_validate_json((path / "manifest.json").read_bytes())
    return write_item(_describe(path, manifest, cube), path)


def _describe(path: Path, manifest: Manifest, cube: Path) -> Product:
    grid, source = manifest.grid, item_file(cube)
    made_from = (Source(cube.name, str(source.resolve())),) if source.is_file() else ()
    dates = np.load(path / "dates.npy")
    return Product(
        name=path.name,
        geobox=GeoBox(grid.shape, Affine(*grid.transform), grid.crs),
        dates=dates,
        dimensions={
            "row": {"type": "row", "extent": [0, manifest.pixels - 1], "step": 1},
            "time": time_dimension(dates),
            "band": {"type": "bands", "values": list(manifest.bands)},
        },
        variables={
            "pixels": {"type": "data", "dimensions": ["row", "time", "band"]},
            "qa": {"type": "data", "dimensions": ["row", "time"]},
        },
        lineage=f"the pixels of {manifest.regions} regions of {cube.name}, pixel by pixel",
        sources=(*made_from, *sources_of(open_raw(cube))),
        assets=_assets(path, manifest),
        properties={
            "sits:cube": manifest.cube,
            "sits:mask": manifest.mask,
            "sits:regions": manifest.regions,
            "sits:orders": list(manifest.orders),
        },
    )


def _assets(path: Path, manifest: Manifest) -> dict[str, pystac.Asset]:
    digests = manifest.files | {"manifest.json": file_digest(path / "manifest.json")}
    sizes = {name: (path / name).stat().st_size for name in digests}

    def checked(digest: str, size: int) -> dict[str, Any]:
        return {"file:checksum": multihash(digest), "file:size": size}

    folder = checked(combine(digests), sum(sizes.values()))
    files = {
        name.split(".")[0]: pystac.Asset(
            f"./{path.name}/{name}",
            media_type=media_type,
            roles=["metadata"],
            extra_fields=checked(digests[name], sizes[name]),
        )
        for name, media_type in _TYPES.items()
    }
    data = pystac.Asset(
        f"./{path.name}",
        title="Folder of NumPy files; the manifest has the SHA-256 of each",
        roles=["data"],
        extra_fields=folder
        | {"data_type": "uint16", "nodata": 0, "bands": describe_bands(manifest.bands)},
    )
    return {"data": data} | files
