import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from sits_data import open_store
from sits_data.errors import DamagedStore
from sits_models.data.fixed import fixed_index, fixed_times
from sits_models.data.residence import open_table


def test_a_table_holds_what_the_store_says(chips: Path) -> None:
    store, table = open_store(chips), open_table(chips)
    region = store.region(2)
    rows = slice(int(table.first_row[2]), int(table.first_row[2] + table.size[2]))
    dates = len(store.dates)
    cells = table.pixels[0].numpy().view(np.uint16).reshape(-1, dates, len(table.bands))
    assert (cells[rows] == region.pixels).all()
    assert (table.qa[0].numpy().reshape(-1, dates)[rows] == region.qa).all()
    assert (table.yx[rows].numpy() == region.yx).all()
    assert table.pixel_label is not None
    assert (table.pixel_label[rows].numpy() == region.labels).all()
    assert int(table.label[2]) == region.label
    share = store.clear(2).mean(0)
    np.testing.assert_allclose(table.clear_share[2].numpy(), share, atol=1e-3)


def test_small_stores_become_resident_and_say_so(
    parcels: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "sits_models"):
        assert open_table(parcels).resident
    assert "copied to the training device" in caplog.text
    mapped = open_table(parcels, resident="never")
    assert not mapped.resident
    assert (mapped.pixels[0] == open_table(parcels, resident="always").pixels[0]).all()


def test_a_curve_that_leaves_its_region_is_damage(parcels: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "bad.planar"
    shutil.copytree(parcels, copy)
    file = copy / "orders" / "hilbert-00000.npy"
    curve = np.load(file)
    curve[0] = 10_000
    np.save(file, curve)
    with pytest.raises(DamagedStore, match="a curve hilbert leads out of its region"):
        open_table(copy)


def test_fixed_index_takes_the_middle_or_repeats(parcels: Path) -> None:
    table = open_table(parcels)
    index = fixed_index(table, "snake", 8)
    store = open_store(parcels)
    for region in range(len(table)):
        curve = store.order(region, "snake")
        size = len(curve)
        if size >= 8:
            start = (size - 8) // 2
            assert index[region].tolist() == curve[start : start + 8].tolist()
        else:
            assert index[region].tolist() == [int(curve[p * size // 8]) for p in range(8)]


def test_fixed_times_take_the_clearest_date_of_each_bin(parcels: Path) -> None:
    table = open_table(parcels)
    times = fixed_times(table, 4)
    days = table.dates[0] - table.dates[0, 0]
    span = int(days[-1]) + 1
    assert (times.diff(dim=1) >= 0).all()
    for number in range(4):
        inside = (days * 4 // span == number).nonzero()[:, 0]
        if len(inside):
            best = table.clear_share[:, inside].max(1).values
            chosen = table.clear_share.gather(1, times[:, number : number + 1])[:, 0]
            torch.testing.assert_close(chosen, best)


def test_a_curve_that_comes_to_a_pixel_twice_is_damage(parcels: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "bad.planar"
    shutil.copytree(parcels, copy)
    file = copy / "orders" / "hilbert-00000.npy"
    np.save(file, np.zeros_like(np.load(file)))
    with pytest.raises(DamagedStore, match="a curve hilbert does not come to every pixel once"):
        open_table(copy)
