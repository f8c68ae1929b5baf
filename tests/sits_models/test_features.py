from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sits_data.errors import InvalidRequest
from sits_models.backbones import Features
from sits_models.bench.features import LENGTH, Embedder, pick_device, pixel_places, view_length
from sits_models.checkpoint import load_backbone, read_card
from sits_models.data.items import Items
from sits_models.data.residence import open_table
from sits_models.data.table import PixelTable
from sits_models.errors import MissingDevice

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
    ),
]


class Pixels(nn.Module):
    """Features of a pixel that no neighbour has a part in: sums over clear dates, and their count."""

    def forward(self, batch: dict[str, Tensor]) -> Features:
        clear = batch["clear"][:, None].float()
        pixels = torch.cat([batch["image"] * clear, clear], 1).sum(2).transpose(1, 2)
        return Features(pixels.mean(1), pixels)


@pytest.fixture(scope="module")
def table(parcels: Path) -> PixelTable:
    return open_table(parcels)


def expected_pixels(table: PixelTable, region: int) -> tuple[Tensor, Tensor]:
    """What `Pixels` says of a region, read without windows; and which pixels were ever clear."""
    first, size = int(table.first_row[region]), int(table.size[region])
    dates = int(table.dated[0])
    rows = slice(first, first + size)
    digits = table.pixels[0].view(-1, dates, len(table.bands))[rows].int() & 0xFFFF
    clear = ((table.qa[0].view(-1, dates)[rows] & table.unclear_bits) == 0) & (digits != 0).all(-1)
    values = (digits * table.scale + table.offset) * clear[..., None]
    count = clear.sum(1, keepdim=True)
    return torch.cat([values.sum(1), count], 1).float(), clear.any(1)


@settings(max_examples=8)
@given(st.integers(1, 200), st.integers(1, 70))
def test_mean_of_windows_is_the_mean_over_pixels(
    table: PixelTable, length: int, batch_size: int
) -> None:
    """Of regions that are shorter and longer than a window."""
    regions = [int(table.size.argmax()), 5, int(table.size.argmin())]
    embedder = Embedder(Pixels(), None, length, batch_size)
    found = embedder.regions(table, torch.tensor(regions))
    for row, region in zip(found, regions, strict=True):
        pixels, seen = expected_pixels(table, region)
        torch.testing.assert_close(row, pixels[seen].mean(0), rtol=1e-4, atol=1e-4)


def test_pixels_are_in_raster_order(table: PixelTable) -> None:
    regions = [3, 0]
    found = Embedder(Pixels(), None, length=7).pixels(table, torch.tensor(regions))
    parts = [expected_pixels(table, region) for region in regions]
    torch.testing.assert_close(found.features, torch.cat([pixels for pixels, _ in parts]))
    assert found.seen.tolist() == torch.cat([seen for _, seen in parts]).tolist()
    assert found.region.tolist() == [0] * len(parts[0][0]) + [1] * len(parts[1][0])


def test_items_are_regions_or_pixels_in_the_order_asked_for(table: PixelTable) -> None:
    embedder = Embedder(Pixels(), None)
    asked = Items(np.array([4, 1, 4]))
    expected = embedder.regions(table, torch.tensor([4, 1, 4]))
    torch.testing.assert_close(embedder.items(table, asked), expected)
    some = Items(np.array([4, 1, 1]), np.array([2, 0, 9]))
    wanted = [expected_pixels(table, region)[0][row] for region, row in ((4, 2), (1, 0), (1, 9))]
    torch.testing.assert_close(embedder.items(table, some), torch.stack(wanted))
    size = int(table.size[1])
    assert pixel_places(table, np.array([1, 4]), some).tolist() == [size + 2, 0, 9]


@pytest.mark.parametrize("device", DEVICES)
def test_neither_batch_size_nor_device_matters(table: PixelTable, pretrained: Path, device: str) -> None:
    card, regions = read_card(pretrained), torch.tensor([8, 2, 30])
    backbone = load_backbone(pretrained)
    plain = Embedder(backbone, card.normalisation, 16)
    other = Embedder(backbone, card.normalisation, 16, batch_size=2, device=device)
    torch.testing.assert_close(
        other.regions(table, regions), plain.regions(table, regions), rtol=1e-4, atol=1e-4
    )
    found, again = (embedder.pixels(table, regions) for embedder in (plain, other))
    torch.testing.assert_close(again.features, found.features, rtol=1e-4, atol=1e-4)
    means = [found.features[(found.region == one) & found.seen].mean(0) for one in range(3)]
    torch.testing.assert_close(plain.regions(table, regions), torch.stack(means))
    assert plain.regions(table, regions).std(0).mean() > 1e-3  # regions differ at all


def test_region_that_was_never_clear_is_zero(table: PixelTable) -> None:
    first, stop = int(table.first_row[2]), int(table.first_row[2] + table.size[2])
    qa = table.qa[0].clone()
    qa.view(-1, int(table.dated[0]))[first:stop] = 2
    dark = replace(table, qa=(qa,))
    found = Embedder(Pixels(), None, 9).regions(dark, torch.tensor([1, 2]))
    assert found[0].abs().sum() > 0
    assert found[1].tolist() == [0] * found.shape[1]
    assert not Embedder(Pixels(), None, 9).pixels(dark, torch.tensor([2])).seen.any()


def test_backbone_is_read_in_evaluation_mode(table: PixelTable) -> None:
    class Forgetful(Pixels):
        def forward(self, batch: dict[str, Tensor]) -> Features:
            features = super().forward(batch)
            return Features(*(nn.functional.dropout(one, 0.9, self.training) for one in features))

    regions = torch.tensor([0])
    found = Embedder(Forgetful().train(), None).regions(table, regions)
    torch.testing.assert_close(found, Embedder(Pixels(), None).regions(table, regions))


def test_curves_that_the_store_lacks_are_named(table: PixelTable) -> None:
    regions = torch.tensor([0])
    snake = Embedder(Pixels(), None, order="snake").regions(table, regions)
    torch.testing.assert_close(snake, Embedder(Pixels(), None).regions(table, regions))
    spiral = Embedder(Pixels(), None, order="spiral").regions(table, regions)
    torch.testing.assert_close(snake, spiral)  # computed: no store has it
    bare = replace(table, curves={})
    torch.testing.assert_close(snake, Embedder(Pixels(), None).regions(bare, regions))
    with pytest.raises(InvalidRequest, match="unknown curve 'peano'"):
        Embedder(Pixels(), None, order="peano").regions(table, regions)
    with pytest.raises(InvalidRequest, match="comes to every pixel once is wanted here, got 'walk'"):
        Embedder(Pixels(), None, order="walk").regions(table, regions)


@pytest.mark.parametrize("name", ["gpu", "mps", "meta", "cuda:x", "cuda:-1", ""])
def test_other_names_are_no_device(name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"is called cpu, cuda or cuda:0, got {name}$"):
        pick_device(name)


def test_devices_by_name() -> None:
    assert pick_device("cpu").type == "cpu"
    assert pick_device(None).type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(MissingDevice, match="cuda:99 must be a GPU of this machine, which has"):
        pick_device("cuda:99")


@pytest.mark.parametrize(
    ("views", "length"), [({"length": 16}, 16), ({}, LENGTH), ({"length": 0}, LENGTH)]
)
def test_windows_are_as_long_as_the_checkpoints_views(
    pretrained: Path, views: dict[str, int], length: int
) -> None:
    assert view_length(read_card(pretrained).model_copy(update={"views": views})) == length
