"""Derived cubes on disk: the same values as the functions in memory, the contract, no surprises."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import rasterio
import xarray as xr
import zarr
from made_up_cube import BANDS, DATES, write_cube

from sits_data import open_cube
from sits_data.aoi import read_aoi
from sits_data.build import build_cube
from sits_data.composite import Compositing, composite
from sits_data.cube import open_raw
from sits_data.derive import Indexing, Run, composite_cube, gapfill_cube, index_cube
from sits_data.describe import describe
from sits_data.errors import InvalidRequest, MissingArray, NotACube, OutputExists
from sits_data.gapfill import Filling, gapfill
from sits_data.grid import cube_grid
from sits_data.indices import indices
from sits_data.manifest import Chips, Recipe
from sits_data.plan import Request
from sits_data.plot import Look, plot
from sits_data.store import planarize


@pytest.fixture(scope="module")
def cube(simulated, tmp_path_factory):
    """A cube of the simulated catalogue; read only."""
    request = Request(
        catalog=str(simulated / "catalog.json"), collection="sentinel-2-l2a",
        start="2000-01-01", end="2100-01-01", bands=("B02", "B03", "B04", "B08"),
        grid=cube_grid(read_aoi(simulated / "aoi.geojson"), 10),
    )  # fmt: skip
    return build_cube(request, tmp_path_factory.mktemp("derived") / "field.zarr").path


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    """A made-up cube of four blocks, three of them slivers; read only."""
    path = tmp_path_factory.mktemp("blocks") / "made-up.zarr"
    write_cube(path)
    return path


def in_memory(path):
    """The made-up cube as a Dataset of numbers."""
    raw = open_raw(path)
    arrays = {name: (("time", "y", "x"), raw.read(name)) for name in ("scl", "qa")}
    arrays["reflectance"] = (("time", "band", "y", "x"), raw.read("reflectance"))
    days = np.array(DATES).astype("M8[D]").astype("M8[ns]")
    return xr.Dataset(arrays, {"time": days, "band": list(BANDS)})


def numbers_of(reflectance):
    return ((reflectance + 0.1) * 1e4).round().fillna(0).astype(np.uint16).values


@pytest.mark.parametrize("method", ["median", "medoid", "least-cloudy", "max-ndvi", "count"])
@pytest.mark.parametrize("mask", ["standard", "strict"])
def test_composite_on_disk_is_the_one_in_memory(method, mask, blocks, tmp_path):
    settings = Compositing("P20D", method)
    done = composite_cube(blocks, tmp_path / "c.zarr", settings=settings, mask=mask)
    expected = composite(in_memory(blocks), settings, mask=mask)
    made = zarr.open_group(done.path, mode="r")
    for name in ("count", "qa", *(["source"] if settings.picks else [])):
        assert np.array_equal(made[name][:], expected[name].values), name
    if method == "count":
        assert "reflectance" not in made
    else:
        assert np.array_equal(made["reflectance"][:], numbers_of(expected["reflectance"]))
    assert done.empty == (expected["count"] == 0).sum()
    assert done.pixels == expected["count"].size


@pytest.mark.parametrize("method", ["linear", "savgol", "whittaker"])
def test_gapfill_on_disk_is_the_one_in_memory(method, blocks, tmp_path):
    settings = Filling(method, max_gap_days=20, window_days=25)
    done = gapfill_cube(blocks, tmp_path / "g.zarr", settings=settings, run=Run(threads=3))
    expected = gapfill(in_memory(blocks), settings)
    made = zarr.open_group(done.path, mode="r")
    assert np.array_equal(made["reflectance"][:], numbers_of(expected["reflectance"]))
    for name in ("filled", "qa"):
        assert np.array_equal(made[name][:], expected[name].values), name
    assert (done.filled, done.empty) == (expected["filled"].sum(), (expected["qa"] == 1).sum())


@pytest.mark.parametrize("mask", ["standard", None])
def test_indices_on_disk_are_those_in_memory(mask, blocks, tmp_path):
    names = ["NDVI", "NDMI"]
    done = index_cube(blocks, tmp_path / "i.zarr", settings=Indexing(names, {}), mask=mask)
    expected = indices(in_memory(blocks), names, mask=mask)
    made = zarr.open_group(done.path, mode="r")
    for name in names:
        np.testing.assert_array_equal(made[name][:], expected[name].values)
        assert made[name].dtype == np.float32
    assert np.array_equal(made["qa"][:], open_raw(blocks).read("qa"))


def test_composite_is_a_cube_for_everyone(cube, tmp_path):
    path = composite_cube(cube, tmp_path / "monthly.zarr", settings=Compositing("P1M", "medoid")).path
    raw, source, opened = open_raw(path), open_raw(cube), open_cube(path)
    assert raw.geobox == source.geobox
    assert raw.bands == source.bands
    assert opened["reflectance"].dtype == np.float32
    assert (opened["reflectance"].isnull().all("band") == (opened["qa"] == 1)).all()
    assert opened["time"].dt.day.values.tolist() == [1] * len(raw.dates)
    assert (opened["time_bnds"][:-1, 1].values == opened["time"][1:].values).all()
    assert opened["observation"].values.tolist() == open_cube(cube)["time"].values.tolist()
    starts = opened["time_bnds"].values[opened["scene_time_index"].values]
    acquired = opened["scene_datetime"].values
    assert ((starts[:, 0] <= acquired) & (acquired < starts[:, 1])).all()
    assert raw.attributes["derived"] == {
        "from": "field.zarr", "method": "composite", "plan": source.attributes["plan"],
        "settings": {"period": "P1M", "method": "medoid", "mask": "standard"},
    }  # fmt: skip
    assert raw.attributes["plan"] != source.attributes["plan"]
    with rasterio.open(f'ZARR:"{path}":/reflectance:1:0') as raster:
        assert raster.crs == str(source.geobox.crs)
        assert raster.transform == source.geobox.transform
    assert describe(path).derived == raw.attributes["derived"]
    plot(path, tmp_path / "monthly.png", Look(dpi=50))
    assert planarize(path, tmp_path / "m.planar", recipe=Recipe(regions=Chips(size_px=16))).pixels > 0


def test_each_pixel_shows_the_date_that_source_names(cube, tmp_path):
    path = composite_cube(cube, tmp_path / "m.zarr", settings=Compositing("P3M", "max-ndvi")).path
    made, observed = zarr.open_group(path, mode="r"), open_raw(cube).read("reflectance")
    source = made["source"][:]
    rows, columns = np.indices(source.shape[1:])
    for period, shown in enumerate(source):
        expected = observed[shown, :, rows, columns].transpose(2, 0, 1) * (shown >= 0)
        assert np.array_equal(made["reflectance"][period], expected)


def test_gapfill_keeps_what_was_observed_and_its_source(cube, tmp_path):
    before = {file: file.stat().st_mtime_ns for file in cube.rglob("*")}
    path = gapfill_cube(cube, tmp_path / "g.zarr").path
    assert {file: file.stat().st_mtime_ns for file in cube.rglob("*")} == before
    made, source = open_raw(path), open_raw(cube)
    observed = (made.read("filled") == 0) & (made.read("qa") == 0)
    kept = np.broadcast_to(observed[:, None], made.array("reflectance").shape)
    assert np.array_equal(made.read("reflectance")[kept], source.read("reflectance")[kept])
    assert observed.sum() > 0.3 * observed.size
    assert np.array_equal(made.read("scene"), source.read("scene"))


def test_derived_cubes_can_be_derived_from(cube, tmp_path):
    monthly = composite_cube(cube, tmp_path / "m.zarr").path
    filled = gapfill_cube(monthly, tmp_path / "f.zarr").path
    index = index_cube(filled, tmp_path / "i.zarr", settings=Indexing(["NDVI"], {})).path
    record = json.loads((index / "zarr.json").read_text())["attributes"]["derived"]
    assert [record["method"], record["derived"]["method"]] == ["indices", "gapfill"]
    assert record["derived"]["derived"]["from"] == "field.zarr"
    assert (xr.open_zarr(index)["time_bnds"].values == xr.open_zarr(monthly)["time_bnds"].values).all()
    assert xr.open_zarr(index)["NDVI"].isnull().mean() < 0.05


def test_index_cube_has_a_grid_and_meanings(cube, tmp_path):
    path = index_cube(cube, tmp_path / "i.zarr", settings=Indexing(["evi"], {})).path
    with rasterio.open(f'ZARR:"{path}":/EVI:0') as raster:
        assert raster.crs == str(open_raw(cube).geobox.crs)
        assert raster.transform == open_raw(cube).geobox.transform
        assert raster.dtypes == ("float32",)
        assert np.isnan(raster.nodata)
    assert xr.open_zarr(path)["EVI"].attrs["bands"] == "N=B08 R=B04 B=B02"
    with pytest.raises(NotACube, match="derived values and no reflectance; open it with xarray"):
        open_cube(path)


def test_blocks_that_were_not_read_stay_so(tmp_path):
    path = tmp_path / "c.zarr"
    write_cube(path)
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"]["blocks"] = [[0, 0], [1, 1]]
    (path / "zarr.json").write_text(json.dumps(metadata))
    done = gapfill_cube(path, tmp_path / "g.zarr")
    assert done.units == 2
    assert done.pixels == len(DATES) * (512 * 512 + 8 * 18)
    assert (open_raw(done.path).read("qa")[:, 512:, :512] == 128).all()


def test_threads_do_not_change_a_byte(blocks, tmp_path):
    for threads in (1, 4):
        composite_cube(blocks, tmp_path / f"{threads}.zarr", run=Run(threads=threads))
    one, four = (
        {
            f.relative_to(tmp_path / name): f.read_bytes()
            for f in (tmp_path / name).rglob("*")
            if f.is_file()
        }
        for name in ("1.zarr", "4.zarr")
    )
    assert one == four


def test_failed_run_is_continued_by_the_same_work_only(blocks, tmp_path, monkeypatch):
    out, calls = tmp_path / "c.zarr", []
    real = composite_cube.__globals__["compose"]

    def failing(*arguments, **more):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(*arguments, **more)

    monkeypatch.setitem(composite_cube.__globals__, "compose", failing)
    one = Run(threads=1)
    with pytest.raises(KeyboardInterrupt):
        composite_cube(blocks, out, run=one)
    assert not out.exists()
    done = composite_cube(blocks, out, run=one)
    assert 4 <= done.resumed < done.units == 8
    fresh = composite_cube(blocks, tmp_path / "fresh.zarr", run=one)
    for file in (one for one in fresh.path.rglob("*") if one.is_file()):
        assert file.read_bytes() == (out / file.relative_to(fresh.path)).read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_killed_run_is_continued(cube, tmp_path):
    command = [sys.executable, "-m", "sits_data.cli", "indices", str(cube), "--index", "NDVI"]
    command[1:3] = [
        "-c",
        "import sys; from sits_data.cli import main; sys.argv[0] = 'sits-data'; main()",
    ]
    command += ["--out", "i.zarr", "--threads", "1"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        log = tmp_path / ".i.zarr.partial/log"
        while process.poll() is None and not (log.is_file() and log.read_text().count("\n") > 2):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    killed = log.is_file()
    done = index_cube(
        cube, tmp_path / "i.zarr", settings=Indexing(["NDVI"], {}), run=Run(overwrite=True)
    )
    assert (done.resumed > 1) == killed
    fresh = index_cube(cube, tmp_path / "fresh.zarr", settings=Indexing(["NDVI"], {}))
    assert np.array_equal(
        zarr.open_group(done.path)["NDVI"][:], zarr.open_group(fresh.path)["NDVI"][:], equal_nan=True
    )


def test_only_derived_cubes_are_replaced(blocks, cube, tmp_path):
    out = tmp_path / "m.zarr"
    composite_cube(blocks, out)
    with pytest.raises(OutputExists, match="replace it with --overwrite"):
        composite_cube(blocks, out)
    composite_cube(blocks, out, settings=Compositing("P1Y"), run=Run(overwrite=True))
    assert len(open_raw(out).dates) == 1
    with pytest.raises(OutputExists, match="is not a derived cube"):
        composite_cube(blocks, cube, run=Run(overwrite=True))
    with pytest.raises(InvalidRequest, match="is the source itself, which is never changed"):
        gapfill_cube(out, out, run=Run(overwrite=True))


def test_strict_needs_scl(cube, tmp_path):
    path = composite_cube(cube, tmp_path / "m.zarr").path
    for derive in (composite_cube, gapfill_cube):
        with pytest.raises(MissingArray, match="no array scl; derived cubes have none, use the mask"):
            derive(path, tmp_path / "x.zarr", mask="strict")
    with pytest.raises(MissingArray, match="no array scl"):
        planarize(path, tmp_path / "p", recipe=Recipe(regions=Chips(size_px=16), mask="strict"))
    with pytest.raises(MissingArray, match="no array scl"):
        describe(path, mask="strict")
    assert not (tmp_path / "x.zarr").exists()


def test_commands(cube, sits_data, tmp_path):
    done = sits_data("composite", cube, "--period", "dekad", "--method", "least-cloudy", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["cube"] == "field-dekad.zarr"
    assert summary["arrays"] == ["count", "qa", "reflectance", "source"]
    assert 0 < summary["empty_pct"] < 100
    done = sits_data("gapfill", cube, "--method", "whittaker", "--keep-observed", "--max-gap", 90)
    assert done.returncode == 0, done.stderr
    assert "filled pct" in done.stdout
    assert "derive" in done.stderr
    assert (
        "SAVI"
        in sits_data("indices", "field-filled.zarr", "--index", "savi", "--constant", "L=0.5").stdout
    )
    made = xr.open_zarr(tmp_path / "field-filled-indices.zarr")
    assert made["SAVI"].attrs["constants"] == "L=0.5"
    assert "field.zarr by gapfill (method whittaker" in sits_data("info", "field-filled.zarr").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["composite", "{cube}", "--period", "monthly"], 1, "a period is one of P1M"),
        (["composite", "{cube}", "--method", "mean"], 2, "'mean' is not one of"),
        (["composite", "nowhere.zarr"], 1, "nowhere.zarr is not a cube"),
        (["composite", "{cube}", "--out", "{cube}", "--overwrite"], 1, "is the source itself"),
        (["gapfill", "{cube}", "--max-gap", "0"], 1, "at least 1 day, got 0"),
        (["gapfill", "{cube}", "--window", "30"], 2, "--window is for --method savgol, not linear"),
        (["gapfill", "{cube}", "--out", "."], 1, "is not a derived cube"),
        (["indices", "{cube}", "--index", "NDVY"], 1, "did you mean"),
        (["indices", "{cube}", "--index", "NDMI"], 1, "the cube lacks B11; build one with --bands B02"),
        (["indices", "{cube}", "--index", ","], 1, "at least one index"),
        (["indices", "{cube}", "--index", "EVI", "--constant", "L"], 2, "constants are such as L=0.5"),
    ],
)
def test_bad_input_is_one_clear_line(arguments, code, says, cube, sits_data, tmp_path):
    done = sits_data(*(one.format(cube=cube) for one in arguments))
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert code == 2 or len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.glob("*.zarr"))
