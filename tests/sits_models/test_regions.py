from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sits_data import open_store
from sits_data.errors import InvalidRequest
from sits_models.data.items import few_items, items_of, with_classes
from sits_models.data.normalisation import Normalisation
from sits_models.data.regions import RegionBatch
from sits_models.data.residence import open_table
from sits_models.data.table import PixelTable
from sits_models.data.task_views import TaskViews


@pytest.fixture(scope="module")
def table(parcels: Path) -> PixelTable:
    return open_table(parcels)


def of(table: PixelTable, regions: list[int], **settings: Any) -> RegionBatch:
    batch = RegionBatch(
        table=table,
        regions=torch.tensor(regions),
        window=None,
        run=7,
        epoch=0,
        normalisation=None,
        device=torch.device("cpu"),
    )
    return replace(batch, **settings)


def test_view_is_the_store_along_the_rows_worked_by_hand(parcels: Path, table: PixelTable) -> None:
    store = open_store(parcels)
    days = int(table.dates[0, 3]), int(table.dates[0, 7])
    batch = of(table, [4, 2], window=days).view(torch.tensor([[1, 0, -1], [0, 2, 2]]))
    for number, (region, rows) in enumerate([(4, [1, 0]), (2, [0, 2, 2])]):
        pixels = store.region(region).pixels[rows, 3:7]
        seen = (pixels != 0).all(-1, keepdims=True)
        expected = np.where(seen, store.decode(pixels), 0).transpose(2, 1, 0)
        found = batch["image"][number, :, :, : len(rows)].numpy()
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not batch["image"][0, ..., 2].any()
    assert batch["index"].tolist() == [[1, 0, -1], [0, 2, 2]]
    assert batch["dates"].tolist() == [store.dates[3:7].tolist()] * 2
    assert batch["label"].tolist() == store.labels[[4, 2]].tolist()


def test_view_is_normalised(table: PixelTable) -> None:
    bands = len(table.bands)
    unit = Normalisation(bands=table.bands, low=(0.0,) * bands, high=(0.5,) * bands)
    rows = torch.tensor([[0, 1]])
    plain, scaled = (of(table, [0], normalisation=how).view(rows) for how in (None, unit))
    expected = torch.where(plain["image"] == 0, 0, plain["image"] * 4 - 1)
    torch.testing.assert_close(scaled["image"], expected, atol=1e-5, rtol=0)


def test_batch_moves_without_its_table(table: PixelTable) -> None:
    moved = of(table, [0, 1], rows=torch.tensor([0, 3])).to("meta")
    assert {moved.regions.device, moved.rows.device, moved.device} == {torch.device("meta")}
    assert moved.table is table
    assert len(moved) == 2


def test_training_views_are_runs_of_a_curve(parcels: Path, table: PixelTable) -> None:
    store, views = open_store(parcels), TaskViews(length=5, dates=6)
    regions, drawn = list(range(len(table))), set()
    batch = views.draw(of(table, regions))
    assert batch["image"].shape == (len(table), 4, 6, 5)
    for region in regions:
        rows = batch["index"][region][batch["index"][region] >= 0].tolist()
        assert len(rows) == min(5, len(store.region(region).yx))
        for name in store.manifest.orders:
            curve = store.order(region, name).tolist()
            start = curve.index(rows[0])
            if curve[start : start + len(rows)] == rows:
                drawn.add((name, start))
        days = batch["dates"][region].tolist()
        assert days == sorted(set(days))
        assert set(days) <= set(store.dates.tolist())
    assert {name for name, _ in drawn} == set(store.manifest.orders)
    assert len({start for _, start in drawn}) > 3
    assert len({tuple(days) for days in batch["dates"].tolist()}) > len(table) // 2


def test_draws_are_named_by_run_region_and_epoch(table: PixelTable) -> None:
    views = TaskViews(length=4, dates=5)
    one = views.draw(of(table, [0, 3, 8]))
    again = views.draw(of(table, [8, 1, 0]))
    for key in ("image", "dates", "index"):
        torch.testing.assert_close(one[key][[2, 0]], again[key][[0, 2]])
    for other in ({"run": 8}, {"epoch": 1}):
        assert (views.draw(of(table, [0, 3, 8], **other))["dates"] != one["dates"]).any()


def test_evaluation_shows_the_middle_of_the_first_curve_and_all_dates(
    parcels: Path, table: PixelTable
) -> None:
    store, views = open_store(parcels), TaskViews(length=6, dates=3)
    batch = views.draw(of(table, [5], epoch=-1))
    curve = store.order(5, store.manifest.orders[0])
    first = max(len(curve) - 6, 0) // 2
    assert batch["index"][0].tolist() == curve[first : first + 6].tolist()
    assert batch["dates"].shape == (1, len(store.dates))
    assert TaskViews(length=6, order="snake").draw(of(table, [5], epoch=-1))["index"][0].tolist() == (
        store.order(5, "snake")[first : first + 6].tolist()
    )


def test_small_regions_are_padded_and_counted(
    table: PixelTable, caplog: pytest.LogCaptureFixture
) -> None:
    largest = int(table.size.max())
    views = TaskViews(length=largest)
    with caplog.at_level("INFO", "sits_models"):
        views.check([table])
    small = int((table.size < largest).sum())
    assert f"{small} of {len(table)} regions have fewer than {largest} pixels" in caplog.text
    batch = views.draw(of(table, [int(table.size.argmin())], epoch=-1))
    padded = batch["index"][0] < 0
    assert int(padded.sum()) == largest - int(table.size.min())
    assert not batch["clear"][0, :, padded].any()


def test_walks_stay_in_the_region_and_tests_repeat(table: PixelTable) -> None:
    views = TaskViews(length=9, order="walk")
    views.check([table])
    train, test, again = (views.draw(of(table, [2], epoch=epoch))["index"] for epoch in (0, -1, -1))
    assert train.shape == (1, 9)
    assert (train != test).any()
    torch.testing.assert_close(test, again)
    yx = table.yx[table.first_row[2] + train[0]]
    assert int((yx[1:] - yx[:-1]).abs().max()) <= 1


def test_fixed_views_have_one_shape_and_no_padding(table: PixelTable) -> None:
    batch = TaskViews(length=64, fixed=(6, 8)).draw(of(table, [1, 0, 4]))
    assert batch["image"].shape == (3, 4, 6, 8)
    assert batch["pad_mask"].all()
    assert (batch["index"] >= 0).all()


def test_a_pixel_is_one_position(parcels: Path, table: PixelTable) -> None:
    items = items_of(table, np.array([3, 1]), unit="pixel")
    sizes = table.size[[3, 1]].tolist()
    assert len(items) == sum(sizes)
    assert items.regions.tolist() == [3] * sizes[0] + [1] * sizes[1]
    assert items.rows is not None
    assert items.rows.tolist() == [*range(sizes[0]), *range(sizes[1])]
    batch = TaskViews(length=64).draw(of(table, [3, 1], rows=torch.tensor([2, 0])))
    assert batch["image"].shape[-1] == 1
    assert batch["index"].tolist() == [[2], [0]]
    assert batch["label"].tolist() == open_store(parcels).labels[[3, 1]].tolist()


def test_pixels_have_labels_of_their_own_where_a_raster_gives_them(chips: Path) -> None:
    table = open_table(chips)
    items = items_of(table, np.arange(len(table)), unit="pixel", labelled=True)
    assert items.rows is not None
    assert table.pixel_label is not None
    assert len(items) == int((table.pixel_label >= 0).sum())
    batch = of(table, items.regions[:50].tolist(), rows=torch.from_numpy(items.rows[:50]))
    expected = table.pixel_label[table.first_row[batch.regions] + batch.rows]
    torch.testing.assert_close(batch.label, expected)
    torch.testing.assert_close(batch.view(batch.rows[:, None])["label"], expected)


@pytest.mark.parametrize("unit", ["region", "pixel"])
def test_few_samples_are_counted_over_all_stores(table: PixelTable, unit: Any) -> None:
    everything = [items_of(table, np.arange(len(table)), unit=unit)] * 2
    few = few_items([table, table], everything, fraction=None, shots=3, seed=1)
    labels = np.concatenate([table.label.numpy()[one.regions] for one in few])
    held = np.bincount(np.concatenate([table.label.numpy()[one.regions] for one in everything]))
    np.testing.assert_array_equal(np.bincount(labels, minlength=len(held)), np.minimum(held, 3))
    half = [everything[0].chosen(np.arange(len(everything[0]) // 2)), everything[1]]
    again = few_items([table, table], half, fraction=None, shots=3, seed=1)
    pairs = [
        {(region, -1 if one.rows is None else one.rows[n]) for n, region in enumerate(one.regions)}
        for one in (few[0], again[0], half[0])
    ]
    assert pairs[0] & pairs[2] <= pairs[1]


def test_classes_are_renumbered_by_their_codes(table: PixelTable) -> None:
    turned = with_classes(table, table.classes[::-1])
    known = table.label >= 0
    assert ((turned.label + table.label)[known] == len(table.classes) - 1).all()
    assert (turned.label[~known] == -1).all()


def test_curve_that_the_store_lacks(table: PixelTable) -> None:
    with pytest.raises(InvalidRequest, match="unknown curve 'peano'"):
        TaskViews(length=4, order="peano").check([table])
    with pytest.raises(InvalidRequest, match=r"fixed shapes are cut from a curve .* got walk"):
        TaskViews(length=4, order="walk", fixed=(3, 4)).check([table])
