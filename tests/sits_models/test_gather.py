"""The gather on tensors, its fast twin on the CPU, and walks: all equal to the NumPy definition."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sits_data import open_store
from sits_data.errors import InvalidRequest
from sits_data.orders import Neighbours, WalkKey, WalkLaw, neighbours, random_walks
from sits_data.philox import philox as numpy_philox
from sits_data.planar import gather
from sits_models.data.curves import curve_windows
from sits_models.data.normalisation import Normalisation
from sits_models.data.planar import PlanarDataset
from sits_models.data.residence import open_table, table_of_arrays
from sits_models.data.table import PixelTable
from sits_models.ops import raw, walks
from sits_models.ops.gather import decode, planar_batch
from sits_models.ops.philox import below, philox, rounds


def _table(seed: int, *, regions: int = 5, shards: int = 1) -> PixelTable:
    draws = np.random.default_rng(seed)
    sizes = draws.integers(1, 9, regions)
    rows, dates, bands = int(sizes.sum()), 6, 3
    pixels = draws.integers(0, 4, (rows, dates, bands)) * draws.integers(1, 20000, (rows, dates, bands))
    yx = [np.stack(np.divmod(np.arange(size), 3), axis=1) for size in sizes]
    table = table_of_arrays(
        pixels.astype(np.uint16),
        draws.integers(0, 8, (rows, dates)).astype(np.uint8),
        np.concatenate(yx).astype(np.int32),
        np.cumsum(sizes) - sizes,
        dates=np.arange(dates, dtype=np.int32) * 10,
        bands=("B02", "B03", "B04"),
        scale=1e-4,
        offset=-0.1,
        unclear_bits=3,
        resolution_m=10,
        curves={"raster": np.concatenate([np.arange(size, dtype=np.int32) for size in sizes])},
    )
    if shards == 1:
        return table
    cut = int(table.first_cell[regions // 2])
    return replace(
        table,
        pixels=(table.pixels[0][:cut], table.pixels[0][cut:]),
        qa=(table.qa[0][:cut], table.qa[0][cut:]),
    )


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 9999), shards=st.sampled_from([1, 2]))
def test_fast_twin_equals_the_definition(seed: int, shards: int) -> None:
    table, draws = _table(seed, shards=shards), np.random.default_rng(seed)
    regions = torch.from_numpy(draws.integers(0, len(table), 4))
    index = torch.from_numpy(draws.integers(-1, 9, (4, 7))) % table.size[regions, None]
    index[torch.from_numpy(draws.random((4, 7)) < 0.2)] = -1
    times = torch.from_numpy(draws.integers(-1, 6, (4, 5)))
    norm = Normalisation(bands=table.bands, low=(0.0, 0.1, 0.2), high=(0.3, 0.4, 0.5))
    light = torch.from_numpy(draws.uniform(0.5, 1.5, (4, 3)).astype(np.float32))
    batch = planar_batch(table, regions, index, times=times, normalisation=norm, light=light)

    digits, quality = table.observations(regions, index.clamp(min=0), times.clamp(min=0))
    real = (index >= 0)[:, None] & (times >= 0)[..., None]
    gain, bias = table.affine(norm, torch.device("cpu"))
    black = torch.from_numpy(norm.affine(1, 0)[1])
    image, clear = decode(
        digits, quality, real, gain * light, (bias - black) * light + black, unclear_bits=3
    )
    torch.testing.assert_close(batch["image"], image)
    assert (batch["clear"] == clear).all()
    assert not batch["clear"][(batch["image"] == 0).all(1)].any()


def test_batch_is_the_gather_of_sits_data(parcels: Path) -> None:
    store, table = open_store(parcels), open_table(parcels)
    curve = store.order(3, "hilbert")[:10]
    batch = planar_batch(table, torch.tensor([3]), torch.from_numpy(curve.astype(np.int64))[None])
    region = store.region(3)
    digits = gather(region.pixels, curve)
    expected = np.where((digits == 0).any(0), 0, digits * np.float32(1e-4) - np.float32(0.1))
    np.testing.assert_allclose(batch["image"][0].numpy(), expected, atol=1e-6)
    clear = store.clear(3)[curve].T & (digits != 0).all(0)
    np.testing.assert_array_equal(batch["clear"][0].numpy(), clear)
    assert batch["region"].tolist() == [region.id]
    assert batch["label"].tolist() == [region.label]


def test_nothing_is_normalised_into_padding(parcels: Path) -> None:
    table = open_table(parcels)
    norm = Normalisation(bands=table.bands, low=(0.3,) * 4, high=(0.4,) * 4)
    batch = planar_batch(
        table,
        torch.tensor([0]),
        torch.tensor([[0, -1]]),
        times=torch.tensor([[2, -1]]),
        normalisation=norm,
    )
    assert (batch["image"][0, :, :, 1] == 0).all()
    assert (batch["image"][0, :, 1] == 0).all()
    assert batch["dates"][0, 1] == 0
    assert batch["length"].tolist() == [1]
    assert (batch["yx"][0, 1] == 0).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(-5, 2**34), st.integers(0, 2**31), st.integers(-1, 2**20))
def test_philox_is_that_of_numpy(run: int, region: int, epoch: int) -> None:
    steps = np.arange(5)
    ours = philox((run, torch.tensor(region)), (torch.from_numpy(steps), 3, epoch, 4))
    assert ours.tolist() == numpy_philox((run, region), (steps, 3, epoch, 4)).tolist()
    parts = [torch.full((5,), word) for word in (run, region, 0, 3, epoch, 4)]
    parts[2] = torch.arange(5)
    assert torch.equal(rounds(parts), ours)
    assert (below(ours, 7) < 7).all()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 9999), count=st.integers(1, 5), length=st.integers(1, 12))
def test_walks_equal_those_of_sits_data_index_for_index(seed: int, count: int, length: int) -> None:
    table = _table(seed)
    regions = torch.tensor([4, 0, 2])
    drawn = walks.random_walks(table, regions, length=length, run=seed, epoch=3, view=1, count=count)
    for row, region in enumerate(regions.tolist()):
        first, size = int(table.first_row[region]), int(table.size[region])
        near = neighbours(table.yx[first : first + size].numpy())
        expected = random_walks(near, count=count, length=length, key=WalkKey(seed, region, 3, 1))
        assert drawn[row].tolist() == expected.tolist()


LAWS = st.builds(WalkLaw, backtrack=st.booleans(), starts=st.sampled_from(["stratified", "iid"]))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 9999),
    law=LAWS,
    connectivity=st.sampled_from([4, 8]),
    sigma=st.sampled_from([None, 0.01, 1.0]),
)
def test_walks_of_every_law_equal_those_of_sits_data(
    seed: int, law: WalkLaw, connectivity: Any, sigma: float | None
) -> None:
    table, count = _table(seed), 3
    near = table.near(connectivity=connectivity, sigma=sigma)
    keys: dict[str, Any] = {"length": 9, "run": seed, "epoch": 0, "view": 2, "count": count}
    drawn = walks.random_walks(table, torch.arange(5), law=law, near=near, **keys)
    beside = Neighbours(*(None if part is None else part.numpy() for part in near))
    expected = random_walks(
        beside, count=count, length=9, key=WalkKey(seed, np.arange(5), 0, 2), law=law,
        first=table.first_row.numpy(), size=table.size.numpy(),
    )  # fmt: skip
    assert drawn.flatten(0, 1).tolist() == expected.tolist()
    here, region, view = torch.randint(0, len(table.yx), (4, 3)), torch.arange(4), torch.arange(4) + 2
    compiled = walks.compiled_steps(
        near, here, region, length=9, run=seed, epoch=3, view=view, backtrack=law.backtrack
    )
    key = (seed, region[:, None, None])
    words = philox(key, (torch.arange(3), torch.arange(3)[:, None], 3, view[:, None, None]))
    by_tensors = walks.step_by_step(near, here, words.flatten(2)[..., :9], backtrack=law.backtrack)
    assert torch.equal(compiled, by_tensors)


def test_a_walk_does_not_depend_on_its_batch() -> None:
    table = _table(1)
    keys = {"length": 9, "run": 5, "epoch": 0, "view": 0}
    together = walks.random_walks(table, torch.arange(5), **keys)
    alone = walks.random_walks(table, torch.tensor([3]), **keys)
    assert (together[3] == alone[0]).all()


@pytest.mark.parametrize("shift", [0, 2])
def test_windows_cover_each_pixel_once(parcels: Path, shift: int) -> None:
    table = open_table(parcels)
    regions = torch.tensor([5, 1])
    index, owner = curve_windows(table, regions, "snake", length=4, shift=shift)
    for number, region in enumerate(regions.tolist()):
        shown = index[owner == number].flatten()
        stored = open_store(parcels).order(region, "snake")
        assert shown[shown >= 0].tolist() == stored.tolist()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 9999), width=st.integers(1, 40), streamed=st.booleans())
def test_raw_rows_are_those_of_the_table(seed: int, width: int, streamed: bool) -> None:
    draws = np.random.default_rng(seed)
    pixels = draws.integers(0, 65536, (50, width)).astype(np.uint16)
    rows = draws.integers(-1, 50, 30)
    expected = np.where(rows[:, None] < 0, np.uint16(0), pixels[rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw, "_STREAMED", 0 if streamed else 1 << 40)
        assert np.array_equal(raw.gather_raw(pixels, rows), expected)
        out = np.ones((30, width), np.uint16)
        assert raw.gather_raw(pixels, rows, out) is out
    assert np.array_equal(out, expected)


def test_raw_rows_that_are_not_there() -> None:
    pixels = np.zeros((4, 2), np.uint16)
    for rows in ([4], [-2, 0]):
        with pytest.raises(IndexError, match="the table has rows 0 to 3"):
            raw.gather_raw(pixels, np.array(rows))


def test_raw_samples_are_the_store_as_it_lies(parcels: Path, chips: Path) -> None:
    for path in (parcels, chips):
        store, dataset = open_store(path), PlanarDataset(path)
        found = dataset.raw([3, 0])
        for number, region in enumerate((3, 0)):
            curve = store.order(region, store.manifest.orders[0])
            assert np.array_equal(found[number, : len(curve)], store.region(region).pixels[curve])
            assert not found[number, len(curve) :].any()
        assert np.array_equal(dataset.raw([3, 0], np.ones_like(found)), found)
    with pytest.raises(InvalidRequest, match="raw numbers are those of whole regions"):
        PlanarDataset(parcels, form="chip").raw([0])
