"""Real Sentinel-2 pixels, from the catalogue to the map, by the installed commands."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

import sits_data
from sits_models.bench.scores import SCORES, Row, Scores

pytestmark = pytest.mark.real
BIN = Path(sys.executable).parent
CATALOGUES = Path(__file__).resolve().parents[2] / "../shared/catalogues"
SITES = {
    "flanders-2018": ("2017-08-01", "2018-11-30"),
    "flanders-2019": ("2018-08-01", "2019-11-30"),
}


def run(folder: Path, command: str) -> None:
    program, *words = command.split()
    done = subprocess.run([BIN / program, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stderr[-2000:]}"


@pytest.fixture(
    scope="module",
    params=[pytest.param("flanders-2018", marks=pytest.mark.slow), "flanders-2019"],
)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the parcels of a site, `field.zarr` and `field.planar`, made as the README says."""
    catalogue = CATALOGUES.resolve() / request.param
    if not catalogue.is_dir():
        pytest.skip(f"{catalogue} is absent")
    folder = tmp_path_factory.mktemp(request.param)
    first, last = SITES[request.param]
    parcels = catalogue / "parcels.gpkg"
    run(
        folder,
        f"sits-data build-cube --aoi {parcels} --catalog {catalogue / 'catalog.json'} --start {first} "
        f"--end {last} --out field.zarr",
    )
    run(folder, f"sits-data planarize field.zarr --regions {parcels} --label-field crop_code")
    return folder


def read_scores(folder: Path) -> Scores:
    return Scores.model_validate_json((folder / SCORES).read_text())


def row(scores: Scores, name: str) -> Row:
    return next(one for one in scores.rows if one.name == name)


def test_from_the_store_to_the_page(site: Path) -> None:
    run(
        site,
        "sits-models pretrain --store field.planar --method simclr --max-epochs 3 --out runs/simclr",
    )
    run(site, "sits-models probe --checkpoint runs/simclr --store field.planar")
    run(
        site,
        "sits-models finetune --checkpoint runs/simclr --store field.planar --max-steps 20 "
        "--out runs/finetune",
    )
    run(site, "sits-models predict --checkpoint runs/finetune --cube field.zarr --out map.tif")
    run(site, "sits-models report runs/simclr runs/finetune --map map.tif")

    judged = read_scores(site / "runs/probe")
    assert {one.name for one in judged.rows} >= {"pretrained", "random-init", "raw features"}
    cube = sits_data.open_cube(site / "field.zarr")
    with rasterio.open(site / "map.tif") as file, rasterio.open(site / "map.prob.tif") as chances:
        named, share = file.read(1), chances.read()
        assert tuple(file.transform)[:6] == tuple(cube.attrs["spatial:transform"])[:6]
    classes = len(json.loads((site / "runs/finetune/card.json").read_text())["classes"])
    assert set(np.unique(named)) <= {*range(classes), 255}
    mapped = named != 255
    np.testing.assert_array_equal(mapped, (cube.qa == 0).any("time"))
    np.testing.assert_allclose(share[:, mapped].sum(0), 1, atol=1e-3)
    assert "data:image" in (site / "report.html").read_text()


def test_pixels_of_the_east_are_named_from_the_west(site: Path) -> None:
    if "2019" not in site.name:
        pytest.skip("the figure is that of 2019")
    run(
        site,
        "sits-models finetune --from-scratch --store field.planar --unit pixel --split west-east "
        "--max-steps 150 --out runs/pixels",
    )
    scores = read_scores(site / "runs/pixels")
    assert scores.unit == "pixel"
    assert [one.name for one in scores.classes] == ["Winter wheat", "Maize", "Permanent grass crops"]
    assert row(scores, "from scratch").macro_f1 > row(scores, "majority class").macro_f1 + 0.2
