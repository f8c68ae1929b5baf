"""Real items of each catalogue, from the reference data: our synthetic ones have the same layout."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pystac
import pytest
import shapely
from flavours import FLAVOURS, SCENES, earth_search_c1
from stac_geoparquet.arrow import parse_stac_items_to_parquet

from sits_data.access import access_of
from sits_data.bands import BANDS
from sits_data.catalog import open_catalog
from sits_data.radiometry import baseline_of, radiometry
from sits_data.scenes import find_assets, make_scene

pytestmark = pytest.mark.real

TEMPLATES = Path(__file__).resolve().parents[2] / "../shared/stac-templates"
FILES = {
    "earth-search": "earthsearch_v1_sentinel-2-l2a.json",
    "c1": "earthsearch_v1_sentinel-2-c1-l2a.json",
    "planetary-computer": "planetary_computer_sentinel-2-l2a.json",
    "cdse": "cdse_sentinel-2-l2a.json",
}
SYNTHETIC = {**FLAVOURS, "c1": earth_search_c1}


@pytest.fixture
def real_item(request: pytest.FixtureRequest) -> dict[str, Any]:
    path = TEMPLATES / FILES[request.param]
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def each(*names: str) -> pytest.MarkDecorator:
    pairs = [(name, name) for name in names]
    return pytest.mark.parametrize(("real_item", "name"), pairs, indirect=["real_item"], ids=names)


@each(*FILES)
def test_synthetic_items_have_the_real_layout(real_item: dict[str, Any], name: str) -> None:
    made = SYNTHETIC[name](SCENES[0], "https://example.org")
    assert set(made["properties"]) <= set(real_item["properties"])
    assert set(made["assets"]) <= set(real_item["assets"])
    for key in set(made["assets"]) - {"Product", "thumbnail"}:
        assert set(made["assets"][key]) <= set(real_item["assets"][key]), key


@each(*FILES)
@pytest.mark.parametrize("kind", ["geojson", "parquet"])
def test_search_gives_a_scene_of_every_band(
    real_item: dict[str, Any], name: str, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / f"items.{kind}"
    if kind == "geojson":
        path.write_text(json.dumps({"type": "FeatureCollection", "features": [real_item]}))
    else:
        parse_stac_items_to_parquet([real_item], output_path=str(path))
    (item,) = open_catalog(path).search(
        shapely.geometry.shape(real_item["geometry"]).centroid,
        collection=real_item["collection"],
        start=date(2015, 1, 1),
        end=date(2030, 1, 1),
    )
    assets = find_assets(item, tuple(BANDS))
    expected = find_assets(pystac.Item.from_dict(real_item, migrate=False), tuple(BANDS))
    assert {k: a.href for k, a in assets.items()} == {k: a.href for k, a in expected.items()}
    for band in BANDS:
        native = f"R{BANDS[band].native_m}m" if "R10m" in assets["B04"].href else ""
        assert native in assets[band].href
    found = radiometry(item.collection_id, item.properties, assets["B04"].to_dict())
    assert found.offset_dn == (0 if name == "earth-search" else -1000)
    scene = make_scene(
        item, assets, offset_dn=found.offset_dn, offset_source=found.source,
        baseline=baseline_of(item.properties),
    )  # fmt: skip
    assert scene.crs is not None
    assert scene.crs.startswith("EPSG:32")


@each("planetary-computer", "cdse")
def test_real_addresses_need_what_their_catalogue_says(
    real_item: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    href = find_assets(pystac.Item.from_dict(real_item, migrate=False), ("B04",))["B04"].href
    access = access_of(name)
    if name == "cdse":
        monkeypatch.setenv("AWS_PROFILE", "cdse")
        assert access.readable(href).startswith("/vsis3/eodata/Sentinel-2/MSI/L2A")
    else:
        monkeypatch.setattr("sits_data.access.signed", lambda href, service: f"{href}?{service}")
        assert access.readable(href).endswith("/api/sas/v1/token")
