"""One backbone on series that are interpolated to regular dates, as many papers prepare theirs.

Source: linear interpolation over gaps, as Inglada et al., Remote Sensing 9(1) 95, 2017, and most of the
literature that this is compared with.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sits_data.errors import InvalidRequest
from sits_models.backbones import Features
from sits_models.backbones.inputs import curve
from sits_models.ops.resample import resample
from sits_models.registry import create


class RegularDates(nn.Module):
    """Every so many days from an image's first clear date to its last, linear between, held at ends.

    A position that was clear once is clear on every step, so that the backbone sees no gaps.

    Args:
        in_channels: bands, C.
        of: name of a registered backbone that takes planar images.
        of_args: what it is made with, besides.
        every: days of a step.

    Raises:
        InvalidRequest: a step is shorter than a day.
    """

    def __init__(
        self,
        in_channels: int = 10,
        *,
        of: str = "planar_vit_nano",
        of_args: Mapping[str, Any] | None = None,
        every: int = 10,
    ) -> None:
        super().__init__()
        if every < 1:
            raise InvalidRequest(f"steps must be 1 day or longer, got every {every}")
        self.in_channels, self.every = in_channels, every
        self.one: nn.Module = create("backbones", of, in_channels=in_channels, **(of_args or {}))
        self.embed_dim = int(self.one.embed_dim)

    def forward(self, batch: Mapping[str, Tensor]) -> Features:
        """Features of planar images.

        Args:
            batch: `image` (B, C, T, L), `clear`, `dates` and `pad_mask` of the contract, and what the
                other backbone takes.

        Returns:
            Embedding (B, D) and pixels (B, L, D).
        """
        image, clear, _ = curve(batch, self.in_channels)
        dates, real = batch["dates"], batch["pad_mask"] & clear.any(2)
        first = torch.where(real, dates, dates.amax()).amin(1, keepdim=True)
        last = torch.where(real, dates, first).amax(1, keepdim=True)
        steps = (last - first) // self.every + 1
        place = torch.arange(int(steps.max()), device=dates.device)
        inside = place < steps
        grid = torch.where(inside, first + place * self.every, last)
        filled = resample(image, clear, dates, grid, pad_mask=batch["pad_mask"])
        regular = {
            **batch,
            "image": filled.values * inside[:, None, :, None],
            "clear": filled.observed[:, None] & inside[..., None],
            "dates": torch.where(inside, grid, 0),
            "pad_mask": inside,
            "length": steps[:, 0],
        }
        features: Features = self.one(regular)
        return features
