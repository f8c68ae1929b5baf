import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from sits_data import open_store
from sits_data.errors import InvalidRequest, NotAStore
from sits_models.data import PlanarDataModule
from sits_models.data.normalisation import Normalisation, fit_normalisation
from sits_models.data.regions import RegionBatch
from sits_models.data.splits import block_folds, blocks_of, halves
from sits_models.data.stores import find_stores
from sits_models.errors import TooFewLabels

pytestmark = [
    # Lightning tells about settings that these tests choose on purpose.
    pytest.mark.filterwarnings("ignore:The number of training batches"),
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory"),
]

SMALL: dict[str, Any] = {"folds": 3, "gap_m": 0, "length": 8, "batch_size": 4}


class Recorder(LightningModule):
    """Writes down what it is given; one weight, so that it can be trained."""

    def __init__(self, *, takes_regions: bool = False, stop_at: int | None = None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.takes_regions, self.stop_at = takes_regions, stop_at
        self.trained: list[Any] = []
        self.tested: list[Any] = []

    def training_step(self, batch: Any, _: int) -> Tensor:
        if self.global_step == self.stop_at:
            raise KeyboardInterrupt
        self.trained.append(batch)
        return self.weight.square()

    def validation_step(self, batch: Any, _: int) -> None:
        self.tested.append(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(model: Recorder, data: PlanarDataModule, folder: Path, **settings: Any) -> Trainer:
    ckpt_path = settings.pop("ckpt_path", None)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    defaults = {"max_epochs": 1, "accelerator": "cpu", "enable_checkpointing": False}
    trainer = Trainer(default_root_dir=folder, **{**quiet, **defaults, **settings})
    trainer.fit(model, data, ckpt_path=ckpt_path)
    return trainer


def ready(root: Path, **settings: Any) -> PlanarDataModule:
    data = PlanarDataModule(str(root), **{**SMALL, **settings})
    data.setup("fit")
    return data


def regions(batches: Any) -> list[int]:
    return [region for batch in batches for region in batch.regions.tolist()]


def test_task_gets_batches_of_the_contract(parcels: Path, tmp_path: Path) -> None:
    model = Recorder()
    data = PlanarDataModule(str(parcels), dates=6, **SMALL)
    fit(model, data, tmp_path)
    store = open_store(parcels)
    split = block_folds(store, folds=3, gap_m=0)[0]
    trained = torch.cat([batch["region"] for batch in model.trained])
    ids = store.regions["id"].to_numpy()
    assert sorted(trained.tolist()) == sorted(ids[split.train])
    tested = torch.cat([batch["region"] for batch in model.tested[-len(data.val_dataloader()) :]])
    assert tested.tolist() == ids[split.test].tolist()
    assert model.trained[0]["image"].shape == (4, 4, 6, 8)
    assert model.tested[0]["image"].shape == (4, 4, 16, 8)
    for batch in model.trained:
        np.testing.assert_array_equal(
            batch["label"], [store.labels[ids.tolist().index(one)] for one in batch["region"]]
        )


def test_method_gets_regions_of_one_year_labelled_or_not(chips: Path, tmp_path: Path) -> None:
    model = Recorder(takes_regions=True)
    data = PlanarDataModule(str(chips), batch_size=5)
    fit(model, data, tmp_path)
    assert data.split == "none"
    assert all(isinstance(batch, RegionBatch) and len(batch) == 5 for batch in model.trained)
    years = np.unique(open_store(chips).dates.astype("datetime64[D]").astype("datetime64[Y]"))
    windows = {batch.window for batch in model.trained}
    assert len(windows) == len(years) == 2
    for first, stop in windows:
        assert str(np.datetime64(first, "D")).endswith("-01-01")
        assert stop - first in (365, 366)
        shown = regions(batch for batch in model.trained if batch.window == (first, stop))
        assert len(shown) == len(set(shown)) == len(open_store(chips)) // 5 * 5
    assert model.tested == []


def test_normalisation_is_of_the_training_regions(parcels: Path) -> None:
    data, store = ready(parcels), open_store(parcels)
    split = block_folds(store, folds=3, gap_m=0)[0]
    assert data.normalisation == fit_normalisation([store], [split.train])
    assert data.normalisation != fit_normalisation([store], [np.arange(len(store))])
    bands = len(store.manifest.bands)
    given = Normalisation(bands=store.manifest.bands, low=(0,) * bands, high=(1,) * bands)
    assert ready(parcels, normalisation=given).normalisation is given


def test_folds_seeds_and_halves(parcels: Path) -> None:
    store = open_store(parcels)
    for fold, split in enumerate(block_folds(store, folds=3, gap_m=30, seed=4)):
        data = ready(parcels, fold=fold, gap_m=30, seed=4)
        np.testing.assert_array_equal(data.train_regions[0], split.train)
        np.testing.assert_array_equal(data.test_regions[0], split.test)
    half, data = halves(store, axis="north-south"), ready(parcels, split="north-south")
    np.testing.assert_array_equal(data.train_regions[0], half.train)
    assert data.chosen is not None
    assert data.chosen.description == half.description


def test_gap_is_that_of_the_split_unless_asked(parcels: Path) -> None:
    store = open_store(parcels)
    for split, expected in (
        ("blocks", block_folds(store, folds=3, gap_m=50)[0]),
        ("west-east", halves(store, axis="west-east", gap_m=0)),
    ):
        data = ready(parcels, split=split, gap_m=None)
        np.testing.assert_array_equal(data.train_regions[0], expected.train)
        assert len(ready(parcels, split=split, gap_m=80).train_regions[0]) < len(expected.train)


def test_no_fold_trains_on_all_labelled_regions(parcels: Path) -> None:
    data = ready(parcels, fold=None)
    assert data.train_regions[0].tolist() == np.flatnonzero(open_store(parcels).labels >= 0).tolist()
    assert data.val_dataloader() == []
    assert sorted(regions(data.predict_dataloader())) == list(range(len(open_store(parcels))))


def test_few_labels_train_and_all_regions_test(parcels: Path) -> None:
    few, full = ready(parcels, shots=1), ready(parcels)
    labels = open_store(parcels).labels[regions(few.train_dataloader())]
    assert sorted(labels) == sorted(set(open_store(parcels).labels[full.train_regions[0]]))
    assert regions(few.val_dataloader()) == regions(full.val_dataloader())
    assert few.normalisation == full.normalisation


def test_each_pixel_is_a_sample(parcels: Path, tmp_path: Path) -> None:
    data, model = PlanarDataModule(str(parcels), unit="pixel", split="west-east"), Recorder()
    fit(model, data, tmp_path)
    assert {batch["image"].shape[-1] for batch in model.trained + model.tested} == {1}
    sizes = data.tables[0].size.numpy()
    shown = [
        (int(region), int(row))
        for batch in model.tested[-len(data.val_dataloader()) :]
        for region, row in zip(batch["region"], batch["index"][:, 0], strict=True)
    ]
    assert len(shown) == len(set(shown)) == sizes[data.test_regions[0]].sum()


def test_two_stores_share_folds_and_classes(parcels: Path, tmp_path: Path) -> None:
    twin = shutil.copytree(parcels, tmp_path / "twin.planar")
    data = PlanarDataModule([str(parcels), str(twin)], **SMALL)
    data.setup("fit")
    np.testing.assert_array_equal(data.train_regions[0], data.train_regions[1])
    batches = list(data.train_dataloader())
    assert {id(batch.table) for batch in batches} == {id(table) for table in data.tables}


def test_same_seed_gives_the_same_batches(parcels: Path) -> None:
    one, same, other = (list(ready(parcels, seed=s, fold=None).train_dataloader()) for s in (1, 1, 2))
    assert regions(one) == regions(same) != regions(other)


def test_epochs_differ(parcels: Path, tmp_path: Path) -> None:
    model = Recorder(takes_regions=True)
    data = PlanarDataModule(str(parcels), batch_size=8, years=False)
    fit(model, data, tmp_path, max_epochs=3)
    assert [batch.epoch for batch in model.trained] == sorted(batch.epoch for batch in model.trained)
    by_epoch = [regions(b for b in model.trained if b.epoch == epoch) for epoch in range(3)]
    assert by_epoch[0] != by_epoch[1] != by_epoch[2]


@pytest.mark.parametrize("stop_at", [1, 2, 4])
def test_run_goes_on_within_an_epoch(parcels: Path, tmp_path: Path, stop_at: int) -> None:
    """No batch is lost or repeated when a run that was cut off is resumed."""

    def data() -> PlanarDataModule:
        return PlanarDataModule(str(parcels), batch_size=8, years=False, split="none")

    def saving() -> dict[str, Any]:
        callback = ModelCheckpoint(tmp_path, save_last=True, every_n_train_steps=1)
        return {"callbacks": [callback], "enable_checkpointing": True, "max_epochs": 3}

    whole, first, rest = (
        Recorder(takes_regions=True),
        Recorder(takes_regions=True, stop_at=stop_at),
        None,
    )
    fit(whole, data(), tmp_path, max_epochs=3)
    with pytest.raises(SystemExit):
        fit(first, data(), tmp_path, **saving())
    assert len(first.trained) == stop_at < len(whole.trained)
    rest = Recorder(takes_regions=True)
    trainer = Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **saving(),
    )
    trainer.fit(rest, data(), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    both = [(batch.epoch, batch.regions.tolist()) for batch in first.trained + rest.trained]
    assert both == [(batch.epoch, batch.regions.tolist()) for batch in whole.trained]


def test_plot_shows_a_sample_of_a_batch(parcels: Path) -> None:
    data = ready(parcels)
    batch = data.views.draw(next(iter(data.val_dataloader())))
    sample: Any = {key: value[0] for key, value in batch.items()}
    figure = data.plot(sample | {"prediction": torch.tensor(0)})
    name = data.classes[int(sample["label"])].name
    assert figure.get_suptitle() == f"label: {name}, prediction: {data.classes[0].name}"
    too_many = len(data.classes)
    figure = data.plot(sample | {"prediction": torch.tensor(too_many)})
    assert figure.get_suptitle() == f"label: {name}, prediction: output {too_many}"


def test_only_store_of_the_folder_is_found(
    parcels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidRequest, match=r"must hold one \*\.planar .* it has none"):
        find_stores()
    shutil.copytree(parcels, "a.planar")
    assert find_stores() == [Path("a.planar")]
    assert len(ready(Path()).stores) == 1
    Path("b.planar").mkdir()
    with pytest.raises(
        InvalidRequest, match=r"it has a\.planar, b\.planar; name one: --store a\.planar"
    ):
        find_stores(".")


def test_stores_that_do_not_fit(parcels: Path, tmp_path: Path) -> None:
    other = shutil.copytree(parcels, tmp_path / "other.planar")
    manifest = (other / "manifest.json").read_text()
    (other / "manifest.json").write_text(manifest.replace('"B08"', '"B8A"'))
    with pytest.raises(InvalidRequest, match=r"same bands, .*other\.planar has B02, B03, B04, B8A and"):
        PlanarDataModule([str(parcels), str(other)]).setup("fit")
    (other / "manifest.json").write_text(manifest.replace('"resolution_m": 10', '"resolution_m": 20'))
    with pytest.raises(InvalidRequest, match=r"same resolution, .*other\.planar has 20 m and"):
        PlanarDataModule([str(parcels), str(other)]).setup("fit")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"length": 0}, "length must be at least 1, got 0"),
        ({"dates": 0}, "dates must be at least 1, got 0"),
        ({"fold": -1}, "fold must be at least 0, got -1"),
        ({"fold": 5}, "must be below the number of folds 5, got 5"),
        ({"fold": 1, "split": "west-east"}, "must be below the number of folds 1, got 1"),
        ({"split": "random"}, "split must be one of blocks, west-east, north-south, none, got random"),
        ({"unit": "field"}, "unit must be one of region, pixel, got field"),
        ({"fixed": (0, 8)}, "fixed needs at least 1 date and 1 position"),
        ({"fixed": (4, 8), "unit": "pixel"}, "of regions and not of pixels"),
        ({"split": "none", "shots": 5}, "fraction and shots choose among labels"),
        ({"split": "none", "validation": 0.2}, "as validation does"),
        ({"validation": 0.0}, "validation must be above 0 and at most 1, got 0.0"),
        ({"walks": 3, "unit": "pixel"}, "a walk or a pixel, got walks with unit pixel"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        PlanarDataModule("field.planar", **settings)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"order": "peano"}, InvalidRequest, "unknown curve 'peano'; use one of raster, snake"),
        ({"folds": 90}, TooFewLabels, "90 folds need labelled regions in at least 180 blocks"),
        ({"gap_m": 9000}, TooFewLabels, "both sides need regions"),
        ({"fraction": 2.0}, InvalidRequest, "above 0 and at most 1, got 2.0"),
        ({"walks": 3}, InvalidRequest, "walks need an order that is drawn, .* got none; use"),
        ({"walks": 3, "order": "hilbert"}, InvalidRequest, "such as walk, .* got hilbert"),
        ({"walks": 0, "order": "walk"}, InvalidRequest, "whole number from 1 on, .* got 0"),
        ({"walks": 1.5, "order": "walk"}, InvalidRequest, "a share of the pixels up to 1.0, got 1.5"),
    ],
)
def test_stores_that_cannot_serve(
    parcels: Path, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ready(parcels, **settings).train_dataloader()


def test_folder_that_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(NotAStore, match="is not a planar store"):
        ready(tmp_path)


@pytest.mark.parametrize("walks", [3, 0.05])
def test_walks_are_samples(parcels: Path, walks: float) -> None:
    data = ready(parcels, order="walk", walks=walks, batch_size=16)
    (table,), batches = data.tables, list(data.val_dataloader())
    test = data.test_regions[0]
    size = table.size.numpy()[test]
    count = np.full(len(size), 3) if walks == 3 else np.ceil(np.round(0.05 * size, 9)).astype(int)
    shown = torch.cat([batch.regions for batch in batches]).numpy()
    numbers = torch.cat([batch.walks for batch in batches]).numpy()
    assert shown.tolist() == np.repeat(test, count).tolist()
    assert numbers.tolist() == [n for many in count for n in range(many)]
    indices = [data.views.draw(batch)["index"] for batch in batches]
    walked = {tuple(row) for row in torch.cat(indices).tolist()}
    assert len(walked) > 0.9 * len(shown)  # walks of a region differ
    again = [data.views.draw(batch)["index"] for batch in data.val_dataloader()]
    assert all(torch.equal(one, two) for one, two in zip(indices, again, strict=True))


def test_walks_of_a_region_have_dates_of_their_own(parcels: Path) -> None:
    data = ready(parcels, order="walk", walks=8, dates=4)
    batch = next(iter(data.train_dataloader()))
    one = int(batch.regions[0])
    same = RegionBatch(
        data.tables[0], torch.full((8,), one), None, 0, 0, None, torch.device("cpu"), None,
        torch.arange(8),
    )  # fmt: skip
    dates = data.views.draw(same)["dates"]
    assert len({tuple(row) for row in dates.tolist()}) > 4


def test_validation_takes_whole_blocks_of_those_that_train(parcels: Path) -> None:
    everybody, data = ready(parcels), ready(parcels, validation=0.25)
    train, aside = set(data.train_regions[0].tolist()), set(data.validation_regions[0].tolist())
    assert train | aside == set(everybody.train_regions[0].tolist())
    assert not train & aside
    assert 0.1 < len(aside) / len(train | aside) < 0.5
    assert set(regions(data.val_dataloader())) == aside
    assert set(regions(data.test_dataloader())) == set(data.test_regions[0].tolist())
    other = ready(parcels, validation=0.25, seed=1, block_m=data.chosen.block_m)  # type: ignore[union-attr]
    assert set(other.validation_regions[0].tolist()) != aside
    block = 1000  # the store's, halved until there are five among those that train
    while len(_blocks(data, block, train | aside)) < 5:
        block //= 2
    assert not _blocks(data, block, train) & _blocks(data, block, aside)


def _blocks(data: PlanarDataModule, block_m: int, some: set[int]) -> set[int]:
    return set(blocks_of(data.stores[0], block_m=block_m)[sorted(some)].tolist())


def test_classes_are_counted_by_samples(parcels: Path) -> None:
    data = ready(parcels)
    label = data.stores[0].labels[data.train_regions[0]]
    expected = np.bincount(label, minlength=len(data.classes))
    assert data.class_counts().tolist() == expected.tolist()
    assert ready(parcels, order="walk", walks=3).class_counts().tolist() == (3 * expected).tolist()
    assert ready(parcels, shots=1).class_counts().max() == 1
