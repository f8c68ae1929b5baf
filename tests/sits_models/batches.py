"""Random batches of the contract."""

import torch

from sits_models.contract import Batch


def random_batch(
    seed: int = 0, *, size: int = 3, bands: int = 4, dates: int = 7, length: int = 20, clear: float = 0.6
) -> Batch:
    draws = torch.Generator().manual_seed(seed)
    known = torch.rand(size, dates, length, generator=draws) < clear
    image = torch.randn(size, bands, dates, length, generator=draws)
    days = torch.randint(0, 700, (size, dates), generator=draws).sort(1).values + 18_000
    return Batch(
        image=image,
        dates=days,
        clear=known,
        pad_mask=torch.ones(size, dates, dtype=torch.bool),
        length=torch.full((size,), dates),
        index=torch.arange(length).expand(size, -1),
        yx=torch.randn(size, length, 2, generator=draws) * 50,
        region=torch.arange(size),
    )


def random_chips(
    seed: int = 0,
    *,
    size: int = 3,
    bands: int = 4,
    dates: int = 5,
    height: int = 11,
    width: int = 9,
    clear: float = 0.6,
) -> Batch:
    draws = torch.Generator().manual_seed(seed)
    days = torch.randint(0, 700, (size, dates), generator=draws).sort(1).values + 18_000
    return Batch(
        image=torch.randn(size, dates, bands, height, width, generator=draws),
        dates=days,
        clear=torch.rand(size, dates, height, width, generator=draws) < clear,
        pad_mask=torch.ones(size, dates, dtype=torch.bool),
        length=torch.full((size,), dates),
        yx=torch.randn(size, height, width, 2, generator=draws) * 50,
        region=torch.arange(size),
    )
