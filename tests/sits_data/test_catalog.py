import json
import shutil
import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pystac
import pytest
import shapely
from stac_server import StacServer
from tiny_catalogue import COLLECTION, END, GRID, START, daily, write_catalogue

from sits_data.catalog import Catalog, open_catalog, root_of
from sits_data.errors import CatalogError

AREA = GRID.geobox.extent.to_crs("EPSG:4326").geom
DAYS = [f"S2A_31UFS_2020010{d}_0_L2A" for d in (1, 2, 3)]


def ids(
    catalog: Catalog, area: shapely.Geometry = AREA, start: date = START, end: date = END
) -> list[str]:
    return [item.id for item in catalog.search(area, collection=COLLECTION, start=start, end=end)]


@pytest.mark.parametrize("entry", ["catalog.json", "collection.json"])
def test_static_catalogue_by_path(entry: str, tiny: Path) -> None:
    assert sorted(ids(open_catalog(tiny / entry))) == DAYS


def test_static_catalogue_filters_place_time_and_collection(tiny: Path) -> None:
    catalog = open_catalog(str(tiny / "catalog.json"))
    assert ids(catalog, shapely.box(10, 40, 11, 41)) == []
    assert ids(catalog, start=date(2020, 1, 2), end=date(2020, 1, 2)) == [DAYS[1]]
    assert catalog.search(AREA, collection="other", start=START, end=END) == []


def test_feature_collection_resolves_against_its_folder(tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path, dirs_exist_ok=True)
    items = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("items/*/item.json"))]
    for item in items:
        for asset in item["assets"].values():
            asset["href"] = f"./items/{item['id']}/{asset['href']}"
    (tmp_path / "items.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    found = open_catalog(tmp_path / "items.geojson").search(
        AREA, collection=COLLECTION, start=START, end=END
    )
    assert [item.id for item in found] == DAYS
    assert found[0].assets["red"].get_absolute_href() == f"{tmp_path}/items/{DAYS[0]}/B04.tif"


def test_catalogue_that_links_in_circles_ends(tmp_path: Path) -> None:
    catalog = write_catalogue(tmp_path, daily(2))
    collection = json.loads((tmp_path / "collection.json").read_text())
    collection["links"] += [{"rel": "child", "href": "./catalog.json"}, *collection["links"]]
    (tmp_path / "collection.json").write_text(json.dumps(collection))
    assert sorted(ids(open_catalog(catalog))) == DAYS[:2]


def test_static_catalogue_on_the_web(stac_server: StacServer) -> None:
    catalog = open_catalog(f"{stac_server.url}/files/catalog.json")
    (item, *_) = catalog.search(AREA, collection=COLLECTION, start=START, end=END)
    assert sorted(ids(catalog)) == DAYS
    home = f"{stac_server.url}/files/items/{item.id}"
    assert item.assets["red"].get_absolute_href() == f"{home}/B04.tif"


def test_folder_stands_for_its_catalogue(tiny: Path, tmp_path: Path) -> None:
    assert ids(open_catalog(tiny)) == ids(open_catalog(tiny / "catalog.json"))
    assert root_of(tiny) == (tiny / "catalog.json").resolve()
    assert root_of(tmp_path) == tmp_path.resolve()
    (tmp_path / "collection.json").touch()
    assert root_of(tmp_path) == (tmp_path / "collection.json").resolve()


def test_static_catalogue_whose_address_does_not_say_so(
    tiny: Path, website: Callable[[dict[str, bytes]], str]
) -> None:
    pages = {f"/s/{path.relative_to(tiny)}": path.read_bytes() for path in tiny.rglob("*.json")}
    pages["/s/root"] = pages["/s/catalog.json"]
    assert sorted(ids(open_catalog(website(pages) + "/s/root"))) == DAYS


@pytest.mark.parametrize("page", [1, 2, 100])
@pytest.mark.parametrize("repeat", [False, True])
def test_api_pages_without_repeats(page: int, repeat: bool, stac_server: StacServer) -> None:
    stac_server.page, stac_server.repeat = page, repeat
    assert ids(open_catalog(stac_server.url)) == DAYS
    assert stac_server.log.count("POST /search") == -(-3 // page)


def test_api_filters(stac_server: StacServer) -> None:
    catalog = open_catalog(stac_server.url)
    assert ids(catalog, shapely.box(10, 40, 11, 41)) == []
    assert ids(catalog, start=date(2020, 1, 2), end=date(2020, 1, 2)) == [DAYS[1]]


def test_api_that_is_busy_is_asked_again(stac_server: StacServer) -> None:
    stac_server.failures = 1
    assert ids(open_catalog(stac_server.url)) == DAYS
    assert stac_server.log.count("POST /search") == 3


def test_api_that_stays_down_is_an_error(
    stac_server: StacServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib3.util.retry.Retry.sleep", lambda *_: None)
    stac_server.failures = 100
    with pytest.raises(CatalogError, match="cannot be reached"):
        ids(open_catalog(stac_server.url))
    assert len(stac_server.log) < 10


@pytest.mark.parametrize("source", ["nowhere", "nowhere/catalog.json", "."])
def test_nothing_there(source: str) -> None:
    with pytest.raises(CatalogError, match="no catalogue at"):
        open_catalog(source)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"type": "FeatureCollection"}', "null"])
def test_other_json_is_not_stac(
    text: str, tmp_path: Path, website: Callable[[dict[str, bytes]], str]
) -> None:
    (tmp_path / "catalog.json").write_text(text)
    for source in (tmp_path / "catalog.json", website({"/c.json": text.encode()}) + "/c.json"):
        with pytest.raises(CatalogError, match="not a STAC catalogue"):
            open_catalog(source)


def test_items_are_made_in_one_thread(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pystac imports its extensions when it meets the first item; two threads at once break that."""
    made, real = set(), pystac.Item.from_dict

    def from_dict(*arguments: object, **settings: object) -> pystac.Item:
        made.add(threading.current_thread())
        return real(*arguments, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(pystac.Item, "from_dict", from_dict)
    assert len(ids(open_catalog(str(tiny / "catalog.json")))) == 3
    assert made == {threading.current_thread()}
