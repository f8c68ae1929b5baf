"""The forms of samples: all are gathers of the same pixels, under one contract."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from sits_data import open_store
from sits_data.errors import InvalidRequest
from sits_data.orders import WalkKey, neighbours, random_walks
from sits_models.contract import collate
from sits_models.data.planar import PlanarDataset

FORMS = ("curve", "walks", "pixel", "chip")


def decoded(store, region):  # type: ignore[no-untyped-def]
    """(P, T, C) reflectance, 0 where any band was not observed."""
    digits = region.pixels
    seen = (digits != 0).all(-1, keepdims=True)
    return np.where(seen, store.decode(digits), 0)


def test_a_chip_lies_as_on_the_ground(chips: Path) -> None:
    store, dataset = open_store(chips), PlanarDataset(chips, form="chip")
    region, sample = store.region(2), dataset[2]
    side = 16
    dates, bands = len(store.dates), len(store.manifest.bands)
    assert sample["image"].shape == (dates, bands, side, side)
    expected = decoded(store, region).reshape(side, side, dates, bands).transpose(2, 3, 0, 1)
    np.testing.assert_allclose(sample["image"].numpy(), expected, atol=1e-6)
    assert region.labels is not None
    assert (sample["mask"].numpy().ravel() == region.labels).all()
    assert "index" not in sample
    step = sample["yx"][1:, 1:] - sample["yx"][:-1, :-1]
    assert (step == 10).all()
    assert abs(float(sample["yx"].mean())) < 1e-4


def test_a_parcel_as_a_chip_is_empty_outside_its_outline(parcels: Path) -> None:
    store, dataset = open_store(parcels), PlanarDataset(parcels, form="chip")
    for number in (0, 4):
        region, sample = store.region(number), dataset[number]
        y, x = (region.yx - region.yx.min(0)).T
        assert sample["image"].shape[2:] == (y.max() + 1, x.max() + 1)
        inside = np.zeros(sample["image"].shape[2:], bool)
        inside[y, x] = True
        assert not sample["image"][:, :, ~inside].any()
        assert not sample["clear"][:, ~inside].any()
        found = sample["image"][:, :, y, x].permute(2, 0, 1).numpy()
        np.testing.assert_allclose(found, decoded(store, region), atol=1e-6)


def test_a_bag_holds_the_walks_of_sits_data(parcels: Path) -> None:
    store = open_store(parcels)
    dataset = PlanarDataset(parcels, form="walks", walks=3, length=7, seed=5)
    sample, region = dataset[6], store.region(6)
    key = WalkKey(run=5, region=region.id, epoch=-1, view=0)
    walks = random_walks(neighbours(region.yx), length=7, count=3, key=key)
    assert sample["index"].tolist() == walks.tolist()
    dates, bands = len(store.dates), len(store.manifest.bands)
    assert sample["image"].shape == (3, bands, dates, 7)
    expected = decoded(store, region)[walks].transpose(0, 3, 2, 1)
    np.testing.assert_allclose(sample["image"].numpy(), expected, atol=1e-6)
    assert torch.equal(sample["image"], dataset[6]["image"])
    dataset.epoch = 0
    assert not torch.equal(sample["index"], dataset[6]["index"])


def test_a_pixel_series_is_a_planar_image_of_one_position(chips: Path) -> None:
    store, dataset = open_store(chips), PlanarDataset(chips, form="pixel")
    assert len(dataset) == store.manifest.pixels
    sample, region = dataset[16 * 16 * 2 + 40], store.region(2)
    assert sample["image"].shape == (len(store.manifest.bands), len(store.dates), 1)
    np.testing.assert_allclose(sample["image"][:, :, 0].T.numpy(), decoded(store, region)[40], atol=1e-6)
    assert region.labels is not None
    assert int(sample["label"]) == region.labels[40]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_goes_through_a_loader(parcels: Path, form: str) -> None:
    dataset = PlanarDataset(parcels, form=form, walks=2, length=5)  # type: ignore[arg-type]
    loader = DataLoader(dataset, batch_size=4, collate_fn=collate, num_workers=0)
    batch = next(iter(loader))
    fast = dataset.batch([0, 1, 2, 3])
    assert batch.keys() == fast.keys()
    for key, value in batch.items():
        assert torch.equal(value, fast[key]), key
    assert torch.equal(pickle.loads(pickle.dumps(dataset))[1]["image"], dataset[1]["image"])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_can_be_drawn(parcels: Path, form: str, tmp_path: Path) -> None:
    dataset = PlanarDataset(parcels, form=form)  # type: ignore[arg-type]
    dataset.plot(dataset[0], band="B04").savefig(tmp_path / "sample.png")
    assert (tmp_path / "sample.png").stat().st_size > 4000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "tube"}, "form must be one of curve, walks, pixel, chip, got tube"),
        ({"form": "walks", "order": "snake"}, "of the form walks cannot be along snake"),
        ({"order": "walk"}, "of the form curve cannot be along walk"),
        ({"order": "hilbert:*"}, r"cannot be along hilbert:\*"),
        ({"form": "walks", "walks": 0}, "at least 1 walk of 1 pixel, got 0 of 50"),
        ({"form": "chip", "fixed": (3, 3)}, r"of the form curve, got \(3, 3\) of chip"),
    ],
)
def test_forms_that_cannot_be(parcels: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        PlanarDataset(parcels, **settings)  # type: ignore[arg-type]
