import json
from pathlib import Path
from typing import Any

import pytest

from sits_data.errors import UnknownRadiometry
from sits_data.radiometry import radiometry

TEMPLATES = Path(__file__).resolve().parents[2] / "../shared/stac-templates"
EARTH_SEARCH = "sentinel-2-l2a"


def properties(baseline: str | None = None, applied: bool | None = None) -> dict[str, Any]:
    given = {"s2:processing_baseline": baseline, "earthsearch:boa_offset_applied": applied}
    return {name: value for name, value in given.items() if value is not None}


FLAG, FLAG_AND_BASELINE = "earthsearch:boa_offset_applied", "earthsearch:boa_offset_applied+baseline"
ES_BANDS: dict[str, Any] = {"raster:bands": [{"scale": 1e-4, "offset": -0.1}]}
CDSE: dict[str, Any] = {"raster:offset": -0.1, "raster:scale": 1e-4}


@pytest.mark.parametrize(
    ("collection", "baseline", "applied", "asset", "expected"),
    [
        # Earth Search sentinel-2-l2a
        (EARTH_SEARCH, "02.14", False, {}, (0, FLAG_AND_BASELINE, False)),
        (EARTH_SEARCH, "03.01", False, {}, (0, FLAG_AND_BASELINE, False)),
        (EARTH_SEARCH, "04.00", False, {}, (-1000, FLAG_AND_BASELINE, True)),
        (EARTH_SEARCH, "05.10", False, ES_BANDS, (-1000, FLAG_AND_BASELINE, True)),
        (EARTH_SEARCH, "05.10", True, {}, (0, FLAG, False)),
        (EARTH_SEARCH, "05.10", True, ES_BANDS, (0, FLAG, False)),
        (EARTH_SEARCH, None, True, {}, (0, FLAG, False)),
        # Earth Search sentinel-2-c1-l2a
        ("sentinel-2-c1-l2a", "02.14", None, ES_BANDS, (-1000, "collection", False)),
        ("sentinel-2-c1-l2a", None, None, {}, (-1000, "collection", False)),
        # Planetary Computer
        ("sentinel-2-l2a", "02.14", None, {}, (0, "baseline", False)),
        ("sentinel-2-l2a", "03.01", None, {}, (0, "baseline", False)),
        ("sentinel-2-l2a", "04.00", None, {}, (-1000, "baseline", False)),
        (None, "99.99", None, {}, (-1000, "baseline", False)),
        # CDSE: reprocessed to 05.00, and as it was
        ("sentinel-2-l2a", "05.00", None, CDSE, (-1000, "raster:offset", False)),
        ("x", None, None, CDSE, (-1000, "raster:offset", False)),
        ("x", "02.09", None, {"raster:offset": 0}, (0, "raster:offset", False)),
        ("x", "02.09", None, {"raster:offset": 0.0, "raster:scale": 1e-4}, (0, "raster:offset", False)),
    ],
)
def test_first_rule_that_applies_decides(
    collection: str | None,
    baseline: str | None,
    applied: bool | None,
    asset: dict[str, Any],
    expected: tuple[int, str, bool],
) -> None:
    found = radiometry(collection, properties(baseline, applied), asset)
    assert found == expected
    assert found.shift_dn == 1000 + expected[0]


def test_baseline_is_found_where_cdse_keeps_it() -> None:
    assert radiometry(None, {"processing:version": "05.11"}, {}) == (-1000, "baseline", False)
    assert radiometry(None, {"processing:version": "02.14"}, {}) == (0, "baseline", False)


@pytest.mark.parametrize("offset_dn", [0, -1000])
def test_user_decides_only_when_nothing_else_does(offset_dn: int) -> None:
    assert radiometry("x", {}, {}, assume_offset_dn=offset_dn) == (offset_dn, "user", False)
    assert radiometry("x", properties("05.10"), {}, assume_offset_dn=0).offset_dn == -1000


@pytest.mark.parametrize(
    ("asset", "says"),
    [
        ({}, "--assume-offset"),
        ({"raster:scale": 1}, "scale"),
        ({"raster:bands": [{"scale": 0.01}]}, "scale"),
        ({"raster:offset": -0.2}, "raster:offset"),
        ({"raster:bands": ["x"]}, "--assume-offset"),
    ],
)
def test_what_is_not_told_is_not_guessed(asset: dict[str, Any], says: str) -> None:
    with pytest.raises(UnknownRadiometry, match=says):
        radiometry("x", properties("unknown"), asset)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "asset", "expected"),
    [
        ("earthsearch_v1_sentinel-2-l2a", "red", (0, FLAG, False)),
        ("earthsearch_v1_sentinel-2-c1-l2a", "red", (-1000, "collection", False)),
        ("planetary_computer_sentinel-2-l2a", "B04", (-1000, "baseline", False)),
        ("cdse_sentinel-2-l2a", "B04_10m", (-1000, "raster:offset", False)),
        ("cdse_sentinel-2-l2a", "B12_20m", (-1000, "raster:offset", False)),
    ],
)
def test_real_items_tell_their_offset(name: str, asset: str, expected: tuple[int, str, bool]) -> None:
    (item,) = real_items(name)
    found = radiometry(item["collection"], item["properties"], item["assets"][asset])
    assert found == expected


@pytest.mark.real
def test_real_duplicates_stand_for_both_states_of_the_flag() -> None:
    items = real_items("earthsearch_v1_sentinel-2-l2a_all")
    found = {
        item["id"]: radiometry(item["collection"], item["properties"], item["assets"]["nir"])
        for item in items
    }
    assert len(found) == 16
    for name, verdict in found.items():
        # The numbers of both hold no offset, whatever `raster:bands` says of the reprocessed one.
        assert verdict == (0, FLAG if "_1_L2A" in name else FLAG_AND_BASELINE, False)


@pytest.mark.real
def test_real_item_with_its_flag_turned_is_suspect() -> None:
    (item,) = real_items("earthsearch_v1_sentinel-2-l2a")
    denied = item["properties"] | {FLAG: False}
    found = radiometry(item["collection"], denied, item["assets"]["red"])
    assert found == (-1000, FLAG_AND_BASELINE, True)


def real_items(name: str) -> list[dict[str, Any]]:
    path = TEMPLATES / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    content = json.loads(path.read_text())
    return list(content["features"]) if "features" in content else [content]
