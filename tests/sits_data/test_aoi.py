import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely

from sits_data.aoi import read_aoi
from sits_data.errors import InvalidAOI

FIELD = shapely.box(4.41, 50.90, 4.42, 50.91)
FRAME = gpd.GeoDataFrame(geometry=[FIELD], crs="EPSG:4326")


def write_geojson(path: Path, geometry: shapely.Geometry, **members: Any) -> Path:
    feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(geometry)}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature], **members}))
    return path


@pytest.mark.parametrize("name", ["a.geojson", "a.json", "a.gpkg", "a.shp", "a.parquet", "a.fgb"])
def test_every_format_reads_the_same(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    FRAME.to_parquet(path) if path.suffix == ".parquet" else FRAME.to_file(path)
    frame = read_aoi(path)
    assert frame.crs == "EPSG:4326"
    assert frame.geometry.iloc[0].normalize().equals_exact(FIELD.normalize(), 1e-12)


@pytest.mark.parametrize("text", ["4.41,50.90,4.42,50.91", " 4.41, 50.90 ,4.42,50.91"])
def test_bbox_is_a_polygon_in_degrees(text: str) -> None:
    frame = read_aoi(text)
    assert frame.crs == "EPSG:4326"
    assert frame.total_bounds.tolist() == [4.41, 50.90, 4.42, 50.91]


@pytest.mark.parametrize(
    "box",
    ["4.42,50.9,4.41,50.91", "4,91,5,92", "4,50,200,51", "4,50,4,51", "nan,0,1,1", "0,0,inf,1"],
)
def test_bad_bbox_is_refused(box: str) -> None:
    with pytest.raises(InvalidAOI, match="west < east"):
        read_aoi(box)


def test_geojson_with_a_crs_keeps_it(tmp_path: Path) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32631"}}
    path = write_geojson(tmp_path / "a.geojson", shapely.box(6e5, 5.6e6, 6.001e5, 5.601e6), crs=crs)
    assert read_aoi(path).crs == "EPSG:32631"


def test_bare_geometry_and_byte_order_mark_are_geojson(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(shapely.geometry.mapping(FIELD)), encoding="utf-8-sig")
    assert len(read_aoi(path)) == 1


def test_multipolygon_with_height_is_an_area(tmp_path: Path) -> None:
    solid = shapely.force_3d(shapely.MultiPolygon([FIELD, shapely.box(4.5, 50.9, 4.6, 50.91)]), 12.0)
    assert read_aoi(write_geojson(tmp_path / "a.geojson", solid)).geom_type.tolist() == ["MultiPolygon"]


LINE = shapely.LineString(FIELD.exterior.coords)


@pytest.mark.parametrize("geometry", [FIELD.centroid, LINE, shapely.GeometryCollection([FIELD])])
def test_only_polygons_are_areas(geometry: shapely.Geometry, tmp_path: Path) -> None:
    with pytest.raises(InvalidAOI, match="made of polygons"):
        read_aoi(write_geojson(tmp_path / "a.geojson", geometry))


def test_table_without_geometries_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,age\nfield,3\n")
    with pytest.raises(InvalidAOI, match="geometries"):
        read_aoi(tmp_path / "a.csv")


def test_parquet_without_geometries_is_refused(tmp_path: Path) -> None:
    FRAME.drop(columns="geometry").assign(a=1).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InvalidAOI, match="not GeoParquet"):
        read_aoi(tmp_path / "a.parquet")
