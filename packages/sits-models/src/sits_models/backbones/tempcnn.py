"""TempCNN: convolutions along the season of each pixel.

Source: Pelletier, Webb and Petitjean, Temporal Convolutional Neural Network for the Classification of
Satellite Image Time Series, Remote Sensing 11(5) 523, 2019.
"""

from collections.abc import Mapping

import torch
from einops import rearrange
from torch import Tensor, nn

from sits_models.backbones import Features
from sits_models.backbones.fourier import main_year
from sits_models.backbones.inputs import curve
from sits_models.backbones.norms import BatchNorm
from sits_models.backbones.series import features, shown
from sits_models.errors import InvalidConfig
from sits_models.ops.resample import resample

_SEASON_DAYS = 365


class TempCNN(nn.Module):
    """Three convolutions over a regular season, then one dense layer over all of it.

    The dense layer needs the same days in every row: each pixel's clear observations are interpolated,
    linear in days, onto `steps` days of the year that most dates of its series lie in. The network has
    no other notion of a date.

    The number of weights depends on `steps`: the authors' example data, 149 days of 3 bands, make
    2 484 480 without the classifier, of which 64·149·256 lie in the dense layer. That is our count.

    Args:
        in_channels: bands, C.
        filters: of each convolution.
        kernel: days of the grid that a filter spans; odd.
        dense: width of the result, D.
        steps: days of the grid; 73 lie five days apart.
        first_day: of the year on which the season begins: 1 = 1 January, 274 = 1 October.
        dropout: share of activations that are dropped after each layer.

    Raises:
        InvalidConfig: the kernel is even.
    """

    def __init__(
        self,
        in_channels: int = 10,
        *,
        filters: int = 64,
        kernel: int = 5,
        dense: int = 256,
        steps: int = 73,
        first_day: int = 1,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise InvalidConfig(f"kernel must be odd, got {kernel}; give {kernel + 1}")
        self.in_channels, self.embed_dim = in_channels, dense
        self.steps, self.first_day = steps, first_day
        layers: list[nn.Module] = []
        for width in (in_channels, filters, filters):
            layers += [nn.Conv1d(width, filters, kernel, padding=kernel // 2), BatchNorm(filters)]
            layers += [nn.ReLU(), nn.Dropout(dropout)]
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Linear(filters * steps, dense), BatchNorm(dense), nn.ReLU(), nn.Dropout(dropout)
        )

    def forward(self, batch: Mapping[str, Tensor]) -> Features:
        """Embeddings of planar images, each position by itself.

        Args:
            batch: `image` (B, C, T, L), `clear` (B, T, L) and `dates` (B, T) of the contract are used.

        Returns:
            Embedding (B, D) and pixels (B, L, D).
        """
        image, clear, dates = curve(batch, self.in_channels)
        start = main_year(dates, clear.any(-1), first_day=self.first_day)
        days = torch.arange(self.steps, device=dates.device) * _SEASON_DAYS // self.steps
        # Days must ascend; on those that pad or have nothing clear, which are 0, it does not matter how.
        ascending = dates.cummax(1).values
        regular = resample(image, clear, ascending, start[:, None] + days)
        rows = rearrange(regular.values, "b c g l -> b l c g")[shown(regular.observed)]
        vectors = self.dense(self.convolutions(rows).flatten(1))
        return features(vectors, regular.observed)
