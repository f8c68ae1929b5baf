"""The servers that our search is tested with: pystac-client gets from them what a list of items has."""

from collections.abc import Callable
from typing import Any

import pystac_client
import pytest
import shapely
from flavours import SCENES, Scene
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from stac_api import StacApi

from sits_data.web import PoliteRetry

BRUSSELS = shapely.box(4.5, 50.9, 4.6, 51.0)


def here(scene: Scene) -> bool:
    return scene.outline.intersects(BRUSSELS)


def clear(scene: Scene) -> bool:
    return scene.cloud_pct < 30


CLEAR = {"op": "<", "args": [{"property": "eo:cloud_cover"}, 30]}
TILE = {"op": "=", "args": [{"property": "s2:mgrs_tile"}, "31UFS"]}
CHECKS: dict[str, tuple[dict[str, Any], Callable[[Scene], bool]]] = {
    "all by POST": ({"method": "POST"}, lambda _: True),
    "all by GET": ({"method": "GET"}, lambda _: True),
    "pages by POST": ({"method": "POST", "limit": 7}, lambda _: True),
    "pages by GET": ({"method": "GET", "limit": 7}, lambda _: True),
    "intersects by POST": ({"method": "POST", "intersects": BRUSSELS}, here),
    "intersects by GET": ({"method": "GET", "intersects": BRUSSELS}, here),
    "bbox": ({"bbox": BRUSSELS.bounds}, here),
    "datetime": (
        {"datetime": "2024-02-01/2024-02-29"},
        lambda scene: (scene.when.year, scene.when.month) == (2024, 2),
    ),
    "query": ({"query": {"eo:cloud_cover": {"lt": 30}}}, clear),
    "CQL2 JSON by POST": ({"method": "POST", "filter": CLEAR, "filter_lang": "cql2-json"}, clear),
    "CQL2 text by GET": (
        {"method": "GET", "filter": '"eo:cloud_cover" < 30', "filter_lang": "cql2-text"}, clear
    ),
    "CQL2 and": (
        {"filter": {"op": "and", "args": [CLEAR, TILE]}, "filter_lang": "cql2-json"},
        lambda scene: clear(scene) and scene.tile == "31UFS",
    ),
}  # fmt: skip


def client(apis: StacApi, dialect: str = "planetary-computer") -> pystac_client.Client:
    """One whose requests wait as they are told."""
    io = StacApiIO(max_retries=PoliteRetry(total=20))
    return pystac_client.Client.open(f"{apis.url}/{dialect}", stac_io=io)


@pytest.mark.parametrize("check", CHECKS)
def test_search_gives_what_the_list_has(check: str, apis: StacApi) -> None:
    settings, wanted = CHECKS[check]
    api = client(apis, "earth-search" if "query" in settings else "planetary-computer")
    found = api.search(collections=["sentinel-2-l2a"], **settings)
    when = [item.datetime.replace(tzinfo=None) for item in found.items() if item.datetime]
    assert sorted(when) == [scene.when for scene in SCENES if wanted(scene)]
    assert len(when) == len(set(when)) > 0


def test_search_stops_at_max_items(apis: StacApi) -> None:
    assert len(list(client(apis).search(max_items=5).items())) == 5


def test_search_by_ids(apis: StacApi) -> None:
    api = client(apis)
    ids = [item.id for item in api.search(max_items=4).items()][::3]
    assert [item.id for item in api.search(ids=ids).items()] == ids


def test_search_sorts(apis: StacApi) -> None:
    api = client(apis)
    api.add_conforms_to("SORT")  # it tells version 1.1, which pystac-client does not know
    found = api.search(sortby="+properties.eo:cloud_cover", limit=7)
    clouds = [item.properties["eo:cloud_cover"] for item in found.items()]
    assert clouds == sorted(scene.cloud_pct for scene in SCENES)


def test_search_gives_only_the_fields_asked_for(apis: StacApi) -> None:
    found = client(apis).search(fields=["id", "properties.datetime"], max_items=3)
    for item in found.items_as_dicts():
        assert list(item["properties"]) == ["datetime"]


def test_search_counts_what_matches(apis: StacApi) -> None:
    found = client(apis).search(intersects=BRUSSELS, limit=2)
    assert found.matched() == len(list(found.items())) == sum(map(here, SCENES))


def test_cdse_refuses_the_sixth_request_of_a_second(apis: StacApi) -> None:
    api = pystac_client.Client.open(f"{apis.url}/cdse", stac_io=StacApiIO(max_retries=None))
    with pytest.raises(APIError, match="slow down"):
        list(api.search(limit=2).items())


def test_dialects_advertise_what_they_are(apis: StacApi) -> None:
    told = {
        name: {
            "query": client(apis, name).conforms_to("QUERY"),
            "filter": client(apis, name).conforms_to("FILTER"),
        }
        for name in ("earth-search", "planetary-computer", "cdse", "plain", "cql2-text")
    }
    assert told == {
        "earth-search": {"query": True, "filter": False},
        "planetary-computer": {"query": False, "filter": True},
        "cdse": {"query": True, "filter": True},
        "plain": {"query": False, "filter": False},
        "cql2-text": {"query": False, "filter": True},
    }
