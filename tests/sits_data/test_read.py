from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny_catalogue import GRID, native_m, native_shape, repeated, shifted, write_raster

from sits_data.errors import UnreadableSource
from sits_data.grid import Grid, Window, cube_grid
from sits_data.mask import Refinement
from sits_data.read import DayWindow, read_day
from sits_data.scenes import Scene

WHOLE = Window(0, 0, *GRID.shape)


def dn_arrays(key: str, high: int = 65535) -> st.SearchStrategy[np.ndarray]:
    """Native numbers of a band, with many that matter: 0, 1, and the ends of the range."""
    special = st.sampled_from([0, 1, 2, 999, 1000, 9000, high - 1001, high - 1000, high])
    return arrays(np.uint16, native_shape(GRID, key), elements=special | st.integers(0, high))


def write_scene(folder: Path, grid: Grid = GRID, offset_dn: int = 0, **values: np.ndarray) -> Scene:
    """A scene of rasters with these native numbers."""
    folder.mkdir(exist_ok=True)
    for key, numbers in values.items():
        write_raster(folder / f"{key}.tif", numbers, grid, native_m(key))
    return Scene(
        id=folder.name, datetime=datetime(2020, 1, 1, tzinfo=UTC), crs=grid.crs, version=("", "", ""),
        hrefs={key: str(folder / f"{key}.tif") for key in values}, offset_dn=offset_dn,
        offset_source="test", acquisition=folder.name,
    )  # fmt: skip


def classes(value: int = 4, grid: Grid = GRID) -> np.ndarray:
    return np.full(native_shape(grid, "scl"), value, np.uint8)


def read(scene: Scene | list[Scene], *bands: str, grid: Grid = GRID, **options: Any) -> DayWindow:
    scenes = scene if isinstance(scene, list) else [scene]
    window = options.pop("window", Window(0, 0, *grid.shape))
    return read_day(scenes, grid, window, bands, **options)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("read")


@settings(max_examples=25, deadline=None)
@given(
    red=dn_arrays("B04"),
    swir=dn_arrays("B11"),
    scl=arrays(np.uint8, (9, 6), elements=st.integers(0, 11)),
)
def test_values_are_moved_and_repeated(
    folder: Path, red: np.ndarray, swir: np.ndarray, scl: np.ndarray
) -> None:
    scene = write_scene(folder / "a", B04=red, B11=swir, scl=scl)
    got = read(scene, "B11", "B04")
    assert np.array_equal(got.reflectance[0], repeated(shifted(swir), 2))
    assert np.array_equal(got.reflectance[1], shifted(red))
    assert np.array_equal(got.scl, repeated(scl, 2))
    seen = (got.reflectance != 0).any(0) | (got.scl != 0)
    assert np.array_equal(got.scene, np.where(seen, 0, -1))


@settings(max_examples=10, deadline=None)
@given(red=dn_arrays("B04"))
def test_numbers_with_the_offset_stay(folder: Path, red: np.ndarray) -> None:
    scene = write_scene(folder / "a", offset_dn=-1000, B04=red, scl=classes())
    assert np.array_equal(read(scene, "B04").reflectance[0], red)


@settings(max_examples=25, deadline=None)
@given(red=dn_arrays("B04"))
def test_20_m_pixels_are_means_of_the_valid(folder: Path, red: np.ndarray) -> None:
    scene = write_scene(folder / "a", offset_dn=-1000, B04=red, scl=classes())
    got = read(scene, "B04", grid=GRID.model_copy(update={"resolution_m": 20})).reflectance[0]
    for (y, x), value in np.ndenumerate(got):
        valid = [int(v) for v in red[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].ravel() if v]
        half_up = (2 * sum(valid) + len(valid)) // (2 * len(valid)) if valid else 0
        assert value == half_up


def test_means_by_hand(folder: Path) -> None:
    red = np.zeros((18, 12), np.uint16)
    red[:2, :2] = [[10, 11], [11, 12]]
    red[:2, 2:4] = [[10, 0], [0, 11]]
    red[:2, 4:6] = [[1, 1], [2, 0]]
    scene = write_scene(folder / "a", B04=red, scl=classes())
    got = read(scene, "B04", grid=GRID.model_copy(update={"resolution_m": 20})).reflectance[0]
    assert got[0, :4].tolist() == [1011, 1011, 1001, 0]


def test_60_m_grid_and_60_m_band(folder: Path) -> None:
    coarse = GRID.model_copy(update={"resolution_m": 60})
    aerosol = np.arange(6, dtype=np.uint16).reshape(3, 2)
    scl = np.arange(54, dtype=np.uint8).reshape(9, 6) % 12
    swir = np.arange(1, 55, dtype=np.uint16).reshape(9, 6)
    scene = write_scene(folder / "a", B01=aerosol, B11=swir, scl=scl)
    assert np.array_equal(read(scene, "B01").reflectance[0], repeated(shifted(aerosol), 6))
    got = read(scene, "B01", "B11", grid=coarse)
    assert np.array_equal(got.reflectance[0], shifted(aerosol))
    assert np.array_equal(got.reflectance[1], shifted(swir)[1::3, 1::3])
    assert np.array_equal(got.scl, scl[1::3, 1::3])


@given(st.integers(0, 17), st.integers(0, 11), st.data())
@settings(max_examples=30, deadline=None)
def test_a_window_is_a_part_of_the_whole(folder: Path, y: int, x: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(0)
    numbers = {k: rng.integers(0, 9000, native_shape(GRID, k), np.uint16) for k in ("B01", "B04", "B11")}
    scl = rng.integers(0, 12, (9, 6), np.uint8)
    scene = write_scene(folder / "window", **numbers, scl=scl)
    whole = read(scene, *numbers, refinement=Refinement(dilate_m=40))
    height, width = data.draw(st.integers(1, 18 - y)), data.draw(st.integers(1, 12 - x))
    part = read(scene, *numbers, refinement=Refinement(dilate_m=40), window=Window(y, x, height, width))
    rows, cols = slice(y, y + height), slice(x, x + width)
    assert np.array_equal(part.reflectance, whole.reflectance[:, rows, cols])
    for name in ("scl", "qa", "scene"):
        assert np.array_equal(getattr(part, name), getattr(whole, name)[rows, cols])


def test_first_scene_that_saw_a_pixel_gives_all_of_it(folder: Path) -> None:
    left, right = np.full((18, 12), 100, np.uint16), np.full((18, 12), 200, np.uint16)
    left_scl, right_scl = classes(4), classes(9)
    left[:, 6:], left_scl[:, 3:] = 0, 0  # the swath ends
    left[0, 0] = 0  # one band lacks a pixel that the scene saw
    right[:, :2], right_scl[:, :1] = 0, 0
    left[17, 8:10] = 7  # beyond the classes but measured
    scenes = [
        write_scene(folder / "left", B04=left, scl=left_scl),
        write_scene(folder / "right", B04=right, scl=right_scl),
    ]
    got = read(scenes, "B04")
    expected = np.where(np.arange(12) < 6, 1100, 1200) * np.ones((18, 1), int)
    expected[0, 0], expected[17, 8:10] = 0, 1007
    assert got.reflectance[0].tolist() == expected.tolist()
    owner = np.where(np.arange(12) < 6, 0, 1) * np.ones((18, 1), int)
    owner[17, 8:10] = 0
    assert got.scene.tolist() == owner.tolist()
    assert got.scl[0].tolist() == [4] * 6 + [9] * 6
    assert got.scl[17, 8:10].tolist() == [0, 0]


def test_what_no_scene_saw_is_nothing(folder: Path) -> None:
    half = GRID.model_copy(update={"right": 600060})
    scene = write_scene(folder / "half", half, B04=np.full((18, 6), 5, np.uint16), scl=classes(6, half))
    got = read(scene, "B04")
    assert got.reflectance[0, 0].tolist() == [1005] * 6 + [0] * 6
    assert got.scl[0].tolist() == [6] * 6 + [0] * 6
    assert got.scene[0].tolist() == [0] * 6 + [-1] * 6


def test_what_neither_scene_saw_is_nothing(folder: Path) -> None:
    red, scl = np.full((18, 12), 5, np.uint16), classes()
    red[4:6, 4:6], scl[2, 2] = 0, 0
    scenes = [write_scene(folder / name, B04=red, scl=scl) for name in ("one", "other")]
    got = read(scenes, "B04")
    assert np.argwhere(got.scene == -1).tolist() == [[4, 4], [4, 5], [5, 4], [5, 5]]
    assert got.scene.max() == 0


def plane(grid: Grid, step: int, crs: str) -> np.ndarray:
    """A slope of half a DN a metre, as the pixel centres of a grid see it, defined in one CRS."""
    rows, cols = (grid.top - grid.bottom) // step, (grid.right - grid.left) // step
    x, y = np.meshgrid(
        grid.left + step * (np.arange(cols) + 0.5), grid.top - step * (np.arange(rows) + 0.5)
    )
    x, y = pyproj.Transformer.from_crs(grid.crs, crs, always_xy=True).transform(x, y)
    return np.round(3000 + 0.5 * (x - GRID.left) - 0.5 * (y - GRID.bottom)).astype(np.uint16)


@pytest.mark.parametrize(("band", "step"), [("B04", 10), ("B11", 20)])
def test_other_zone_is_warped(band: str, step: int, folder: Path) -> None:
    import geopandas as gpd

    outline = gpd.GeoDataFrame(geometry=[GRID.geobox.extent.geom.buffer(200)], crs=GRID.crs)
    there = cube_grid(outline, 10, "EPSG:32632")
    numbers = plane(there, step, GRID.crs)
    scene = write_scene(folder / band, there, **{band: numbers}, scl=classes(5, there))
    got = read(scene, band)
    expected = repeated(shifted(plane(GRID, step, GRID.crs)), step // 10)
    assert np.abs(got.reflectance[0].astype(int) - expected).max() <= 2
    assert (got.scl == 5).all()


def test_dilation_looks_beyond_the_window(folder: Path) -> None:
    scl = classes(4)
    scl[4, 3] = 9
    scene = write_scene(folder / "a", B04=np.ones((18, 12), np.uint16), scl=scl)
    near = Refinement(dilate_m=20)
    whole = read(scene, "B04", refinement=near).qa == 32
    assert whole.sum() == 4 * 4
    assert not whole[8:10, 6:8].any()
    part = read(scene, "B04", refinement=near, window=Window(0, 0, 8, 12)).qa == 32
    assert np.array_equal(part, whole[:8])
    assert part.sum() == 4


@pytest.mark.parametrize("size", [0, 4, 100, 400, 600])
def test_cut_off_raster_is_unreadable(size: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    scene = write_scene(tmp_path / "a", B04=rng.integers(1, 65535, (18, 12), np.uint16), scl=classes())
    path = Path(scene.hrefs["B04"])
    assert path.stat().st_size > 600
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UnreadableSource, match=r"B04\.tif"):
        read(scene, "B04")


@pytest.mark.parametrize("zone", ["EPSG:32631", "EPSG:32632"])
def test_what_a_part_shows_does_not_depend_on_others(zone: str, tmp_path: Path) -> None:
    """Warped pixels, repeated ones, and clouds that reach beyond a part."""
    grid = Grid(
        crs="EPSG:32631", resolution_m=10, left=600000, bottom=5630040, right=609000, top=5640000
    )
    outline = gpd.GeoDataFrame(geometry=[grid.geobox.extent.geom.buffer(-900)], crs=grid.crs)
    there = cube_grid(outline, 10, zone)
    rng = np.random.default_rng(0)
    bands = {
        key: rng.integers(1, 9000, native_shape(there, key)).astype(np.uint16)
        for key in ("B01", "B04", "B11")
    }
    scl = rng.choice([4, 4, 4, 8], native_shape(there, "scl")).astype(np.uint8)
    scenes = [
        write_scene(tmp_path / "first", there, **bands, scl=scl * (np.arange(scl.shape[1]) % 90 < 60)),
        write_scene(tmp_path / "other", there, **bands, scl=scl),
    ]
    parts = [Window(y, x, min(512, 996 - y), min(512, 900 - x)) for y in (0, 512) for x in (0, 512)]
    options: dict[str, Any] = {"refinement": Refinement(dilate_m=60)}
    together = read(scenes, *bands, grid=grid, parts=parts[1:], **options)
    assert not together.scl[:512, :512].any()
    for part in parts[1:]:
        alone = read(scenes, *bands, grid=grid, window=part, **options)
        there_in = slice(part.y, part.y + part.height), slice(part.x, part.x + part.width)
        assert np.array_equal(together.reflectance[:, *there_in], alone.reflectance)
        for one, other in ((together.scl, alone.scl), (together.qa, alone.qa)):
            assert np.array_equal(one[there_in], other)
        assert np.array_equal(together.scene[there_in], alone.scene)
        assert alone.reflectance.any()
