"""The installed command on each known catalogue, from search to the cube's values."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from flavours import SCENES, values
from installed import Run
from stac_api import StacApi
from tiny_catalogue import write_aoi

from sits_data.catalog import KNOWN
from sits_data.cube import open_raw

BANDS = ("--bands", "B04,B8A", "--start", "2024-01-01", "--end", "2024-12-31")
HERE = [scene for scene in SCENES if scene.number % 3 == 0]


@pytest.mark.parametrize("name", KNOWN)
def test_cube_of_each_catalogue(name: str, apis: StacApi, tmp_path: Path, sits_data: Run) -> None:
    apis.configure()
    write_aoi(tmp_path / "aoi.geojson")
    run = sits_data(
        "build-cube", "--aoi", "aoi.geojson", "--catalog", name, "--out", "cube.zarr", *BANDS, "--json",
        env=apis.environment,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["dates"] == len(HERE)
    cube = open_raw(tmp_path / "cube.zarr")
    # Earth Search took the offset away and says so; cubes hold ESA's convention.
    shift = 1000 if name == "earth-search" else 0
    red, nir = cube.array("reflectance")[0]
    np.testing.assert_array_equal(red, values("B04") + shift)
    np.testing.assert_array_equal(nir, (values("B8A") + shift).repeat(2, 0).repeat(2, 1))
    assert (cube.array("scl")[:] == 4).all()
    if name == "planetary-computer":
        asked = Counter(entry["path"].split("/")[1] for entry in apis.log())
        assert asked["sas"] == 1
        assert {e["status"] for e in apis.log() if e["path"].startswith("/blobs")} <= {200, 206}


def test_tokens_refused_midway_are_replaced(apis: StacApi, tmp_path: Path, sits_data: Run) -> None:
    """The service takes each token for five requests; the cube is that of one which never ended."""
    apis.configure(token_reads=5)
    write_aoi(tmp_path / "aoi.geojson")
    run = sits_data(
        "build-cube", "--aoi", "aoi.geojson", "--catalog", "planetary-computer", "--out", "cube.zarr",
        *BANDS, "--threads", "1", "--json", env=apis.environment,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    requests = Counter((e["path"].split("/")[1], e["status"]) for e in apis.log())
    assert requests["blobs", 403] >= requests["sas", 200] - 1 > 0
    cube = open_raw(tmp_path / "cube.zarr")
    assert len(cube.dates) == len(HERE)
    for day in range(len(HERE)):
        red, nir = cube.read("reflectance", day)
        np.testing.assert_array_equal(red, values("B04"))
        np.testing.assert_array_equal(nir, values("B8A").repeat(2, 0).repeat(2, 1))
        assert (cube.read("qa", day) == 0).all()


def test_search_says_what_was_asked(apis: StacApi, tmp_path: Path, sits_data: Run) -> None:
    write_aoi(tmp_path / "aoi.geojson")
    run = sits_data(
        "search", "--aoi", "aoi.geojson", "--catalog", "cdse", "--max-cloud", "50", *BANDS,
        env=apis.environment,
    )  # fmt: skip
    lines = run.stdout.splitlines()
    cloudy = [scene for scene in HERE if scene.cloud_pct > 50]
    assert 0 < len(cloudy) < len(HERE)
    assert sum(line.startswith("left out: ") and "cloud cover" in line for line in lines) == len(cloudy)
    kept = len(HERE) - len(cloudy)
    assert lines[-2:] == [
        f"{kept} scenes on {kept} days, {len(cloudy)} left out",
        f"sentinel-2-l2a of cdse ({apis.url}/cdse), 2024-01-01 to 2024-12-31",
    ]


def test_cdse_without_keys_says_how_to_get_them(apis: StacApi, tmp_path: Path, sits_data: Run) -> None:
    write_aoi(tmp_path / "aoi.geojson")
    env = apis.environment | {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": ""}
    run = sits_data("build-cube", "--aoi", "aoi.geojson", "--catalog", "cdse", *BANDS, env=env)
    assert run.returncode == 1
    assert run.stdout == ""
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("sits-data:")]
    assert "eodata-s3keysmanager.dataspace.copernicus.eu" in line
