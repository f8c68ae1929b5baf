"""Zarr arrays as all our cubes have them."""

import warnings
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec
from zarr.errors import ZarrUserWarning

from sits_data.grid import BLOCK_PX
from sits_data.units import COMPRESSION_LEVEL

GROWING, COORDINATE_CHUNK = ("time", "scene"), 1024
"""Chunks along these have one length, so that those of a longer coordinate hold a shorter one's."""

_WARNINGS = Lock()


def create_chunked(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    *,
    dims: tuple[str, ...],
    dtype: str,
    fill: float,
    attributes: dict[str, Any],
) -> None:
    """Lay out an empty array of images: chunks of one date, all bands, 512 x 512 pixels.

    Args:
        group: where.
        name: of the array.
        shape: its last two axes are y and x.
        dims: names of the axes.
        dtype: of the values.
        fill: what was never written reads as this.
        attributes: in addition to the grid mapping.
    """
    group.create_array(
        name,
        shape=shape,
        chunks=(1, *shape[1:-2], BLOCK_PX, BLOCK_PX),
        dtype=dtype,
        fill_value=fill,
        compressors=BloscCodec(
            cname="zstd",
            clevel=COMPRESSION_LEVEL,
            shuffle="bitshuffle",
            typesize=np.dtype(dtype).itemsize,
        ),
        dimension_names=dims,
        attributes=attributes | {"grid_mapping": "spatial_ref"},
    )


def write_coordinate(
    group: zarr.Group,
    name: str,
    dims: str | tuple[str, ...],
    values: NDArray[Any] | list[str],
    attributes: dict[str, Any],
) -> None:
    """Write a small array whole: numbers, or texts."""
    data = np.array(values, dtype=np.dtypes.StringDType()) if isinstance(values, list) else values
    names = (dims,) if isinstance(dims, str) else dims
    chunks = tuple(
        COORDINATE_CHUNK if dim in GROWING else size
        for dim, size in zip(names, np.shape(data), strict=True)
    )
    group.create_array(name, data=data, chunks=chunks, dimension_names=names, attributes=attributes)


def consolidate(path: Path) -> None:
    """Put all metadata into one file, so that a reader over a network asks once."""
    with _WARNINGS, warnings.catch_warnings():  # which threads share
        warnings.filterwarnings("ignore", "Consolidated metadata", ZarrUserWarning)
        zarr.consolidate_metadata(path.as_posix())
