"""STAC GeoParquet, written with stac-geoparquet as a user would."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pystac
import pytest
import requests
import shapely
from flavours import FLAVOURS, SCENES, Scene
from stac_api import StacApi
from stac_geoparquet.arrow import parse_stac_items_to_parquet
from stac_server import StacServer
from tiny_catalogue import COLLECTION, END, GRID, START

from sits_data.access import access_of
from sits_data.bands import BANDS
from sits_data.catalog import Catalog, open_catalog
from sits_data.catalog.geoparquet import GeoParquetCatalog
from sits_data.errors import CatalogError
from sits_data.radiometry import baseline_of, radiometry
from sits_data.scenes import find_assets

type Json = dict[str, Any]
YEAR = {"collection": "sentinel-2-l2a", "start": date(2024, 1, 1), "end": date(2024, 12, 31)}
EVERYWHERE = shapely.box(2.5, 50, 5.5, 52)
BRUSSELS = shapely.box(4.5, 50.9, 4.6, 51.0)


def write(path: Path, items: list[Json]) -> Path:
    parse_stac_items_to_parquet(items, output_path=str(path))
    return path


@pytest.fixture(scope="module")
def all_flavours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every third scene of each catalogue in one table, so that each column has holes."""
    makers = list(FLAVOURS.values())
    items = [makers[scene.number % 3](scene, "https://example.org/tile") for scene in SCENES]
    return write(tmp_path_factory.mktemp("table") / "items.parquet", items)


def times(found: list[pystac.Item]) -> list[Any]:
    return sorted(item.datetime.replace(tzinfo=None) for item in found if item.datetime)


def of_scenes(wanted: Callable[[Scene], bool] = lambda _: True) -> list[Any]:
    return [scene.when for scene in SCENES if wanted(scene)]


def test_search_finds_what_is_there(all_flavours: Path) -> None:
    catalog = open_catalog(all_flavours)
    assert isinstance(catalog, GeoParquetCatalog)
    assert times(catalog.search(EVERYWHERE, **YEAR)) == of_scenes()
    here = catalog.search(BRUSSELS, **YEAR)
    assert times(here) == of_scenes(lambda scene: scene.outline.intersects(BRUSSELS))
    march = {"collection": "sentinel-2-l2a", "start": date(2024, 3, 1), "end": date(2024, 3, 31)}
    assert times(catalog.search(EVERYWHERE, **march)) == of_scenes(lambda s: s.when.month == 3)
    few = catalog.search(EVERYWHERE, **YEAR, max_cloud_pct=37)
    assert times(few) == of_scenes(lambda scene: scene.cloud_pct <= 37)
    assert catalog.search(EVERYWHERE, **YEAR | {"collection": "other"}) == []
    assert catalog.search(shapely.box(10, 40, 11, 41), **YEAR) == []


def test_items_come_back_as_they_were(all_flavours: Path) -> None:
    """What other items have and this one lacks stays away: a null is not a statement."""
    found = open_catalog(all_flavours).search(EVERYWHERE, **YEAR)
    makers = list(FLAVOURS.values())
    for item, scene in zip(sorted(found, key=lambda i: str(i.datetime)), SCENES, strict=True):
        made = pystac.Item.from_dict(makers[scene.number % 3](scene, "https://example.org/tile"))
        assert set(item.assets) == set(made.assets)
        assert set(item.properties) == set(made.properties)
        assert baseline_of(item.properties) == "05.10"
        asset, expected = (find_assets(i, tuple(BANDS))["B04"].to_dict() for i in (item, made))
        assert asset == expected
        assert radiometry(item.collection_id, item.properties, asset) == radiometry(
            made.collection_id, made.properties, expected
        )


def test_folder_of_files(tmp_path: Path) -> None:
    folder = tmp_path / "items.parquet"
    folder.mkdir()
    items = [FLAVOURS["cdse"](scene, "s3://eodata/tile") for scene in SCENES]
    for part in range(3):
        write(folder / f"{part}.parquet", items[part::3])
    assert times(open_catalog(folder).search(EVERYWHERE, **YEAR)) == of_scenes()


def local(tiny: Path) -> list[Json]:
    """The items of a catalogue on disk, hrefs relative to the catalogue."""
    items = [json.loads(path.read_text()) for path in sorted(tiny.glob("items/*/item.json"))]
    for item in items:
        for asset in item["assets"].values():
            asset["href"] = f"./items/{item['id']}/{asset['href'].removeprefix('./')}"
    return items


def ids(catalog: Catalog) -> list[pystac.Item]:
    area = GRID.geobox.extent.to_crs("EPSG:4326").geom
    return catalog.search(area, collection=COLLECTION, start=START, end=END)


def test_relative_addresses_are_meant_from_the_file(tiny: Path, tmp_path: Path) -> None:
    found = ids(open_catalog(write(tmp_path / "items.parquet", local(tiny))))
    assert found[0].assets["red"].href == f"{tmp_path}/items/{found[0].id}/B04.tif"


@pytest.mark.parametrize("ranges", [True, False])
def test_table_on_the_web(
    ranges: bool, tiny: Path, stac_server: StacServer, website: Callable[[dict[str, bytes]], str]
) -> None:
    table = write(tiny / "items.parquet", local(tiny))
    content = table.read_bytes()
    table.unlink()
    if ranges:
        (stac_server.folder / "table.parquet").write_bytes(content)
        address = f"{stac_server.url}/files/table.parquet"
    else:
        address = website({"/items.parquet": content}) + "/items.parquet"
    found = ids(open_catalog(address))
    assert len(found) == 3
    assert found[0].assets["red"].href.startswith(address.rpartition("/")[0] + "/items/")
    if ranges:
        (stac_server.folder / "table.parquet").unlink()


def test_item_of_an_interval(tmp_path: Path) -> None:
    """Minutes are one observation; a month is not, and comes without a moment for others to refuse."""
    items = [FLAVOURS["earth-search"](scene, "https://example.org") for scene in SCENES[:3]]
    for item, end in zip(items[:2], ("2024-03-10T11:00:00Z", "2024-04-09T10:50:00Z"), strict=True):
        span = {"start_datetime": "2024-03-10T10:50:00Z", "end_datetime": end}
        item["properties"] |= {"datetime": None} | span
    for path in (write(tmp_path / "items.parquet", items), tmp_path / "items.geojson"):
        if path.suffix == ".geojson":
            path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
        march = {"collection": "sentinel-2-l2a", "start": date(2024, 3, 1), "end": date(2024, 3, 31)}
        found = {item.id: item for item in open_catalog(path).search(EVERYWHERE, **march)}
        assert set(found) == {items[0]["id"], items[1]["id"]}
        assert str(found[items[0]["id"]].datetime) == "2024-03-10 10:50:00+00:00"
        assert found[items[1]["id"]].datetime is None


def test_item_across_the_antimeridian(tmp_path: Path) -> None:
    item = FLAVOURS["earth-search"](SCENES[0], "https://example.org")
    halves = shapely.MultiPolygon([shapely.box(179, -17, 180, -16), shapely.box(-180, -17, -179, -16)])
    item |= {"geometry": shapely.geometry.mapping(halves), "bbox": [179, -17, -179, -16]}
    catalog = open_catalog(write(tmp_path / "items.parquet", [item]))
    assert len(catalog.search(shapely.box(179.2, -16.8, 179.4, -16.6), **YEAR)) == 1
    assert len(catalog.search(shapely.box(-179.4, -16.8, -179.2, -16.6), **YEAR)) == 1
    assert catalog.search(shapely.box(0, -16.8, 1, -16.6), **YEAR) == []


def test_other_tables_are_not_stac(tmp_path: Path) -> None:
    path = tmp_path / "cities.parquet"
    pq.write_table(pa.table({"id": ["a"], "geometry": [b""]}), path)
    with pytest.raises(CatalogError, match="no column assets, bbox, datetime"):
        open_catalog(path)
    path.write_bytes(b"not a table")
    with pytest.raises(CatalogError, match="not a STAC catalogue"):
        open_catalog(path)


def test_answer_of_a_search_as_a_table(
    mirrored: StacApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/catalogues.md says: ask once, keep the items, read them without the API."""
    items = open_catalog("planetary-computer").search(EVERYWHERE, **YEAR)
    parse_stac_items_to_parquet(items, output_path=str(tmp_path / "items.parquet"))
    again = open_catalog(tmp_path / "items.parquet").search(EVERYWHERE, **YEAR)
    assert [item.id for item in again] == [item.id for item in items]
    assert times(again) == times(items)
    told = [[i.properties | {"datetime": None} for i in found] for found in (again, items)]
    assert told[0] == told[1]
    href = again[0].assets["B04"].href
    assert requests.get(href, timeout=10).status_code == 403
    monkeypatch.setenv("SITS_ACCESS", "planetary-computer")
    signed = access_of(str(tmp_path / "items.parquet")).readable(href)
    assert requests.get(signed, timeout=10).status_code == 200
