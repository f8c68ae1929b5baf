"""The series of each pixel for itself: what its neighbours have not averaged away."""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional


class PixelSeries(nn.Module):
    """A small network on each clear observation and its date, averaged over time.

    Args:
        in_channels: bands, C.
        when_dim: numbers that describe a date, W.
        hidden: width of the network.
        dim: width of the result, D.

    Source: sets of observations after Deep Sets (Zaheer et al., NeurIPS 2017).
    """

    def __init__(self, in_channels: int, when_dim: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.observation = nn.Sequential(nn.Linear(in_channels + when_dim, hidden), nn.GELU())
        self.out = nn.Sequential(nn.Linear(hidden, dim), nn.GELU(), nn.Linear(dim, dim))

    def forward(self, image: Tensor, clear: Tensor, when: Tensor) -> Tensor:
        """Vectors of pixels.

        Args:
            image: (B, C, T, L), finite.
            clear: (B, T, L) bool.
            when: (B, T, W).

        Returns:
            (B, L, D).
        """
        values = rearrange(image, "b c t l -> b l t c")
        dates = when[:, None].expand(-1, values.shape[1], -1, -1)
        observed = self.observation(torch.cat([values, dates], dim=-1))
        weight = rearrange(clear, "b t l -> b l 1 t").to(observed.dtype)
        weight = functional.normalize(weight, p=1, dim=-1)  # of no observation: 0
        # A product of matrices: weighting and adding up one after the other takes twice as long.
        mean = (weight @ observed).squeeze(2)
        result: Tensor = self.out(mean)
        return result
