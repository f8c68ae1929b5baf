"""Two loaders, the same pixels: on the cube's own zone to the bit, on another within rounding."""

import importlib.util
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from tiny_catalogue import GRID, daily, request, write_catalogue, write_raster

from sits_data.build import BuildOptions, build_cube
from sits_data.errors import InvalidRequest
from sits_data.grid import cube_grid
from sits_data.loaders import check_loader, warp
from sits_data.rasters import CLASSES, GDAL_OPTIONS, REFLECTANCE, RasterReader

needs_stackstac = pytest.mark.skipif(
    importlib.util.find_spec("stackstac") is None, reason="the extra stackstac is not installed"
)


@needs_stackstac
def test_loaders_give_the_same_cube(tmp_path: Path) -> None:
    catalog = write_catalogue(tmp_path / "catalogue", daily(3))
    cubes = [
        build_cube(
            request(catalog, bands=("B04", "B11")),
            tmp_path / f"{loader}.zarr",
            options=BuildOptions(loader=loader),
        ).path
        for loader in ("odc", "stackstac")
    ]
    one, other = (
        {str(p.relative_to(cube)): p.read_bytes() for p in cube.rglob("*") if p.is_file()}
        for cube in cubes
    )
    assert one == other


@needs_stackstac
@pytest.mark.parametrize("shift", [(0, 0), (3, 5), (-4, 2), (7, -6), (500, 0)])
def test_own_pixels_are_those_of_both_loaders(shift: tuple[int, int], tmp_path: Path) -> None:
    """On its own pixels a raster is read without a loader; windows lie in, across, outside it."""
    values = np.random.default_rng(0).integers(1, 9000, GRID.shape).astype(np.uint16)
    path = str(tmp_path / "red.tif")
    write_raster(Path(path), values, GRID, 10)
    geobox = GRID.geobox.translate_pix(shift[1], shift[0])
    own, odc, stackstac = (np.zeros(GRID.shape, np.uint16) for _ in range(3))
    RasterReader().read(path, [(geobox, own)], load=REFLECTANCE)
    warp(path, (geobox, odc), loader="odc", load=REFLECTANCE, options=GDAL_OPTIONS)
    RasterReader(loader="stackstac").read(path, [(geobox, stackstac)], load=REFLECTANCE)
    assert np.array_equal(own, odc)
    assert np.array_equal(own, stackstac)
    assert own.any() == (shift[0] < 500)


@needs_stackstac
def test_loaders_agree_in_another_zone(tmp_path: Path) -> None:
    outline = gpd.GeoDataFrame(geometry=[GRID.geobox.extent.geom.buffer(300)], crs=GRID.crs)
    there = cube_grid(outline, 10, "EPSG:32632")
    rows, cols = there.shape
    slope = (1000 + 7 * np.arange(rows)[:, None] + 5 * np.arange(cols)).astype(np.uint16)
    land = (slope % 11).astype(np.uint8)
    write_raster(tmp_path / "red.tif", slope, there, 10)
    write_raster(tmp_path / "scl.tif", land, there, 10)
    reds, classes = [], []
    for loader in ("odc", "stackstac"):
        reader = RasterReader(loader=loader)
        reds.append(np.zeros(GRID.shape, np.uint16))
        reader.read(str(tmp_path / "red.tif"), [(GRID.geobox, reds[-1])], load=REFLECTANCE)
        classes.append(np.zeros(GRID.shape, np.uint8))
        reader.read(str(tmp_path / "scl.tif"), [(GRID.geobox, classes[-1])], load=CLASSES)
    assert (reds[0] > 0).all()
    assert np.abs(reds[0].astype(int) - reds[1]).max() <= 2
    assert (classes[0] == classes[1]).mean() > 0.98


@needs_stackstac
def test_stackstac_raises_where_it_would_make_holes(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="none"):
        RasterReader(loader="stackstac", tries=1).read(
            str(tmp_path / "none.tif"),
            [(GRID.geobox, np.zeros(GRID.shape, np.uint16))],
            load=REFLECTANCE,
        )


def test_loader_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "stackstac", None)
    with pytest.raises(InvalidRequest, match=r"sits-data\[stackstac\]"):
        check_loader("stackstac")
    check_loader("odc")
