"""Series on regular dates."""

from collections.abc import Mapping
from typing import cast

import pytest
import torch
from batches import random_batch
from torch import Tensor, nn

from sits_data.errors import InvalidRequest
from sits_models.backbones import Features
from sits_models.backbones.regular import RegularDates
from sits_models.contract import Batch


class Seen(nn.Module):
    embed_dim = 1

    def forward(self, batch: Mapping[str, Tensor]) -> Features:
        self.batch = batch
        return Features(batch["image"].mean((1, 2, 3))[:, None], batch["image"].mean((1, 2))[..., None])


def test_a_gap_is_interpolated_by_hand() -> None:
    batch = random_batch(size=2, bands=1, dates=3, length=1, clear=1.0)
    batch["dates"] = torch.tensor([[100, 110, 130], [100, 105, 0]])
    batch["pad_mask"] = torch.tensor([[True, True, True], [True, True, False]])
    batch["clear"] = torch.tensor([[1, 0, 1], [0, 1, 0]], dtype=torch.bool)[..., None]
    batch["image"] = torch.tensor([[3.0, 9, 6], [7, 2, 0]])[:, None, :, None]
    network = RegularDates(1, of="planar_vit_nano", every=10)
    network.one = Seen()
    network(cast(dict[str, Tensor], batch))
    seen = network.one.batch
    assert seen["dates"].tolist() == [[100, 110, 120, 130], [105, 0, 0, 0]]
    assert seen["image"].flatten(1).tolist() == [
        [3, pytest.approx(4), pytest.approx(5), 6],
        [2, 0, 0, 0],
    ]
    assert seen["clear"].flatten(1).tolist() == [[True] * 4, [True, False, False, False]]
    assert seen["pad_mask"].tolist() == seen["clear"].flatten(1).tolist()
    assert seen["length"].tolist() == [4, 1]


def test_a_step_is_a_day_or_longer() -> None:
    with pytest.raises(InvalidRequest, match="1 day or longer"):
        RegularDates(4, every=0)


def test_one_day_apart_changes_nothing_on_daily_dates() -> None:
    batch: Batch = random_batch(size=2, dates=5, clear=1.0)
    batch["dates"] = torch.arange(100, 105).repeat(2, 1)
    network = RegularDates(4, of="ltae", every=1).eval()
    told = cast(dict[str, Tensor], batch)
    torch.testing.assert_close(network(told).embedding, network.one(told).embedding)
