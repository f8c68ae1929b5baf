"""Our search against every dialect, compared with the list of scenes itself."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pystac
import pytest
import rasterio
import shapely
from flavours import FLAVOURS, SCENES, Scene, values
from pystac_client.exceptions import APIError
from stac_api import StacApi

from sits_data.access import access_of
from sits_data.bands import BANDS, DEFAULT_BANDS
from sits_data.catalog import KNOWN, open_catalog
from sits_data.catalog.api import ApiCatalog
from sits_data.errors import CatalogError
from sits_data.radiometry import radiometry
from sits_data.scenes import find_assets

LIMIT = {"op": "<=", "args": [{"property": "eo:cloud_cover"}, 37]}
EVERYWHERE = shapely.box(2.5, 50, 5.5, 52)
BRUSSELS = shapely.box(4.5, 50.9, 4.6, 51.0)
COLLECTION = "sentinel-2-l2a"
YEAR = {"collection": COLLECTION, "start": date(2024, 1, 1), "end": date(2024, 12, 31)}


def times(items: list[pystac.Item]) -> list[Any]:
    return sorted(item.datetime.replace(tzinfo=None) for item in items if item.datetime)


def of_scenes(wanted: Callable[[Scene], bool] = lambda _: True) -> list[Any]:
    return [scene.when for scene in SCENES if wanted(scene)]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sits_data.catalog.api.PAGE", 7)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("name", [*KNOWN, "plain", "cql2-text"])
def test_search_finds_what_is_there(name: str, mirrored: StacApi) -> None:
    catalog = open_catalog(name if name in KNOWN else f"{mirrored.url}/{name}")
    assert times(catalog.search(EVERYWHERE, **YEAR)) == of_scenes()
    here = catalog.search(BRUSSELS, **YEAR)
    assert times(here) == of_scenes(lambda scene: scene.outline.intersects(BRUSSELS))
    march = {"collection": COLLECTION, "start": date(2024, 3, 1), "end": date(2024, 3, 31)}
    assert times(catalog.search(EVERYWHERE, **march)) == of_scenes(lambda s: s.when.month == 3)
    assert catalog.search(shapely.box(10, 40, 11, 41), **YEAR) == []


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(
    ("name", "how", "asked"),
    [
        ("earth-search", "query", {"query": {"eo:cloud_cover": {"lte": 37}}}),
        ("planetary-computer", "cql2", {"filter": LIMIT}),
        ("cdse", "cql2", {"filter": LIMIT}),
        ("plain", "here", {}),
        ("cql2-text", "cql2", {"filter": '"eo:cloud_cover" <= 37'}),
    ],
)  # fmt: skip
def test_cloud_limit_is_asked_as_the_server_can(
    name: str, how: str, asked: dict[str, Any], mirrored: StacApi
) -> None:
    catalog = open_catalog(f"{mirrored.url}/{name}")
    assert isinstance(catalog, ApiCatalog)
    assert catalog.filtering == how
    mirrored.configure()
    found = catalog.search(EVERYWHERE, **YEAR, max_cloud_pct=37)
    few = of_scenes(lambda scene: scene.cloud_pct <= 37)
    assert times(found) == few
    assert 0 < len(few) < len(SCENES)
    searches = [entry for entry in mirrored.log() if entry["status"] == 200]
    given = len(SCENES) if how == "here" else len(few)
    assert len(searches) == -(-given // 7)
    entry = searches[0]
    sent = json.loads(entry["body"]) if entry["body"] else _first(parse_qs(entry["query"]))
    assert {key: sent[key] for key in ("query", "filter") if key in sent} == asked


def _first(query: dict[str, list[str]]) -> dict[str, str]:
    return {key: found[0] for key, found in query.items()}


def test_long_area_is_asked_by_its_bounds_where_only_get_works(mirrored: StacApi) -> None:
    area = shapely.Point(4.35, 51).buffer(0.45, quad_segs=200)
    catalog = open_catalog(f"{mirrored.url}/plain")
    found = catalog.search(area, **YEAR)
    assert times(found) == of_scenes(lambda scene: scene.outline.intersects(area))
    assert "bbox" in mirrored.log()[-1]["query"]
    corner = shapely.Point(2.8, 51.6).buffer(0.45, quad_segs=200)
    assert catalog.search(corner, **YEAR) == []  # its bounds touch a scene, it does not


@pytest.mark.parametrize("retry_after", ["1", "date"])
def test_busy_api_is_asked_again_when_it_says(retry_after: str, mirrored: StacApi) -> None:
    catalog = open_catalog("earth-search")
    mirrored.configure(busy=1, retry_after=retry_after)
    assert times(catalog.search(EVERYWHERE, **YEAR)) == of_scenes()
    first, second, *_ = mirrored.log()
    assert (first["status"], second["status"]) == (429, 200)
    assert second["time"] - first["time"] >= (1 if retry_after == "1" else 0.9)


def test_cdse_is_never_asked_too_fast(mirrored: StacApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sits_data.catalog.api.PAGE", 3)
    assert times(open_catalog("cdse").search(EVERYWHERE, **YEAR)) == of_scenes()
    entries = mirrored.log()
    assert [entry["status"] for entry in entries] == [307, *[200] * 9]  # to /cdse/, then 8 pages
    began = [entry["time"] for entry in entries]
    assert all(sixth - first > 1 for first, sixth in zip(began, began[5:], strict=False))


@pytest.mark.usefixtures("small_pages")
def test_api_over_its_limit_is_waited_for(mirrored: StacApi) -> None:
    """The same server under a name that no limit is known of."""
    catalog = open_catalog(mirrored.url.replace("127.0.0.1", "localhost") + "/cdse")
    for _ in range(2):
        assert times(catalog.search(EVERYWHERE, **YEAR)) == of_scenes()
    assert 429 in {entry["status"] for entry in mirrored.log()}


def test_second_collection_of_earth_search(mirrored: StacApi) -> None:
    found = open_catalog("earth-search").search(EVERYWHERE, **YEAR | {"collection": "sentinel-2-c1-l2a"})
    assert times(found) == of_scenes()
    assert {item.collection_id for item in found} == {"sentinel-2-c1-l2a"}


@pytest.mark.parametrize("name", KNOWN)
def test_every_band_is_found_and_can_be_opened(name: str, mirrored: StacApi) -> None:
    item = open_catalog(name).search(EVERYWHERE, **YEAR)[0]
    assets = find_assets(item, tuple(BANDS))
    access = access_of(name)
    for key in ("B04", "B11", "scl"):
        with (
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", **access.gdal),
            access.slot(assets[key].href),
            rasterio.open(access.readable(assets[key].href)) as raster,
        ):
            np.testing.assert_array_equal(raster.read(1), values(key))


@pytest.mark.parametrize("name", KNOWN)
def test_offset_is_told(name: str, mirrored: StacApi) -> None:
    item = open_catalog(name).search(EVERYWHERE, **YEAR)[0]
    asset = find_assets(item, DEFAULT_BANDS)["B04"]
    found = radiometry(item.collection_id, item.properties, asset.to_dict())
    assert found.offset_dn == (0 if name == "earth-search" else -1000)


def test_known_catalogues_have_their_layout() -> None:
    assert tuple(FLAVOURS) == KNOWN


def answering(answer: Callable[[], dict[str, Any]]) -> ApiCatalog:
    """Earth Search, with another answer to every request."""
    catalog = open_catalog("earth-search")
    assert isinstance(catalog, ApiCatalog)
    io = SimpleNamespace(read_json=lambda *_, **__: answer())
    return replace(catalog, io=io)


def test_api_that_goes_in_circles_is_an_error(mirrored: StacApi) -> None:
    page = {"features": [], "links": [{"rel": "next", "href": f"{mirrored.url}/earth-search/search"}]}
    with pytest.raises(CatalogError, match="page after page without a new item"):
        answering(lambda: page).search(EVERYWHERE, **YEAR)


def test_api_that_gives_an_empty_page_first_is_asked_on(mirrored: StacApi) -> None:
    item = FLAVOURS["earth-search"](SCENES[0], "http://127.0.0.1")
    link = {"rel": "next", "href": f"{mirrored.url}/earth-search/search"}
    pages = iter([{"features": [], "links": [link]}, {"features": [item]}])
    assert times(answering(lambda: next(pages)).search(EVERYWHERE, **YEAR)) == [SCENES[0].when]


def test_api_that_ignores_what_it_is_asked_is_not_believed(mirrored: StacApi) -> None:
    items = [FLAVOURS["earth-search"](scene, "http://127.0.0.1") for scene in SCENES]
    found = answering(lambda: {"features": items}).search(BRUSSELS, **YEAR, max_cloud_pct=40)
    assert times(found) == of_scenes(lambda s: s.outline.intersects(BRUSSELS) and s.cloud_pct <= 40)


def test_api_that_refuses_a_search_says_so(mirrored: StacApi) -> None:
    def refuse() -> dict[str, Any]:
        error = APIError("area too complex")
        error.status_code = 400
        raise error

    with pytest.raises(CatalogError, match=r"refuses the search \(area too complex\); simplify --aoi"):
        answering(refuse).search(EVERYWHERE, **YEAR)
