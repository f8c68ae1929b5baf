"""What a plan makes of catalogues that contradict themselves, up to the cube that comes of it."""

import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pystac
import pytest
import rasterio
from installed import Run
from tiny_catalogue import GRID, Product, native_shape, request, shifted, write_catalogue

from sits_data.aoi import read_aoi
from sits_data.build import build_cube
from sits_data.cube import open_raw
from sits_data.errors import UnknownRadiometry
from sits_data.grid import Grid, cube_grid
from sits_data.plan import CubePlan, Request
from sits_data.planning import plan_cube, search_items
from sits_data.simulate import SimulatedCatalog, simulate_catalog

PIXEL_TEST, UNDECIDED = "pixel-test", "earthsearch:boa_offset_applied+baseline, pixels undecided"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimulatedCatalog:
    """A catalogue with all that can go wrong at once."""
    return simulate_catalog(
        tmp_path_factory.mktemp("simulated") / "land", seed=2, size_px=96, dates=36,
        start=date(2021, 7, 1), second_zone=True, split_strips=True, wrong_flags=True, snow=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def asked(made: SimulatedCatalog) -> Request:
    return Request(
        catalog=str(made.catalog), collection="sentinel-2-l2a", start=made.start, end=made.end,
        bands=("B04", "B11"), grid=cube_grid(read_aoi(str(made.aoi)), 10),
    )  # fmt: skip


@pytest.fixture(scope="module")
def plan(asked: Request) -> CubePlan:
    return plan_cube(asked)


@pytest.fixture(scope="module")
def truth_dn(made: SimulatedCatalog) -> dict[str, int]:
    """Offset inside the numbers, by item."""
    return dict(json.loads((made.truth / "offsets.json").read_text()))


# ---------------------------------------------------------------- offsets


def test_pixels_decide_where_flags_are_wrong(plan: CubePlan, truth_dn: dict[str, int]) -> None:
    decided = [scene for scene in plan.scenes if scene.offset_source == PIXEL_TEST]
    assert {scene.id: scene.offset_dn for scene in decided} == {s.id: truth_dn[s.id] for s in decided}
    assert Counter(scene.offset_dn for scene in decided).keys() == {0, -1000}
    assert sum(scene.offset_dn == 0 for scene in decided) > 4


def test_only_what_is_overcast_stays_undecided_and_says_so(
    plan: CubePlan, truth_dn: dict[str, int]
) -> None:
    undecided = [scene for scene in plan.scenes if scene.offset_source == UNDECIDED]
    wrong = [scene for scene in plan.scenes if scene.offset_dn != truth_dn[scene.id]]
    assert {scene.id for scene in wrong} <= {scene.id for scene in undecided}
    for scene in undecided:
        assert scene.offset_dn == -1000
        assert (scene.cloud_pct or 0) + (scene.nodata_pct or 0) > 90


def test_trusted_metadata_is_not_doubted(plan: CubePlan, truth_dn: dict[str, int]) -> None:
    trusted = [s for s in plan.scenes if "pixel" not in s.offset_source]
    assert {s.baseline >= "04.00" for s in trusted if s.baseline} == {False, True}
    assert all(s.offset_dn == truth_dn[s.id] for s in trusted)


def test_raster_that_cannot_be_read_leaves_the_metadata(asked: Request) -> None:
    def without_test_band(request: Request) -> list[pystac.Item]:
        items = search_items(request)
        for item in items:
            item.assets["swir22"].href += ".gone"
        return items

    sources = Counter(scene.offset_source for scene in plan_cube(asked, without_test_band).scenes)
    assert sources["earthsearch:boa_offset_applied+baseline, pixels unreadable"] > 4
    assert sources[PIXEL_TEST] == 0


def test_item_that_tells_no_offset_is_named(tmp_path: Path) -> None:
    silent = Product(id="silent", baseline=None, offset_applied=None)
    catalog = write_catalogue(tmp_path, [silent])
    with pytest.raises(UnknownRadiometry, match=r"item silent: .*--assume-offset"):
        plan_cube(request(catalog))
    (scene,) = plan_cube(request(catalog, assume_offset_dn=-1000)).scenes
    assert (scene.offset_dn, scene.offset_source) == (-1000, "user")


def test_suspect_without_the_test_bands_is_judged_by_those_asked_for(tmp_path: Path) -> None:
    wide = GRID.model_copy(update={"right": GRID.left + 1200, "bottom": GRID.top - 1200})
    dark = {key: np.full(native_shape(wide, key), 300, np.uint16) for key in ("B04", "B11")}
    catalog = write_catalogue(tmp_path, [Product(grid=wide, values=dark, baseline="05.00")])
    (scene,) = plan_cube(request(catalog, wide)).scenes
    assert (scene.offset_dn, scene.offset_source) == (0, PIXEL_TEST)


# ---------------------------------------------------------------- scenes


def test_halves_are_kept_and_their_originals_dropped(plan: CubePlan) -> None:
    reprocessed = {d.id: d.reason for d in plan.dropped}
    assert reprocessed
    for name, reason in reprocessed.items():
        stem, number = name.removesuffix("_L2A").rsplit("_", 1)
        newer = int(number) + (2 if f"{stem}_2_L2A" in reason or f"{stem}_3_L2A" in reason else 1)
        assert reason == f"reprocessed as {stem}_{newer}_L2A"
    halves = Counter(s.acquisition for s in plan.scenes)
    assert set(halves.values()) == {1, 2}
    for day in plan.days:
        for scene in day.scenes:
            twins = [s for s in day.scenes if s.acquisition == scene.acquisition]
            assert len({s.strip for s in twins}) == len(twins)
            assert len({s.baseline for s in twins}) == 1


class Built(NamedTuple):
    """The cube of all of it."""

    path: Path
    plan: CubePlan


@pytest.fixture(scope="module")
def built(asked: Request, tmp_path_factory: pytest.TempPathFactory) -> Built:
    result = build_cube(asked, tmp_path_factory.mktemp("cube") / "c.zarr")
    return Built(result.path, result.plan)


def test_own_zone_is_not_resampled(built: Built) -> None:
    """Pixels are those of the scene that `scene_index` names; the other zone only fills holes."""
    cube, grid = open_raw(built.path), built.plan.request.grid
    scenes, used = built.plan.scenes, Counter[str]()
    for time, day in enumerate(built.plan.days):
        index, red = cube.read("scene_index", time), cube.read("reflectance", time)[0]
        own = {s.id: _window(s.hrefs["B04"], grid, s.offset_dn) for s in day.scenes if s.crs == grid.crs}
        for number in np.unique(index[index >= 0]):
            scene, here = scenes[number], index == number
            if scene.id in own:
                assert np.array_equal(red[here], own[scene.id][here])
                used[scene.acquisition] += 1
            else:
                assert not any(numbers[here].any() for numbers in own.values())
        assert not red[index == -1].any()
    assert set(used.values()) == {1, 2}


def _window(href: str, grid: Grid, offset_dn: int) -> np.ndarray:
    """The grid's pixels of a 10 m raster in the cube's convention."""
    with rasterio.open(href) as raster:
        row, col = raster.index(grid.left + 5, grid.top - 5)
        height, width = grid.shape
        dn = raster.read(1)[row : row + height, col : col + width]
    return shifted(dn) if offset_dn == 0 else dn


def test_halves_make_a_whole_that_is_the_truth(made: SimulatedCatalog, built: Built) -> None:
    cube, plan = open_raw(built.path), built.plan
    grid, compared = plan.request.grid, 0
    inner = slice(6, 6 + grid.shape[0]), slice(6, 6 + grid.shape[1])
    with rasterio.open(made.truth / "clear.tif") as raster:
        clear = dict(zip(raster.descriptions, raster.read().astype(bool), strict=True))
    for time, day in enumerate(plan.days):
        at_home = [s for s in day.scenes if s.crs == grid.crs]
        is_clear = clear[str(day.day)][inner]
        if len(at_home) < 2 or is_clear.mean() < 0.5:
            continue
        with rasterio.open(made.truth / "reflectance" / f"{day.day}.tif") as raster:
            red = raster.read(1 + raster.descriptions.index("B04"))[inner].astype(int)
        seen = cube.read("reflectance", time)[0]
        assert all((s.nodata_pct or 0) > 20 for s in at_home)
        assert (seen[is_clear] > 0).all()
        assert np.abs(np.median(seen[is_clear].astype(int) - red[is_clear])) < 40
        compared += 1
    assert compared >= 3


def test_area_across_two_zones_takes_each_from_its_own(tmp_path: Path) -> None:
    """The tile of zone 31 covers the west half; the rest comes, warped, from that of zone 32."""
    west = GRID.model_copy(update={"right": GRID.left + 60})
    around = gpd.GeoDataFrame(geometry=[GRID.geobox.extent.geom.buffer(200)], crs=GRID.crs)
    there = cube_grid(around, 10, "EPSG:32632")
    plain = {"B04": 700, "B11": 900, "scl": 5}
    values = {
        k: np.full(native_shape(there, k), v, "u1" if k == "scl" else "u2") for k, v in plain.items()
    }
    products = [
        Product(id="home", grid=west, properties={"s2:nodata_pixel_percentage": 50}),
        Product(
            id="away", grid=there, values=values, when="2020-01-15T10:50:14Z",
            properties={"grid:code": "MGRS-32ULB", "s2:nodata_pixel_percentage": 0},
        ),
    ]  # fmt: skip
    result = build_cube(request(write_catalogue(tmp_path / "c", products)), tmp_path / "c.zarr")
    assert [[s.id for s in day.scenes] for day in result.plan.days] == [["home", "away"]]
    cube = open_raw(result.path)
    index, (red, swir) = cube.read("scene_index", 0), cube.read("reflectance", 0)
    assert (index == [0] * 6 + [1] * 6).all()
    assert np.array_equal(red[:, :6], shifted(products[0].array("B04")))
    assert (red[:, 6:] == 1700).all()
    assert (swir[:, 6:] == 1900).all()


def test_info_says_what_was_left_out_and_what_decided(built: Built, sits_data: Run) -> None:
    told = sits_data("info", str(built.path)).stdout
    dropped = built.plan.dropped
    assert dropped
    assert all(f"left out: {d.id} ({d.reason})" in told for d in dropped)
    for offset_dn in (0, -1000):
        count = sum((s.offset_dn, s.offset_source) == (offset_dn, PIXEL_TEST) for s in built.plan.scenes)
        assert f"{offset_dn} DN in {count} scenes ({PIXEL_TEST})" in told
    stored = open_raw(built.path).read("scene_offset_source")
    assert stored.tolist() == [scene.offset_source for scene in built.plan.scenes]
