"""Real Sentinel-2: every value of the cubes is that of the catalogue's rasters."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import rasterio
from installed import Run
from tiny_catalogue import repeated, shifted

from sits_data.bands import BANDS, DEFAULT_BANDS
from sits_data.cube import RawCube, open_raw
from sits_data.mask import qa_from_scl

pytestmark = pytest.mark.real

SITES = {
    "flanders-2018": ("2017-08-01", "2018-11-30", 118),
    "flanders-2019": ("2018-08-01", "2019-11-30", 72),
}


def items(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in folder.glob("items/*/*.json")]
    return sorted(found, key=lambda item: str(item["properties"]["datetime"]))


def raster(folder: Path, item: dict[str, Any], name: str) -> tuple[np.ndarray, rasterio.Affine]:
    """All numbers of an asset, 20 m repeated at 10 m, and the transform of the 10 m pixels."""
    asset = item["assets"][name]["href"].removeprefix("./")
    with rasterio.open(folder / "items" / item["id"] / asset) as source:
        factor = round(source.transform.a / 10)
        scale = rasterio.Affine.scale(1 / factor)
        return repeated(source.read(1), factor), source.transform @ scale


def outline(folder: Path, area: str) -> str | Path:
    """The catalogue's own `aoi.geojson`, or the box around the rasters."""
    if area == "aoi":
        return folder / "aoi.geojson"
    west, south, east, north = items(folder)[0]["bbox"]
    return f"{west},{south},{east},{north}"


class Overlap(NamedTuple):
    """Rows and columns of the cube, and the same of the rasters at 10 m."""

    cube: tuple[slice, slice]
    raster: tuple[slice, slice]


def window_of(cube: RawCube, there: rasterio.Affine, shape: tuple[int, int]) -> Overlap:
    """Where cube and rasters overlap."""
    col, row = ~there @ (cube.geobox.transform.c, cube.geobox.transform.f)
    row, col = round(row), round(col)
    top, left = max(row, 0), max(col, 0)
    bottom = min(row + cube.geobox.shape[0], shape[0])
    right = min(col + cube.geobox.shape[1], shape[1])
    return Overlap(
        np.s_[top - row : bottom - row, left - col : right - col], np.s_[top:bottom, left:right]
    )


@pytest.mark.parametrize("site", SITES)
def test_every_value_is_the_rasters(site: str, real: Path, tmp_path: Path, sits_data: Run) -> None:
    folder = real / site
    start, end, days = SITES[site]
    for area in ("whole", "aoi"):
        run = sits_data(
            *("build-cube", "--aoi", outline(folder, area), "--catalog", folder / "catalog.json"),
            *("--start", start, "--end", end, "--out", f"{area}.zarr"),
        )
        assert run.returncode == 0, run.stderr
    cubes = [open_raw(tmp_path / f"{area}.zarr") for area in ("whole", "aoi")]
    found = items(folder)
    assert len(found) == days
    dates = [np.datetime64(item["properties"]["datetime"][:10]).astype(int) for item in found]
    red, transform = raster(folder, found[0], "red")
    overlaps = [window_of(cube, transform, red.shape) for cube in cubes]
    assert overlaps[0].raster == np.s_[0 : red.shape[0], 0 : red.shape[1]]
    for cube in cubes:
        assert cube.dates.tolist() == dates
        assert cube.bands == DEFAULT_BANDS
    for time, item in enumerate(found):
        bands = [shifted(raster(folder, item, BANDS[band].common)[0]) for band in DEFAULT_BANDS]
        classes = raster(folder, item, "scl")[0]
        for cube, overlap in zip(cubes, overlaps, strict=True):
            reflectance = np.zeros((len(bands), *cube.geobox.shape), np.uint16)
            scl = np.zeros(cube.geobox.shape, np.uint8)
            reflectance[:, *overlap.cube] = np.stack(bands)[:, *overlap.raster]
            scl[overlap.cube] = classes[overlap.raster]
            assert np.array_equal(cube.read("reflectance", time), reflectance)
            assert np.array_equal(cube.read("scl", time), scl)
            assert np.array_equal(cube.read("qa", time), qa_from_scl(scl))
