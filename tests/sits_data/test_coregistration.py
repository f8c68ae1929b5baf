"""Shifts of dates: planted and found again, stored, drawn, corrected."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from made_up_cube import write_cube
from planted import plant

from sits_data.aoi import read_aoi
from sits_data.build import build_cube
from sits_data.coregistration import (
    Shifts,
    correct_cube,
    measure_shifts,
    shifts_folder,
    write_shifts,
)
from sits_data.coregistration.windows import MAX_CHUNKS, MAX_WINDOWS, choose_windows
from sits_data.cube import open_cube, open_raw
from sits_data.errors import InvalidRequest, OutputExists
from sits_data.grid import cube_grid
from sits_data.plan import Request
from sits_data.shifts import nearest, resample
from sits_data.simulate import simulate_catalog


def simulated_cube(folder: Path, seed: int) -> Path:
    """A cube of 24 simulated dates, cloudy ones among them, of the four sharp bands and a 20 m one."""
    land = simulate_catalog(folder / "land", seed=seed, size_px=150, dates=24).folder
    request = Request(
        catalog=str(land / "catalog.json"),
        collection="sentinel-2-l2a",
        start=date(2021, 3, 1),
        end=date(2022, 10, 31),
        bands=("B02", "B03", "B04", "B08", "B11"),
        grid=cube_grid(read_aoi(land / "aoi.geojson"), 10),
    )
    return build_cube(request, folder / "sim.zarr").path


def planted_cube(folder: Path, seed: int) -> tuple[Path, np.ndarray]:
    """A simulated cube with its dates moved by up to 1.5 pixels down and right, and by how much."""
    truth = np.random.default_rng(seed).uniform(-1.5, 1.5, (24, 2))
    return plant(simulated_cube(folder, seed), folder / "moved.zarr", truth), truth


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return planted_cube(tmp_path_factory.mktemp("planted"), seed=0)


@pytest.fixture(scope="module")
def shifts(planted) -> Shifts:
    return measure_shifts(open_raw(planted[0]))


def in_pixels(shifts: Shifts) -> np.ndarray:
    """(T, 2), down and right."""
    return shifts.shift_m[:, ::-1] * [-1, 1] / shifts.resolution_m


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_shifts_are_found_to_a_fifth_of_a_pixel(seed, planted, tmp_path):
    path, truth = planted_cube(tmp_path, seed) if seed else planted
    shifts = measure_shifts(open_raw(path))
    ok = shifts.measured
    assert ok.sum() >= 8
    error = in_pixels(shifts)[ok] - (truth - np.median(truth[ok], axis=0))[ok]
    assert np.abs(error).max() < 0.2
    assert np.sqrt((error**2).mean()) < 0.1
    assert shifts.reference == f"median position of the {ok.sum()} measured dates"
    np.testing.assert_allclose(np.median(shifts.shift_m[ok], axis=0), 0, atol=1e-9)


def test_a_named_reference_lies_at_zero(planted, shifts):
    path, truth = planted
    chosen = int(np.flatnonzero(shifts.measured)[np.argmax(shifts.clear[shifts.measured])])
    day = shifts.dates[chosen].astype("datetime64[D]").item()
    found = measure_shifts(open_raw(path), reference=day)
    assert found.reference == found.seed == str(day)
    assert found.shift_m[chosen].tolist() == [0, 0]
    error = in_pixels(found) - (truth - truth[chosen])
    assert np.abs(error[found.measured]).max() < 0.2


def test_cloudy_dates_are_counted_and_not_guessed(planted, shifts):
    clear = open_raw(planted[0]).clear_fraction("standard")
    assert not shifts.measured[clear < 0.2].any()
    assert np.isnan(shifts.shift_m[~shifts.measured]).all()
    assert (shifts.clear[clear < 0.2] == 0).all()
    assert (shifts.windows + shifts.weak + shifts.flat <= shifts.clear).all()


def test_threads_do_not_change_a_bit(planted, shifts):
    again = measure_shifts(open_raw(planted[0]), threads=3)
    np.testing.assert_array_equal(again.shift_m, shifts.shift_m)


def test_corrected_dates_lie_on_each_other(planted, shifts, tmp_path):
    path, _ = planted
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    done = correct_cube(open_raw(path), shifts, tmp_path / "c.zarr")
    assert before == {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    assert done.moved + done.kept + done.unmeasured == 24
    assert done.unmeasured == (~shifts.measured).sum()
    again = measure_shifts(open_raw(done.path))
    both = shifts.measured & again.measured
    assert both.sum() >= shifts.measured.sum() - 1
    assert np.abs(in_pixels(again)[both]).max() < 0.2
    assert np.abs(in_pixels(shifts)[both]).max() > 0.8


def test_dates_that_cannot_be_measured_are_copied(planted, shifts, tmp_path):
    path, _ = planted
    correct_cube(open_raw(path), shifts, tmp_path / "c.zarr")
    source, corrected = open_raw(path), open_raw(tmp_path / "c.zarr")
    for name in ("reflectance", "scl", "qa"):
        for time in np.flatnonzero(~shifts.measured):
            np.testing.assert_array_equal(corrected.read(name, int(time)), source.read(name, int(time)))


def made_up_shifts(cube: Path, east_north_m: list[tuple[float, float]]) -> Shifts:
    raw = open_raw(cube)
    count = np.ones(len(raw.dates), np.int32)
    shift = np.array(east_north_m)
    return Shifts(
        cube=cube.name, plan=raw.attributes["plan"], dates=raw.dates, shift_m=shift,
        spread_m=np.zeros_like(shift), windows=count, clear=count, weak=0 * count, flat=0 * count,
        reference="x", seed="x", window_px=64, resolution_m=10, mask="standard",
    )  # fmt: skip


@pytest.fixture
def made_up(tmp_path):
    return tmp_path / "m.zarr", write_cube(tmp_path / "m.zarr")


def test_correcting_goes_across_chunks(made_up, tmp_path):
    cube, arrays = made_up
    shifts = made_up_shifts(cube, [(13, -27), (0.5, 0), (np.nan, np.nan), (-10, 0)])
    done = correct_cube(open_raw(cube), shifts, tmp_path / "c.zarr")
    assert (done.moved, done.kept, done.unmeasured) == (2, 1, 1)
    corrected = open_raw(done.path)
    shift = (2.7, 1.3)
    dn = arrays["reflectance"][0]
    values, valid = resample(dn.astype(float), dn > 0, shift)
    expected = np.where(valid, values.round().clip(1, 65535), 0)
    np.testing.assert_array_equal(corrected.read("reflectance", 0), expected)
    np.testing.assert_array_equal(corrected.read("scl", 0), nearest(arrays["scl"][0], shift, fill=0))
    np.testing.assert_array_equal(corrected.read("qa", 0), nearest(arrays["qa"][0], shift, fill=1))
    # A whole pixel is moved, not mixed: content 10 m too far west comes from one column further west.
    np.testing.assert_array_equal(
        corrected.read("reflectance", 3)[..., 1:], arrays["reflectance"][3][..., :-1]
    )
    for time in (1, 2):
        np.testing.assert_array_equal(corrected.read("reflectance", time), arrays["reflectance"][time])


def test_shifts_are_read_by_plain_xarray(planted, shifts):
    path, _ = planted
    write_shifts(shifts, path)
    stored = xr.open_zarr(write_shifts(shifts, path))
    np.testing.assert_array_equal(stored["shift_m"].sel(axis="north"), shifts.shift_m[:, 1])
    cube = xr.open_zarr(path)
    np.testing.assert_array_equal(stored["time"], cube["time"])
    assert cube.assign(shift_m=stored["shift_m"])["shift_m"].dims == ("time", "axis")
    assert stored.attrs["reference"] == shifts.reference
    assert [one.name for one in shifts_folder(path).parent.iterdir()] == ["shifts.zarr"]


def test_windows_are_bounded_and_keep_to_chunks(made_up):
    cube = open_raw(made_up[0])
    windows = choose_windows(cube)
    assert len(windows) == MAX_WINDOWS
    assert len({(one.y // 512, one.x // 512) for one in windows}) <= MAX_CHUNKS
    for one in windows:
        assert one.y // 512 == (one.y + one.height - 1) // 512
        assert one.x // 512 == (one.x + one.width - 1) // 512
        assert one.y + one.height <= cube.geobox.shape[0]
        assert one.x + one.width <= cube.geobox.shape[1]


def test_bad_requests_say_what_to_do(planted, shifts, made_up, tiny, tmp_path):
    path, _ = planted
    raw = open_raw(path)
    cloudiest = shifts.dates[np.argmin(shifts.clear)].astype("datetime64[D]").item()
    for reference, says in (
        (date(1999, 1, 1), "has no date 1999-01-01; the clearest are 202"),
        (cloudiest, f"{cloudiest} has 0; the clearest dates are"),
    ):
        with pytest.raises(InvalidRequest, match=says):
            measure_shifts(raw, reference=reference)
    with pytest.raises(InvalidRequest, match=r"the shifts are of moved\.zarr, not of"):
        correct_cube(open_raw(made_up[0]), shifts, tmp_path / "c.zarr")
    with pytest.raises(InvalidRequest, match="never corrected in place"):
        correct_cube(raw, shifts, path, overwrite=True)
    done = correct_cube(raw, shifts, tmp_path / "c.zarr")
    with pytest.raises(OutputExists, match="--overwrite"):
        correct_cube(raw, shifts, done.path)
    with pytest.raises(InvalidRequest, match=r"corrected already.*\(moved.zarr\)"):
        correct_cube(open_raw(done.path), measure_shifts(open_raw(done.path)), tmp_path / "d.zarr")


def test_a_cube_without_sharp_bands_or_room_is_refused(simulated, tmp_path):
    request = Request(
        catalog=str(simulated / "catalog.json"), collection="sentinel-2-l2a", start=date(2021, 3, 1),
        end=date(2022, 10, 31), bands=("B11",), grid=cube_grid(read_aoi(simulated / "aoi.geojson"), 10),
    )  # fmt: skip
    with pytest.raises(InvalidRequest, match=r"only coarser bands \(B11\).*one of B02, B03, B04, B08"):
        measure_shifts(open_raw(build_cube(request, tmp_path / "b11.zarr").path))
    grid = request.grid
    small = grid.model_copy(update={"right": grid.left + 300, "bottom": grid.top - 300})
    tiny = request.model_copy(update={"grid": small})
    with pytest.raises(InvalidRequest, match="30 x 30 pixels have room for 0 windows of 32 px"):
        measure_shifts(open_raw(build_cube(tiny, tmp_path / "tiny.zarr").path))


def test_command_measures_draws_and_corrects(planted, sits_data, tmp_path):
    path, _ = planted
    run = sits_data("coregister", path, "--correct", "--out", "c.zarr", "--json")
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["measured"] + result["not_measured"] == len(result["dates"]) == 24
    assert result["moved"] > 0
    assert Path(result["picture"]).read_bytes()[:4] == b"\x89PNG"
    row = max(result["dates"], key=lambda one: one["windows"])
    cube = open_cube(tmp_path / "c.zarr")
    assert float(cube["shift_m"].sel(time=row["date"], axis="east")) == pytest.approx(
        row["east_m"], abs=0.01
    )
    assert cube.attrs["derived"]["from"] == "moved.zarr"
    assert xr.open_zarr(tmp_path / "c.zarr")["shift_corrected"].dtype == bool
    text = sits_data("coregister", path)
    assert text.returncode == 0, text.stderr
    assert f"{row['date']}  {row['east_m']:+6.1f} ±" in text.stdout
    assert "dates without a clear window" in text.stdout


def test_out_without_correct_is_a_usage_error(planted, sits_data):
    run = sits_data("coregister", planted[0], "--out", "c.zarr")
    assert run.returncode == 2
    assert "add --correct" in run.stderr


@pytest.mark.real
def test_real_dates_lie_on_each_other_once_corrected(real, tmp_path):
    land = real / "flanders-2019"
    request = Request(
        catalog=str(land / "catalog.json"), collection="sentinel-2-l2a", start=date(2018, 8, 1),
        end=date(2019, 11, 30), bands=("B02", "B03", "B04", "B08"),
        grid=cube_grid(read_aoi(land / "aoi.geojson"), 10),
    )  # fmt: skip
    raw = open_raw(build_cube(request, tmp_path / "f.zarr").path)
    shifts = measure_shifts(raw)
    assert shifts.measured.sum() >= 33
    assert np.nanstd(shifts.shift_m, axis=0).max() > 3
    again = measure_shifts(open_raw(correct_cube(raw, shifts, tmp_path / "c.zarr").path))
    assert again.measured.sum() >= 33
    assert np.nanstd(again.shift_m, axis=0).max() < 1
