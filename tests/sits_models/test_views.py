from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sits_data.errors import InvalidRequest
from sits_models.data.normalisation import Normalisation
from sits_models.data.regions import RegionBatch
from sits_models.data.residence import open_table
from sits_models.views.planar import View, draw


def _batch(store: Path, *, regions: list[int], epoch: int = 2, run: int = 1) -> RegionBatch:
    table = open_table(store)
    cpu = torch.device("cpu")
    return RegionBatch(table, torch.tensor(regions), None, run, epoch, None, cpu)


@pytest.fixture
def batch(parcels: Path) -> RegionBatch:
    return _batch(parcels, regions=[0, 3, 7, 11])


def test_a_run_of_a_curve_is_a_piece_of_it_in_either_direction(batch: RegionBatch) -> None:
    directions = set()
    for number in range(12):
        index = draw(batch, View(4, 3, curves=("snake",)), number)["index"]
        for row, region in zip(index, batch.regions.tolist(), strict=True):
            first, size = int(batch.table.first_row[region]), int(batch.table.size[region])
            curve = batch.table.curves["snake"][first : first + size].tolist()
            piece = row[row >= 0].tolist()
            assert len(piece) == min(4, size)
            places = [curve.index(pixel) for pixel in piece]
            steps = set(np.diff(places).tolist())
            assert len(steps) <= 1
            assert steps <= {1, -1}
            directions |= steps
    assert directions == {1, -1}


def test_every_curve_gets_its_turn(batch: RegionBatch) -> None:
    view = View(4, 3, curves=("hilbert", "walk"))
    drawn = torch.cat([draw(batch, view, number)["index"] for number in range(20)])
    pure = {
        name: torch.cat([draw(batch, View(4, 3, curves=(name,)), n)["index"] for n in range(20)])
        for name in view.curves
    }
    came = {name: (drawn == pure[name]).all(1) for name in pure}
    assert (came["hilbert"] | came["walk"]).all()
    assert 0.2 < came["walk"].float().mean() < 0.9


def test_dates_are_ascending_distinct_and_clear_first(batch: RegionBatch) -> None:
    table = batch.table
    for number in range(8):
        view = draw(batch, View(4, 5), number)
        for row, region in enumerate(batch.regions.tolist()):
            days = view["dates"][row][view["pad_mask"][row]]
            assert (days.diff() > 0).all()
            clear = table.dates[0][table.clear_share[region] >= 0.1]
            assert set(days.tolist()) <= set(clear.tolist())
            assert len(days) == min(5, len(clear))


def test_a_window_of_dates_has_no_holes(batch: RegionBatch) -> None:
    for number in range(8):
        view = draw(batch, View(4, 3, "window"), number)
        for row, region in enumerate(batch.regions.tolist()):
            clear = batch.table.dates[0][batch.table.clear_share[region] >= 0.1].tolist()
            days = view["dates"][row][view["pad_mask"][row]].tolist()
            first = clear.index(days[0])
            assert days == clear[first : first + len(days)]


def test_views_apart_share_no_date(batch: RegionBatch) -> None:
    view = View(4, 50, apart=True)
    one, two = draw(batch, view, 0), draw(batch, view, 1)
    for row in range(len(batch)):
        first, second = (v["dates"][row][v["pad_mask"][row]].tolist() for v in (one, two))
        assert first
        assert second
        assert not set(first) & set(second)


def test_a_view_depends_on_its_key_and_on_nothing_else(parcels: Path) -> None:
    view = View(6, 4)
    base = draw(_batch(parcels, regions=[0, 3, 7]), view, 0)
    alone = draw(_batch(parcels, regions=[7]), view, 0)
    for key in ("index", "dates", "image"):
        assert (base[key][2] == alone[key][0]).all()  # type: ignore[literal-required]
    for other in (
        draw(_batch(parcels, regions=[0, 3, 7], epoch=3), view, 0),
        draw(_batch(parcels, regions=[0, 3, 7], run=2), view, 0),
        draw(_batch(parcels, regions=[0, 3, 7]), view, 1),
    ):
        assert (other["dates"] != base["dates"]).any()


@pytest.mark.parametrize("apart", [False, True])
def test_views_drawn_together_are_those_drawn_alone(batch: RegionBatch, apart: bool) -> None:
    view = View(6, 4, curves=("hilbert", "walk"), apart=apart, gain=0.2)
    together = draw(batch, view, 0, 1, 2)
    alone = [draw(batch, view, number) for number in range(3)]
    for key in ("image", "dates", "index", "yx", "region"):
        joined = torch.cat([one[key] for one in alone])  # type: ignore[literal-required]
        assert torch.equal(together[key], joined)  # type: ignore[literal-required]


@pytest.mark.parametrize("normalised", [False, True])
def test_light_multiplies_reflectance_band_by_band(parcels: Path, normalised: bool) -> None:
    batch = _batch(parcels, regions=[0, 3, 7])
    norm = Normalisation(bands=batch.table.bands, low=(0.1,) * 4, high=(0.3,) * 4)
    plain, lit = (
        draw(replace(batch, normalisation=norm if normalised else None), View(6, 4, gain=gain), 1)
        for gain in (0.0, 0.2)
    )
    clear = plain["clear"]
    values = [view["image"].transpose(0, 1)[:, clear] for view in (plain, lit)]
    before, after = [(one + 2) / 10 if normalised else one for one in values]
    owner = torch.arange(3)[:, None, None].expand_as(clear)[clear]
    factor = torch.stack([(after / before)[:, owner == one].mean(1) for one in range(3)])
    torch.testing.assert_close(after, before * factor.T[:, owner])
    assert ((factor >= 0.8) & (factor <= 1.2)).all()
    assert factor.std() > 0.05
    assert factor.std(1).min() > 0.01
    assert torch.equal(plain["image"] == 0, lit["image"] == 0)


def test_a_curve_that_does_not_exist_is_named() -> None:
    with pytest.raises(InvalidRequest, match="unknown curve 'peano'; use one of raster, snake"):
        View(4, 4, curves=("hilbert", "peano")).check()
    with pytest.raises(InvalidRequest, match="at least one curve"):
        View(4, 4, curves=()).check()


@pytest.mark.parametrize(
    "curve", ["spiral", "hilbert:*", "raster:7", "walk:4,onward", "walk:sigma=0.02", "random", "x", "y"]
)
def test_any_curve_can_be_a_view_stored_or_not(batch: RegionBatch, curve: str) -> None:
    view = View(6, 4, curves=(curve,))
    view.check()
    shown = draw(batch, view, 0, 1)
    inside = shown["index"] >= 0
    assert shown["index"].shape == (8, 6)
    assert inside[:, 0].all()
    assert (shown["index"] < batch.table.size[batch.regions].repeat(2)[:, None]).all()
    assert torch.equal(draw(batch, view, 1)["index"], shown["index"][4:])
    assert not torch.equal(shown["index"][:4], shown["index"][4:])
