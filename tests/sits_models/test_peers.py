"""Presto as a checkpoint of ours: its own numbers, judged by our commands."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
from batches import random_batch
from click.testing import CliRunner, Result
from torchgeo.models import Presto

from sits_data import build_cube, planarize
from sits_data.aoi import read_aoi
from sits_data.bands import DEFAULT_BANDS
from sits_data.errors import InvalidRequest
from sits_data.grid import cube_grid
from sits_data.plan import Request
from sits_data.store import ColumnLabels, Parcels, Recipe
from sits_models.backbones.presto import PrestoEncoder
from sits_models.bench.scores import Scores
from sits_models.checkpoint import load_backbone, read_card
from sits_models.cli import main

WEIGHTS = Path(__file__).resolve().parents[2] / "../shared/data/weights/presto/default_model.pt"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    file = tmp_path_factory.mktemp("presto") / "default_model.pt"
    torch.save(Presto().state_dict(), file)
    return file


@pytest.fixture(scope="module")
def ten_bands(land: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ten")
    request = Request(
        catalog=str(land / "catalogue/catalog.json"),
        collection="sentinel-2-l2a",
        start=date(2022, 1, 1),
        end=date(2022, 12, 31),
        bands=DEFAULT_BANDS,
        grid=cube_grid(read_aoi(land / "catalogue/aoi.geojson"), 10),
    )
    build_cube(request, folder / "field.zarr")
    recipe = Recipe(
        regions=Parcels(path=str(land / "catalogue/parcels.gpkg")),
        labels=ColumnLabels(field="crop_code"),
    )
    return planarize(folder / "field.zarr", folder / "field.planar", recipe=recipe).out


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_months_are_what_presto_gets(weights: Path) -> None:
    """One clear value a month of one year, against TorchGeo's encoder on the same numbers."""
    days = np.arange("2021-01-15", "2021-12-31", 30, dtype="datetime64[D]").astype(np.int64)[:12]
    batch = random_batch(size=2, bands=10, dates=12, length=3, clear=2)
    batch["image"] = batch["image"].abs() * 0.2
    batch["dates"] = torch.from_numpy(days).expand(2, -1)
    network = PrestoEncoder(latlon=(50.0, 4.0)).eval()
    state = torch.load(weights, weights_only=True)
    peer = Presto().eval()
    peer.load_state_dict(state)
    network.load_state_dict(
        {
            name.replace("encoder.norm.", "norm."): value
            for name, value in state.items()
            if name.startswith("encoder.")
        }
    )
    months = batch["image"][1, :, :, 2].T  # (12, 10)
    values, mask = torch.zeros(1, 12, 17), torch.ones(1, 12, 17)
    values[0, :, 2:12] = months
    values[0, :, 16] = (months[:, 6] - months[:, 2]) / (months[:, 6] + months[:, 2])
    mask[..., 2:12] = mask[..., 16] = 0
    norm, peer.encoder.norm = peer.encoder.norm, torch.nn.Identity()
    cover = torch.full((1, 12), 9)
    with torch.no_grad():
        tokens, kept, _ = peer.encoder(values, cover, torch.tensor([[50.0, 4.0]]), mask, 0)
        expected = norm(tokens.mean(1))
        found = network(batch).pixels[1, 2]
    assert kept.shape == (1, 6 * 12)
    torch.testing.assert_close(found, expected[0], atol=1e-5, rtol=0)


def test_its_weights_are_a_checkpoint(weights: Path, ten_bands: Path, tmp_path: Path) -> None:
    out = tmp_path / "presto"
    done = run("peer", "presto", weights, "--latlon", "50.7,4.1", "--out", out)
    assert done.exit_code == 0, done.stderr
    card, loaded = read_card(out), load_backbone(out)
    assert (card.backbone, card.bands, card.parent) == ("presto", DEFAULT_BANDS, "default_model.pt")
    assert isinstance(loaded, PrestoEncoder)
    assert loaded.latlon == (50.7, 4.1)
    # Values stay reflectance.
    gain, bias = card.normalisation.affine(1.0, 0.0)
    np.testing.assert_allclose([gain, bias], [np.ones(10), np.zeros(10)], atol=1e-7)
    done = run("probe", "--checkpoint", out, "--store", ten_bands, "--folds", 3, "--gap-m", 0,
               "--out", tmp_path / "probe", "--json")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    names = {row.name for row in Scores.model_validate(json.loads(done.stdout)).rows}
    assert names == {"pretrained", "random-init", "raw features", "majority class"}


def test_what_is_not_presto(weights: Path, tmp_path: Path) -> None:
    torch.save({"encoder.norm.weight": torch.zeros(3)}, tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("no weights")
    for name, message in (
        ("other.pt", "are not those of Presto"),
        ("text.pt", "must hold a state dictionary of Presto"),
        ("gone.pt", "No such file"),
    ):
        done = run("peer", "presto", tmp_path / name, "--latlon", "0,0", "--out", tmp_path / "out")
        assert done.exit_code == 1
        assert message in done.stderr
        assert not (tmp_path / "out").exists()
    done = run("peer", "presto", weights, "--latlon", "95,4", "--out", tmp_path / "out")
    assert (done.exit_code, "degrees north and east, such as 50.7,4.1" in done.stderr) == (2, True)
    with pytest.raises(InvalidRequest, match=r"ten bands B02, .* got 4; build the cube"):
        PrestoEncoder(4)


@pytest.mark.real
def test_published_weights_fit(tmp_path: Path) -> None:
    if not WEIGHTS.is_file():
        pytest.skip(f"{WEIGHTS} is absent")
    done = run("peer", "presto", WEIGHTS, "--latlon", "50.7,4.1", "--out", tmp_path / "presto")
    assert done.exit_code == 0, done.stderr
    batch = random_batch(bands=10, dates=12)
    batch["image"] = batch["image"].abs() * 0.2
    with torch.no_grad():
        assert load_backbone(tmp_path / "presto")(batch).pixels.std() > 0.1
