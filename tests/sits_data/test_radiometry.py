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


@pytest.mark.parametrize(
    ("collection", "baseline", "applied", "asset", "offset_dn"),
    [
        (EARTH_SEARCH, "02.14", False, {}, 0),
        (EARTH_SEARCH, "03.01", False, {}, 0),
        (EARTH_SEARCH, "04.00", False, {}, -1000),
        (EARTH_SEARCH, "05.10", False, {}, -1000),
        (EARTH_SEARCH, "05.10", True, {}, 0),
        (EARTH_SEARCH, "05.10", True, {"raster:bands": [{"scale": 1e-4, "offset": -0.1}]}, 0),
        (EARTH_SEARCH, "02.14", None, {}, 0),
        (EARTH_SEARCH, "04.00", None, {}, -1000),
        ("sentinel-2-c1-l2a", "02.14", None, {}, -1000),
        ("sentinel-2-c1-l2a", None, None, {}, -1000),
        ("x", None, None, {"raster:offset": -0.1, "raster:scale": 1e-4}, -1000),
        ("x", None, None, {"raster:offset": 0}, 0),
        (None, "99.99", None, {}, -1000),
    ],
)
def test_first_rule_that_applies_decides(
    collection: str | None,
    baseline: str | None,
    applied: bool | None,
    asset: dict[str, Any],
    offset_dn: int,
) -> None:
    found = radiometry(collection, properties(baseline, applied), asset)
    assert found.offset_dn == offset_dn
    assert found.shift_dn == 1000 + offset_dn


@pytest.mark.parametrize("offset_dn", [0, -1000])
def test_user_decides_only_when_nothing_else_does(offset_dn: int) -> None:
    assert radiometry("x", {}, {}, assume_offset_dn=offset_dn) == (offset_dn, "user")
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
    ("name", "asset", "offset_dn"),
    [
        ("earthsearch_v1_sentinel-2-l2a", "red", 0),
        ("earthsearch_v1_sentinel-2-c1-l2a", "red", -1000),
        ("planetary_computer_sentinel-2-l2a", "B04", None),
        ("cdse_sentinel-2-l2a", "B04_10m", -1000),
    ],
)
def test_real_items_tell_their_offset(name: str, asset: str, offset_dn: int | None) -> None:
    path = TEMPLATES / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    item = json.loads(path.read_text())
    item = item["features"][0] if "features" in item else item
    found = radiometry(item["collection"], item["properties"], item["assets"][asset])
    if offset_dn is None:
        offset_dn = -1000 if item["properties"]["s2:processing_baseline"] >= "04.00" else 0
    assert found.offset_dn == offset_dn
