"""The cube's grid: one UTM zone, snapped to the lattice on which 10, 20 and 60 m pixels nest."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import geopandas as gpd
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pydantic import BaseModel
from pyproj import CRS
from pyproj.exceptions import CRSError
from shapely.geometry.base import BaseGeometry

from sits_data.errors import InvalidAOI, InvalidRequest

Resolution = Literal[10, 20, 60]

LATTICE_M = 60
"""Sentinel-2 tiles start on multiples of 60 m, so pixels of every native size nest on it."""

BLOCK_PX = 512
"""Side of a block: one chunk of the cube."""


class Grid(BaseModel, frozen=True):
    """A north-up pixel grid in one CRS.

    Args:
        crs: such as `EPSG:32631`; its unit is the metre.
        resolution_m: pixel size in metres.
        left, bottom, right, top: outer edges in metres, multiples of 60.
    """

    crs: str
    resolution_m: Resolution
    left: int
    bottom: int
    right: int
    top: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        height, width = self.top - self.bottom, self.right - self.left
        return height // self.resolution_m, width // self.resolution_m

    @property
    def geobox(self) -> GeoBox:
        """The same grid as odc-geo knows it."""
        return self.window_geobox(Window(0, 0, *self.shape))

    @property
    def footprint(self) -> BaseGeometry:
        """The grid's outline in degrees."""
        outline = gpd.GeoSeries(
            [shapely.box(self.left, self.bottom, self.right, self.top)], crs=self.crs
        )
        degrees: BaseGeometry = outline.segmentize(1000).to_crs("EPSG:4326").iloc[0]
        return degrees

    def window_geobox(self, window: "Window") -> GeoBox:
        """The part of the grid under a window of its pixels."""
        step = self.resolution_m
        left, top = self.left + window.x * step, self.top - window.y * step
        transform = Affine(step, 0, left, 0, -step, top)
        return GeoBox((window.height, window.width), transform, self.crs)

    def windows(self, side_px: int) -> Iterator["Window"]:
        """Squares of `side_px` pixels, row by row; those at the right and bottom are cut off."""
        height, width = self.shape
        for y in range(0, height, side_px):
            for x in range(0, width, side_px):
                yield Window(y, x, min(side_px, height - y), min(side_px, width - x))


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels: first row and column, height and width."""

    y: int
    x: int
    height: int
    width: int


def cube_grid(aoi: gpd.GeoDataFrame, resolution_m: Resolution, crs: str | None = None) -> Grid:
    """The smallest grid on the 60 m lattice that holds the bounding box of an area.

    Args:
        aoi: polygons in any CRS.
        resolution_m: pixel size in metres.
        crs: a UTM CRS; by default that of the zone with most of the area.

    Raises:
        InvalidRequest: `crs` is not a UTM zone.
        InvalidAOI: the area cannot be expressed in that CRS.
    """
    # Straight edges in degrees bend in UTM: vertices every 0.01 degrees keep the box exact.
    dense = aoi.set_geometry(aoi.geometry.segmentize(0.01)) if aoi.crs.is_geographic else aoi
    target = _utm_zone(crs) if crs else utm_crs(aoi)
    left, bottom, right, top = dense.to_crs(target).total_bounds
    if not all(map(math.isfinite, (left, bottom, right, top))):
        raise InvalidAOI(f"the area of interest cannot be projected to {target}; choose another CRS")
    return Grid(
        crs=target,
        resolution_m=resolution_m,
        left=_snap_down(left),
        bottom=_snap_down(bottom),
        right=-_snap_down(-right),
        top=-_snap_down(-top),
    )


def utm_crs(aoi: gpd.GeoDataFrame) -> str:
    """The UTM CRS (`EPSG:326zz` or `EPSG:327zz`) of the zone that holds most of an area.

    Zones are those of the MGRS, with the exceptions of Norway (32V) and Svalbard (31X to 37X).
    """
    degrees = aoi.to_crs("EPSG:4326").union_all()
    west, south, east, north = degrees.bounds
    if east - west > 180:
        raise InvalidAOI("the area of interest crosses the antimeridian; split it there")
    if north > 84 or south < -80:
        raise InvalidAOI("the area of interest reaches beyond UTM (80 S to 84 N); move or clip it")
    parts = {
        epsg: degrees.intersection(box)
        for epsg, box in _zones(west, south, east, north)
        if degrees.intersects(box)
    }
    areas = gpd.GeoSeries(list(parts.values()), crs="EPSG:4326").to_crs("EPSG:6933").area
    return f"EPSG:{list(parts)[int(areas.argmax())]}"


def _zones(west: float, south: float, east: float, north: float) -> Iterator[tuple[int, BaseGeometry]]:
    """UTM zones that a box of degrees may touch, as (EPSG code, part of the zone)."""
    plain = [(zone, 6.0 * zone - 186, 6.0 * zone - 180) for zone in range(1, 61)]
    norway = _with_edges(plain, {31: (0, 3), 32: (3, 12)})
    svalbard = _with_edges(
        [z for z in plain if z[0] not in (32, 34, 36)],
        {31: (0, 9), 33: (9, 21), 35: (21, 33), 37: (33, 42)},
    )
    belts = [(-80, 0, 32700, plain), (0, 56, 32600, plain), (56, 64, 32600, norway)]
    belts += [(64, 72, 32600, plain), (72, 84, 32600, svalbard)]
    pieces: dict[int, list[shapely.Polygon]] = {}
    for low, high, family, zones in belts:
        for zone, left, right in zones:
            if left <= east and right >= west and low <= north and high >= south:
                pieces.setdefault(family + zone, []).append(shapely.box(left, low, right, high))
    for epsg, boxes in pieces.items():
        yield epsg, shapely.union_all(boxes)


def _with_edges(
    zones: list[tuple[int, float, float]], edges: dict[int, tuple[float, float]]
) -> list[tuple[int, float, float]]:
    return [(zone, *edges.get(zone, (left, right))) for zone, left, right in zones]


def _utm_zone(crs: str) -> str:
    try:
        parsed = CRS.from_user_input(crs)
    except CRSError as error:
        raise InvalidRequest(f"{crs!r} is not a CRS; use one such as EPSG:32631") from error
    epsg = parsed.to_epsg() or 0
    if epsg // 100 not in (326, 327) or not 1 <= epsg % 100 <= 60:
        raise InvalidRequest(
            f"the cube's CRS must be a UTM zone in metres, {crs} is not; use EPSG:326zz (north) or "
            "EPSG:327zz (south)"
        )
    return f"EPSG:{epsg}"


def _snap_down(metres: float) -> int:
    # A millimetre of reprojection noise must not add a row of pixels.
    return math.floor((metres + 1e-3) / LATTICE_M) * LATTICE_M
