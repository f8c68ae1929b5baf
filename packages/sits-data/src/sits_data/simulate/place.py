"""Where the simulated land lies: farmland near Düren, in a strip that tiles of two UTM zones cover."""

import math
from dataclasses import dataclass

from pyproj import Transformer
from rasterio.warp import transform_bounds
from shapely import Polygon

from sits_data.grid import LATTICE_M, Grid

LEFT, TOP = 306_000, 5_642_400
"""Upper left corner in EPSG:32632, 15 km east of the border between zones 31 and 32."""

MARGIN_PX = 6
"""Ring of 10 m pixels between the scenes' edge and the box around the area of interest."""


@dataclass(frozen=True)
class Tile:
    """An MGRS tile and the part of it that the catalogue shows, as a 10 m grid."""

    mgrs: str
    grid: Grid


def home_tile(size_px: int) -> Tile:
    """The tile in whose grid the land is made."""
    side = size_px * 10
    return Tile("32ULB", _grid("EPSG:32632", LEFT, TOP - side, LEFT + side, TOP))


def neighbour_tile(home: Tile) -> Tile:
    """The tile of zone 31 over the same land: the box around it, so its corners see nothing."""
    grid = home.grid
    west, south, east, north = transform_bounds(
        grid.crs, "EPSG:32631", grid.left, grid.bottom, grid.right, grid.top
    )
    return Tile("31UGS", _grid("EPSG:32631", _down(west), _down(south), -_down(-east), -_down(-north)))


def aoi_polygon(home: Tile) -> Polygon:
    """An octagon in degrees; the cube over it lies `MARGIN_PX` inside the scenes' edge."""
    grid = home.grid
    inset = MARGIN_PX * 10 + 15  # more than the lattice's 60 m, less than two steps of it
    left, right, bottom, top = (
        grid.left + inset,
        grid.right - inset,
        grid.bottom + inset,
        grid.top - inset,
    )
    cut = (right - left) / 12
    corners = [
        (left, top - cut), (left, bottom + cut), (left + cut, bottom), (right - cut, bottom),
        (right, bottom + cut), (right, top - cut), (right - cut, top), (left + cut, top),
    ]  # fmt: skip
    to_degrees = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    return Polygon([(round(x, 7), round(y, 7)) for x, y in to_degrees.itransform(corners)])


def footprint(grid: Grid) -> Polygon:
    """Outline of a grid in degrees, rounded to a centimetre."""
    to_degrees = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    corners = [
        (grid.left, grid.bottom), (grid.right, grid.bottom),
        (grid.right, grid.top), (grid.left, grid.top),
    ]  # fmt: skip
    return Polygon([(round(x, 7), round(y, 7)) for x, y in to_degrees.itransform(corners)])


def _grid(crs: str, left: int, bottom: int, right: int, top: int) -> Grid:
    return Grid(crs=crs, resolution_m=10, left=left, bottom=bottom, right=right, top=top)


def _down(metres: float) -> int:
    return math.floor(metres / LATTICE_M) * LATTICE_M
