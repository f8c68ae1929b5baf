import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_catalogue import Product, make_item

from sits_data.errors import CatalogError, MissingBand
from sits_data.radiometry import baseline_of
from sits_data.scenes import Scene, drop_reprocessed, find_assets, make_scene, solar_days

TEMPLATES = Path(__file__).resolve().parents[2] / "../shared/stac-templates"
HOME = "/catalogue/items/x/item.json"


def item(home: str = HOME, **fields: Any) -> pystac.Item:
    return pystac.Item.from_dict(make_item(Product(**fields), ("B04",)), href=home)


def scene(home: str = HOME, baseline: str | None = "02.13", **fields: Any) -> Scene:
    found = item(home, baseline=baseline, **fields)
    return make_scene(
        found, find_assets(found, ["B04"]), offset_dn=0, offset_source="test", baseline=baseline
    )


def test_scene_takes_what_the_item_tells() -> None:
    angles = {
        "view:sun_azimuth": 160.5,
        "view:sun_elevation": 40,
        "view:azimuth": 100,
        "platform": "S2A",
    }
    got = scene(properties=angles | {"view:incidence_angle": 5.5, "s2:nodata_pixel_percentage": 3})
    assert got.datetime == datetime(2020, 1, 15, 10, 50, tzinfo=UTC)
    assert got.hrefs == {"B04": "/catalogue/items/x/B04.tif", "scl": "/catalogue/items/x/scl.tif"}
    assert (got.crs, got.tile, got.platform) == ("EPSG:32631", "31UFS", "s2a")
    assert (got.sun_azimuth, got.sun_elevation, got.view_azimuth, got.view_incidence) == (
        160.5,
        40,
        100,
        5.5,
    )
    assert (got.cloud_pct, got.nodata_pct) == (10, 3)


@pytest.mark.parametrize("names", [("red", "scl"), ("B04", "SCL"), ("B04_10m", "SCL_20m")])
def test_assets_are_found_under_every_catalogues_names(names: tuple[str, str]) -> None:
    found = item()
    found.assets = dict(zip(names, found.assets.values(), strict=True))
    assert {k: v.href for k, v in find_assets(found, ["B04"]).items()} == {
        "B04": "./B04.tif",
        "scl": "./scl.tif",
    }


@pytest.mark.parametrize("missing", ["B04", "scl"])
def test_missing_asset_is_named(missing: str) -> None:
    with pytest.raises(MissingBand, match=f"no asset for {missing}"):
        find_assets(item(missing=[missing]), ["B04"])


TWINS = (  # the same observation, two processings
    ("same second", {}, {}, 1),
    ("a millisecond apart", {}, {"when": "2020-01-15T10:50:00.001Z"}, 1),
    ("three seconds apart", {}, {"when": "2020-01-15T10:50:03Z"}, 1),
    ("another tile", {}, {"properties": {"grid:code": "MGRS-31UFR"}}, 2),
    ("another satellite", {}, {"properties": {"platform": "sentinel-2b"}}, 2),
    ("next orbit", {}, {"when": "2020-01-15T12:30:00Z"}, 2),
    (
        "datatakes agree",
        {"properties": {"s2:datatake_id": "GS2A_20200115T105001_023456_N02.13"}},
        {
            "properties": {"s2:datatake_id": "GS2A_20200115T105001_023456_N05.00"},
            "when": "2020-01-15T10:50:30Z",
        },
        1,
    ),
    (
        "two datastrips of a datatake",
        {
            "properties": {
                "s2:datatake_id": "GS2A_20200115T105001_023456_N05.00",
                "s2:datastrip_id": "S2A_OPER_MSI_L2A_DS_VGS2_20200115T130000_S20200115T105000_N05.00",
            }
        },
        {
            "properties": {
                "s2:datatake_id": "GS2A_20200115T105001_023456_N05.00",
                "s2:datastrip_id": "S2A_OPER_MSI_L2A_DS_VGS2_20200115T133000_S20200115T105212_N05.00",
            }
        },
        2,
    ),
)


@pytest.mark.parametrize(
    ("first", "second", "kept"), [twin[1:] for twin in TWINS], ids=[t[0] for t in TWINS]
)
def test_latest_processing_stays(first: dict[str, Any], second: dict[str, Any], kept: int) -> None:
    old, new = scene(id="a", **first), scene(id="b", baseline="05.00", **second)
    for order in ([old, new], [new, old]):
        stay, dropped = drop_reprocessed(order)
        assert len(stay) == kept
        assert new in stay
        assert [(d.id, d.reason) for d in dropped] == ([] if kept == 2 else [("a", "reprocessed as b")])


def product(
    name: str, *, strip: str = "105000", baseline: str = "05.00", station: str = "VGS2",
    generated: str = "2020-01-15", updated: str = "2020-01-16", nodata: float | None = None,
) -> Scene:  # fmt: skip
    """A product of one datatake, whose datastrip began at a time of the day."""
    strip_id = f"S2A_OPER_MSI_L2A_DS_{station}_20200115T130000_S20200115T{strip}_N{baseline}"
    properties = {
        "s2:datatake_id": f"GS2A_20200115T104001_023456_N{baseline}", "s2:datastrip_id": strip_id,
        "s2:generation_time": generated, "updated": updated, "s2:nodata_pixel_percentage": nodata,
    }  # fmt: skip
    return scene(id=name, baseline=baseline, properties=properties)


def kept(*products: Scene) -> str:
    """Names of those that stay, whatever the order in which they come."""
    ways = {"".join(s.id for s in drop_reprocessed(way)[0]) for way in (products, products[::-1])}
    assert {"".join(sorted(way)) for way in ways} == {"".join(sorted(min(ways)))}
    return "".join(sorted(min(ways)))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"baseline": "02.14"}, {"baseline": "05.00", "generated": "2019"}),
        (
            {"generated": "2020-01-15T13:00:00Z"},
            {"generated": "2020-01-15T13:00:01Z", "updated": "2019"},
        ),
        ({"updated": "2022-11-06T11:09:42Z"}, {"updated": "2024-06-29T14:41:57Z"}),
        ({"station": "SGS_"}, {"station": "S2RP", "baseline": "05.10"}),
        ({"nodata": 67.573136}, {"nodata": 67.616022, "baseline": "05.10"}),  # real ones differ so
        ({"nodata": None}, {"nodata": 50.0, "baseline": "05.10"}),
    ],
)
def test_baseline_then_generation_then_update_order_processings(
    a: dict[str, Any], b: dict[str, Any]
) -> None:
    assert kept(product("a", **a), product("b", **b)) == "b"


def test_halves_of_a_pass_are_kept_and_each_replaced_by_its_own() -> None:
    north = {"strip": "105000", "nodata": 55.0}
    south = {"strip": "105212", "nodata": 43.0}
    a, b = product("a", **north), product("b", **south)
    assert kept(a, b) == "ab"
    c, d = product("c", baseline="05.10", **north), product("d", baseline="05.10", **south)
    assert kept(a, b, c, d) == "cd"
    assert kept(a, b, d) == "ad"


def test_later_product_that_shows_less_leaves_the_earlier_one() -> None:
    whole, part = product("a", nodata=0.0), product("b", nodata=40.0, baseline="05.10")
    assert kept(whole, part) == "ab"


def test_later_product_of_the_whole_tile_replaces_halves_cut_elsewhere() -> None:
    halves = [product("a", nodata=55.0), product("b", strip="105212", nodata=43.0)]
    whole = product("c", strip="105003", nodata=0.0, baseline="05.10")
    assert kept(*halves, whole) == "c"
    assert drop_reprocessed([*halves, whole])[1][1].reason == "reprocessed as c"
    same_age = product("c", strip="105003", nodata=0.0)
    assert kept(*halves, same_age) == "abc"


def test_product_name_stands_in_for_a_missing_datatake() -> None:
    uri = {"s2:product_uri": "S2A_MSIL2A_20200115T104001_N0213_R051_T31UFS_20200115T130000.SAFE"}
    old = scene(id="a", properties=uri, when="2020-01-15T10:40:04.9Z")
    new = scene(id="b", properties=uri, when="2020-01-15T10:40:05.1Z", baseline="05.00")
    assert kept(old, new) == "b"


@pytest.mark.parametrize(
    ("properties", "nodata", "elevation"),
    [
        ({"s2:nodata_pixel_percentage": 3.5, "view:sun_elevation": 40.0}, 3.5, 40.0),
        ({"statistics": {"nodata": 2.5}}, 2.5, None),
        ({"s2:mean_solar_zenith": 75.0}, None, 15.0),
    ],
)
def test_names_of_every_catalogue(
    properties: dict[str, Any], nodata: float | None, elevation: float | None
) -> None:
    got = scene(properties=properties)
    assert (got.nodata_pct, got.sun_elevation) == (nodata, elevation)


@pytest.mark.real
def test_real_reprocessings_replace_their_originals() -> None:
    found = [item_scene(item) for item in real_items("earthsearch_v1_sentinel-2-l2a_all")]
    stay, dropped = drop_reprocessed(found)
    assert len(found) == 16
    assert {s.id[-6:] for s in stay} == {"_1_L2A"}
    assert {(d.id, d.reason) for d in dropped} == {
        (s.id.replace("_1_", "_0_"), f"reprocessed as {s.id}") for s in stay
    }
    days = solar_days(stay, 9.0, "EPSG:32632")
    assert [(day, len(scenes)) for day, scenes in days] == [(date(2020, 3, 2), 4), (date(2020, 3, 5), 4)]


@pytest.mark.real
@pytest.mark.filterwarnings("ignore:Could not parse bucket:UserWarning")  # pystac, migrating it
@pytest.mark.parametrize(
    ("name", "acquisition", "strip"),
    [
        (
            "planetary_computer_sentinel-2-l2a", "sentinel-2b|47XML|20240419T095549",
            "20240419T095549",
        ),
        ("cdse_sentinel-2-l2a", "sentinel-2b|32TNT|20200705T101559", "20200705T101917"),
        (
            "earthsearch_v1_sentinel-2-c1-l2a", "sentinel-2b|20EPT|20250731T131909",
            "20250731T131905",
        ),
    ],
)  # fmt: skip
def test_real_items_name_their_pass_alike(name: str, acquisition: str, strip: str) -> None:
    (item,) = real_items(name)
    got = item_scene(item)
    assert (got.acquisition, got.strip) == (acquisition.lower(), strip)
    assert got.nodata_pct is not None
    assert got.crs is not None


def real_items(name: str) -> list[dict[str, Any]]:
    path = TEMPLATES / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    content = json.loads(path.read_text())
    return list(content["features"]) if "features" in content else [content]


def item_scene(content: dict[str, Any]) -> Scene:
    found = pystac.Item.from_dict(content)
    found.set_self_href("https://catalogue/item.json")
    return make_scene(
        found, find_assets(found, ["B04"]), offset_dn=0, offset_source="test",
        baseline=baseline_of(found.properties),
    )  # fmt: skip


def test_solar_day_is_local() -> None:
    late = scene(when="2020-01-15T23:50:00Z")
    assert late.solar_day(151.0) == date(2020, 1, 16)
    assert late.solar_day(4.0) == date(2020, 1, 15)
    assert scene(when="2020-01-15T01:00:00Z").solar_day(-157.0) == date(2020, 1, 14)


def test_own_zone_comes_first_then_less_nodata_then_fewer_clouds() -> None:
    foreign = scene(id="a", properties={"proj:code": "EPSG:32632", "s2:nodata_pixel_percentage": 0})
    half = scene(id="b", properties={"s2:nodata_pixel_percentage": 50, "eo:cloud_cover": 0})
    cloudy = scene(id="c", properties={"eo:cloud_cover": 80})
    clear = scene(id="d", properties={"eo:cloud_cover": 20})
    ((day, scenes),) = solar_days([foreign, half, cloudy, clear], 4.0, "EPSG:32631")
    assert day == date(2020, 1, 15)
    assert [s.id for s in scenes] == ["d", "c", "b", "a"]


def test_one_longitude_keeps_a_pass_on_one_day() -> None:
    """Seen from each tile's own longitude, two tiles near the antimeridian lie on two days."""
    west = scene(id="a", when="2020-01-15T22:20:00Z", properties={"grid:code": "MGRS-60KXF"})
    east = scene(id="b", when="2020-01-15T22:20:14Z", properties={"grid:code": "MGRS-01KAB"})
    assert west.solar_day(179.5) != east.solar_day(-179.5)
    ((day, both),) = solar_days([west, east], 179.5, "EPSG:32760")
    assert (day, len(both)) == (date(2020, 1, 16), 2)


@given(st.lists(st.integers(0, 24 * 30), min_size=1, max_size=20, unique=True), st.floats(-180, 180))
def test_days_are_in_order_and_hold_every_scene_once(hours: list[int], longitude: float) -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    base = scene()
    scenes = [
        base.model_copy(update={"id": f"{h}", "datetime": start + timedelta(hours=h)}) for h in hours
    ]
    days = solar_days(scenes, longitude, "EPSG:32631")
    assert [day for day, _ in days] == sorted({s.solar_day(longitude) for s in scenes})
    assert sorted(s.id for _, group in days for s in group) == sorted(s.id for s in scenes)


@pytest.mark.parametrize("code", [{"proj:epsg": 32631, "proj:code": None}, {"proj:code": "EPSG:32631"}])
def test_both_versions_of_the_projection_extension(code: dict[str, Any]) -> None:
    assert scene(properties=code).crs == "EPSG:32631"


@pytest.mark.parametrize(
    ("home", "href", "allowed"),
    [
        (HOME, "./B04.tif", "/catalogue/items/x/B04.tif"),
        (HOME, "../y/B04.tif", "/catalogue/items/y/B04.tif"),
        (HOME, "file:///data/B04.tif", "/data/B04.tif"),
        (HOME, "https://host/B04.tif", "https://host/B04.tif"),
        (HOME, "s3://bucket/B04.tif", "s3://bucket/B04.tif"),
        ("https://host/x.json", "./B04.tif", "https://host/B04.tif"),
        ("https://host/x.json", "s3://bucket/B04.tif", "s3://bucket/B04.tif"),
        (HOME, "/vsicurl/http://host/B04.tif", None),
        (HOME, "file:///vsizip/x.zip/B04.tif", None),
        (HOME, "<VRTDataset/>", None),
        (HOME, "vrt://B04.tif?bands=1", None),
        (HOME, "zip+file:///x.zip!B04.tif", None),
        ("https://host/x.json", "file:///data/B04.tif", None),
        ("https://host/x.json", "file:///vsimem/B04.tif", None),
        ("s3://bucket/x.json", "file:///data/B04.tif", None),
    ],
)
def test_addresses_that_a_catalogue_may_use(home: str, href: str, allowed: str | None) -> None:
    if allowed:
        assert scene(home, hrefs={"B04": href}).hrefs["B04"] == allowed
    else:
        with pytest.raises(CatalogError, match="not an address"):
            scene(home, hrefs={"B04": href})


@pytest.mark.parametrize("name", ["eo:cloud_cover", "view:sun_azimuth", "s2:nodata_pixel_percentage"])
def test_odd_property_is_named(name: str) -> None:
    with pytest.raises(CatalogError, match="has a property that cannot be used"):
        scene(properties={name: "some"})
