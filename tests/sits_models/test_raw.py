from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sits_data.store import open_store
from sits_models.bench.raw import on_grid, raw_pixels, raw_regions


def test_on_grid_by_hand() -> None:
    """Days 0 and 4 share a bin, day 10 is not to be used, day 33 is in the fourth bin."""
    dates = np.array([0, 4, 10, 33], np.int32)
    values = np.array([[[1.0], [4.0], [99.0], [8.0]]], np.float32)
    weight = np.array([[1.0, 2.0, 0.0, 1.0]], np.float32)
    np.testing.assert_allclose(on_grid(values, weight, dates).ravel(), [3, 3 + 5 / 3, 3 + 10 / 3, 8])


def test_edges_are_held_and_a_series_without_values_is_zero() -> None:
    dates = np.array([0, 10, 20], np.int32)
    values = np.array([[[1.0], [2.0], [3.0]]] * 2, np.float32)
    weight = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]], np.float32)
    np.testing.assert_array_equal(on_grid(values, weight, dates)[..., 0], [[2, 2, 2], [0, 0, 0]])


@given(st.lists(st.booleans(), min_size=12, max_size=12), st.integers(0, 100))
def test_gaps_are_interpolated_as_numpy_does(clear: list[bool], seed: int) -> None:
    rng = np.random.default_rng(seed)
    dates = np.sort(rng.choice(80, 12, replace=False)).astype(np.int32)
    values = rng.normal(size=(1, 12, 1)).astype(np.float32)
    got = on_grid(values, np.array([clear], np.float32), dates)[0, :, 0]
    bins, used = (dates - dates[0]) // 10, np.array(clear)
    filled = np.unique(bins[used])
    mean = [values[0, used & (bins == one), 0].mean() for one in filled]
    expected = np.interp(np.arange(len(got)), filled, mean) if len(filled) else 0
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_what_is_not_clear_moves_no_feature(parcels: Path) -> None:
    store = open_store(parcels)
    positions = np.arange(min(5, len(store)))
    before = raw_regions(store, positions), raw_pixels(store, positions)
    for name, shard in list(store._maps.items()):
        if name.startswith("pixels"):
            qa = store._maps[name.replace("pixels", "qa")]
            unclear = (qa & store.manifest.unclear_bits) != 0
            store._maps[name] = np.where(unclear[..., None], 60_000, shard).astype(np.uint16)
    after = raw_regions(store, positions), raw_pixels(store, positions)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_regions_means_are_those_of_its_pixels(parcels: Path) -> None:
    store = open_store(parcels)
    region, clear = store.region(0), store.clear(0)
    bands = len(store.manifest.bands)
    features = raw_regions(store, np.array([0])).reshape(-1, 2, bands)
    days = (store.dates - store.dates[0]) // 10
    date = int(np.flatnonzero(clear.all(0) & (np.bincount(days)[days] == 1))[0])  # alone in its bin
    values = store.decode(region.pixels[:, date])
    np.testing.assert_allclose(features[days[date], 0], values.mean(0), atol=1e-5)
    np.testing.assert_allclose(features[days[date], 1], values.std(0), atol=1e-4)
    pixels = raw_pixels(store, np.array([0])).reshape(len(region.yx), -1, bands)
    np.testing.assert_allclose(pixels[:, days[date]], values, atol=1e-5)


def test_regions_do_not_depend_on_their_company(parcels: Path) -> None:
    store = open_store(parcels)
    some = np.array([3, 0, len(store) - 1])
    together = raw_regions(store, some)
    for number, position in enumerate(some):
        alone = raw_regions(store, np.array([position]))
        np.testing.assert_allclose(together[number], alone[0], atol=1e-6)
    sizes = store.regions["pixels"].to_numpy()[some]
    assert len(raw_pixels(store, some)) == sizes.sum()
