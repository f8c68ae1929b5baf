from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from tiny_catalogue import Product, daily, request, write_catalogue

from sits_data import open_cube
from sits_data.build import BuildOptions, build_cube
from sits_data.cube import open_raw
from sits_data.errors import InvalidRequest, NotACube, UnreadableSource
from sits_data.ledger import state_folder
from sits_data.status import cube_status
from sits_data.update import NEXT, update_cube
from sits_data.verify import verify_cube

FIRST_END = date(2020, 1, 3)


def files(cube: Path) -> dict[str, bytes]:
    return {str(p.relative_to(cube)): p.read_bytes() for p in cube.rglob("*") if p.is_file()}


def chunk_times(cube: Path) -> dict[str, tuple[int, int]]:
    names = ("reflectance", "scl", "qa")
    chunks = [p for name in names for p in (cube / name / "c").rglob("*") if p.is_file()]
    return {str(p.relative_to(cube)): (p.stat().st_mtime_ns, p.stat().st_ino) for p in chunks}


def first(folder: Path, products: list[Product]) -> Path:
    """The cube of the first three days; its catalogue has all."""
    catalog = write_catalogue(folder / "catalogue", products)
    return build_cube(request(catalog, end=FIRST_END), folder / "c.zarr").path


def test_longer_cube_is_the_one_that_is_built_at_once(tmp_path: Path) -> None:
    out = first(tmp_path, daily(6))
    before = chunk_times(out)
    result = update_cube(out, end=date(2020, 1, 5))
    assert [day.day for day in result.added] == [4, 5]
    catalog = tmp_path / "catalogue/catalog.json"
    at_once = build_cube(request(catalog, end=date(2020, 1, 5)), tmp_path / "whole.zarr")
    assert files(out) == files(at_once.path)
    after = chunk_times(out)
    assert {name: after[name] for name in before} == before
    assert result.plan.hash == at_once.plan.hash
    assert cube_status(out).progress == "complete"
    assert not verify_cube(out).damaged
    assert not (state_folder(out) / NEXT).exists()
    assert build_cube(request(catalog, end=date(2020, 1, 5)), out).resumed == 5


def test_open_readers_see_what_they_opened(tmp_path: Path) -> None:
    out = first(tmp_path, daily(5))
    old, raw = open_cube(out), xr.open_zarr(out)
    values = old["reflectance"].values.copy()
    update_cube(out, end=date(2020, 1, 5))
    assert np.array_equal(old["reflectance"].values, values, equal_nan=True)
    assert old["time"].size == raw["time"].size == 3
    assert [str(id_) for id_ in raw["scene"].values] == [str(id_) for id_ in old["scene"].values]
    assert open_cube(out)["time"].size == 5
    assert open_cube(out)["scene"].size == 5


def test_interrupted_update_leaves_the_cube_and_goes_on(tmp_path: Path) -> None:
    products = daily(5)
    out = first(tmp_path, products)
    before = files(out)
    raster = tmp_path / "catalogue/items" / products[4].id / "B11.tif"
    good = raster.read_bytes()
    raster.write_bytes(good[:100])
    with pytest.raises(UnreadableSource) as caught:
        update_cube(out, end=date(2020, 1, 5), options=BuildOptions(threads=1))
    assert caught.value.exit_code == 4
    assert len(open_raw(out).dates) == 3
    assert {name: data for name, data in files(out).items() if name in before} == before
    raster.write_bytes(good)
    assert len(update_cube(out, end=date(2020, 1, 5)).added) == 2
    whole = build_cube(
        request(tmp_path / "catalogue/catalog.json", end=date(2020, 1, 5)), tmp_path / "whole.zarr"
    )
    assert files(out) == files(whole.path)


def test_update_that_was_cut_off_at_its_last_step(tmp_path: Path) -> None:
    out = first(tmp_path, daily(5))
    old = (state_folder(out) / "plan.json").read_bytes()
    update_cube(out, end=date(2020, 1, 4))
    (state_folder(out) / "plan.json").rename(state_folder(out) / NEXT)
    (state_folder(out) / "plan.json").write_bytes(old)
    assert [day.day for day in update_cube(out, end=date(2020, 1, 5)).added] == [5]
    assert len(open_raw(out).dates) == 5


def test_scenes_that_come_late_are_reported(tmp_path: Path) -> None:
    out = first(tmp_path, daily(2))
    late = Product(id="late", when="2020-01-01T10:50:00Z", properties={"grid:code": "MGRS-31UFR"})
    again = Product(id="again", when="2020-01-02T10:50:00Z", baseline="02.14")
    write_catalogue(tmp_path / "catalogue", [*daily(4), late, again])
    result = update_cube(out, end=date(2020, 1, 4))
    assert sorted(result.late) == ["again", "late"]
    assert [day.day for day in result.added] == [3, 4]
    reasons = {one.id: one.reason for one in result.plan.dropped}
    assert reasons["late"] == "came after its day was built"


def test_second_scene_of_a_day_makes_a_scene_index_for_all(tmp_path: Path) -> None:
    twin = Product(id="twin", when="2020-01-04T10:50:14Z", properties={"grid:code": "MGRS-31UFR"})
    out = first(tmp_path, [*daily(4), twin])
    assert "scene_index" not in open_raw(out).group
    before = chunk_times(out)
    update_cube(out, end=date(2020, 1, 4))
    catalog = tmp_path / "catalogue/catalog.json"
    whole = build_cube(request(catalog, end=date(2020, 1, 4)), tmp_path / "whole.zarr").path
    assert files(out) == files(whole)
    assert {name: chunk_times(out)[name] for name in before} == before
    assert not verify_cube(out).damaged


def test_nothing_new_changes_nothing(tmp_path: Path) -> None:
    out = first(tmp_path, daily(3))
    before = files(out)
    assert update_cube(out, end=date(2020, 6, 30)).added == ()
    assert files(out) == before
    assert not (state_folder(out) / NEXT).exists()


def test_same_update_again_tries_what_could_not_be_read(tmp_path: Path) -> None:
    products = daily(5)
    out = first(tmp_path, products)
    raster = tmp_path / "catalogue/items" / products[4].id / "B11.tif"
    good = raster.read_bytes()
    raster.write_bytes(good[:100])
    skip = BuildOptions(on_error="skip")
    for _ in range(2):
        result = update_cube(out, end=date(2020, 1, 5), options=skip)
        assert [row.unit.time for row in result.failed] == [4]
        assert open_raw(out).attributes["units_failed"] == 1
    raster.write_bytes(good)
    assert not update_cube(out, end=date(2020, 1, 5), options=skip).failed
    before = files(out)
    assert update_cube(out, end=date(2020, 1, 5)).added == ()
    assert files(out) == before
    catalog = tmp_path / "catalogue/catalog.json"
    whole = build_cube(request(catalog, end=date(2020, 1, 5)), tmp_path / "whole.zarr")
    assert files(out) == files(whole.path)


def test_bad_updates_say_what_to_do(tmp_path: Path) -> None:
    out = first(tmp_path, daily(3))
    with pytest.raises(InvalidRequest, match="no earlier --end"):
        update_cube(out, end=date(2020, 1, 2))
    with pytest.raises(NotACube, match="not a cube"):
        update_cube(tmp_path / "none.zarr", end=date(2020, 1, 5))
    (state_folder(out) / "plan.json").unlink()
    with pytest.raises(NotACube, match="bring it back"):
        update_cube(out, end=date(2020, 1, 5))
