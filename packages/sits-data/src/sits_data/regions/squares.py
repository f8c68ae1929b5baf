"""Square windows, side by side or overlapping."""

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from sits_data.errors import InvalidRequest
from sits_data.regions.base import Numbers, RegionSet, of_pixels


def chips(
    geobox: GeoBox,
    size_px: int,
    *,
    stride_px: int | None = None,
    min_pixels: int = 1,
    block_m: int = 1000,
) -> RegionSet:
    """Square windows from the top left of the grid on.

    Those at the right and bottom edges are cut off there, so that every pixel has its chip.

    Args:
        geobox: the cube's grid.
        size_px: side in pixels, at least 2.
        stride_px: from one chip to the next, at most `size_px`: chips that are nearer overlap. None is
            `size_px`.
        min_pixels: edge chips with fewer are dropped.
        block_m: side in metres of the blocks for spatial splits, see `block_names`.

    Returns:
        Chips numbered row by row in `id`, 0, 1, …

    Raises:
        InvalidRequest: a number is out of its range, or no chip has `min_pixels`.
    """
    stride = size_px if stride_px is None else stride_px
    if size_px < 2:
        raise InvalidRequest(
            f"chip size must be at least 2 pixels, got {size_px}; use --chips 32, or parcels with "
            "--regions"
        )
    if not 1 <= stride <= size_px:
        raise InvalidRequest(
            f"the stride of chips must be from 1 to their size {size_px}, got {stride}; a longer one "
            "would leave pixels out"
        )
    height, width = geobox.shape
    # The last chip is the first that reaches the edge.
    down, across = (max(0, -(-(side - size_px) // stride)) + 1 for side in (height, width))
    y, x = np.divmod(np.arange(down * across), across)
    corners = np.stack([y * stride, x * stride, y * stride + size_px, x * stride + size_px], axis=1)
    corners = np.minimum(corners, [height, width, height, width])
    yx, pixels = pixels_of_boxes(corners, (height, width))
    frame = gpd.GeoDataFrame(geometry=outlines_of_boxes(corners, geobox), crs=geobox.crs)
    regions = of_pixels(frame, yx, pixels, min_pixels=min_pixels, block_m=block_m)
    if regions.frame.empty:
        raise InvalidRequest(
            f"no chip of {size_px} x {size_px} pixels has {min_pixels}; use a smaller --min-pixels"
        )
    return regions


def outlines_of_boxes(corners: Numbers, geobox: GeoBox) -> NDArray[np.object_]:
    """The outlines of rectangles of pixels, in the grid's CRS; `corners` as for `pixels_of_boxes`."""
    step_x, _, west, _, step_y, north = geobox.transform[:6]
    top, left, bottom, right = corners.T
    return np.asarray(
        shapely.box(
            west + step_x * left, north + step_y * bottom, west + step_x * right, north + step_y * top
        )
    )


def pixels_of_boxes(corners: Numbers, shape: tuple[int, int]) -> tuple[NDArray[np.int32], Numbers]:
    """The pixels of rectangles, each in raster order.

    Args:
        corners: (R, 4) first row, first column, and the row and the column after the last; what is off
            the grid is cut off.
        shape: rows and columns of the grid.

    Returns:
        (rows, 2) int32 row and column, rectangle after rectangle; and (R,) how many each has.
    """
    height, width = shape
    inside = np.clip(corners, 0, [height, width, height, width])
    # Half the memory of int64, for what may be every pixel of a large cube.
    top, left, bottom, right = inside.T.astype(np.int32)
    wide = np.maximum(right - left, 0)
    pixels = wide.astype(np.int64) * np.maximum(bottom - top, 0)
    place = np.repeat((pixels - np.cumsum(pixels)).astype(np.int32), pixels)
    place += np.arange(len(place), dtype=np.int32)
    box = np.repeat(np.arange(len(corners), dtype=np.int32), pixels)
    yx = np.empty((len(box), 2), np.int32)
    np.divmod(place, wide[box], out=(yx[:, 0], yx[:, 1]))
    yx[:, 0] += top[box]
    yx[:, 1] += left[box]
    return yx, pixels
