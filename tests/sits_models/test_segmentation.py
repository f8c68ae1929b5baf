"""Pixels of chips, from the task to the map."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from click.testing import CliRunner
from lightning.pytorch import Trainer, seed_everything
from torch import Tensor, nn

from sits_data import open_store
from sits_data.errors import InvalidRequest
from sits_models.backbones import Features
from sits_models.bench.features import Embedder
from sits_models.bench.scores import Scores
from sits_models.checkpoint import read_card
from sits_models.cli import main
from sits_models.data import PlanarDataModule
from sits_models.data.residence import open_table
from sits_models.data.windows import Windows
from sits_models.finetune import finetune
from sits_models.predict import predict
from sits_models.registry import register
from sits_models.tasks import PixelSegmentation

pytestmark = [
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:The number of training batches"),
]

QUIET: dict[str, Any] = {
    "accelerator": "cpu", "logger": False, "enable_progress_bar": False,
    "enable_model_summary": False, "enable_checkpointing": False,
}  # fmt: skip


@register("backbones", name="ground_seasons", summary="Clear means every two months.", form="chip")
class GroundSeasons(nn.Module):
    """The clear mean of each pixel every two months: what it says depends on no other pixel."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels, self.embed_dim = in_channels, 6 * (in_channels + 1)

    def forward(self, batch: Mapping[str, Tensor]) -> Features:
        season = nn.functional.one_hot(batch["dates"] % 365 * 6 // 365, 6).float()
        clear = batch["clear"][:, :, None].float()
        total = torch.cat([batch["image"] * clear, clear], 2)
        mean = torch.einsum("btchw,bts->bhwsc", total, season)
        pixels = (mean / mean[..., -1:].clamp(min=1)).flatten(3)
        seen = batch["clear"].any(1)[..., None]
        return Features((pixels * seen).sum((1, 2)) / seen.sum((1, 2)).clamp(min=1), pixels)


def test_windows_show_every_pixel_once_in_either_form(parcels: Path) -> None:
    table = open_table(parcels)
    regions = torch.tensor([4, 1, 7, 2, 9])
    for form in ("curve", "chip"):
        windows = Windows(table, regions, form, "hilbert", 16, 3, None, "cpu")  # type: ignore[arg-type]
        assert len(windows) == len(list(windows))
        pairs = [
            (int(owner), int(row))
            for one in windows
            for owner, rows in zip(one.owner, one.rows, strict=True)
            for row in rows[rows >= 0]
        ]
        size = table.size[regions].tolist()
        assert sorted(pairs) == [(n, row) for n, many in enumerate(size) for row in range(many)]


def test_features_of_chips_belong_to_their_pixels(parcels: Path) -> None:
    store, table = open_store(parcels), open_table(parcels)
    found = Embedder(GroundSeasons(4), None, batch_size=3, form="chip").pixels(
        table, torch.tensor([4, 1, 7, 2])
    )
    sizes = [len(store.region(number).yx) for number in (4, 1, 7, 2)]
    starts = np.cumsum([0, *sizes])
    alone = Embedder(GroundSeasons(4), None, form="chip").pixels(table, torch.tensor([7]))
    torch.testing.assert_close(found.features[starts[2] : starts[3]], alone.features)
    assert torch.equal(found.seen[starts[2] : starts[3]], alone.seen)


def test_learns_pixels_of_fields_it_never_saw(chips: Path) -> None:
    seed_everything(0, verbose=False)
    data = PlanarDataModule(str(chips), folds=2, gap_m=0, form="chip", batch_size=8)
    model = PixelSegmentation("ground_seasons", lr=0.3, loss="focal")
    Trainer(**QUIET, max_steps=150).fit(model, data)
    batch = next(iter(data.val_dataloader()))
    drawn = data.views.draw(batch)
    assert drawn["image"].shape[1:] == (16, 4, 16, 16)
    assert model.predict_step(drawn, 0).shape == (len(batch), 16, 16, len(data.classes))
    (found,) = Trainer(**QUIET).validate(model, data, verbose=False)
    assert {"val_AverageJaccardIndex", "val_AverageF1Score"} <= found.keys()
    label = torch.cat([data.views.draw(one)["mask"].flatten() for one in data.val_dataloader()])
    majority = torch.bincount(label[label >= 0]).max() / (label >= 0).sum()
    assert found["val_OverallAccuracy"] > majority + 0.1


def test_chips_from_finetune_to_a_map(chips: Path, land: Path, tmp_path: Path) -> None:
    words = [
        "finetune", "--from-scratch", "--store", chips, "--backbone", "ground_seasons",
        "--model", "sits_models.tasks.PixelSegmentation", "--data.folds=2", "--data.gap_m=0",
        "--max-steps", 100, "--model.lr=0.3", "--out", tmp_path / "run", "--json",
    ]  # fmt: skip
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.stderr
    scores = Scores.model_validate_json(done.stdout)
    assert scores.unit == "pixel"
    majority = next(row for row in scores.rows if row.name == "majority class")
    assert scores.rows[0].macro_f1 > majority.macro_f1 + 0.1
    cube, out = land / "field.zarr", tmp_path / "map.tif"
    words = ["predict", "--checkpoint", tmp_path / "run", "--cube", cube, "--out", out]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.stderr
    with rasterio.open(out) as map_, rasterio.open(land / "catalogue/truth/classes_2022.tif") as truth:
        named = map_.read(1)
        true = truth.read(1, window=truth.window(*map_.bounds))
    codes = np.array([int(one.code) for one in open_store(chips).manifest.classes])
    known = (true > 0) & (named < 255)
    right = codes[np.minimum(named, len(codes) - 1)] == true
    shares = np.unique(true[known], return_counts=True)[1] / known.sum()
    assert right[known].mean() > shares.max() + 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "tube"}, "form must be one of curve, chip, got tube"),
        ({"form": "chip", "unit": "pixel"}, "a chip shows whole regions, got unit pixel"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        PlanarDataModule("field.planar", **settings)


def test_chips_have_no_walks(parcels: Path) -> None:
    with pytest.raises(InvalidRequest, match="chips have neither walks nor a fixed shape"):
        PlanarDataModule(str(parcels), form="chip", walks=3, order="walk").setup("fit")


def test_map_of_sets_of_pixels_says_what_it_is(
    land: Path, parcels: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["--data.root", str(parcels), "--model.backbone=pse_ltae", "--trainer.max_steps=1"]
    words += ["--data.folds=2", "--data.gap_m=0", "--trainer.accelerator=cpu"]
    finetune(words, tmp_path / "run")
    assert not read_card(tmp_path / "run").per_pixel
    with caplog.at_level("WARNING", "sits_models"):
        predict(tmp_path / "run", land / "field.zarr", tmp_path / "map.tif", device="cpu")
    assert "pse_ltae has no features of single pixels: the map names windows of 32" in caplog.text
