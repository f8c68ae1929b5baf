"""The series of each pixel for itself: what its neighbours have not averaged away."""

import torch
from einops import rearrange
from torch import Tensor, nn


class PixelSeries(nn.Module):
    """A small network on each clear observation and its season, averaged over time.

    Args:
        in_channels: bands, C.
        hidden: width of the network.
        dim: width of the result, D.
        year_waves: sines of the day of year.

    Source: sets of observations after Deep Sets (Zaheer et al., NeurIPS 2017).
    """

    def __init__(self, in_channels: int, hidden: int, dim: int, *, year_waves: int) -> None:
        super().__init__()
        self.value = nn.Linear(in_channels, hidden)
        self.season = nn.Linear(2 * year_waves, 2 * hidden)
        self.out = nn.Sequential(nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, image: Tensor, clear: Tensor, season: Tensor) -> Tensor:
        """Vectors of pixels.

        Args:
            image: (B, C, T, L), finite; zeros under `clear`.
            clear: (B, T, L) bool.
            season: (B, T, 2 F).

        Returns:
            (B, L, D).
        """
        values = self.value(rearrange(image, "b c t l -> b t l c"))
        gain, shift = self.season(season)[:, :, None].chunk(2, dim=-1)
        observed = torch.nn.functional.gelu(values * gain + shift + values)
        weight = clear[..., None].to(observed.dtype)
        mean = (observed * weight).sum(1) / weight.sum(1).clamp(min=1)
        result: Tensor = self.out(mean)
        return result
