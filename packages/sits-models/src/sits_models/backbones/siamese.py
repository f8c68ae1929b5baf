"""One backbone on the periods of a series, and how what it says of them differs.

Source: siamese networks on pairs of images, Daudt, Le Saux and Boulch, ICIP 2018, arXiv 1810.08462.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sits_data.errors import InvalidRequest
from sits_models.backbones import Features
from sits_models.registry import create


class Siamese(nn.Module):
    """Features of a later period minus those of an earlier one, and the size of that difference.

    Each period is shown by itself, so that what the backbone says of it cannot depend on the other. A
    position without a clear date in one of the two has the difference 0.

    Args:
        in_channels: bands, C.
        of: name of a registered backbone, of width D.
        of_args: what it is made with, besides.
        periods: ISO dates on which a new period begins, ascending; P - 1 of them cut a series into P
            periods.
        each: compare each period with the one before; else the last with the first.

    Raises:
        InvalidRequest: there is no such date, or they do not ascend.
    """

    def __init__(
        self,
        in_channels: int = 10,
        *,
        of: str = "planar_vit_nano",
        of_args: Mapping[str, Any] | None = None,
        periods: Sequence[str] = (),
        each: bool = False,
    ) -> None:
        super().__init__()
        self.begins = first_days(periods)
        self.in_channels, self.each = in_channels, each
        self.one: nn.Module = create("backbones", of, in_channels=in_channels, **(of_args or {}))
        self.embed_dim = 2 * int(self.one.embed_dim)

    def forward(self, batch: Mapping[str, Tensor]) -> Features:
        """Differences of planar images, or of chips.

        Args:
            batch: of the contract; of `each` pair of periods the one that is a sample's `target`, where
                the batch has it.

        Returns:
            Embedding (B, 2 D) and pixels (B, L, 2 D) or (B, H, W, 2 D); of `each` pair, where none is
            the target, with one more axis of P - 1 before the last.
        """
        last = len(self.begins)
        if not self.each:
            return self._compare(batch, self._see(batch, 0), self._see(batch, last))
        if (target := batch.get("target")) is not None:
            return self._compare(batch, self._see(batch, target), self._see(batch, target + 1))
        periods = [self._see(batch, number) for number in range(last + 1)]
        pairs = [self._compare(batch, *pair) for pair in pairwise(periods)]
        embeddings, pixels = zip(*pairs, strict=True)
        return Features(torch.stack(embeddings, -2), torch.stack(pixels, -2))

    def _see(self, batch: Mapping[str, Tensor], number: int | Tensor) -> tuple[Tensor, Tensor]:
        """What the backbone says of each position in a period, and where it saw anything."""
        part = split_period(batch, number, self.begins)
        return self.one(part).pixels, part["clear"].any(1)

    def _compare(
        self, batch: Mapping[str, Tensor], before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]
    ) -> Features:
        both = (before[1] & after[1])[..., None]
        change = torch.where(both, after[0] - before[0], 0)
        change = torch.cat([change, change.abs()], dim=-1)
        ever = batch["clear"].any(1).flatten(1)
        space = tuple(range(1, change.ndim - 1))
        return Features(change.sum(space) / ever.sum(1, keepdim=True).clamp(min=1), change)


def first_days(periods: Sequence[str]) -> tuple[int, ...]:
    """Days since 1970-01-01 on which periods begin, but for the first.

    Raises:
        InvalidRequest: there is no such date, or they do not ascend.
    """
    try:
        days = np.array(list(periods), "datetime64[D]").astype(np.int64).tolist()
    except ValueError as error:
        raise InvalidRequest(f"periods begin on dates such as 2022-01-01, got {error}") from error
    if not days or sorted(set(days)) != days:
        raise InvalidRequest(
            "to compare periods say when each but the first begins, in ascending order, got "
            f'{", ".join(periods) or "nothing"}; give --model.periods "[2022-01-01]"'
        )
    return tuple(days)


def split_period(
    batch: Mapping[str, Tensor], number: int | Tensor, begins: Sequence[int]
) -> dict[str, Tensor]:
    """The dates of one period, padded at the tail to the sample that has most of them.

    Args:
        batch: of the contract, of any form.
        number: of the period, from 0: of all samples, or (B,) of each.
        begins: days on which the others begin, ascending.
    """
    dates, real = batch["dates"], batch["pad_mask"]
    edges = torch.tensor(begins, device=dates.device)
    period = torch.searchsorted(edges, dates, right=True)
    mine = real & (period == (number[:, None] if isinstance(number, Tensor) else number))
    place = (~mine).to(torch.uint8).argsort(dim=1, stable=True)[:, : max(1, int(mine.sum(1).max()))]
    kept = mine.gather(1, place)
    clear = _dates(batch["clear"], place, 1)
    clear = clear & kept.view(*kept.shape, *[1] * (clear.ndim - 2))
    time = 1 if batch["clear"].ndim == 4 else 2  # a chip is (B, T, C, H, W), a planar image (B, C, T, L)
    return {
        **batch,
        "image": _dates(batch["image"], place, time),
        "clear": clear,
        "dates": torch.where(kept, dates.gather(1, place), 0),
        "pad_mask": kept,
        "length": kept.sum(1),
    }


def _dates(values: Tensor, place: Tensor, axis: int) -> Tensor:
    """Some dates of each sample, chosen along one axis."""
    shape = [1] * values.ndim
    shape[0], shape[axis] = place.shape
    wanted = list(values.shape)
    wanted[axis] = place.shape[1]
    return values.gather(axis, place.view(shape).expand(wanted))
