"""What a derived cube looks like on disk: the grid and the scenes of its source, other arrays."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.metadata import ArrayV3Metadata

from sits_data.arrays import consolidate, create_chunked, write_coordinate
from sits_data.cube import NOT_READ, QA_SETTINGS, RECOMPUTE, SCHEMA, VALUES_SCHEMA, RawCube

_OF_SOURCE = (QA_SETTINGS, RECOMPUTE, "units_failed")
_OF_TIME = ("time", "time_bnds", "observation", "scene_time_index")
_DAYS = {"units": "days since 1970-01-01", "calendar": "proleptic_gregorian"}


@dataclass(frozen=True)
class Array:
    """An array of images of a derived cube.

    Args:
        name, dtype: of it.
        fill: what was never written.
        attributes: CF, and what a reader should know.
        banded: whether it has an axis `band`.
    """

    name: str
    dtype: str
    fill: float
    attributes: Mapping[str, Any]
    banded: bool = False


@dataclass(frozen=True)
class Times:
    """The time axis of a derived cube.

    Args:
        days: (time,) days since 1970-01-01.
        bounds: (time, 2) first day of each period and of the next; None for single days.
        of_source: (dates of the source,) index of each along `days`.
        observations: (dates of the source,) their days, where pixels say which they are of.
    """

    days: NDArray[np.int32]
    bounds: NDArray[np.int32] | None
    of_source: NDArray[np.int64]
    observations: NDArray[np.int32] | None = None


@dataclass(frozen=True)
class Derivation:
    """What was done to which cube.

    Args:
        raw: the source.
        method: `composite`, `gapfill` or `indices`.
        settings: everything that decides the values.
        title: of the derived cube.
    """

    raw: RawCube
    method: str
    settings: Mapping[str, Any]
    title: str

    @property
    def record(self) -> dict[str, Any]:
        """What the derived cube says of itself, with its source's masks and own record."""
        source = self.raw.attributes
        before = {name: source[name] for name in (QA_SETTINGS, "derived") if name in source}
        return {
            "from": self.raw.path.name,
            "method": self.method,
            "settings": dict(self.settings),
            "plan": source["plan"],
        } | before

    @property
    def hash(self) -> str:
        """SHA-256 of what was done; stands where an observed cube has the hash of its plan."""
        return hashlib.sha256(json.dumps(self.record, sort_keys=True).encode()).hexdigest()

    @property
    def work(self) -> str:
        """Names the bytes that will be written: another source at the same path is other work."""
        source = (self.raw.path / "zarr.json").read_bytes()
        return hashlib.sha256(source + self.hash.encode()).hexdigest()


def create_derived(
    folder: Path, derivation: Derivation, times: Times, arrays: Sequence[Array]
) -> zarr.Group:
    """Lay out an empty derived cube, replacing what is in the folder.

    Raises:
        DamagedCube: a coordinate of the source cannot be read.
    """
    raw = derivation.raw
    names = [array.name for array in arrays]
    kept = {name: value for name, value in raw.attributes.items() if name not in _OF_SOURCE}
    attributes = kept | {
        "schema": SCHEMA if "reflectance" in names else VALUES_SCHEMA,
        "title": derivation.title,
        "plan": derivation.hash,
        "derived": derivation.record,
    }
    group = zarr.create_group(folder, zarr_format=3, attributes=attributes, overwrite=True)
    height, width = raw.geobox.shape
    for array in arrays:
        axes = ("band",) if array.banded else ()
        create_chunked(
            group,
            array.name,
            (len(times.days), *(len(raw.bands) for _ in axes), height, width),
            dims=("time", *axes, "y", "x"),
            dtype=array.dtype,
            fill=array.fill,
            attributes=dict(array.attributes),
        )
    _copy_coordinates(raw, group)
    _write_times(raw, group, times)
    consolidate(folder)
    return group


def reflectance_array(raw: RawCube) -> Array:
    """Reflectance as its source has it."""
    attributes = dict(raw.array("reflectance").attrs)
    return Array("reflectance", "uint16", 0, attributes, banded=True)


def qa_array(raw: RawCube) -> Array:
    """The bits of `qa`; a block that was never read stays *not read*."""
    return Array("qa", "uint8", NOT_READ, dict(raw.array("qa").attrs))


def is_derived(path: Path) -> bool:
    """Whether a folder is a derived cube: one that can be made again from its source."""
    try:
        metadata = json.loads((path / "zarr.json").read_bytes())
        return "method" in metadata["attributes"]["derived"]
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _copy_coordinates(raw: RawCube, group: zarr.Group) -> None:
    """Copy what does not vary over time: grid, bands, and everything that is known of the scenes."""
    for name, array in raw.group.arrays():
        assert isinstance(array.metadata, ArrayV3Metadata)
        dims = array.metadata.dimension_names or ()
        if "time" in dims or array.ndim > 1 or name in _OF_TIME:
            continue
        values = raw.read(name) if array.ndim else np.asarray(array[()])
        group.create_array(
            name,
            data=values,
            dimension_names=dims or None,
            attributes=dict(array.attrs),
        )


def _write_times(raw: RawCube, group: zarr.Group, times: Times) -> None:
    attributes: dict[str, Any] = dict(raw.array("time").attrs)
    if times.bounds is not None:
        attributes |= {"long_name": "first day of the period", "bounds": "time_bnds"}
        write_coordinate(group, "time_bnds", ("time", "bnds"), times.bounds.astype(np.int64), {})
    write_coordinate(group, "time", "time", times.days.astype(np.int64), attributes)
    if times.observations is not None:
        described = _DAYS | {"long_name": "days that the array source points at"}
        days = times.observations.astype(np.int64)
        write_coordinate(group, "observation", "observation", days, described)
    if "scene_time_index" in raw.group:
        day_of_scene = times.of_source[raw.read("scene_time_index")].astype(np.int32)
        write_coordinate(
            group, "scene_time_index", "scene", day_of_scene, dict(raw.array("scene_time_index").attrs)
        )
