"""The item of a cube."""

import json
import math
from pathlib import Path
from typing import Any

import pystac
import zarr

from sits_data.cube import RawCube, open_raw
from sits_data.ledger import read_ledger, state_folder
from sits_data.plan import CubePlan
from sits_data.provenance.checksum import combine, file_digest, folder_digests, multihash
from sits_data.provenance.item import (
    Product,
    Source,
    describe_bands,
    grid_dimensions,
    item_file,
    write_item,
)
from sits_data.units import chunk_file, chunk_of

ZARR = "application/vnd.zarr; version=3"


def write_cube_item(path: Path, *, made_from: Path | None = None) -> Path:
    """Write the item of a finished cube beside it.

    Checksums of chunks are those of the ledger; without one every byte is read.

    Args:
        path: the cube.
        made_from: the cube that this one was derived from.

    Returns:
        Where the item is: `NAME.zarr.item.json`.

    Raises:
        NotACube, IncompleteCube: there is no finished cube.
        OutputNotWritable: no permission, or the disk is full.
    """
    cube = open_raw(path, allow_values=True)
    return write_item(_describe(cube, made_from), path)


def kept_checksum(path: Path) -> str | None:
    """The multihash of a cube's files that its item has; None without an item."""
    try:
        item = json.loads(item_file(path).read_bytes())
        return str(item["assets"]["data"]["file:checksum"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def sources_of(cube: RawCube) -> tuple[Source, ...]:
    """The scenes of a cube whose items have an address: those of its item, or else of its plan."""
    written, plan = item_file(cube.path), state_folder(cube.path) / "plan.json"
    if plan.is_file():
        scenes = CubePlan.read(plan).scenes
        return tuple(Source(scene.id, scene.href) for scene in scenes if scene.href)
    if written.is_file():
        links = json.loads(written.read_bytes())["links"]
        named = set(cube.sources["scenes"])
        return tuple(Source(link["title"], link["href"]) for link in links if link.get("title") in named)
    return ()


def _describe(cube: RawCube, made_from: Path | None) -> Product:
    scenes = cube.sources["scenes"]
    origin = open_raw(made_from) if made_from else cube
    sources = sources_of(origin)
    if made_from:
        sources = (Source(made_from.name, str(item_file(made_from).resolve())), *sources)
    properties: dict[str, Any] = {
        "sits:plan": cube.attributes["plan"],
        "sits:catalog": cube.attributes["catalog"],
        "sits:collection": cube.attributes["collection"],
        "sits:scenes": scenes,
    }
    if "derived" in cube.attributes:
        properties["sits:derived"] = cube.attributes["derived"]
    return Product(
        name=cube.path.name,
        geobox=cube.geobox,
        dates=cube.dates,
        dimensions=grid_dimensions(cube.geobox, cube.dates, cube.bands),
        variables=_variables(cube.group),
        lineage=_lineage(cube, len(scenes)),
        sources=sources,
        assets=_assets(cube),
        properties=properties,
    )


def _lineage(cube: RawCube, scenes: int) -> str:
    made = (
        f"{scenes} Sentinel-2 Level-2A scenes of {cube.attributes['collection']}, brought to the "
        "convention reflectance = DN * 1e-4 - 0.1 and to one UTM grid"
    )
    derived = cube.attributes.get("derived")
    return f"{made}; then {derived['method']} of {derived['from']}" if derived else made


def _variables(group: zarr.Group) -> dict[str, dict[str, Any]]:
    """The arrays of pixels: every one along y and x."""
    found: dict[str, dict[str, Any]] = {}
    for name, array in sorted(group.arrays()):
        dims = list(getattr(array.metadata, "dimension_names", None) or ())
        if {"y", "x"} <= set(dims):
            found[name] = {"type": "data", "dimensions": dims}
            for key, attribute in (("description", "long_name"), ("unit", "units")):
                if text := array.attrs.get(attribute):
                    found[name][key] = text
    return found


def _kept_digests(cube: RawCube) -> dict[str, str]:
    """SHA-256 of the chunks that the ledger has, by their path in the cube."""
    rows = read_ledger(state_folder(cube.path) / "ledger.jsonl").values()
    return {
        chunk_file(Path(), name, chunk_of(name, row.unit)).as_posix(): written.sha256
        for row in rows
        for name, written in row.files.items()
    }


def _nodata(fill: object) -> int | str:
    """A fill value as STAC has it: JSON knows no NaN."""
    number = float(str(fill))
    return "nan" if math.isnan(number) else int(number)


def _assets(cube: RawCube) -> dict[str, pystac.Asset]:
    plan = state_folder(cube.path) / "plan.json"
    digests = folder_digests(cube.path, _kept_digests(cube))
    images = {name: array for name, array in cube.group.arrays() if array.ndim > 2}
    main = images.get("reflectance") or next(array for name, array in images.items() if name != "qa")
    assets = {
        "data": pystac.Asset(
            f"./{cube.path.name}",
            title="Zarr v3 group",
            media_type=ZARR,
            roles=["data"],
            extra_fields={
                "file:checksum": multihash(combine(digests)),
                "file:size": sum((cube.path / name).stat().st_size for name in digests),
                "data_type": str(main.dtype),
                "nodata": _nodata(main.fill_value),
                "bands": describe_bands(cube.bands),
            },
        )
    }
    if plan.is_file():
        assets["plan"] = pystac.Asset(
            f"./{plan.parent.name}/{plan.name}",
            title="Frozen plan: the request, every scene, what was left out and why",
            media_type=pystac.MediaType.JSON,
            roles=["metadata"],
            extra_fields={
                "file:checksum": multihash(file_digest(plan)),
                "file:size": plan.stat().st_size,
            },
        )
    return assets
