import pytest
import torch
from batches import random_batch
from torch import Tensor

from sits_models.backbones import Features
from sits_models.backbones.fourier import day_of_year, metres
from sits_models.backbones.planar_vit import PlanarViT
from sits_models.contract import Batch

CLOSE = {"atol": 1e-5, "rtol": 0}


@pytest.fixture(scope="module")
def model() -> PlanarViT:
    torch.manual_seed(0)
    return PlanarViT(4, dim=32, heads=2, series_dim=8).eval()


def _run(model: PlanarViT, batch: Batch) -> Features:
    with torch.no_grad():
        return model(batch)


def _pad(batch: Batch, dates: int, positions: int) -> Batch:
    """More dates and positions that nobody saw, with junk in them."""

    def grow(values: Tensor, axis: int, by: int, junk: float) -> Tensor:
        shape = list(values.shape)
        shape[axis] = by
        return torch.cat([values, torch.full(shape, junk, dtype=values.dtype)], axis)

    image = grow(grow(batch["image"], 2, dates, 9.0), 3, positions, 9.0)
    clear = grow(grow(batch["clear"], 1, dates, 0), 2, positions, 0)
    more = {"image": image, "clear": clear, "dates": grow(batch["dates"], 1, dates, 0)}
    return {**batch, **more, "yx": grow(batch["yx"], 1, positions, 0)}  # type: ignore[typeddict-item]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("dates", "positions"), [(5, 0), (0, 9), (3, 4)])
def test_padding_moves_nothing(model: PlanarViT, seed: int, dates: int, positions: int) -> None:
    batch = random_batch(seed)
    before, after = _run(model, batch), _run(model, _pad(batch, dates, positions))
    torch.testing.assert_close(after.embedding, before.embedding, **CLOSE)
    seen = batch["clear"].any(1)
    torch.testing.assert_close(after.pixels[:, :20][seen], before.pixels[seen], **CLOSE)


@pytest.mark.parametrize("seed", range(4))
def test_values_under_a_mask_move_nothing(model: PlanarViT, seed: int) -> None:
    batch = random_batch(seed)
    junk = torch.where(batch["clear"][:, None], batch["image"], torch.tensor(1e4))
    after = _run(model, {**batch, "image": junk})  # type: ignore[typeddict-item]
    before = _run(model, batch)
    torch.testing.assert_close(after.embedding, before.embedding, **CLOSE)
    torch.testing.assert_close(after.pixels, before.pixels, **CLOSE)


def test_a_sample_does_not_depend_on_its_batch(model: PlanarViT) -> None:
    batch = random_batch(size=4)
    alone = {key: value[2:3] for key, value in batch.items()}  # type: ignore[index]
    together = _run(model, batch)
    torch.testing.assert_close(_run(model, alone).embedding, together.embedding[2:3], **CLOSE)  # type: ignore[arg-type]


def test_values_dates_and_places_that_are_seen_do_matter(model: PlanarViT) -> None:
    batch, before = random_batch(), _run(model, random_batch()).embedding
    for key, change in (("image", 0.5), ("dates", 90), ("yx", 300.0)):
        moved = {**batch, key: batch[key] + change * (1 if key != "yx" else torch.rand(20, 2))}  # type: ignore[literal-required]
        assert (_run(model, moved).embedding - before).abs().max() > 1e-4, key  # type: ignore[arg-type]


def test_the_embedding_is_the_mean_of_the_seen_pixels(model: PlanarViT) -> None:
    batch = random_batch(clear=0.1)
    found, seen = _run(model, batch), batch["clear"].any(1)
    for row in range(3):
        torch.testing.assert_close(found.embedding[row], found.pixels[row][seen[row]].mean(0), **CLOSE)


@pytest.mark.parametrize(
    ("dates", "length", "clear"), [(1, 1, 1.0), (1, 20, 0.0), (7, 1, 0.0), (3, 9, 0.5)]
)
def test_small_and_unseen_images_stay_finite(
    model: PlanarViT, dates: int, length: int, clear: float
) -> None:
    batch = random_batch(dates=dates, length=length, clear=clear)
    found = model(batch)
    assert found.pixels.shape == (3, length, 32)
    (found.embedding.sum() + found.pixels.sum()).backward()
    assert all(torch.isfinite(one.grad).all() for one in model.parameters() if one.grad is not None)
    assert torch.isfinite(found.pixels).all()
    model.zero_grad()


def test_waves_by_hand() -> None:
    turns = day_of_year(torch.tensor([0, 365]), 1)
    torch.testing.assert_close(turns[0], torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(turns[1], torch.tensor([0.0, 1.0]), atol=0.01, rtol=0)
    quarter = metres(torch.tensor([25.0, 0.0]), 1, longest_m=100)
    torch.testing.assert_close(quarter, torch.tensor([1.0, 0.0, 0.0, 1.0]), atol=1e-6, rtol=0)
