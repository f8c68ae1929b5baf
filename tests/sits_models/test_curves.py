"""Names of curves, and that their index lists are those of sits_data."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sits_data import open_store
from sits_data.errors import InvalidRequest
from sits_data.orders import (
    DIHEDRALS,
    ORDERS,
    WalkKey,
    WalkLaw,
    neighbours,
    order,
    parse_curve,
    permutation,
    random_walks,
    slice_through,
    spectral,
)
from sits_models.data.curves import Draw, draw_index, whole_curve
from sits_models.data.residence import open_table
from sits_models.data.table import PixelTable


@pytest.fixture(scope="module")
def table(parcels: Path) -> PixelTable:
    return open_table(parcels)


def yx_of(table: PixelTable, region: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.int32]]":
    first = int(table.first_row[region])
    return table.yx[first : first + int(table.size[region])].numpy()


@pytest.mark.parametrize("name", list(ORDERS))
def test_whole_curves_are_the_orders_stored_or_not(table: PixelTable, name: str) -> None:
    for dihedral in (0, 3, 6):
        rows = whole_curve(table, f"{name}:{dihedral}")
        for region in (0, 5, len(table) - 1):
            first = int(table.first_row[region])
            yx = yx_of(table, region)
            expected = order(name, yx, dihedral=dihedral)  # type: ignore[arg-type]
            assert rows[first : first + len(yx)].tolist() == expected.tolist()


def test_any_dihedral_variant_is_one_of_the_eight(table: PixelTable) -> None:
    regions = torch.arange(8)
    seen = set()
    for epoch in range(6):
        index = draw_index(table, regions, "hilbert:*", 400, Draw(1, epoch, 0))
        for region, rows in zip(regions.tolist(), index.tolist(), strict=True):
            kept = [row for row in rows if row >= 0]
            yx = yx_of(table, region)
            variants = [order("hilbert", yx, dihedral=number).tolist() for number in range(DIHEDRALS)]
            ways = [d for d, one in enumerate(variants) if kept in (one, one[::-1])]
            assert ways
            seen.update(ways)
    assert seen == set(range(DIHEDRALS))


@pytest.mark.parametrize(
    ("name", "law", "connectivity", "sigma"),
    [
        ("walk", WalkLaw(), 8, None),
        ("walk:onward", WalkLaw(backtrack=False), 8, None),
        ("walk:4,iid", WalkLaw(starts="iid"), 4, None),
        ("walk:sigma=0.01,onward", WalkLaw(backtrack=False), 8, 0.01),
    ],
)
def test_walks_are_those_of_sits_data(
    table: PixelTable, name: str, law: WalkLaw, connectivity: int, sigma: float | None
) -> None:
    index = draw_index(table, torch.tensor([3, 9]), name, 12, Draw(7, 2, 1))
    for found, region in zip(index.tolist(), (3, 9), strict=True):
        near = neighbours(yx_of(table, region), connectivity=connectivity)  # type: ignore[arg-type]
        if sigma is not None:
            first = int(table.first_row[region])
            spectra = table.spectra[first : first + int(table.size[region])].numpy()
            near = spectral(near, spectra, sigma)
        key = WalkKey(run=7, region=int(table.region_id[region]), epoch=2, view=1)
        assert found == random_walks(near, length=12, count=1, key=key, law=law)[0].tolist()


def test_random_pixels_are_a_permutation_of_sits_data(table: PixelTable) -> None:
    regions = torch.tensor([2, 6, 11])
    index = draw_index(table, regions, "random", 20, Draw(7, 2, 1))
    for found, region in zip(index.tolist(), regions.tolist(), strict=True):
        size = int(table.size[region])
        key = WalkKey(run=7, region=int(table.region_id[region]), epoch=2, view=1)
        expected = permutation(size, key)[:20].tolist()
        assert found == expected + [-1] * (20 - len(expected))


@pytest.mark.parametrize("name", ["x", "y", "line:1,2", "line:-3,1"])
def test_slices_are_runs_through_a_pixel(table: PixelTable, name: str) -> None:
    regions = torch.arange(12)
    for length in (3, 40):
        index = draw_index(table, regions, name, length, Draw(7, 2, 1))
        for found, region in zip(index.tolist(), regions.tolist(), strict=True):
            kept = [row for row in found if row >= 0]
            assert found == kept + [-1] * (length - len(kept))
            run = slice_through(yx_of(table, region), kept[0], parse_curve(name).direction).tolist()
            assert "".join(map(chr, kept)) in "".join(map(chr, run))
            assert len(kept) == min(length, len(run))


def test_one_draw_does_not_depend_on_the_batch(table: PixelTable) -> None:
    views = torch.tensor([0, 3, 3])
    for name in ("hilbert", "hilbert:*", "walk", "random", "x"):
        together = draw_index(table, torch.tensor([1, 4, 8]), name, 9, Draw(1, 5, views))
        alone = draw_index(table, torch.tensor([4]), name, 9, Draw(1, 5, 3))
        assert together[1].tolist() == alone[0].tolist()


def test_names_taken_apart() -> None:
    assert parse_curve("hilbert").dihedral == 0
    assert parse_curve("snake:*").dihedral is None
    assert parse_curve("walk:4,onward,iid,sigma=0.5").law == WalkLaw(backtrack=False, starts="iid")
    assert [parse_curve(name).drawn for name in ("hilbert:7", "hilbert:*", "walk", "x", "random")] == [
        False, True, True, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("peano", "unknown curve 'peano'; use one of raster, snake"),
        ("hilbert:8", "unknown curve 'hilbert:8'.* :0 to :7 for a dihedral"),
        ("random:2", "unknown curve 'random:2'"),
        ("line:0,0", "unknown curve 'line:0,0'"),
        ("line:1", "unknown curve 'line:1'"),
        ("x:1", "unknown curve 'x:1'"),
        ("hilbert:", "unknown curve 'hilbert:'"),
        ("walk:6", "unknown option '6' of the curve 'walk:6'; walks have 4 or 8, onward, iid"),
        ("walk:sigma=0", "unknown option 'sigma=0'"),
        ("walk:sigma=x", "unknown option 'sigma=x'"),
    ],
)
def test_names_that_mean_nothing(name: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        parse_curve(name)


def test_a_store_without_curves_has_them_all_the_same(parcels: Path, table: PixelTable) -> None:
    from dataclasses import replace

    bare = replace(table, curves={})
    assert torch.equal(whole_curve(bare, "snake"), whole_curve(table, "snake"))
    assert open_store(parcels).manifest.orders == ("hilbert", "snake")


@pytest.mark.parametrize("name", ["walk", "walk:4,iid", "walk:sigma=0.01"])
def test_exported_walks_are_those_of_samples(parcels: Path, name: str) -> None:
    from sits_data.export import Curve
    from sits_models.data.planar import PlanarDataset

    store = open_store(parcels)
    dataset = PlanarDataset(parcels, form="walks", order=name, walks=3, length=8, seed=4)
    for number in (0, 7):
        region = store.region(number)
        clear = store.clear(number) & (region.pixels != 0).all(-1)
        written = Curve(name, length=8, fraction=0.9, seed=4).indices(region, clear)
        assert dataset[number]["index"].tolist() == [rows.tolist() for rows in written[:3]]
