"""The cube on disk: a Zarr v3 group that xarray, GDAL and people can read.

The layout is that of docs/formats.md. A cube is created whole and empty (what was never written
reads as *not read*, never as clear), then filled one unit at a time: one day of one block, one file
in each array, written under another name and renamed into place.
"""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import xarray as xr
import zarr
import zarr.errors
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS

from sits_data.aoi import features_frame
from sits_data.arrays import consolidate, create_chunked, write_coordinate
from sits_data.bands import DN_OFFSET, DN_SCALE
from sits_data.errors import DamagedCube, IncompleteCube, MissingArray, NotACube
from sits_data.mask import QA, MaskName, clear_pixels, strict_classes
from sits_data.output import write_atomically, writing_to
from sits_data.plan import CubePlan
from sits_data.threads import available_cores
from sits_data.units import read_chunk

SCHEMA = "sits-cube"
SCHEMA_VERSION = 1
VALUES_SCHEMA = "sits-values"
"""Of derived cubes that have no reflectance, such as those of indices."""
NOT_READ = int(QA.NOT_READ)

QA_SETTINGS = "qa_settings"
"""Attribute: detectors and distances that `qa` follows since it was made anew; absent as built."""

RECOMPUTE = "mask_recompute"
"""Attribute: `qa` is just now being replaced, or was when a run was interrupted."""


Index = int | slice | tuple[int | slice, ...]


@dataclass(frozen=True)
class RawCube:
    """A cube as it lies on disk: integers, nothing decoded.

    Args:
        path: the Zarr folder.
        group: its arrays.
        geobox: its grid.
        attributes: what the group says of itself.
    """

    path: Path
    group: zarr.Group
    geobox: GeoBox
    attributes: dict[str, Any]

    @cached_property
    def bands(self) -> tuple[str, ...]:
        """Canonical ids, in the order of the band axis."""
        return tuple(str(band) for band in self.read("band"))

    @property
    def values(self) -> tuple[str, ...]:
        """Arrays of a derived cube that has no reflectance, such as `NDVI`; else none."""
        if "reflectance" in self.group:
            return ()
        images = (name for name, array in self.group.arrays() if array.ndim > 2 and name != "qa")
        return tuple(sorted(images))

    @cached_property
    def dates(self) -> NDArray[np.int32]:
        """Solar days, (time,), as days since 1970-01-01."""
        return self.read("time").astype(np.int32)

    @property
    def resolution_m(self) -> int:
        """Pixel size in metres."""
        return int(self.geobox.resolution.x)

    @property
    def chunk_px(self) -> int:
        """Side of a chunk in pixels."""
        return int(self.array("qa").chunks[-1])

    @cached_property
    def sources(self) -> dict[str, Any]:
        """Where the pixels come from: the plan's hash, the catalogue, the ids of the scenes."""
        scenes = [str(name) for name in self.read("scene")]
        return {name: self.attributes[name] for name in ("plan", "catalog", "collection")} | {
            "scenes": scenes
        }

    @cached_property
    def aoi(self) -> gpd.GeoDataFrame:
        """The polygons that the cube was asked for, in degrees; the index has their ids."""
        features = self.attributes.get("aoi", {"features": []})["features"]
        frame = gpd.GeoDataFrame.from_features(features, crs="EPSG:4326")
        return frame.set_index(np.array([int(one["id"]) for one in features], np.int64))

    @property
    def blocks(self) -> int:
        """How many blocks of the grid are read: all, unless some touch no polygon."""
        chosen = self.attributes.get("blocks")
        height, width = self.geobox.shape
        every = -(-height // self.chunk_px) * -(-width // self.chunk_px)
        return every if chosen is None else len(chosen)

    def array(self, name: str) -> "zarr.Array[Any]":
        """One of the group's arrays.

        Raises:
            MissingArray: there is none of that name.
        """
        if name not in self.group:
            raise MissingArray(
                f"{self.path} has no array {name}"
                + ("; derived cubes have none, use the mask standard" if name == "scl" else "")
            )
        array = self.group[name]
        assert isinstance(array, zarr.Array)
        return array

    def read(self, name: str, index: Index = slice(None)) -> NDArray[Any]:
        """Values of an array at an index of its first axes.

        Raises:
            DamagedCube: a chunk cannot be read or decoded.
        """
        with self._reading(name):
            return np.asarray(self.array(name)[index])

    def read_chunk(self, name: str, index: tuple[int, ...], out: NDArray[Any]) -> None:
        """Decode one chunk of an array into memory that is there already.

        Args:
            name: `reflectance`, `scl` or `qa`.
            index: of the chunk, along each of the array's axes.
            out: contiguous, of a whole chunk's shape and type; written to.

        Raises:
            DamagedCube: the chunk cannot be read or decoded.
        """
        with self._reading(name):
            if not read_chunk(self.path, name, index, out):
                out[...] = self.array(name).fill_value

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError, ValueError) as error:  # what stores and codecs raise
            raise DamagedCube(
                f"{self.path}: a chunk of {name} cannot be read ({error}); check its permissions, or "
                "build the cube again with --overwrite"
            ) from error

    def clear_fraction(self, mask: MaskName) -> NDArray[np.float64]:
        """Share of clear pixels among those that were read, of each date: (time,), 0 to 1."""
        classes = strict_classes(mask)

        def of_date(index: int) -> float:
            scl = self.read("scl", index) if classes else None
            qa = self.read("qa", index)
            read = np.count_nonzero(qa != NOT_READ)
            return float(clear_pixels(qa, scl, mask).sum() / max(read, 1))

        with fast_codecs(), ThreadPoolExecutor(available_cores()) as pool:
            return np.array(list(pool.map(of_date, range(len(self.dates)))))


def create_cube(path: Path, plan: CubePlan) -> None:
    """Lay out an empty cube; it appears at `path` whole or not at all.

    Raises:
        OutputNotWritable: no permission, or the disk is full.
    """
    request = plan.request
    height, width = request.grid.shape
    times, bands = len(plan.days), len(request.bands)
    partial = path.with_name(f".{path.name}.partial")
    with writing_to(path):
        shutil.rmtree(partial, ignore_errors=True)
        group = zarr.create_group(partial, zarr_format=3, attributes=_attributes(plan, "building"))
        pixels = ("time", "y", "x")
        create_chunked(
            group, "reflectance", (times, bands, height, width), dims=("time", "band", "y", "x"),
            dtype="uint16", fill=0, attributes={
                "_FillValue": 0, "scale_factor": DN_SCALE, "add_offset": DN_OFFSET,
                "long_name": "surface reflectance", "units": "1",
            },
        )  # fmt: skip
        create_chunked(
            group, "scl", (times, height, width), dims=pixels, dtype="uint8", fill=0,
            attributes=_SCL_ATTRIBUTES,
        )  # fmt: skip
        create_chunked(
            group, "qa", (times, height, width), dims=pixels, dtype="uint8", fill=NOT_READ,
            attributes=_QA_ATTRIBUTES,
        )  # fmt: skip
        if plan.needs_scene_index:
            create_chunked(
                group, "scene_index", (times, height, width), dims=pixels, dtype="int16", fill=-1,
                attributes={"long_name": "index along the dimension scene, -1 = none"},
            )  # fmt: skip
        _write_coordinates(group, plan)
        consolidate(partial)
        partial.rename(path)


def mark_complete(path: Path, *, failed: int = 0) -> None:
    """Say in the cube's metadata, atomically, that nothing is left to do.

    Args:
        path: the cube.
        failed: units that could not be read, and whose `qa` says so.
    """
    with writing_to(path):
        metadata = json.loads((path / "zarr.json").read_bytes())
        metadata["attributes"].pop("units_failed", None)
        metadata["attributes"] |= {"status": "complete"} | ({"units_failed": failed} if failed else {})
        write_atomically(path / "zarr.json", json.dumps(metadata, indent=2).encode())


def open_cube(path: str | Path, *, allow_incomplete: bool = False) -> xr.Dataset:
    """Open a cube lazily, decoded.

    Args:
        path: the Zarr folder.
        allow_incomplete: open a cube that is still being built; what is missing reads as NaN, with
            the bit *not read* in `qa`.

    Returns:
        `reflectance (time, band, y, x)` float32, unit 1, NaN where nothing was observed;
        `scl (time, y, x)` and `qa (time, y, x)` uint8; `scene_index (time, y, x)` int16 where a day
        has several scenes; coordinates of pixel centres in metres; one entry a scene along `scene`.

    Raises:
        NotACube: the path holds no cube of this version.
        IncompleteCube: the cube is unfinished.
    """
    raw = open_raw(path, allow_incomplete=allow_incomplete)
    dataset = xr.open_zarr(raw.path, mask_and_scale=False, decode_coords="all")
    attrs = dataset["reflectance"].attrs
    # float32 attributes make xarray decode to float32 instead of float64.
    attrs["scale_factor"], attrs["add_offset"] = np.float32(DN_SCALE), np.float32(DN_OFFSET)
    return xr.decode_cf(dataset, decode_coords="all")


def open_raw(path: str | Path, *, allow_incomplete: bool = False, allow_values: bool = False) -> RawCube:
    """Open a cube as it lies on disk.

    Args:
        path: the Zarr folder.
        allow_incomplete: open a cube that is still being built.
        allow_values: open a derived cube that has no reflectance, such as one of indices.

    Raises:
        NotACube: the path holds no cube of this version.
        IncompleteCube: the cube is unfinished.
    """
    path = Path(path)
    if not (path / "zarr.json").is_file():
        raise NotACube(f"{path} is not a cube; build one with sits-data build-cube --aoi FILE")
    try:
        group = zarr.open_group(path, mode="r")
    except (OSError, ValueError, TypeError, KeyError, zarr.errors.BaseZarrError) as error:
        raise NotACube(f"{path} is not a readable Zarr group ({error}); build it again") from error
    attributes: dict[str, Any] = dict(group.attrs)
    if attributes.get("schema") == VALUES_SCHEMA and not allow_values:
        raise NotACube(
            f"{path} holds derived values and no reflectance; open it with xarray.open_zarr, or name "
            "the cube it was made from"
        )
    if attributes.get("schema") not in (SCHEMA, VALUES_SCHEMA):
        raise NotACube(f"{path} is a Zarr group but not a cube of sits-data; build one from a plan")
    if attributes.get("schema_version") != SCHEMA_VERSION:
        raise NotACube(
            f"{path} has cube schema {attributes.get('schema_version')}, this version reads "
            f"{SCHEMA_VERSION}; use the sits-data that wrote it, or build it again with --overwrite"
        )
    if attributes.get("status") != "complete" and not allow_incomplete:
        raise IncompleteCube(
            f"{path} is unfinished; run the same build-cube command again to complete it"
        )
    if RECOMPUTE in attributes:
        raise IncompleteCube(
            f"{path} has qa that is being replaced; run the same sits-data mask command again to finish"
        )
    try:
        transform = Affine(*attributes["spatial:transform"][:6])
        geobox = GeoBox(tuple(attributes["spatial:shape"]), transform, attributes["proj:code"])
    except (LookupError, TypeError, ValueError) as error:
        raise NotACube(f"{path} does not tell its grid ({error}); build it again") from error
    return RawCube(path, group, geobox, attributes)


def is_cube(path: Path) -> bool:
    """Whether a folder was laid out as a cube, of whatever version, finished or not."""
    try:
        metadata = json.loads((path / "zarr.json").read_bytes())
        return bool(metadata["attributes"]["schema"] == SCHEMA)
    except (OSError, ValueError, LookupError, TypeError):
        return False


@contextmanager
def fast_codecs() -> Iterator[None]:
    """Decode with the `zarrs` pipeline (Rust) inside this block."""
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        yield


_SCL_ATTRIBUTES = {
    "long_name": "scene classification of Sen2Cor",
    "flag_values": list(range(12)),
    "flag_meanings": "no_data saturated_or_defective dark_area cloud_shadow vegetation not_vegetated"
    " water unclassified cloud_medium_probability cloud_high_probability thin_cirrus snow",
}
_QA_ATTRIBUTES = {
    "long_name": "quality bits",
    "flag_masks": [1, 2, 4, 8, 16, 32, 64, 128],
    "flag_meanings": "no_data_or_defective cloud shadow cirrus snow dilated read_failed not_read",
}


_SCENE_TEXTS = ("platform", "baseline", "tile", "offset_source")
_SCENE_NUMBERS = ("cloud_pct", "sun_azimuth", "sun_elevation", "view_azimuth", "view_incidence")
_SCENE_COORDINATES = tuple(
    f"scene_{name}" for name in (*_SCENE_TEXTS, *_SCENE_NUMBERS, "offset_dn", "time_index", "datetime")
)


def _attributes(plan: CubePlan, status: str) -> dict[str, Any]:
    request, geobox = plan.request, plan.request.grid.geobox
    left, bottom, right, top = geobox.boundingbox.bbox
    return {
        "Conventions": "CF-1.11",
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "status": status,
        "coordinates": " ".join(["spatial_ref", *_SCENE_COORDINATES]),
        "title": "Sentinel-2 Level-2A surface reflectance",
        "plan": plan.hash,
        "catalog": request.catalog,
        "collection": request.collection,
        "source": "Contains modified Copernicus Sentinel data",
        "resolution_m": request.grid.resolution_m,
        "proj:code": request.grid.crs,
        "spatial:dimensions": ["y", "x"],
        "spatial:transform": list(geobox.transform)[:6],
        "spatial:shape": list(geobox.shape),
        "spatial:bbox": [left, bottom, right, top],
        "aoi": features_frame(request.features).to_geo_dict(),
        "blocks": request.blocks,
        "zarr_conventions": [
            {"name": "proj:", "schema_url": "https://github.com/zarr-conventions/geo-proj"},
            {"name": "spatial:", "schema_url": "https://github.com/zarr-conventions/spatial"},
        ],
    }


def _write_coordinates(group: zarr.Group, plan: CubePlan) -> None:
    grid, scenes = plan.request.grid, plan.scenes
    height, width = grid.shape
    step = grid.resolution_m
    dates = np.array([day.day for day in plan.days], "datetime64[D]").astype(np.int64)
    day_of_scene = [t for t, day in enumerate(plan.days) for _ in day.scenes]
    metres = {"units": "m", "standard_name": "projection_x_coordinate", "axis": "X"}
    write_coordinate(group, "time", "time", dates, {
        "units": "days since 1970-01-01", "calendar": "proleptic_gregorian",
        "standard_name": "time", "long_name": "solar day",
    })  # fmt: skip
    write_coordinate(group, "band", "band", list(plan.request.bands), {})
    write_coordinate(group, "x", "x", grid.left + step * (np.arange(width) + 0.5), metres)
    write_coordinate(group, "y", "y", grid.top - step * (np.arange(height) + 0.5),
                metres | {"standard_name": "projection_y_coordinate", "axis": "Y"})  # fmt: skip
    left_top = f"{grid.left} {step} 0 {grid.top} 0 {-step}"
    crs = CRS.from_user_input(grid.crs)
    spatial_ref = group.create_array(
        "spatial_ref", shape=(), dtype="int64",
        attributes=crs.to_cf() | {"spatial_ref": crs.to_wkt(), "GeoTransform": left_top},
    )  # fmt: skip
    spatial_ref[()] = 0

    def numbers(name: str) -> NDArray[np.float64]:
        values = (getattr(scene, name) for scene in scenes)
        return np.array([np.nan if value is None else value for value in values], np.float64)

    write_coordinate(group, "scene", "scene", [scene.id for scene in scenes], {})
    for name in _SCENE_TEXTS:
        texts = [getattr(scene, name) or "" for scene in scenes]
        write_coordinate(group, f"scene_{name}", "scene", texts, {})
    for name in _SCENE_NUMBERS:
        units = "percent" if name == "cloud_pct" else "degrees"
        write_coordinate(group, f"scene_{name}", "scene", numbers(name), {"units": units})
    write_coordinate(group, "scene_offset_dn", "scene", numbers("offset_dn").astype(np.int32),
                {"long_name": "offset in the source's numbers before harmonisation"})  # fmt: skip
    write_coordinate(group, "scene_time_index", "scene", np.array(day_of_scene, np.int32),
                {"long_name": "index of the scene's day along time"})  # fmt: skip
    seconds = np.array([round(scene.datetime.timestamp()) for scene in scenes], np.int64)
    write_coordinate(group, "scene_datetime", "scene", seconds, {
        "units": "seconds since 1970-01-01", "calendar": "proleptic_gregorian",
        "long_name": "acquisition, UTC",
    })  # fmt: skip
