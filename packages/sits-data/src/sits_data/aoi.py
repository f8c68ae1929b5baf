"""The area of interest: a vector file or four degrees, checked before anything is asked of it."""

import json
from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import pyogrio.errors
import shapely
from pydantic import BaseModel
from shapely.validation import explain_validity

from sits_data.errors import InvalidAOI


class Feature(BaseModel, frozen=True):
    """One polygon of an area of interest.

    Args:
        id: its position in the source.
        wkt: its outline in degrees, as well-known text.
    """

    id: int
    wkt: str


def read_aoi(source: str | Path) -> gpd.GeoDataFrame:
    """The polygons of an area of interest, in the CRS that they came in.

    Args:
        source: a GeoJSON, GeoPackage, GeoParquet or Shapefile of polygons, or a bounding box
            `west,south,east,north` in degrees.

    Returns:
        One row a polygon; every geometry is valid, not empty, and its CRS known.

    Raises:
        InvalidAOI: nothing is there, or what is there cannot be an area; the message says why.
    """
    box = _parse_bbox(str(source))
    frame = _bbox_frame(box) if box else read_vector(Path(source))
    kinds = set(frame.geom_type) - {"Polygon", "MultiPolygon"}
    if kinds:
        raise InvalidAOI(
            f"{source}: an area of interest is made of polygons, this has {', '.join(sorted(kinds))};"
            " buffer points or lines first"
        )
    return frame


def features_of(aoi: gpd.GeoDataFrame) -> tuple[Feature, ...]:
    """The polygons of an area, as values that a plan can keep; ids are those of the index."""
    outlines = shapely.to_wkt(aoi.to_crs("EPSG:4326").geometry.to_numpy(), rounding_precision=-1)
    return tuple(Feature(id=id_, wkt=wkt) for id_, wkt in zip(aoi.index, outlines, strict=True))


def features_frame(features: Sequence[Feature]) -> gpd.GeoDataFrame:
    """The same as a frame in degrees, with the ids as its index."""
    outlines = shapely.from_wkt([feature.wkt for feature in features])
    ids = [feature.id for feature in features]
    return gpd.GeoDataFrame(index=ids, geometry=list(outlines), crs="EPSG:4326")


def read_vector(path: Path) -> gpd.GeoDataFrame:
    """Any vector file with valid, non-empty geometries and a known CRS.

    A GeoJSON without a `crs` member is in degrees, as RFC 7946 has it.

    Raises:
        InvalidAOI: the file is missing, unreadable or empty, a geometry is empty or invalid, the
            CRS is unknown, or coordinates that should be degrees are not.
    """
    try:
        path.stat()
    except FileNotFoundError as error:
        hint = "give a GeoJSON, GeoPackage or GeoParquet file"
        raise InvalidAOI(f"{path} does not exist; {hint}") from error
    except OSError as error:
        raise InvalidAOI(
            f"{str(path)[:80]} cannot be opened ({error.strerror}); give the path of a vector file"
        ) from error
    frame = _read_any(path)
    if frame.empty:
        raise InvalidAOI(f"{path} has no features; draw at least one polygon")
    bad = frame.geometry.isna() | frame.geometry.is_empty
    if bad.any():
        raise InvalidAOI(f"{path}: feature {_first(bad)} has an empty geometry; remove or draw it")
    invalid = ~frame.geometry.is_valid
    if invalid.any():
        index = _first(invalid)
        why = explain_validity(frame.geometry.iloc[index])
        raise InvalidAOI(
            f"{path}: the geometry of feature {index} is not valid ({why}); "
            "repair it, for example with 'Fix geometries' in QGIS"
        )
    if frame.crs is None:
        raise InvalidAOI(f"{path} does not say its CRS; assign one, for example EPSG:4326")
    _check_degrees(frame, path)
    return frame


def _read_any(path: Path) -> gpd.GeoDataFrame:
    if path.suffix.lower() in {".parquet", ".geoparquet"}:
        try:
            return gpd.read_parquet(path)
        except (ValueError, OSError) as error:
            raise InvalidAOI(f"{path} is not GeoParquet ({error}); write it with geopandas") from error
    if path.suffix.lower() in {".json", ".geojson"}:
        _check_geojson(path)
    try:
        frame = gpd.read_file(path)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError) as error:
        raise InvalidAOI(
            f"{path} is not a vector file that GDAL can read ({error}); "
            "give GeoJSON, GeoPackage or GeoParquet"
        ) from error
    except shapely.errors.ShapelyError as error:
        raise InvalidAOI(f"{path} has a geometry that cannot be one ({error}); repair it") from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise InvalidAOI(f"{path} is a table without geometries; give a file that has them")
    return frame


def _check_geojson(path: Path) -> None:
    kinds = {"FeatureCollection", "Feature", "Polygon", "MultiPolygon", "GeometryCollection"}
    kinds |= {"Point", "MultiPoint", "LineString", "MultiLineString"}
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, OSError) as error:
        raise InvalidAOI(f"{path} is not GeoJSON ({error}); check the file") from error
    if not isinstance(content, dict) or content.get("type") not in kinds:
        raise InvalidAOI(
            f"{path} is JSON but not GeoJSON: its 'type' must be one such as FeatureCollection"
        )
    if content["type"] == "FeatureCollection" and not content.get("features"):
        raise InvalidAOI(f"{path} has no features; draw at least one polygon")


def _check_degrees(frame: gpd.GeoDataFrame, path: Path) -> None:
    if not frame.crs.is_geographic:
        return
    west, south, east, north = frame.total_bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise InvalidAOI(
            f"{path}: coordinates reach {west:.6g}, {south:.6g}, {east:.6g}, {north:.6g}, which are "
            "not degrees; a GeoJSON without a crs is longitude, latitude: reproject it to EPSG:4326"
        )


def _parse_bbox(text: str) -> tuple[float, float, float, float] | None:
    parts = text.split(",")
    try:
        west, south, east, north = map(float, parts)
    except ValueError:
        return None
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise InvalidAOI(
            f"a bounding box is west,south,east,north in degrees with west < east and south < north,"
            f" got {text}"
        )
    return west, south, east, north


def _bbox_frame(box: tuple[float, float, float, float]) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(geometry=[shapely.box(*box)], crs="EPSG:4326")


def _first(flags: gpd.GeoSeries) -> int:
    return int(flags.to_numpy().argmax())
