"""The canvas is that of the paper as `sits-data export` writes it, and the network reads it."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from batches import random_batch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torchvision.models import squeezenet1_1

from sits_data import open_store
from sits_data.errors import InvalidRequest
from sits_data.export.images import SIDE, Canvas, Curve, dates_by_year, stretch
from sits_models.backbones import photographs
from sits_models.backbones.canvas import Fit, paint
from sits_models.backbones.deepstar import DeepSTaR
from sits_models.contract import Batch
from sits_models.data.curves import curve_windows
from sits_models.data.normalisation import Normalisation
from sits_models.data.residence import open_table
from sits_models.ops.gather import planar_batch
from sits_models.ops.walks import random_walks

BANDS = (3, 2, 1)


@pytest.mark.parametrize(("name", "fit"), [("walk:iid", "centre"), ("hilbert", "repeat")])
def test_canvas_is_that_of_the_export(parcels: Path, name: str, fit: Fit) -> None:
    store, table = open_store(parcels), open_table(parcels)
    low, high = stretch([store], np.array(BANDS))
    by_year = dates_by_year(store.dates)
    year = max(by_year, key=lambda one: by_year[one])
    written = Canvas(np.array(BANDS), store.manifest.unclear_bits, store.dates, year, low, high)
    region = max(range(len(store)), key=lambda number: len(store.region(number).yx))
    expected = list(written.images(store.region(region), Curve(name, fraction=0.05)))

    positions = torch.tensor([region])
    if fit == "centre":
        law = Curve(name)._parsed.law
        index = random_walks(
            table, positions, length=50, count=len(expected), run=0, epoch=-1, view=0, law=law
        )[0]
    else:
        index, _ = curve_windows(table, positions, "hilbert", length=SIDE)
    batch = planar_batch(
        table,
        positions.expand(len(index)),
        index,
        normalisation=_normalisation(store.manifest.bands, low, high),
    )
    painted = paint(batch, bands=BANDS, side=SIDE, fit=fit)
    assert painted.image.shape == (len(expected), 3, SIDE, SIDE)
    for mine, theirs in zip(painted.image.numpy(), expected, strict=True):
        np.testing.assert_allclose(mine, theirs.image, atol=2e-5)


def _normalisation(bands: tuple[str, ...], low: np.ndarray, high: np.ndarray) -> Normalisation:
    ends = np.zeros(len(bands)), np.ones(len(bands))
    for end, values in zip(ends, (low, high), strict=True):
        end[list(BANDS)] = values * 1e-4 - 0.1
    return Normalisation(bands=bands, low=tuple(ends[0].tolist()), high=tuple(ends[1].tolist()))


def test_positions_know_their_columns() -> None:
    batch = random_batch(length=6)
    batch["index"] = batch["index"].clone()
    batch["index"][0, 4:] = -1
    centred = paint(batch, bands=BANDS, side=10, fit="centre")
    assert centred.column[0].tolist() == [3, 4, 5, 6, 0, 0]
    assert centred.column[1].tolist() == [2, 3, 4, 5, 6, 7]
    assert not centred.image[0, :, :, :3].any()
    assert not centred.image[0, :, :, 7:].any()
    repeated = paint(batch, bands=BANDS, side=10, fit="repeat").image
    assert torch.equal(repeated[0, ..., 4:8], repeated[0, ..., :4])
    assert torch.equal(repeated[1, ..., 6:], repeated[1, ..., :4])


@pytest.mark.parametrize(("first", "second", "year"), [(3, 2, 2018), (2, 3, 2019), (3, 3, 2019)])
def test_the_year_is_the_one_with_most_dates(first: int, second: int, year: int) -> None:
    """Values are those of a line in time, so that a column tells which days it shows."""
    start = np.array(["2018-01-01", "2019-01-01"], "datetime64[D]").astype(int)
    days = torch.from_numpy(
        np.concatenate([start[0] + 90 * np.arange(first), start[1] + 90 * np.arange(second)])
    )
    batch = random_batch(size=1, bands=3, dates=len(days), length=1)
    batch["dates"], batch["clear"] = days[None], torch.ones(1, len(days), 1, dtype=torch.bool)
    batch["image"] = (days - start[0]).float().view(1, 1, -1, 1).expand(1, 3, -1, 1) / 1000 - 1
    shown = paint(batch, bands=(0, 1, 2), side=SIDE, fit="repeat").image[0, 0, :, 0]
    new_year = (year - 2018) * 365
    last = float(days[-1] - start[0])
    expected = np.clip(new_year + np.arange(SIDE) * 365 / SIDE, 0, last)
    np.testing.assert_allclose(shown.numpy() * 2000, expected, atol=0.1)


@given(extra=st.integers(1, 5), seed=st.integers(0, 99))
def test_padding_and_what_is_masked_change_nothing(extra: int, seed: int) -> None:
    network = DeepSTaR(4, side=64).eval()
    batch = random_batch(seed, clear=0.5)
    with torch.no_grad():
        expected = network(batch)
        found = network(_padded(batch, extra))
    assert torch.allclose(found.embedding, expected.embedding, atol=1e-5)
    assert torch.allclose(found.pixels, expected.pixels, atol=1e-5)


def _padded(batch: Batch, extra: int) -> Batch:
    """More dates that are none, and other values where nothing was clear."""
    noise = torch.randn_like(batch["image"]) * 100
    return {
        **batch,
        "image": functional.pad(
            torch.where(batch["clear"][:, None], batch["image"], noise), (0, 0, 0, extra)
        ),
        "clear": functional.pad(batch["clear"], (0, 0, 0, extra)),
        "dates": functional.pad(batch["dates"], (0, extra)),
        "pad_mask": functional.pad(batch["pad_mask"], (0, extra)),
    }


def test_what_was_never_clear_gives_finite_numbers() -> None:
    batch = random_batch(clear=-1)
    features = DeepSTaR(4, side=64)(batch)
    assert not features.embedding.any()
    assert features.pixels.isfinite().all()


def test_missing_photographs_are_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def nowhere(*, weights: object = None) -> nn.Module:
        if weights is not None:
            raise OSError("no route to host")
        return squeezenet1_1()

    monkeypatch.setattr(photographs, "_missing", set())
    monkeypatch.setattr("sits_models.backbones.deepstar.squeezenet1_1", nowhere)
    with caplog.at_level(logging.WARNING, "sits_models"):
        made = DeepSTaR(3, pretrained=True)
    assert made.starts_from is None
    assert "no route to host): it starts from random weights" in caplog.text


def test_photographs_are_where_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a file in the place and layout of torchvision's, on a machine that has it."""
    learned = squeezenet1_1()
    monkeypatch.setattr(photographs, "_missing", set())
    monkeypatch.setattr(
        "torchvision.models._api.load_state_dict_from_url", lambda *_, **__: learned.state_dict()
    )
    made = DeepSTaR(3, pretrained=True)
    assert made.starts_from is not None
    assert made.starts_from.startswith("ImageNet")
    for mine, theirs in zip(made.features.parameters(), learned.features.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bands": (0, 1)}, r"three bands of positions 0 to 3, got \[0, 1\]"),
        ({"bands": (0, 1, 4)}, r"three bands of positions 0 to 3, got \[0, 1, 4\]"),
        ({"bands": (1, 1, 2)}, r"three bands"),
    ],
)
def test_bands_that_are_not_there(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        DeepSTaR(4, **arguments)


def test_more_positions_than_columns() -> None:
    with pytest.raises(InvalidRequest, match="64 columns, got images of 80 positions"):
        DeepSTaR(4, side=64)(random_batch(length=80))
