"""The installed `sits-data search` and `sits-data build-cube`, and what becomes of interrupted runs."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from installed import COMMAND, Run, clean_env
from stac_server import StacServer
from tiny_catalogue import GRID, daily, request, shifted, write_aoi, write_catalogue

from sits_data import open_cube
from sits_data.aoi import features_of, read_aoi
from sits_data.build import build_cube
from sits_data.cube import open_raw
from sits_data.grid import Grid
from sits_data.ledger import open_ledger
from sits_data.mask import qa_from_scl

DATES = ("--start", "2020-01-01", "--end", "2020-12-31", "--bands", "B04,B11")
BIG = Grid(crs="EPSG:32631", resolution_m=10, left=600000, bottom=5633640, right=606600, top=5640000)
"""636 rows and 660 columns: 2 x 2 blocks."""


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_summary_for_people(tiny: Path, tmp_path: Path, installed: Run) -> None:
    run = installed(
        "build-cube", "--aoi", tiny / "aoi.geojson", "--catalog", tiny / "catalog.json", *DATES
    )
    assert run.returncode == 0, run.stderr
    shown = dict(line.split("  ", 1) for line in run.stdout.splitlines())
    assert {name: value.strip() for name, value in shown.items()} | {"seconds": "", "clear pct": ""} == {
        "cube": "aoi.zarr", "scenes": "3", "scenes dropped": "0", "dates": "3",
        "first date": "2020-01-01", "last date": "2020-01-03", "bands": "B04, B11",
        "shape": "3, 2, 18, 12", "crs": "EPSG:32631", "resolution m": "10", "mask": "standard",
        "units": "3", "units resumed": "0", "units unread": "0", "units failed": "0",
        "bytes": shown["bytes"].strip(), "seconds": "", "clear pct": "",
    }  # fmt: skip
    assert "build: 100%" in run.stderr
    assert "Warning" not in run.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        *("aoi.zarr", "aoi.zarr.state", "aoi.zarr.item.json"),
    }
    assert open_raw(tmp_path / "aoi.zarr").geobox == GRID.geobox


@pytest.mark.parametrize("preset", ["standard", "strict", "permissive"])
def test_summary_for_machines(preset: str, tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    common = ("--aoi", tiny / "aoi.geojson", "--catalog", tiny / "catalog.json", *DATES)
    run = sits_data("build-cube", *common, "--json", "--mask", preset, "--out", "deep/er/c.zarr")
    summary = json.loads(run.stdout)
    cube = open_raw(tmp_path / "deep/er/c.zarr")
    assert (summary["scenes"], summary["dates"], summary["shape"]) == (3, 3, [3, 2, 18, 12])
    assert summary["clear_pct"] == round(100 * cube.clear_fraction(preset).mean(), 1)  # type: ignore[arg-type]
    assert summary["bytes"] > 0
    assert summary["seconds"] >= 0


def test_values_are_those_of_the_rasters(tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    common = ("--aoi", tiny / "aoi.geojson", "--catalog", tiny / "catalog.json", *DATES)
    assert sits_data("build-cube", *common, "--bands", "swir16,red").returncode == 0
    dn = open_raw(tmp_path / "aoi.zarr").read("reflectance")
    for index, product in enumerate(daily(3)):
        assert np.array_equal(dn[index, 1], shifted(product.array("B04")))
        assert np.array_equal(dn[index, 0, ::2, 1::2], shifted(product.array("B11")))


@pytest.mark.parametrize("resolution", [10, 20, 60])
def test_bbox_names_the_area(resolution: int, tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    west, south, east, north = gpd.read_file(tiny / "aoi.geojson").total_bounds
    box = f"{west},{south},{east},{north}"
    run = sits_data(
        *("build-cube", "--aoi", box, "--catalog", tiny / "catalog.json", *DATES),
        *("--resolution", resolution),
    )
    assert run.returncode == 0, run.stderr
    cube = open_raw(tmp_path / "cube.zarr")
    assert cube.resolution_m == resolution
    assert cube.geobox.boundingbox.bbox == (GRID.left, GRID.bottom, GRID.right, GRID.top)


def test_area_in_another_crs_is_reprojected(tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    box = shapely.box(GRID.left + 15, GRID.bottom + 15, GRID.right - 15, GRID.top - 15)
    frame = gpd.GeoDataFrame(geometry=[box], crs=GRID.crs)
    for crs in ("EPSG:3035", "EPSG:31370", "EPSG:3857"):
        frame.to_crs(crs).to_file(tmp_path / f"{crs[5:]}.gpkg")
        run = sits_data(
            "build-cube", "--aoi", f"{crs[5:]}.gpkg", "--catalog", tiny / "catalog.json", *DATES
        )
        assert run.returncode == 0, run.stderr
        assert open_raw(tmp_path / f"{crs[5:]}.zarr").geobox == GRID.geobox


def test_help_shows_the_defaults(sits_data: Run) -> None:
    shown = " ".join(sits_data("build-cube", "--help").stdout.split())
    for default in ("earth-search", "SITS_CATALOG", "last 12 complete months", "B02,B03,B04", "100"):
        assert default in shown
    assert "sits-data build-cube --aoi field.geojson" in shown


def test_search_lists_what_build_cube_would_read(tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    common = ("--aoi", tiny / "aoi.geojson", "--catalog", tiny / "catalog.json", *DATES)
    lines = sits_data("search", *common).stdout.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["2020-01-01", "2020-01-02", "2020-01-03"]
    assert lines[3] == "3 scenes on 3 days, 0 left out"
    plan = json.loads(sits_data("search", *common, "--json").stdout)
    assert [scene["id"] for day in plan["days"] for scene in day["scenes"]] == [p.id for p in daily(3)]
    assert not list(tmp_path.iterdir())


def test_catalogue_in_a_folder_with_odd_characters(tmp_path: Path, sits_data: Run) -> None:
    folder = tmp_path / "my fields #1 (50%) é?"
    write_catalogue(folder, daily(1))
    write_aoi(folder / "aoi.geojson")
    run = sits_data(
        "build-cube", "--aoi", folder / "aoi.geojson", "--catalog", folder / "catalog.json", *DATES
    )
    assert run.returncode == 0, run.stderr


def test_stac_api_from_the_environment(
    tiny: Path, tmp_path: Path, sits_data: Run, stac_server: StacServer
) -> None:
    build_cube(request(tiny / "catalog.json"), tmp_path / "local.zarr")
    stac_server.failures = 1
    run = sits_data(
        "build-cube", "--aoi", tiny / "aoi.geojson", *DATES, env={"SITS_CATALOG": stac_server.url}
    )
    assert run.returncode == 0, run.stderr
    local, remote = tree(tmp_path / "local.zarr"), tree(tmp_path / "aoi.zarr")
    assert {k: v for k, v in local.items() if "/c/" in k} == {
        k: v for k, v in remote.items() if "/c/" in k
    }
    assert any(line.startswith("GET /files/") for line in stac_server.log)


def test_simulated_catalogue(simulated: Path, tmp_path: Path, sits_data: Run) -> None:
    run = sits_data(
        *("build-cube", "--aoi", simulated / "aoi.geojson", "--catalog", simulated / "catalog.json"),
        *("--start", "2021-01-01", "--end", "2022-12-31", "--json"),
    )
    summary = json.loads(run.stdout)
    assert summary["dates"] == 16
    assert summary["scenes_dropped"] >= 1
    cube = open_cube(tmp_path / "aoi.zarr")
    clear = (cube["qa"] == 0) & cube["reflectance"].notnull().all("band")
    assert 0.1 < float(clear.mean()) < 0.95
    assert 0 < float(cube["reflectance"].where(clear).mean()) < 0.6
    assert np.array_equal(cube["qa"].values, qa_from_scl(cube["scl"].values))


# --- interruption ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve days of 636 x 660 pixels and the cube of an undisturbed build, `whole.zarr`."""
    folder = tmp_path_factory.mktemp("big")
    write_catalogue(folder, daily(12, grid=BIG))
    write_aoi(folder / "aoi.geojson", BIG)
    features = features_of(read_aoi(folder / "aoi.geojson"))
    asked = request(folder / "catalog.json", BIG).model_copy(update={"features": features})
    build_cube(asked, folder / "whole.zarr")
    return folder


@contextmanager
def started(folder: Path, big: Path, *args: str) -> Iterator[subprocess.Popen[bytes]]:
    """The installed command, building on one thread."""
    command = [COMMAND, "build-cube", "--aoi", big / "aoi.geojson", "--catalog", big / "catalog.json"]
    with subprocess.Popen(
        [*command, *DATES, "--out", "c.zarr", "--threads", "1", *args],
        cwd=folder, env=clean_env({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # A job in the background, as a test run may be, hands an ignored Ctrl-C to its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def wait_for(happened: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not happened() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def finished_units(folder: Path) -> int:
    ledger = folder / "c.zarr.state/ledger.jsonl"
    return ledger.read_bytes().count(b"\n") if ledger.exists() else 0


def finish(sits_data: Run, big: Path) -> dict[str, int]:
    """Start the same command once more; its summary."""
    run = sits_data(
        *("build-cube", "--aoi", big / "aoi.geojson", "--catalog", big / "catalog.json", *DATES),
        *("--out", "c.zarr", "--json"),
    )
    assert run.returncode == 0, run.stderr
    summary: dict[str, int] = json.loads(run.stdout)
    return summary


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in range(1, 6))])
def test_killed_again_and_again_it_completes(
    seed: int, big: Path, tmp_path: Path, sits_data: Run
) -> None:
    rng = random.Random(seed)
    early = rng.choice(["c.zarr.state", "c.zarr.state/plan.json", ".c.zarr.partial", "c.zarr"])
    late = sorted(rng.sample(range(1, 40), 2))
    moments: list[Callable[[], bool]] = [
        (tmp_path / early).exists,
        *(lambda n=n: finished_units(tmp_path) >= n for n in late),
    ]
    for moment in moments:
        with started(tmp_path, big) as process:
            wait_for(moment, process)
            time.sleep(rng.random() * 0.02)
            process.kill()
            assert process.wait() == -signal.SIGKILL
        if (tmp_path / "c.zarr").exists():
            cube = open_raw(tmp_path / "c.zarr", allow_incomplete=True)
            assert cube.attributes["status"] == "building"
    assert late[-1] <= finish(sits_data, big)["units_resumed"] < 48
    assert tree(tmp_path / "c.zarr") == tree(big / "whole.zarr")
    assert {path.name for path in tmp_path.iterdir()} == {
        *("c.zarr", "c.zarr.state", "c.zarr.item.json"),
    }


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_says_so_in_one_line_and_goes_on(
    stop: signal.Signals, big: Path, tmp_path: Path, sits_data: Run
) -> None:
    with started(tmp_path, big) as process:
        wait_for(lambda: finished_units(tmp_path) >= 2, process)
        process.send_signal(stop)
        stderr = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    lines = [line for line in stderr.split("\n") if line and not line.startswith("\rbuild")]
    assert lines == ["sits-data: interrupted; start the same command again"]
    assert 2 <= finish(sits_data, big)["units_resumed"] < 48
    assert tree(tmp_path / "c.zarr") == tree(big / "whole.zarr")


def test_second_process_is_told_in_one_line(tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    common = ("--aoi", tiny / "aoi.geojson", "--catalog", tiny / "catalog.json", *DATES)
    assert sits_data("build-cube", *common).returncode == 0
    before = tree(tmp_path)
    with open_ledger(tmp_path / "aoi.zarr.state/ledger.jsonl"):
        for args in ((), ("--overwrite",)):
            run = sits_data("build-cube", *common, *args)
            assert run.returncode == 1
            assert run.stderr.count("\n") == 1
            assert "another process is building this cube" in run.stderr
    assert tree(tmp_path) == before
