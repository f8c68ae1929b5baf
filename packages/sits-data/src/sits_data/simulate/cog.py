"""Cloud-optimised GeoTIFFs in memory, the same bytes every time."""

from collections.abc import Mapping, Sequence

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from sits_data.grid import Grid

BLOCK_PX = 512


def encode_cog(
    values: NDArray[np.uint8] | NDArray[np.uint16],
    grid: Grid,
    *,
    nodata: int | None = 0,
    names: Sequence[str] = (),
    colours: Mapping[int, str] | None = None,
    categories: bool = False,
) -> bytes:
    """A COG of (y, x) or (band, y, x) values.

    Args:
        values: on the grid, or on a coarser grid with the same edges.
        grid: where they lie.
        nodata: the value for no data, or None.
        names: of the bands.
        colours: `#rrggbb` by value, for a single band.
        categories: values are classes, so overviews take the nearest.

    Returns:
        The file's bytes: deflate, horizontal predictor for numbers, one tile where it fits.
    """
    stack = values[None] if values.ndim == 2 else values
    count, height, width = stack.shape
    step = (grid.right - grid.left) / width
    block = min(BLOCK_PX, -(-max(height, width) // 16) * 16)
    profile = {
        "driver": "COG", "dtype": stack.dtype.name, "count": count, "height": height, "width": width,
        "crs": grid.crs, "transform": Affine(step, 0, grid.left, 0, -step, grid.top), "nodata": nodata,
        "compress": "deflate", "predictor": "no" if categories else "yes", "blocksize": block,
        "overview_resampling": "nearest" if categories else "average",
    }  # fmt: skip
    with MemoryFile() as memory:
        with memory.open(**profile) as raster:
            raster.write(stack)
            for band, name in enumerate(names, start=1):
                raster.set_band_description(band, name)
            if colours:
                raster.write_colormap(1, {value: _rgba(colour) for value, colour in colours.items()})
        return bytes(memory.read())


def _rgba(colour: str) -> tuple[int, int, int, int]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue, 255
