"""Units whose bands are not read, days that are left out: both by what is clear."""

from pathlib import Path

import numpy as np
import pytest
from tiny_catalogue import GRID, Product, daily, request, write_catalogue

from sits_data.aoi import Feature
from sits_data.build import BuildOptions, build_cube
from sits_data.cube import open_raw
from sits_data.errors import EmptySearch
from sits_data.grid import Grid
from sits_data.status import cube_status

WIDE = Grid(crs="EPSG:32631", resolution_m=10, left=600000, bottom=5633640, right=606600, top=5640000)


def classes(value: int, grid: Grid = GRID, **parts: tuple[slice, slice, int]) -> np.ndarray:
    scl = np.full(((grid.top - grid.bottom) // 20, (grid.right - grid.left) // 20), value, np.uint8)
    for rows, cols, other in parts.values():
        scl[rows, cols] = other
    return scl


def cloudy_left(grid: Grid) -> np.ndarray:
    return classes(4, grid, cloud=(slice(None), slice(0, 256), 9))


def test_bands_of_cloudy_units_are_not_read(tmp_path: Path) -> None:
    products = [
        Product(id="a", grid=WIDE, when="2020-01-01T10:50:00Z", values={"scl": classes(4, WIDE)}),
        Product(id="b", grid=WIDE, when="2020-01-02T10:50:00Z", values={"scl": cloudy_left(WIDE)}),
    ]
    catalog = write_catalogue(tmp_path / "catalogue", products)
    whole = build_cube(request(catalog, WIDE), tmp_path / "whole.zarr").path
    result = build_cube(
        request(catalog, WIDE), tmp_path / "c.zarr", options=BuildOptions(skip_below=0.05)
    )
    assert (result.units, result.unread, len(result.failed)) == (8, 2, 0)
    cube, all_of_it = open_raw(result.path), open_raw(whole)
    assert not (result.path / "reflectance/c/1/0/0/0").exists()
    assert (cube.read("reflectance", 1)[:, :, :512] == 0).all()
    assert (cube.read("qa", 1)[:, :512] == 128 + 2).all()
    assert np.array_equal(cube.read("scl"), all_of_it.read("scl"))
    assert np.array_equal(
        cube.read("reflectance", 1)[:, :, 512:], all_of_it.read("reflectance", 1)[:, :, 512:]
    )
    assert np.array_equal(cube.read("qa", 1)[:, 512:], all_of_it.read("qa", 1)[:, 512:])
    assert cube_status(result.path).exit_code == 0


def test_looser_mask_says_what_must_be_read_and_reads_it(tmp_path: Path) -> None:
    cirrus = Product(values={"scl": classes(10)})
    catalog = write_catalogue(tmp_path / "catalogue", [cirrus])
    out = tmp_path / "c.zarr"
    strict = BuildOptions(skip_below=0.5)
    assert build_cube(request(catalog), out, options=strict).unread == 1
    assert cube_status(out, mask="standard", skip_below=0.5).worth_reading == 0
    assert cube_status(out, mask="permissive", skip_below=0.5).worth_reading == 1
    assert build_cube(request(catalog), out, options=strict).resumed == 1
    loose = BuildOptions(skip_below=0.5, mask="permissive")
    read = build_cube(request(catalog), out, options=loose)
    assert (read.unread, read.resumed) == (0, 0)
    whole = build_cube(request(catalog), tmp_path / "whole.zarr").path
    for name in ("reflectance/c/0/0/0/0", "qa/c/0/0/0", "scl/c/0/0/0", "zarr.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_nothing_is_skipped_unless_asked(tmp_path: Path) -> None:
    catalog = write_catalogue(tmp_path / "catalogue", [Product(values={"scl": classes(9)})])
    assert build_cube(request(catalog), tmp_path / "c.zarr").unread == 0


def test_days_with_too_little_clear_over_the_area_are_left_out(tmp_path: Path) -> None:
    """The area is the right half of the grid: its clear fraction counts, and not the grid's."""
    import geopandas as gpd
    import shapely

    half = shapely.box(GRID.left + 60, GRID.bottom, GRID.right, GRID.top)
    wkt = gpd.GeoSeries([half], crs=GRID.crs).to_crs("EPSG:4326").iloc[0].wkt
    left, right = (slice(None), slice(0, 3), 9), (slice(None), slice(3, 6), 9)
    shown = [classes(4, left=left), classes(4, right=right), classes(9)]
    products = [
        Product(**vars(one) | {"values": {"scl": scl}}) for one, scl in zip(daily(3), shown, strict=True)
    ]
    catalog = write_catalogue(tmp_path / "catalogue", products)
    wanted = request(catalog, features=(Feature(id=0, wkt=wkt),), min_clear=0.8)
    plan = build_cube(wanted, tmp_path / "c.zarr").plan
    assert [day.day.day for day in plan.days] == [1]
    reasons = {one.id: one.reason for one in plan.dropped}
    assert set(reasons) == {products[1].id, products[2].id}
    assert reasons[products[2].id] == "0.0 % of the area is clear"
    only = write_catalogue(tmp_path / "overcast", products[2:])
    with pytest.raises(EmptySearch, match="--min-clear"):
        build_cube(request(only, min_clear=0.5), tmp_path / "none.zarr")
