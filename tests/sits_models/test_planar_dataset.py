import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from sits_data import open_cube, open_store
from sits_data.errors import InvalidRequest, NotAStore
from sits_models import PlanarDataset


def test_image_is_the_cube_along_the_curve(land: Path, parcels: Path) -> None:
    dataset, cube = PlanarDataset(parcels, order="snake"), open_cube(land / "field.zarr")
    sample = dataset[5]
    yx = open_store(parcels).region(5).yx[sample["index"].numpy()]
    expected = cube.reflectance.values[:, :, yx[:, 0], yx[:, 1]].transpose(1, 0, 2)
    np.testing.assert_allclose(sample["image"].numpy(), np.nan_to_num(expected), atol=1e-6)
    assert sample["image"].dtype == torch.float32
    assert (
        sample["dates"].numpy().astype("datetime64[D]").tolist()
        == cube.time.values.astype("datetime64[D]").tolist()
    )


def test_clear_is_false_where_qa_says_so_or_nothing_was_seen(parcels: Path) -> None:
    dataset = PlanarDataset(parcels)
    seen, unclear = 0, 0
    for index in range(len(dataset)):
        sample, store = dataset[index], dataset.stores[0]
        missing = (sample["image"] == 0).all(0)
        assert not (sample["clear"] & missing).any()
        clear = store.clear(index)[sample["index"].numpy()].T
        assert not (sample["clear"].numpy() & ~clear).any()
        seen, unclear = seen + int(clear.sum()), unclear + int((~clear).sum())
    assert seen > 0
    assert unclear > 0


def test_yx_is_centred_and_in_metres(parcels: Path) -> None:
    yx = PlanarDataset(parcels)[0]["yx"]
    torch.testing.assert_close(yx.mean(0), torch.zeros(2), atol=1e-3, rtol=0)
    steps = (yx[1:] - yx[:-1]).abs()
    assert set(steps.unique().tolist()) & {10.0}


def test_chips_have_a_mask_a_pixel(chips: Path) -> None:
    sample = PlanarDataset(chips)[0]
    assert sample["mask"].shape == sample["index"].shape
    labels = open_store(chips).region(0).labels
    assert labels is not None
    np.testing.assert_array_equal(sample["mask"].numpy(), labels[sample["index"].numpy()])


def test_dataset_survives_pickling_as_workers_need(parcels: Path) -> None:
    dataset = PlanarDataset(parcels, order="snake")
    dataset[0]  # maps are open now; they must not travel
    sent = pickle.dumps(dataset)
    assert len(sent) < 10_000
    torch.testing.assert_close(pickle.loads(sent)[0]["image"], dataset[0]["image"])


def test_plot_draws_a_figure(parcels: Path, tmp_path: Path) -> None:
    dataset = PlanarDataset(parcels)
    dataset.plot(dataset[0]).savefig(tmp_path / "sample.png")
    assert (tmp_path / "sample.png").stat().st_size > 5000


def test_order_that_the_store_lacks(parcels: Path) -> None:
    with pytest.raises(InvalidRequest, match="unknown curve 'peano'; use one of raster"):
        PlanarDataset(parcels, order="peano")


def test_folder_that_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(NotAStore, match="not a planar store"):
        PlanarDataset(tmp_path)
