from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from batches import random_batch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from torch import Tensor, nn
from torch.nn import functional

from sits_data.errors import InvalidRequest
from sits_models.checkpoint import load_backbone
from sits_models.contract import Batch
from sits_models.data import PlanarDataModule
from sits_models.errors import InvalidConfig, NotACheckpoint
from sits_models.tasks import RegionClassification
from sits_models.tasks.classification import balanced

pytestmark = [
    # Lightning tells about settings that these tests choose on purpose.
    pytest.mark.filterwarnings("ignore:You are trying to `self.log()"),
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:Found .* in eval mode"),
]

QUIET: dict[str, Any] = {
    "accelerator": "cpu", "logger": False, "enable_progress_bar": False,
    "enable_model_summary": False, "enable_checkpointing": False,
}  # fmt: skip


def task(**settings: Any) -> RegionClassification:
    torch.manual_seed(0)
    return RegionClassification(**{"in_channels": 4, "num_classes": 3, **settings})


def labelled(*labels: int, **more: Tensor) -> Batch:
    batch = random_batch(size=len(labels))
    return {**batch, "label": torch.tensor(labels), **more}  # type: ignore[typeddict-item]


def backbone_of(model: RegionClassification) -> nn.Module:
    assert model.backbone is not None
    return model.backbone


def test_head_names_regions_and_their_pixels() -> None:
    model, batch = task().eval(), labelled(0, 1, 2)
    features = backbone_of(model)(batch)
    regions, pixels = model(batch), model(batch, dense=True)
    assert (regions.shape, pixels.shape) == ((3, 3), (3, 20, 3))
    torch.testing.assert_close(regions, model.head(features.embedding))
    torch.testing.assert_close(pixels, model.head(features.pixels))
    # The embedding is the mean of the pixels that were seen, and the head is linear.
    seen = batch["clear"].any(1)[..., None]
    torch.testing.assert_close((pixels * seen).sum(1) / seen.sum(1), regions, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("dense", "shape"), [(None, (3, 3)), (True, (3, 20, 3))])
def test_predictions_are_probabilities(dense: bool | None, shape: tuple[int, ...]) -> None:
    chances = task(dense=dense).predict_step(labelled(0, 1, 2), 0)
    assert chances.shape == shape
    torch.testing.assert_close(chances.sum(-1), torch.ones(shape[:-1]))
    assert chances.min() >= 0


def test_pixels_are_learned_where_a_batch_knows_them() -> None:
    batch = labelled(0, 1, 2, mask=torch.zeros(3, 20, dtype=torch.int64))
    assert task().predict_step(batch, 0).shape == (3, 20, 3)
    assert task(dense=False).predict_step(batch, 0).shape == (3, 3)


@pytest.mark.parametrize(
    "settings",
    [{}, {"class_weights": [1, 2, 5]}, {"class_weights": [0.5, 1.0, 1.5], "label_smoothing": 0.1}],
)
def test_loss_is_that_of_the_known_samples(settings: dict[str, Any]) -> None:
    model, batch = task(**settings), labelled(2, -1, 0, 2)
    found = model.training_step(batch, 0)
    known = batch["label"] >= 0
    weights = torch.tensor(settings.get("class_weights", [1, 1, 1]), dtype=torch.float64)
    expected = functional.cross_entropy(
        model(batch)[known].double(), batch["label"][known], weight=weights,
        label_smoothing=settings.get("label_smoothing", 0),
    )  # fmt: skip
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


def test_loss_of_pixels_leaves_out_what_is_unlabelled_unseen_or_padded() -> None:
    mask = torch.randint(-1, 3, (2, 20), generator=torch.Generator().manual_seed(0))
    batch = labelled(0, 1, mask=mask)
    batch["clear"][0, :, 3], batch["index"] = False, batch["index"].clone()
    batch["index"][1, 15:] = -1
    mask[0, 3] = mask[1, 17] = 1
    model = task()
    used = mask >= 0
    used[0, 3], used[1, 15:] = False, False
    expected = functional.cross_entropy(model(batch, dense=True)[used], mask[used])
    torch.testing.assert_close(model.training_step(batch, 0), expected)


def test_pixels_have_the_label_of_their_region_where_they_have_none() -> None:
    model, batch = task(dense=True), labelled(2, -1)
    seen = batch["clear"].any(1)[0]
    scores = model(batch, dense=True)[0][seen]
    expected = functional.cross_entropy(scores, torch.full((int(seen.sum()),), 2))
    torch.testing.assert_close(model.training_step(batch, 0), expected)


def test_batch_without_labels_teaches_nothing() -> None:
    model = task()
    loss = model.training_step(labelled(-1, -1), 0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss == 0
    assert all(not one.grad.any() for one in model.parameters() if one.grad is not None)


def test_unlabelled_samples_are_in_no_metric() -> None:
    model, batch = task(), labelled(1, -1, 0, -1)
    model.validation_step(batch, 0)
    known = batch["label"] >= 0
    right = (model(batch).argmax(1) == batch["label"])[known].float().mean()
    assert model.val_metrics.compute()["val_OverallAccuracy"] == right


def fit(model: RegionClassification, data: PlanarDataModule, **settings: Any) -> None:
    Trainer(**QUIET, limit_val_batches=0, **settings).fit(model, data)


@pytest.fixture
def data(parcels: Path) -> PlanarDataModule:
    return PlanarDataModule(
        str(parcels), folds=3, gap_m=0, length=8, dates=4, batch_size=8, resident="never"
    )


@pytest.mark.parametrize("freeze", [True, False])
def test_what_learns(pretrained: Path, data: PlanarDataModule, freeze: bool) -> None:
    modes: list[bool] = []

    class Watched(RegionClassification):
        def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
            modes.append(backbone_of(self).training)
            return super().training_step(batch, batch_idx)

    model = Watched(checkpoint=str(pretrained), num_classes=11, freeze=freeze)
    head = model.head.weight.clone()
    fit(model, data, max_steps=2)
    before, after = load_backbone(pretrained).state_dict(), backbone_of(model).state_dict()
    same = [torch.equal(before[name], after[name]) for name in before]
    assert all(same) if freeze else not any(same)
    assert not torch.equal(head, model.head.weight)
    assert modes == [not freeze] * 2


def test_checkpoint_gives_backbone_and_channels(pretrained: Path) -> None:
    model = RegionClassification(backbone="planar_vit_tiny", checkpoint=str(pretrained), num_classes=5)
    ours, theirs = backbone_of(model), load_backbone(pretrained)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert model.head.weight.shape == (5, 24)


def test_scratch_is_as_large_as_the_data(data: PlanarDataModule) -> None:
    model = RegionClassification()
    assert model.backbone is None
    fit(model, data, max_steps=1)
    assert (backbone_of(model).in_channels, model.head.out_features) == (4, 11)
    assert (model.hparams["in_channels"], model.hparams["num_classes"]) == (4, 11)


def test_sizes_that_nobody_tells_are_asked_for(data: PlanarDataModule) -> None:
    class Silent(PlanarDataModule):
        def setup(self, stage: str) -> None:
            super().setup(stage)
            self.classes = ()

    silent = Silent(data.root, folds=3, gap_m=0)
    with pytest.raises(InvalidRequest, match=r"give --model\.in_channels and --model\.num_classes"):
        fit(RegionClassification(), silent, max_steps=1)


def test_learns_the_classes_of_fields(parcels: Path) -> None:
    """Of fields that it never saw."""
    seed_everything(0, verbose=False)
    data = PlanarDataModule(str(parcels), folds=3, gap_m=0, length=32, batch_size=32)
    model = RegionClassification(lr=3e-3)
    fit(model, data, max_steps=60)
    (found,) = Trainer(**QUIET).validate(model, data, verbose=False)
    test = data.stores[0].labels[data.test_regions[0]]
    majority = np.bincount(test).max() / len(test)
    assert found["val_OverallAccuracy"] > majority + 0.15
    assert found["val_loss"] < np.log(11) - 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": -1.0}, "lr must be at least 0, got -1.0"),
        ({"weight_decay": float("nan")}, "weight_decay must be at least 0, got nan"),
        ({"warmup": 2.0}, "warmup must be from 0 to 1, got 2.0"),
        ({"label_smoothing": -0.1}, "label_smoothing must be from 0 to 1, got -0.1"),
        ({"class_weights": [1.0, 2.0]}, "class_weights must be one a class, 3, got 2"),
        ({"patience": 0}, "patience must be at least 1, got 0"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        task(**settings)


def test_weights_of_classes_that_the_data_has_not(data: PlanarDataModule) -> None:
    with pytest.raises(InvalidRequest, match="one a class, 11, got 2"):
        fit(RegionClassification(class_weights=[1.0, 2.0]), data, max_steps=1)


def test_balanced_weights_are_those_of_the_samples(data: PlanarDataModule) -> None:
    model = RegionClassification(class_weights="balanced")
    fit(model, data, max_steps=1)
    counts = data.class_counts().float()
    expected = torch.where(counts > 0, counts.sum() / ((counts > 0).sum() * counts), 0)
    torch.testing.assert_close(model.class_weights, expected)
    assert float(balanced(torch.tensor([2, 2, 2])).sum()) == 3


def test_who_counts_classes_must_be_there() -> None:
    batches = [labelled(0, 1, 2)]
    with pytest.raises(InvalidRequest, match="need a PlanarDataModule"):
        Trainer(**QUIET, max_steps=1).fit(task(class_weights="balanced"), batches, batches)


def test_a_backbone_is_made_with_its_arguments(data: PlanarDataModule) -> None:
    model = task(backbone="planar_vit_nano", backbone_args={"patch": 4})
    assert backbone_of(model).patch == 4
    with pytest.raises(InvalidConfig, match="cannot be made of"):
        task(backbone_args={"petals": 4})


def test_the_rate_may_stay() -> None:
    model = task(optimizer="adam", schedule="constant", lr=1e-4, weight_decay=0.0)
    optimizer = model.configure_optimizers()
    assert type(optimizer) is torch.optim.Adam
    assert optimizer.param_groups[0]["lr"] == 1e-4


def test_training_ends_with_the_weights_that_were_best(parcels: Path) -> None:
    """At a rate at which it soon gets worse."""
    seed_everything(0, verbose=False)
    data = PlanarDataModule(str(parcels), folds=3, gap_m=0, length=8, validation=0.3)
    model = RegionClassification(patience=2, lr=0.03, schedule="constant")
    losses: list[float] = []

    class Losses(Callback):
        def on_validation_end(self, trainer: Trainer, _: LightningModule) -> None:
            if not trainer.sanity_checking:
                losses.append(float(trainer.callback_metrics["val_loss"]))

    trainer = Trainer(**QUIET, max_epochs=60, callbacks=[Losses()])
    trainer.fit(model, data)
    assert len(losses) < 60
    assert losses.index(min(losses)) == len(losses) - 3
    (found,) = Trainer(**QUIET).validate(model, data, verbose=False)
    assert found["val_loss"] == pytest.approx(min(losses), rel=1e-4)


def test_patience_needs_somebody_who_validates(parcels: Path) -> None:
    data = PlanarDataModule(str(parcels), fold=None)
    with pytest.raises(
        InvalidConfig, match="patience watches the validation loss, and no region validates"
    ):
        fit(RegionClassification(patience=2), data, max_steps=1)


def test_checkpoint_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(NotACheckpoint, match=r"has no card\.json"):
        task(checkpoint=str(tmp_path))
