import json
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import zarr
from tiny_catalogue import GRID, Product, daily, repeated, request, shifted, write_catalogue

from sits_data.build import BuildOptions, BuildResult, build_cube
from sits_data.cube import open_raw
from sits_data.errors import (
    IncompleteCube,
    MissingBand,
    NotACube,
    OutputExists,
    UnknownRadiometry,
    UnreadableSource,
)
from sits_data.grid import Grid
from sits_data.ledger import open_ledger, state_folder
from sits_data.mask import Refinement, qa_from_scl

WIDE = Grid(crs="EPSG:32631", resolution_m=10, left=600000, bottom=5633640, right=606600, top=5640000)
"""636 rows and 660 columns: 2 x 2 blocks."""


def build(folder: Path, products: list[Product], grid: Grid = GRID, **fields: object) -> BuildResult:
    catalog = write_catalogue(folder / "catalogue", products)
    return build_cube(request(catalog, grid, **fields), folder / "c.zarr")


def chunks(cube: Path) -> dict[str, bytes]:
    return {str(p.relative_to(cube)): p.read_bytes() for p in cube.rglob("*") if p.is_file()}


def test_every_value_is_the_rasters(tmp_path: Path) -> None:
    products = daily(3)
    result = build(tmp_path, products)
    cube = open_raw(result.path)
    assert cube.dates.tolist() == [18262, 18263, 18264]
    for index, product in enumerate(products):
        red, swir = cube.read("reflectance", index)
        scl = repeated(product.array("scl"), 2)
        assert np.array_equal(red, shifted(product.array("B04")))
        assert np.array_equal(swir, repeated(shifted(product.array("B11")), 2))
        assert np.array_equal(cube.read("scl", index), scl)
        assert np.array_equal(cube.read("qa", index), qa_from_scl(scl))
    assert (result.units, result.resumed) == (3, 0)
    written = [result.path.glob(f"{name}/c/**/*") for name in ("reflectance", "scl", "qa")]
    sizes = [path.stat().st_size for paths in written for path in paths if path.is_file()]
    assert result.bytes_on_disk == sum(sizes)
    assert len(sizes) == 9


def test_both_radiometric_eras_meet_in_one_convention(tmp_path: Path) -> None:
    truth = np.full((18, 12), 2345, np.uint16)
    truth[0] = [0, 1, 1000, 64535, 64536, 65535, 2, 3, 4, 5, 6, 7]
    before, applied, raw = (
        Product(id="a", when="2020-01-01T10:50:00Z", values={"B04": truth}),
        Product(
            id="b",
            when="2020-01-02T10:50:00Z",
            values={"B04": truth},
            baseline="05.00",
            offset_applied=True,
        ),
        Product(id="c", when="2020-01-03T10:50:00Z", values={"B04": shifted(truth)}, baseline="05.00"),
    )
    cube = open_raw(build(tmp_path, [before, applied, raw]).path)
    days = cube.read("reflectance")[:, 0]
    assert days[0, 0].tolist() == [0, 1001, 2000, 65535, 65535, 65535, *range(1002, 1008)]
    assert (days == days[0]).all()
    assert cube.read("scene_offset_dn").tolist() == [0, 0, -1000]


def test_blocks_at_the_edges_hold_what_is_there(tmp_path: Path) -> None:
    products = daily(2, grid=WIDE)
    result = build(tmp_path, products, WIDE, refinement=Refinement(dilate_m=60))
    cube = open_raw(result.path)
    assert result.units == 2 * 4
    assert cube.array("reflectance").shape == (2, 2, 636, 660)
    for index, product in enumerate(products):
        assert np.array_equal(cube.read("reflectance", index)[0], shifted(product.array("B04")))
        assert np.array_equal(cube.read("scl", index), repeated(product.array("scl"), 2))


def test_two_scenes_a_day_are_one_date(tmp_path: Path) -> None:
    red = np.full((18, 12), 100, np.uint16)
    west, east = red.copy(), 2 * red
    west[:, 8:], east[:, :4] = 0, 0
    half = np.full((9, 6), 4, np.uint8)
    west_scl, east_scl = half.copy(), half + 1
    west_scl[:, 4:], east_scl[:, :2] = 0, 0
    swir = np.full((9, 6), 50, np.uint16)
    scenes = [
        Product(id="alone", when="2020-01-01T10:50:00Z", values={"B04": red, "B11": swir, "scl": half}),
        Product(
            id="west", when="2020-01-02T10:50:00Z",
            values={"B04": west, "B11": np.where(west[::2, ::2], swir, 0).astype("u2"), "scl": west_scl},
            properties={"s2:nodata_pixel_percentage": 33},
        ),
        Product(
            id="east", when="2020-01-02T10:50:14Z",
            values={"B04": east, "B11": np.where(east[::2, ::2], swir, 0).astype("u2"), "scl": east_scl},
            properties={"s2:nodata_pixel_percentage": 34, "grid:code": "MGRS-31UFR"},
        ),
    ]  # fmt: skip
    cube = open_raw(build(tmp_path, scenes).path)
    assert cube.array("reflectance").shape[0] == 2
    assert cube.read("scene").tolist() == ["alone", "west", "east"]
    assert cube.read("scene_time_index").tolist() == [0, 1, 1]
    assert (cube.read("scene_index", 0) == 0).all()
    assert cube.read("scene_index", 1)[0].tolist() == [1] * 8 + [2] * 4
    assert cube.read("reflectance", 1)[0, 0].tolist() == [1100] * 8 + [1200] * 4
    assert cube.read("scl", 1)[0].tolist() == [4] * 8 + [5] * 4


def test_partial_swath_is_no_data(tmp_path: Path) -> None:
    half = GRID.model_copy(update={"right": 600060})
    cube = open_raw(build(tmp_path, [Product(grid=half)]).path)
    assert (cube.read("reflectance")[..., 6:] == 0).all()
    assert (cube.read("reflectance")[..., :6] != 0).all()
    assert (cube.read("qa")[..., 6:] == 1).all()


def test_duplicates_are_dropped_and_reported(tmp_path: Path) -> None:
    twins = [Product(id="old", baseline="02.13"), Product(id="new", baseline="02.14")]
    result = build(tmp_path, twins)
    assert [d.id for d in result.plan.dropped] == ["old"]
    red = open_raw(result.path).read("reflectance", 0)[0]
    assert np.array_equal(red, shifted(twins[1].array("B04")))


def test_threads_do_not_change_a_byte(tmp_path: Path) -> None:
    catalog = write_catalogue(tmp_path / "catalogue", daily(5))
    for threads in (1, 4):
        build_cube(request(catalog), tmp_path / f"{threads}.zarr", options=BuildOptions(threads=threads))
    assert chunks(tmp_path / "1.zarr") == chunks(tmp_path / "4.zarr")


def test_build_goes_on_where_it_stopped(tmp_path: Path) -> None:
    products = daily(4)
    catalog = write_catalogue(tmp_path / "catalogue", products)
    build_cube(request(catalog), tmp_path / "whole.zarr")
    raster = tmp_path / "catalogue/items" / products[3].id / "B11.tif"
    whole = raster.read_bytes()
    raster.write_bytes(whole[:200])
    with pytest.raises(UnreadableSource):
        build_cube(request(catalog), tmp_path / "c.zarr", options=BuildOptions(threads=1))
    with pytest.raises(IncompleteCube):
        open_raw(tmp_path / "c.zarr")
    unfinished = open_raw(tmp_path / "c.zarr", allow_incomplete=True)
    assert (unfinished.read("qa", 3) == 128).all()
    raster.write_bytes(whole)
    result = build_cube(request(catalog), tmp_path / "c.zarr")
    assert (result.units, result.resumed) == (4, 3)
    assert chunks(tmp_path / "c.zarr") == chunks(tmp_path / "whole.zarr")


def test_torn_ledger_line_is_done_again(tmp_path: Path) -> None:
    out = build(tmp_path, daily(3)).path
    before = chunks(out)
    ledger = state_folder(out) / "ledger.jsonl"
    ledger.write_text(ledger.read_text()[:-9])
    metadata = json.loads((out / "zarr.json").read_text())
    metadata["attributes"]["status"] = "building"
    (out / "zarr.json").write_text(json.dumps(metadata))
    result = build_cube(request(tmp_path / "catalogue/catalog.json"), out)
    assert (result.units, result.resumed) == (3, 2)
    assert chunks(out) == before


def test_frozen_plan_is_not_asked_for_again(tmp_path: Path) -> None:
    out = build(tmp_path, daily(3)).path
    (tmp_path / "catalogue/catalog.json").unlink()
    assert build_cube(request(tmp_path / "catalogue/catalog.json"), out).resumed == 3


def test_another_process_is_building(tmp_path: Path) -> None:
    """Also before its plan is written: the one that is refused leaves everything as it is."""
    out = tmp_path / "c.zarr"
    catalog = write_catalogue(tmp_path / "catalogue", daily(1))
    state_folder(out).mkdir()
    with open_ledger(state_folder(out) / "ledger.jsonl"):
        with pytest.raises(OutputExists, match="another process"):
            build_cube(request(catalog), out)
        assert (state_folder(out) / "ledger.jsonl").exists()
    assert build_cube(request(catalog), out).units == 1


def test_other_request_needs_overwrite(tmp_path: Path) -> None:
    out = build(tmp_path, daily(2)).path
    other = request(tmp_path / "catalogue/catalog.json", end=date(2020, 1, 1))
    with pytest.raises(OutputExists, match="--overwrite"):
        build_cube(other, out)
    assert build_cube(other, out, overwrite=True).units == 1
    assert len(open_raw(out).dates) == 1


def test_linked_cube_goes_on_and_is_not_replaced(tmp_path: Path) -> None:
    target = build(tmp_path, daily(2)).path
    link = tmp_path / "link.zarr"
    link.symlink_to(target)
    state_folder(link).symlink_to(state_folder(target))
    same, before = request(tmp_path / "catalogue/catalog.json"), chunks(target)
    assert build_cube(same, link).resumed == 2
    with pytest.raises(OutputExists, match="is a link"):
        build_cube(same, link, overwrite=True)
    assert chunks(target) == before


def test_cube_of_another_plan_needs_overwrite(tmp_path: Path) -> None:
    """Somebody put another cube in the place of the one that plan and ledger belong to."""
    out = build(tmp_path, daily(2)).path
    shutil.rmtree(out)
    catalog = write_catalogue(tmp_path / "catalogue", daily(3))
    build_cube(request(catalog), tmp_path / "other.zarr").path.rename(out)
    with pytest.raises(OutputExists, match="--overwrite"):
        build_cube(request(catalog), out)


def test_day_is_that_of_the_place(tmp_path: Path) -> None:
    sydney = GRID.model_copy(update={"crs": "EPSG:32756", "bottom": 6239820, "top": 6240000})
    late = Product(grid=sydney, when="2020-01-15T23:55:00Z")
    assert [str(day.day) for day in build(tmp_path, [late], sydney).plan.days] == ["2020-01-16"]


@pytest.mark.parametrize("lost", ["plan.json", "."])
def test_cube_without_its_plan_needs_overwrite(lost: str, tmp_path: Path) -> None:
    out = build(tmp_path, daily(2)).path
    target = state_folder(out) / lost
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    same = request(tmp_path / "catalogue/catalog.json")
    with pytest.raises(OutputExists, match="--overwrite"):
        build_cube(same, out)
    assert build_cube(same, out, overwrite=True).resumed == 0


def test_plan_of_another_version_needs_overwrite(tmp_path: Path) -> None:
    out = build(tmp_path, daily(1)).path
    (state_folder(out) / "plan.json").write_text("{}")
    same = request(tmp_path / "catalogue/catalog.json")
    with pytest.raises(NotACube, match="--overwrite"):
        build_cube(same, out)
    assert build_cube(same, out, overwrite=True).units == 1


def test_nothing_is_made_when_planning_fails(tmp_path: Path) -> None:
    with pytest.raises(MissingBand):
        build(tmp_path, daily(1), bands=("B02",))
    assert [path.name for path in tmp_path.iterdir()] == ["catalogue"]


def test_unknown_offset_can_be_given(tmp_path: Path) -> None:
    unknown = Product(baseline=None, offset_applied=None)
    with pytest.raises(UnknownRadiometry, match="--assume-offset"):
        build(tmp_path, [unknown])
    result = build(tmp_path, [unknown], assume_offset_dn=-1000)
    cube = open_raw(result.path)
    assert np.array_equal(cube.read("reflectance", 0)[0], unknown.array("B04"))
    assert cube.read("scene_offset_source").tolist() == ["user"]


def test_dilation_is_a_bit_and_not_a_value(tmp_path: Path) -> None:
    scl = np.full((9, 6), 4, np.uint8)
    scl[4, 3] = 9
    product = Product(values={"scl": scl})
    cube = open_raw(build(tmp_path, [product], refinement=Refinement(dilate_m=20)).path)
    qa = cube.read("qa", 0)[::2, ::2]
    assert qa[4, 3] == 2
    assert [qa[3, 3], qa[5, 3], qa[4, 2], qa[4, 4]] == [32] * 4
    assert qa.sum() == 2 + 4 * 32
    assert np.array_equal(cube.read("scl", 0), repeated(scl, 2))
    assert np.array_equal(cube.read("reflectance", 0)[0], shifted(product.array("B04")))


def test_empty_block_is_written_too(tmp_path: Path) -> None:
    """What was read and found empty is no data, not *not read*."""
    nothing = {
        "B04": np.zeros((18, 12), "u2"),
        "B11": np.zeros((9, 6), "u2"),
        "scl": np.zeros((9, 6), "u1"),
    }
    out = build(tmp_path, [Product(values=nothing)]).path
    assert (zarr.open_group(out, mode="r")["qa"][:] == 1).all()


def test_lost_chunk_is_built_again(tmp_path: Path) -> None:
    before = build(tmp_path, daily(3))
    whole = chunks(before.path)
    (before.path / "qa/c/1/0/0").unlink()
    again = build_cube(before.plan.request, before.path)
    assert (again.units, again.resumed) == (3, 2)
    assert chunks(again.path) == whole


def test_overwrite_goes_on_with_an_interrupted_run_of_the_same_request(tmp_path: Path) -> None:
    products = daily(3)
    catalog = write_catalogue(tmp_path / "catalogue", products)
    raster = next((tmp_path / "catalogue").rglob(f"{products[2].id}/B11.tif"))
    good = raster.read_bytes()
    raster.write_bytes(good[:100])
    with pytest.raises(UnreadableSource):
        build_cube(request(catalog), tmp_path / "c.zarr", options=BuildOptions(threads=1))
    raster.write_bytes(good)
    again = build_cube(request(catalog), tmp_path / "c.zarr", overwrite=True)
    assert (again.units, again.resumed) == (3, 2)
    anew = build_cube(request(catalog), tmp_path / "c.zarr", overwrite=True)
    assert (anew.units, anew.resumed) == (3, 0)
