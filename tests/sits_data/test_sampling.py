from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tiny_catalogue import GRID, native_m, native_shape, write_raster

from sits_data.access import Access
from sits_data.errors import UnreadableSource
from sits_data.grid import Grid
from sits_data.rasters import RasterReader
from sits_data.sampling import SIDE_PX, sample_geobox, sample_pixels
from sits_data.scenes import Scene

READER = RasterReader()
WIDE = GRID.model_copy(update={"right": GRID.left + 4800, "bottom": GRID.top - 4800})


def write_scene(folder: Path, grid: Grid, **values: np.ndarray) -> Scene:
    for key, numbers in values.items():
        write_raster(folder / f"{key}.tif", numbers, grid, native_m(key))
    return Scene(
        id="x", datetime=datetime(2022, 2, 1, tzinfo=UTC), crs=grid.crs, version=(), offset_dn=0,
        hrefs={key: str(folder / f"{key}.tif") for key in values}, offset_source="test", acquisition="x",
    )  # fmt: skip


def plain(grid: Grid, red: int, swir: int, scl: int) -> dict[str, np.ndarray]:
    values = {"B04": red, "B12": swir, "scl": scl}
    types = {"scl": np.uint8}
    return {k: np.full(native_shape(grid, k), v, types.get(k, np.uint16)) for k, v in values.items()}


def test_sample_is_the_nearest_of_the_scenes_own_numbers(tmp_path: Path) -> None:
    rows, columns = np.indices(native_shape(WIDE, "B04"))
    numbers = plain(WIDE, 0, 77, 4) | {"B04": (1 + 500 * (rows // 4) + columns // 4).astype("u2")}
    sample = sample_pixels(write_scene(tmp_path, WIDE, **numbers), WIDE, ("B04", "B12"), reader=READER)
    assert (sample.bands, sample.dn.shape) == (("B04", "B12"), (2, SIDE_PX, SIDE_PX))
    inside = sample.scl != 0
    assert inside.sum() == 120 * 120  # 40 m on 4.8 km
    seen = sample.dn[0][inside].reshape(120, 120).astype(int)
    assert np.array_equal(np.diff(seen, axis=1), np.ones((120, 119)))
    assert np.array_equal(np.diff(seen, axis=0), np.full((119, 120), 500))
    assert (sample.dn[1][inside] == 77).all()
    assert not sample.dn[:, ~inside].any()


def test_surroundings_of_a_small_field_are_seen_and_large_grids_stay_small() -> None:
    around = sample_geobox(GRID)
    assert (around.shape, around.resolution.x) == ((256, 256), 40)
    assert around.boundingbox.left < GRID.left - 4000
    large = GRID.model_copy(update={"right": GRID.left + 108_000, "bottom": GRID.top - 60_000})
    box = sample_geobox(large)
    assert box.shape == (256, 256)
    assert (box.boundingbox.left, box.boundingbox.right) == (large.left, large.right)


def test_scene_of_another_zone_lies_on_the_same_sample(tmp_path: Path) -> None:
    edges = {"left": 170_040, "right": 189_960, "bottom": 5_640_000, "top": 5_659_980}
    there = Grid(crs="EPSG:32632", resolution_m=10, **edges)
    sample = sample_pixels(
        write_scene(tmp_path, there, **plain(there, 5, 6, 4)), WIDE, ("B04", "B12"), reader=READER
    )
    inside = sample.scl != 0
    assert inside.any()
    assert (sample.dn[0][inside] == 5).all()
    assert not sample.dn[:, ~inside].any()


def test_addresses_are_reached_as_the_catalogue_says(tmp_path: Path) -> None:
    scene = write_scene(tmp_path, WIDE, **plain(WIDE, 5, 6, 4))
    unsigned = scene.model_copy(update={"hrefs": {k: f"cloud:{h}" for k, h in scene.hrefs.items()}})

    class Signing(Access, frozen=True):
        def readable(self, href: str) -> str:
            return href.removeprefix("cloud:")

    reader = RasterReader(access=Signing())
    sample = sample_pixels(unsigned, WIDE, ("B04",), reader=reader)
    assert (sample.dn.max(), sample.scl.max()) == (5, 4)


@pytest.mark.parametrize("size", [0, 200, 2000])
def test_what_cannot_be_read_is_named(size: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(1, 9000, native_shape(WIDE, "B04"), dtype=np.uint16)
    scene = write_scene(tmp_path, WIDE, **plain(WIDE, 5, 6, 4) | {"B04": noise})
    path = Path(scene.hrefs["B04"])
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UnreadableSource, match=r"cannot read .*B04\.tif \(.+\).* run the same"):
        sample_pixels(scene, WIDE, ("B04",), reader=READER)
    path.unlink()
    with pytest.raises(UnreadableSource, match="B04"):
        sample_pixels(scene, WIDE, ("B04",), reader=READER)
