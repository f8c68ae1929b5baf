"""Real Sentinel-2 pixels, from the catalogue to the planar store, by the installed command."""

import json
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.features import rasterize

from sits_data import open_store
from sits_data.store import PlanarStore, verify_store

pytestmark = pytest.mark.real
COMMAND = Path(sys.executable).with_name("sits-data")
CATALOGUES = Path(__file__).resolve().parents[2] / "../shared/catalogues"
SITES = ["flanders-2018", "flanders-2019"]


def run(folder: Path, *arguments: object) -> None:
    command = [COMMAND, *map(str, arguments)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A catalogue of real pixels, and a folder with the cube `site.zarr` of all of it."""
    catalogue = CATALOGUES.resolve() / request.param
    if not catalogue.is_dir():
        pytest.skip(f"{catalogue} is absent")
    folder = tmp_path_factory.mktemp(request.param)
    with rasterio.open(catalogue / "labels_ct.tif") as labels:
        box = gpd.GeoSeries([shapely.box(*labels.bounds)], crs=labels.crs)
    box.to_file(folder / "site.gpkg")
    dates = ("--start", "2017-08-01", "--end", "2019-12-01")
    run(folder, "build-cube", "--aoi", "site.gpkg", "--catalog", catalogue / "catalog.json", *dates)
    return catalogue, folder


def on_the_cube(catalogue: Path, store: PlanarStore) -> np.ndarray:
    """`labels_ct.tif` on the cube's grid, 0 where it has none."""
    a, _, left, _, _, top = store.manifest.grid.transform
    out = np.zeros(store.manifest.grid.shape, np.int32)
    with rasterio.open(catalogue / "labels_ct.tif") as labels:
        col, row = round((labels.bounds.left - left) / a), round((top - labels.bounds.top) / a)
        out[row : row + labels.height, col : col + labels.width] = labels.read(1)
    return out


def codes_of(store: PlanarStore, labels: np.ndarray) -> np.ndarray:
    codes = np.array([one.code for one in store.manifest.classes] + [0])
    return codes[labels]  # -1 is the last: 0, unlabelled


def test_chips_carry_the_label_raster(site: tuple[Path, Path]) -> None:
    catalogue, folder = site
    labels = catalogue / "labels_ct.tif"
    legend = ("--legend", catalogue / "legend.json")
    run(
        folder,
        "planarize",
        "site.zarr",
        "--chips",
        32,
        "--labels",
        labels,
        *legend,
        "--out",
        "chips.planar",
    )
    store = open_store(folder / "chips.planar")
    mapped = np.full(store.manifest.grid.shape, -1)
    for index in range(len(store)):
        region = store.region(index)
        mapped[region.yx[:, 0], region.yx[:, 1]] = codes_of(store, region.labels)
    np.testing.assert_array_equal(mapped, on_the_cube(catalogue, store))
    names = {
        c["code"]: c["name"]
        for c in json.loads((catalogue / "legend.json").read_text())["labels_ct"]["classes"]
    }
    assert {one.code: one.name for one in store.manifest.classes}.items() <= names.items()
    assert verify_store(folder / "chips.planar") > 5


def test_parcels_are_what_rasterize_draws(site: tuple[Path, Path]) -> None:
    catalogue, folder = site
    parcels = gpd.read_file(catalogue / "parcels.gpkg")
    run(
        folder, "planarize", "site.zarr", "--regions", catalogue / "parcels.gpkg",
        "--label-field", "crop_code", "--out", "parcels.planar",
    )  # fmt: skip
    store = open_store(folder / "parcels.planar")
    grid = store.manifest.grid
    drawn = rasterize(
        zip(parcels.geometry, range(1, len(parcels) + 1), strict=True),
        out_shape=grid.shape, transform=rasterio.Affine(*grid.transform), dtype="int32",
    )  # fmt: skip
    cube = rasterio.open(f'ZARR:"{folder / "site.zarr"}":/reflectance').read()
    cube = cube.reshape(store.manifest.dates, len(store.manifest.bands), *grid.shape)
    truth = on_the_cube(catalogue, store)
    assert len(store) == len(parcels)
    for index in range(len(store)):
        region = store.region(index)
        rows, cols = np.nonzero(drawn == region.id + 1)
        np.testing.assert_array_equal(region.yx, np.stack([rows, cols], 1))
        np.testing.assert_array_equal(region.pixels, cube[:, :, rows, cols].transpose(2, 0, 1))
        assert (truth[rows, cols] == codes_of(store, np.array(region.label))).all()
        assert region.pixels.any()
