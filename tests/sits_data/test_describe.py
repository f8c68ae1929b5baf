import json
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from tiny_catalogue import GRID, daily, native_shape, request, write_catalogue

from sits_data.build import build_cube
from sits_data.cube import create_cube, open_raw
from sits_data.describe import CubeInfo, LeftOut, Offset, StoreInfo, date_lines, describe, recognise
from sits_data.errors import InvalidRequest, NotACube, NotAStore
from sits_data.ledger import state_folder
from sits_data.manifest import Chips, ColumnLabels, Parcels, RasterLabels, Recipe
from sits_data.plan import CubePlan
from sits_data.store import planarize

VEGETATION = np.full(native_shape(GRID, "scl"), 4, np.uint8)
CLOUD = np.full(native_shape(GRID, "scl"), 9, np.uint8)
DARK = np.full(native_shape(GRID, "scl"), 2, np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`field.zarr` of three days, clear, cloudy and dark, with a reprocessed scene left out."""
    folder = tmp_path_factory.mktemp("described")
    products = daily(3)
    products = [
        replace(product, values={"scl": scl})
        for product, scl in zip(products, (VEGETATION, CLOUD, DARK), strict=True)
    ]
    older = replace(
        products[0],
        id="S2A_31UFS_20200101_0_OLD",
        baseline="02.00",
        properties={"created": "2019-01-01T00:00:00Z"},
    )
    catalog = write_catalogue(folder, [*products, older])
    build_cube(request(catalog), folder / "field.zarr")
    return folder


@pytest.fixture(scope="module")
def parcels(folder):
    left, top = GRID.left, GRID.top
    frame = gpd.GeoDataFrame(
        {"crop_code": [1110, 1200, None], "crop_name": ["Winter wheat", "Maize", None]},
        geometry=[shapely.box(left + x, top - 60, left + x + 40, top) for x in (0, 40, 80)],
        crs=GRID.crs,
    )
    frame.to_file(folder / "parcels.gpkg")
    recipe = Recipe(
        regions=Parcels(path=str(folder / "parcels.gpkg")), labels=ColumnLabels(field="crop_code")
    )
    planarize(folder / "field.zarr", folder / "field.planar", recipe=recipe)
    return folder / "field.planar"


def test_describe_cube(folder):
    found = describe(folder / "field.zarr")
    assert isinstance(found, CubeInfo)
    assert (found.complete, found.units_done, found.units) == (True, 3, 3)
    assert (found.shape, found.bands) == ((3, 2, 18, 12), ("B04", "B11"))
    assert found.bounds == (GRID.left, GRID.bottom, GRID.right, GRID.top)
    assert (found.dates.first, found.dates.count, found.dates.median_gap_days) == ("2020-01-01", 3, 1)
    assert found.clear_pct_by_date == {"2020-01-01": 100, "2020-01-02": 0, "2020-01-03": 100}
    assert found.clear_pct == pytest.approx(66.7)
    assert found.dropped is not None
    assert [type(scene) for scene in found.dropped] == [LeftOut]
    assert (found.dropped[0].id, found.scenes) == ("S2A_31UFS_20200101_0_OLD", 3)
    assert found.offsets == (Offset(0, found.offsets[0].source, 3),)
    size = sum(file.stat().st_size for file in (folder / "field.zarr").rglob("*") if file.is_file())
    assert found.size_bytes == size


def test_describe_cube_under_another_mask(folder):
    found = describe(folder / "field.zarr", mask="strict")
    assert isinstance(found, CubeInfo)
    assert list(found.clear_pct_by_date.values()) == [100, 0, 0]


@pytest.mark.parametrize("ledger", ['{"unit": [0, 0, 0], "status": "ok"}\n{"unit": [1, 0', None])
def test_describe_unfinished_cube(folder, tmp_path, ledger):
    cube = tmp_path / "half.zarr"
    plan = CubePlan.read(state_folder(folder / "field.zarr") / "plan.json")
    create_cube(cube, plan)
    if ledger is not None:
        state_folder(cube).mkdir()
        (state_folder(cube) / "ledger.jsonl").write_text(ledger)
    found = describe(cube)
    assert isinstance(found, CubeInfo)
    assert not found.complete
    assert found.units_done == (None if ledger is None else 1)
    assert found.dropped is None
    assert found.clear_pct == 0
    assert open_raw(cube, allow_incomplete=True).attributes["status"] == "building"


def test_describe_store(parcels):
    found = describe(parcels)
    assert isinstance(found, StoreInfo)
    assert (found.regions, found.pixels, found.pixels_per_region) == (3, 72, (24, 24, 24))
    counts = [(one.label, one.code, one.name, one.regions, one.pixels) for one in found.classes]
    assert counts == [
        (0, 1110, "Winter wheat", 1, 24),
        (1, 1200, "Maize", 1, 24),
        (-1, None, "unlabelled", 1, 24),
    ]
    assert found.orders == ("hilbert", "snake")
    assert (found.cube["path"], found.cube["scenes"]) == ("field.zarr", 3)


def test_describe_store_counts_pixels_where_they_have_labels(folder, tmp_path):
    labels = np.ones(GRID.shape, np.uint16)
    labels[:5] = 2
    labels[0] = 0
    with rasterio.open(
        tmp_path / "crops.tif", "w", driver="GTiff", dtype="uint16", count=1, height=18, width=12,
        crs=GRID.crs, transform=GRID.geobox.transform,
    ) as raster:  # fmt: skip
        raster.write(labels, 1)
    recipe = Recipe(
        regions=Chips(size_px=6), labels=RasterLabels(path=str(tmp_path / "crops.tif")), orders=()
    )
    planarize(folder / "field.zarr", tmp_path / "chips.planar", recipe=recipe)
    found = describe(tmp_path / "chips.planar")
    assert isinstance(found, StoreInfo)
    assert [one.pixels for one in found.classes] == [13 * 12, 4 * 12, 12]
    assert sum(one.regions for one in found.classes) == 6


def test_date_lines_group_by_month():
    lines = list(date_lines({"2019-08-04": 100.0, "2019-08-09": 50.0, "2019-09-03": 0.4}))
    assert lines == ["2019-08  04█ 09▅", "2019-09  03·"]


def test_info_prints_text_and_json(sits_data, folder, parcels):
    for path, words in {
        folder / "field.zarr": (
            "complete (3 of 3 units)",
            "66.7 % (standard)",
            "left out: S2A",
            "01█ 02·",
        ),
        parcels: ("hilbert, snake", "Winter wheat", "3 of 24 to 24 pixels", "unlabelled"),
    }.items():
        text = sits_data("info", path)
        assert text.returncode == 0
        assert not text.stderr
        assert [word for word in words if word not in text.stdout] == []
        as_json = json.loads(sits_data("info", path, "--json").stdout)
        assert as_json["path"] == str(path)
        assert as_json["kind"] == recognise(path)
        assert as_json["dates"] == {
            "first": "2020-01-01", "last": "2020-01-03", "count": 3, "median_gap_days": 1.0
        }  # fmt: skip


@pytest.mark.parametrize(
    ("make", "mask", "error", "message"),
    [
        (lambda _: None, None, NotACube, "does not exist"),
        (lambda path: path.mkdir(), None, NotACube, "neither a cube nor a planar store"),
        (lambda path: path.write_text("x"), None, NotACube, "neither a cube nor a planar store"),
        (lambda path: _write(path / "manifest.json", "[]"), None, NotAStore, "planarize"),
        (lambda path: _write(path / "zarr.json", "{}"), None, NotACube, "not a cube of sits-data"),
        (lambda path: path.mkdir(), "thick", InvalidRequest, "use one of standard, strict"),
    ],
)
def test_describe_refuses(tmp_path, make, mask, error, message):
    make(tmp_path / "x")
    with pytest.raises(error, match=message):
        describe(tmp_path / "x", mask=mask)


def test_describe_refuses_mask_for_store(parcels):
    with pytest.raises(InvalidRequest, match="keeps the mask that"):
        describe(parcels, mask="strict")


def _write(path, text):
    path.parent.mkdir()
    path.write_text(text)
