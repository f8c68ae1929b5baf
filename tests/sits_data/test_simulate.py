"""The simulated catalogue keeps what it promises: valid STAC, exact truth, pairs that are truly hard."""

import errno
import filecmp
import json
import os
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import odc.stac
import pystac
import pytest
import rasterio
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rasterio.features import rasterize
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score

from sits_data.aoi import read_aoi
from sits_data.bands import BANDS, DEFAULT_BANDS
from sits_data.cli import main
from sits_data.errors import InvalidRequest, OutputExists, OutputNotWritable
from sits_data.grid import cube_grid
from sits_data.simulate import SimulatedCatalog, simulate_catalog
from sits_data.simulate.landscape import Landscape, make_landscape
from sits_data.simulate.legend import TEXTURE_PAIRS, TIME_PAIRS
from sits_data.simulate.orbits import passes, sun_position
from sits_data.simulate.place import home_tile
from sits_data.simulate.settings import Settings
from sits_data.simulate.sky import Weather, make_sky

TWENTY_METRES = [i for i, band in enumerate(DEFAULT_BANDS) if BANDS[band].native_m == 20]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimulatedCatalog:
    out = tmp_path_factory.mktemp("simulated") / "farm"
    return simulate_catalog(out, size_px=96, dates=28, second_zone=True)


@pytest.fixture(scope="module")
def items(made: SimulatedCatalog) -> list[pystac.Item]:
    return list(pystac.Catalog.from_file(str(made.catalog)).get_items(recursive=True))


@pytest.fixture(scope="module")
def home(items: list[pystac.Item]) -> list[pystac.Item]:
    return [item for item in items if item.properties["proj:code"] == "EPSG:32632"]


@pytest.fixture(scope="module")
def clear(made: SimulatedCatalog) -> dict[str, np.ndarray]:
    """Day → (y, x) the truth of what is clear."""
    with rasterio.open(made.truth / "clear.tif") as raster:
        return dict(zip(raster.descriptions, raster.read().astype(bool), strict=True))


def recipe(seed: int, size_px: int) -> Settings:
    return Settings(seed, size_px, date(2021, 3, 1), date(2022, 10, 31), 72, second_zone=False)


def land(seed: int, size_px: int) -> Landscape:
    return make_landscape(recipe(seed, size_px), home_tile(size_px).grid)


def read(item: pystac.Item, asset: str) -> np.ndarray:
    with rasterio.open(item.assets[asset].get_absolute_href()) as raster:
        return raster.read(1)


def day_of(item: pystac.Item) -> str:
    return item.datetime.date().isoformat()


def radiometric_state(item: pystac.Item) -> tuple[bool, bool]:
    """Whether ESA added 1000, and whether Earth Search took it away again."""
    return (
        item.properties["s2:processing_baseline"] >= "04.00",
        item.properties["earthsearch:boa_offset_applied"],
    )


# ---------------------------------------------------------------- the files


def test_catalogue_is_the_same_bytes_when_made_again_on_one_thread(
    made: SimulatedCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    again = simulate_catalog(tmp_path / "again", size_px=96, dates=28, second_zone=True)
    names = sorted(str(p.relative_to(made.folder)) for p in made.folder.rglob("*") if p.is_file())
    assert names == sorted(
        str(p.relative_to(again.folder)) for p in again.folder.rglob("*") if p.is_file()
    )
    _, differing, failed = filecmp.cmpfiles(made.folder, again.folder, names, shallow=False)
    assert (differing, failed) == ([], [])


def test_another_seed_is_another_land_and_sky() -> None:
    one, other = land(1, 96), land(2, 96)
    assert (one.mosaic.unit != other.mosaic.unit).mean() > 0.5
    assert [p.day for p in passes(recipe(1, 96))] != [p.day for p in passes(recipe(2, 96))]


def test_items_are_cogs_on_native_grids(items: list[pystac.Item]) -> None:
    for item in items[:3]:
        for band in DEFAULT_BANDS:
            asset = item.assets[BANDS[band].common]
            with rasterio.open(asset.get_absolute_href()) as raster:
                assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
                assert (raster.dtypes[0], raster.nodata) == ("uint16", 0)
                assert raster.res == (BANDS[band].native_m,) * 2
                assert str(raster.crs) == item.properties["proj:code"]
                assert list(raster.shape) == asset.extra_fields["proj:shape"]
                assert list(raster.transform)[:6] == asset.extra_fields["proj:transform"]
                assert raster.bounds.left % 60 == raster.bounds.top % 60 == 0
        with rasterio.open(item.assets["scl"].get_absolute_href()) as raster:
            assert (raster.dtypes[0], raster.res) == ("uint8", (20, 20))


def test_catalogue_is_self_contained_and_moves(made: SimulatedCatalog, items: list[pystac.Item]) -> None:
    assert len(items) == made.n_scenes == len({item.id for item in items})
    for path in made.folder.rglob("*.json"):
        assert str(made.folder) not in path.read_text()
    for item in items:
        assert all(Path(a.get_absolute_href()).is_file() for a in item.assets.values())


def test_odc_stac_loads_every_date(made: SimulatedCatalog, home: list[pystac.Item]) -> None:
    loaded = odc.stac.load(home, bands=["red", "nir08", "scl"], groupby="id", resolution=10)
    assert dict(loaded.sizes) == {"time": len(home), "y": 96, "x": 96}
    assert loaded.red.dtype == np.uint16
    ordered = sorted(home, key=lambda item: item.datetime)
    np.testing.assert_array_equal(loaded.red.values[0], read(ordered[0], "red"))


# ---------------------------------------------------------------- radiometry


def test_pixels_decode_to_the_truth_where_it_is_clear(
    made: SimulatedCatalog, home: list[pystac.Item], clear: dict[str, np.ndarray]
) -> None:
    compared = set()
    for item in home:
        is_clear = clear[day_of(item)].reshape(48, 2, 48, 2).all(axis=(1, 3))
        if is_clear.sum() < 100:
            continue
        has_offset, applied = radiometric_state(item)
        shift = 1000 if has_offset and not applied else 0
        with rasterio.open(made.truth / "reflectance" / f"{day_of(item)}.tif") as raster:
            truth = dict(zip(raster.descriptions, (raster.read() - 1000.0) / 1e4, strict=True))
        noisy = item.id.endswith("_0_L2A") and any(other.id == _twin(item.id) for other in home)
        for band in DEFAULT_BANDS:
            step = BANDS[band].native_m // 10
            seen = (read(item, BANDS[band].common).astype(float) - shift) / 1e4
            where = is_clear.repeat(2 // step, axis=0).repeat(2 // step, axis=1)
            error = (seen - truth[band][::step, ::step])[where]
            assert abs(error.mean()) < 0.01
            assert error.std() < (0.02 if noisy else 0.005)
        compared.add((has_offset, applied))
    assert compared == {(False, False), (True, False), (True, True)}


def test_raster_bands_offset_follows_the_baseline_as_in_the_real_catalogue(
    items: list[pystac.Item],
) -> None:
    for item in items:
        offset = item.assets["red"].extra_fields["raster:bands"][0]["offset"]
        assert offset == (-0.1 if radiometric_state(item)[0] else 0)


def test_dark_pixels_are_never_no_data(home: list[pystac.Item]) -> None:
    for item in home:
        inside = read(item, "scl") != 0
        assert (read(item, "swir22")[inside] > 0).all()
        assert not read(item, "swir22")[~inside].any()


def test_reprocessed_duplicate_shows_the_same_land_with_less_noise(
    made: SimulatedCatalog, home: list[pystac.Item]
) -> None:
    by_id = {item.id: item for item in home}
    pairs = [(by_id[_original(name)], item) for name, item in by_id.items() if name.endswith("_1_L2A")]
    assert pairs
    for old, new in pairs:
        assert old.datetime == new.datetime
        for name in ("s2:processing_baseline", "s2:generation_time"):
            assert old.properties[name] < new.properties[name]
        take = [p.properties["s2:datatake_id"].rpartition("_N")[0] for p in (old, new)]
        strip = [
            p.properties["s2:datastrip_id"].rpartition("_S")[2].rpartition("_N")[0] for p in (old, new)
        ]
        assert take[0] == take[1]
        assert strip[0] == strip[1]
        assert "_S2RP_" in new.properties["s2:datastrip_id"]
        shifts = [1000 if radiometric_state(p) == (True, False) else 0 for p in (old, new)]
        assert shifts[0] != shifts[1]
        difference = (read(old, "red") - float(shifts[0])) - (read(new, "red") - float(shifts[1]))
        assert 60 < difference.std() < 180
        np.testing.assert_array_equal(read(old, "scl"), read(new, "scl"))


def _original(name: str) -> str:
    return name.replace("_1_L2A", "_0_L2A")


def _twin(name: str) -> str:
    return name.replace("_0_L2A", "_1_L2A")


# ---------------------------------------------------------------- sky


def test_orbits_and_dates(home: list[pystac.Item]) -> None:
    days = sorted({item.datetime.date() for item in home})
    gaps = {(b - a).days for a, b in pairwise(days)}
    assert (days[-1] - days[0]).days > 425
    assert len(gaps) > 4
    assert {item.properties["sat:relative_orbit"] for item in home} == {8, 108}
    assert {item.properties["platform"] for item in home} == {"sentinel-2a", "sentinel-2b"}
    of_one = defaultdict(list)
    for item in home:
        of_one[item.properties["platform"], item.properties["sat:relative_orbit"]].append(
            item.datetime.date()
        )
    assert all((b - a).days % 10 == 0 for passes_ in of_one.values() for a, b in pairwise(passes_))


@pytest.mark.parametrize(
    ("when", "azimuth", "elevation"),
    [  # solar noon at 6.25 E: 12:00 - 25 min - equation of time; elevation 90 - latitude + declination
        (datetime(2021, 6, 21, 11, 37, tzinfo=UTC), 180, 90 - 50.89 + 23.44),
        (datetime(2021, 12, 21, 11, 33, tzinfo=UTC), 180, 90 - 50.89 - 23.44),
    ],
)
def test_sun_stands_in_the_south_at_noon(when: datetime, azimuth: float, elevation: float) -> None:
    assert sun_position(when) == pytest.approx((azimuth, elevation), abs=0.6)


def test_shadow_is_the_cloud_thrown_away_from_the_sun() -> None:
    spring = recipe(3, 96)
    flown = passes(spring)[5]
    sky = make_sky(spring, flown, Weather(cover=0.3, cirrus=False, partial=False))
    rows, columns = sky.throw_px
    assert rows < 0  # the sun stands in the south, so shadows lie north of their clouds
    assert np.degrees(np.arctan2(-columns, rows)) % 360 == pytest.approx(flown.sun_azimuth, abs=5)
    top, left = max(rows, 0), max(columns, 0)
    shadow = sky.shadow[top : 96 + min(rows, 0), left : 96 + min(columns, 0)]
    cloud = sky.cloud[
        top - rows : 96 + min(rows, 0) - rows, left - columns : 96 + min(columns, 0) - columns
    ]
    np.testing.assert_array_equal(shadow, cloud)
    assert shadow.any()


def test_scl_mostly_agrees_with_the_truth_and_errs_at_edges(
    home: list[pystac.Item], clear: dict[str, np.ndarray]
) -> None:
    said = np.stack([np.isin(read(i, "scl"), (2, 4, 5, 6, 7)) for i in home])
    true = np.stack([clear[day_of(i)].reshape(48, 2, 48, 2).mean(axis=(1, 3)) for i in home])
    sure = (true == 0) | (true == 1)
    assert 0.85 < (said == true)[sure].mean() < 0.99
    assert (said & (true == 0)).any()  # unseen thin cloud
    assert (~said & (true == 1)).any()  # clouds drawn too wide
    assert {int(v) for i in home for v in np.unique(read(i, "scl"))} >= {0, 3, 4, 5, 7, 8, 9, 10}


def test_clouds_differ_from_date_to_date(clear: dict[str, np.ndarray]) -> None:
    broken = [c for c in clear.values() if 0.2 < c.mean() < 0.8]
    assert len(broken) >= 4
    assert all((a != b).mean() > 0.1 for a, b in pairwise(broken))
    assert sum(c.mean() > 0.9 for c in clear.values()) >= 5


def test_partial_swath_has_no_numbers_beyond_its_edge(home: list[pystac.Item]) -> None:
    partial = [item for item in home if item.properties["s2:nodata_pixel_percentage"] > 5]
    assert partial
    for item in partial:
        assert item.properties["sat:relative_orbit"] == 8
        unseen = read(item, "red") == 0
        assert 0.1 < unseen.mean() < 0.9
        # A 20 m pixel is seen when all of its four 10 m pixels are.
        np.testing.assert_array_equal(
            read(item, "scl") == 0, unseen.reshape(48, 2, 48, 2).any(axis=(1, 3))
        )
        assert (np.diff(unseen.astype(int), axis=1) >= 0).all()  # the east is missing


def test_second_zone_shows_the_same_land_in_its_own_grid(items: list[pystac.Item]) -> None:
    clear_day = min(
        (i for i in items if i.id.endswith("_1_L2A")), key=lambda i: i.properties["eo:cloud_cover"]
    )
    both = [i for i in items if day_of(i) == day_of(clear_day) and i.id.endswith("_1_L2A")]
    other, home = sorted(both, key=lambda i: i.properties["proj:code"])
    assert (other.properties["proj:code"], other.properties["grid:code"]) == ("EPSG:32631", "MGRS-31UGS")
    assert other.properties["s2:datatake_id"] == home.properties["s2:datatake_id"]
    assert other.properties["view:incidence_angle"] == home.properties["view:incidence_angle"]
    grid = home_tile(96).grid.geobox
    load = {"bands": ["nir"], "geobox": grid, "resampling": "nearest"}
    here, there = (odc.stac.load([i], **load).nir.values[0].astype(float) for i in (home, other))
    assert (there[6:-6, 6:-6] > 0).all()
    assert np.corrcoef(here[there > 0], there[there > 0])[0, 1] > 0.85


# ---------------------------------------------------------------- land and truth


def test_parcels_rasterise_to_exactly_the_class_rasters(made: SimulatedCatalog) -> None:
    parcels = gpd.read_file(made.parcels)
    assert len(parcels) == made.n_parcels > 60
    assert parcels.geometry.is_valid.all()
    for year in (2021, 2022):
        with rasterio.open(made.truth / f"classes_{year}.tif") as raster:
            classes, transform = raster.read(1), raster.transform
            assert raster.colormap(1)[1110][:3] == (0xD8, 0xB5, 0x48)
        shapes = zip(parcels.geometry, parcels[f"crop_code_{year}"], strict=True)
        drawn = rasterize(shapes, out_shape=classes.shape, transform=transform, dtype="uint16")
        np.testing.assert_array_equal(drawn, classes)
    assert (parcels["crop_code"] == parcels["crop_code_2022"]).all()
    with rasterio.open(made.truth / "parcels.tif") as raster:
        counts = np.bincount(raster.read(1).ravel())[1:]
    np.testing.assert_array_equal(counts, parcels["area_px"])
    assert counts.min() >= 24


def test_cube_of_the_area_lies_within_the_scenes_and_holds_every_parcel(made: SimulatedCatalog) -> None:
    cube, scenes = cube_grid(read_aoi(made.aoi), 10), home_tile(96).grid
    assert cube.crs == scenes.crs
    assert scenes.left < cube.left < cube.right < scenes.right
    assert scenes.bottom < cube.bottom < cube.top < scenes.top
    left, bottom, right, top = gpd.read_file(made.parcels).total_bounds
    assert cube.left <= left < right <= cube.right
    assert cube.bottom <= bottom < top <= cube.top


def test_change_raster_tells_what_happened_to_each_class(made: SimulatedCatalog) -> None:
    names = ("classes_2021", "classes_2022", "change")
    before, after, change = (rasterio.open(made.truth / f"{n}.tif").read(1).astype(int) for n in names)
    assert set(np.unique(change)) == {0, 1, 2, 3, 255}
    np.testing.assert_array_equal(change == 255, before == 0)
    np.testing.assert_array_equal(np.isin(change, (1, 2, 3)), before != after)
    arable = (1110, 1120, 1200, 1210, 8100)
    assert np.isin(before[change == 1], arable).all()
    assert not np.isin(before[change == 2], arable).any()
    assert np.isin(after[np.isin(change, (1, 2))], arable).all()
    assert set(before[change == 3]) == {9500}
    assert set(after[change == 3]) == {9590}


def test_a_clearing_shows_from_its_day_on(made: SimulatedCatalog) -> None:
    scene = land(0, 96)
    parcels = scene.parcels()
    felled = parcels[parcels["change_2022"] == 3].iloc[0]
    where = scene.mosaic.parcel == felled["parcel_id"]
    summers = [scene.reflectance(date(year, 7, 15))[:, where].mean(axis=1) for year in (2021, 2022)]
    swir, nir = DEFAULT_BANDS.index("B11"), DEFAULT_BANDS.index("B08")
    assert summers[1][swir] > 1.3 * summers[0][swir]
    assert summers[1][nir] < summers[0][nir]
    assert "2021-11-01" <= felled["changed_on_2022"] <= "2021-12-15"


def test_legend_names_every_code_and_pair(made: SimulatedCatalog) -> None:
    legend = json.loads((made.truth / "classes.json").read_text())
    codes = {c["code"] for c in legend["classes"]}
    assert set(gpd.read_file(made.parcels)["crop_code_2021"]) <= codes
    assert len(legend["time_pairs"]) == len(legend["texture_pairs"]) == 2
    assert {code for pair in legend["time_pairs"] + legend["texture_pairs"] for code in pair} <= codes
    assert all(c["colour"].startswith("#") for c in legend["classes"])


# ---------------------------------------------------------------- what is hard to tell apart


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_texture_leaves_every_parcel_mean_as_it_was(seed: int) -> None:
    scene = land(seed, 96)
    ids = scene.mosaic.parcel.ravel()
    for pattern in (scene.soil, *scene.patterns):
        assert np.abs(np.bincount(ids, pattern.ravel())[1:]).max() < 1e-3
    # Nothing is cut off at zero, which would move the means.
    assert scene.reflectance(date(2021, 7, 1))[:, scene.mosaic.parcel > 0].min() > 0


def test_orchards_share_a_histogram_and_not_an_arrangement() -> None:
    """Rows and clumps are the same values dealt out again: rows repeat every 30 m, clumps do not."""
    scene = land(0, 192)
    ids, pattern = scene.mosaic.parcel, scene.patterns[0]
    codes = scene.class_codes(0)
    spread, bending = {}, {}
    for code in (9310, 9320):
        here = [pattern[ids == i] for i in np.unique(ids[codes == code])]
        spread[code] = np.std(np.concatenate(here))
        inner = (codes == code) & (np.roll(ids, 3, 0) == ids) & (np.roll(ids, 3, 1) == ids)
        lagged = [
            (pattern * np.roll(pattern, shift, axis))[inner].mean() for shift, axis in ((3, 0), (3, 1))
        ]
        bending[code] = max(lagged) / spread[code] ** 2
    assert spread[9310] == pytest.approx(spread[9320], rel=0.05)
    assert bending[9310] > bending[9320] + 0.15


class Fields:
    """Parcel means of a land through its seasons, as a classifier would see them."""

    def __init__(self, seed: int) -> None:
        scene = land(seed, 336)
        rng = np.random.default_rng(seed)
        self.codes = scene.parcels()["crop_code"].to_numpy()
        self.series = np.stack(
            [self._means(scene, date(2021, 3, 5) + timedelta(15 * n), rng) for n in range(40)], axis=1
        )

    @staticmethod
    def _means(scene: Landscape, day: date, rng: np.random.Generator) -> np.ndarray:
        """(parcel, band) with the mixed pixels of the 20 m bands and what noise leaves in a mean."""
        seen = scene.reflectance(day)
        coarse = seen[TWENTY_METRES].reshape(len(TWENTY_METRES), 168, 2, 168, 2).mean(axis=(2, 4))
        seen[TWENTY_METRES] = coarse.repeat(2, axis=1).repeat(2, axis=2)
        ids = scene.mosaic.parcel.ravel()
        sums = np.stack([np.bincount(ids, band.ravel())[1:] for band in seen], axis=1)
        return sums / np.bincount(ids)[1:, None] + rng.normal(0, 0.0003, sums.shape)

    def forest_accuracy(self, pair: tuple[int, int], dates: slice = slice(None)) -> float:
        """Cross-validated accuracy of a random forest; chance is a half."""
        which = np.isin(self.codes, pair)
        x = self.series[which, dates].reshape(which.sum(), -1)
        forest = RandomForestClassifier(60, random_state=0, n_jobs=1)
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        return float(cross_val_score(forest, x, self.codes[which] == pair[0], cv=folds).mean())


@pytest.fixture(scope="module")
def fields() -> list[Fields]:
    return [Fields(seed) for seed in (0, 1)]


@pytest.mark.parametrize("pair", TEXTURE_PAIRS)
def test_texture_pair_is_chance_on_parcel_means(pair: tuple[int, int], fields: list[Fields]) -> None:
    assert np.mean([f.forest_accuracy(pair) for f in fields]) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("pair", TIME_PAIRS)
def test_time_pair_is_chance_on_one_date_and_clear_on_all(
    pair: tuple[int, int], fields: list[Fields]
) -> None:
    for n in range(0, 40, 8):
        one = np.mean([f.forest_accuracy(pair, slice(n, n + 1)) for f in fields])
        assert one == pytest.approx(0.5, abs=0.1)
    assert fields[0].forest_accuracy(pair) > 0.85


# ---------------------------------------------------------------- what goes wrong on request


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> SimulatedCatalog:
    """Split datastrips, wrong flags and snow."""
    out = tmp_path_factory.mktemp("odd") / "farm"
    return simulate_catalog(
        out, size_px=96, dates=40, split_strips=True, wrong_flags=True, snow=True, start=date(2021, 9, 1)
    )


@pytest.fixture(scope="module")
def odd_items(odd: SimulatedCatalog) -> list[pystac.Item]:
    return list(pystac.Catalog.from_file(str(odd.catalog)).get_items(recursive=True))


def test_halves_of_a_pass_overlap_and_together_miss_nothing(odd_items: list[pystac.Item]) -> None:
    by_take: dict[str, dict[str, list[pystac.Item]]] = defaultdict(lambda: defaultdict(list))
    for item in odd_items:
        take, _, baseline = item.properties["s2:datatake_id"].rpartition("_N")
        by_take[take][baseline].append(item)
    halved = [made for made in by_take.values() if any(len(both) == 2 for both in made.values())]
    assert len(halved) == 14
    assert max(len(made) for made in halved) == 2  # one of them was reprocessed
    for made in halved:
        strips = set()
        for both in made.values():
            north, south = sorted(both, key=lambda item: item.id)
            strips.add(tuple(_strip_start(item) for item in (north, south)))
            assert north.properties["s2:generation_time"] < south.properties["s2:generation_time"]
            upper, lower = (read(item, "red") > 0 for item in (north, south))
            for item, seen in ((north, upper), (south, lower)):
                scl = read(item, "scl") != 0
                np.testing.assert_array_equal(scl, seen.reshape(48, 2, 48, 2).all(axis=(1, 3)))
                nodata = item.properties["s2:nodata_pixel_percentage"]
                assert nodata == pytest.approx(100 * (1 - scl.mean()), abs=1e-4)
            assert not lower[0].any()
            assert not upper[-1].any()
            whole = upper | lower
            # What both miss lies beyond the swath, in the east.
            assert (np.diff(whole.astype(int), axis=1) <= 0).all()
            assert (upper & lower).any()
        assert len(strips) == 1
        ((first, second),) = strips
        assert first < second


def _strip_start(item: pystac.Item) -> str:
    return item.properties["s2:datastrip_id"].rpartition("_S")[2].rpartition("_N")[0]


def test_flags_are_wrong_where_the_truth_says_so(
    odd: SimulatedCatalog, odd_items: list[pystac.Item]
) -> None:
    offsets = json.loads((odd.truth / "offsets.json").read_text())
    assert offsets.keys() == {item.id for item in odd_items}
    states = defaultdict(set)
    for item in odd_items:
        states[radiometric_state(item)].add(offsets[item.id])
    # Only a denied removal after 04.00 may be a lie.
    assert states == {(False, False): {0}, (True, True): {0}, (True, False): {0, -1000}}
    for item in odd_items:
        darkest = np.quantile(read(item, "swir22")[read(item, "swir22") > 0], 0.01)
        if item.properties["eo:cloud_cover"] < 20:
            assert (darkest >= 1000) == (offsets[item.id] == -1000)


def test_snow_is_bright_classified_and_part_of_the_truth(
    odd: SimulatedCatalog, odd_items: list[pystac.Item]
) -> None:
    days = {d["date"]: d for d in json.loads((odd.truth / "dates.json").read_text())}
    white = {day for day, sky in days.items() if sky.get("snow_fraction", 0) > 0.5}
    assert white
    assert {day[5:7] for day in white} <= {"12", "01", "02"}
    told = {day_of(i): i.properties["s2:snow_ice_percentage"] for i in odd_items if "_0_L2A" in i.id}
    clear_white = [day for day in white if days[day]["clear_fraction"] > 0.9]
    assert all(told[day] > 20 for day in clear_white)
    for day in white:
        with rasterio.open(odd.truth / "reflectance" / f"{day}.tif") as raster:
            truth = dict(zip(raster.descriptions, raster.read() / 1e4 - 0.1, strict=True))
        assert np.median(truth["B03"]) > 0.4
        assert np.median(truth["B12"]) < 0.2


def test_extras_change_nothing_unless_asked_for(made: SimulatedCatalog, odd: SimulatedCatalog) -> None:
    extras = {"split_strips", "wrong_flags", "snow"}
    plain, asked = (json.loads((m.folder / "simulation.json").read_text()) for m in (made, odd))
    assert not extras & plain.keys()
    assert extras <= asked.keys()
    assert not (made.truth / "offsets.json").exists()
    told = (odd.folder / "README.md").read_text()
    for word in ("two datastrips", "offsets.json", "Snow lies"):
        assert word in told
        assert word not in (made.folder / "README.md").read_text()


def test_all_of_it_is_valid_stac(odd: SimulatedCatalog, odd_items: list[pystac.Item]) -> None:
    """Against the core schemas that pystac brings along; those of extensions lie on the network."""
    validate = JsonSchemaSTACValidator().validate_core
    catalog = pystac.Catalog.from_file(str(odd.catalog))
    (collection,) = catalog.get_children()
    objects = [catalog, collection, *odd_items]
    for one in objects:
        content = json.loads(Path(one.get_self_href()).read_text())
        assert validate(content, one.STAC_OBJECT_TYPE, "1.1.0")
    broken = json.loads(Path(odd_items[0].get_self_href()).read_text()) | {"bbox": "everywhere"}
    with pytest.raises(pystac.STACValidationError):
        validate(broken, pystac.STACObjectType.ITEM, "1.1.0")


# ---------------------------------------------------------------- what can go wrong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "the seed must be 0 or more, got -1"),
        ({"size_px": 100}, "multiple of 6 pixels"),
        ({"size_px": 60}, "from 96 to 1200, got 60"),
        ({"dates": 3}, "at least 16 dates, got 3"),
        ({"end": date(2021, 9, 1)}, "at least 425 days apart"),
        ({"end": date(2020, 1, 1)}, "at least 425 days apart"),
        ({"start": date(2010, 1, 1)}, "from 2017-07-01 to 2024-12-31"),
        ({"end": date(2030, 1, 1)}, "from 2017-07-01 to 2024-12-31"),
    ],
)
def test_bad_argument_says_what_must_hold(arguments: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=message):
        simulate_catalog(tmp_path / "farm", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_is_kept_unless_it_is_a_catalogue_and_may_go(tmp_path: Path) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(OutputExists, match="is not a simulated catalogue; choose another place"):
            simulate_catalog(precious, overwrite=overwrite)
    assert (precious / "chapter.txt").read_text() == "years of work"

    farm = tmp_path / "farm"
    simulate_catalog(farm, size_px=96, dates=16)
    with pytest.raises(OutputExists, match="replace it with --overwrite"):
        simulate_catalog(farm, size_px=96, dates=16)
    again = simulate_catalog(farm, seed=1, size_px=96, dates=16, overwrite=True)
    assert json.loads((farm / "simulation.json").read_text())["seed"] == 1
    assert again.catalog.is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["farm", "thesis"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), r"\(No space left on device\); make room"),
        (PermissionError(errno.EACCES, "Permission denied"), "no permission to write"),
    ],
)
def test_refused_write_leaves_nothing_behind(
    error: OSError, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def refuse(path: Path, data: bytes) -> int:
        if path.name == "B08.tif":
            raise error
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(OutputNotWritable, match=message):
        simulate_catalog(tmp_path / "farm", size_px=96, dates=16)
    assert list(tmp_path.iterdir()) == []


def test_parent_that_is_a_file_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(main, ["simulate", str(tmp_path / "file" / "farm")])
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "cannot write" in result.stderr


def test_command_writes_a_catalogue_and_says_where(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("sits-data")), "simulate", "farm", "--size", "96"]
    done = subprocess.run(
        [*command, "--dates", "16", "--json", "--split-strips", "--wrong-flags", "--snow"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    summary = json.loads(done.stdout)
    assert pystac.Catalog.from_file(str(tmp_path / summary["catalog"])).id == "sits-data-simulated"
    assert summary["dates"] == 16
    assert "16/16" in done.stderr
    extras = json.loads((tmp_path / "farm" / "simulation.json").read_text())
    assert (extras["split_strips"], extras["wrong_flags"], extras["snow"]) == (True, True, True)
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "--overwrite" in again.stderr
    usage = subprocess.run([*command, "--start", "May"], cwd=tmp_path, capture_output=True, check=False)
    assert usage.returncode == 2
