"""A transformer encoder on the series of each pixel.

Source: Rußwurm and Körner, Self-attention for raw optical Satellite Time Series Classification, ISPRS
Journal 169, 2020, arXiv 1910.10536; the sizes are those of `TransformerModel` in the same authors'
BreizhCrops.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sits_models.backbones import Features
from sits_models.backbones.fourier import date_code
from sits_models.backbones.inputs import curve
from sits_models.backbones.series import clear_series, features
from sits_models.errors import InvalidConfig


class SeriesTransformer(nn.Module):
    """Clear observations look at each other; the maximum over time is the pixel's vector.

    Tokens are the bands, projected, plus the code of their date, which has no weights.

    The authors' model of 13 bands and 9 classes has 168 969 weights, counted from its sizes; this one of
    13 bands has those without the classifier's 585.

    Args:
        in_channels: bands, C.
        dim: width of tokens and of the result, D; a multiple of `heads`.
        heads: of each attention.
        depth: layers.
        hidden: width of each layer's hidden layer.
        dropout: share of activations that are dropped.
        year_waves: sines of the day of year.
        years: of a series that are told apart, counted back from its newest date.

    Raises:
        InvalidConfig: the code of a date does not fit into a token.
    """

    def __init__(
        self,
        in_channels: int = 10,
        *,
        dim: int = 64,
        heads: int = 2,
        depth: int = 5,
        hidden: int = 128,
        dropout: float = 0.02,
        year_waves: int = 8,
        years: int = 4,
    ) -> None:
        super().__init__()
        if dim < 2 * year_waves + years:
            raise InvalidConfig(
                f"dim must be at least 2 year_waves + years = {2 * year_waves + years}, got {dim}; "
                f"give fewer waves or a wider token"
            )
        self.in_channels, self.embed_dim = in_channels, dim
        self.year_waves, self.years = year_waves, years
        self.embed = nn.Linear(in_channels, dim)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(dim, heads, hidden, dropout, batch_first=True)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, batch: Mapping[str, Tensor]) -> Features:
        """Embeddings of planar images, each position by itself.

        Args:
            batch: `image` (B, C, T, L), `clear` (B, T, L) and `dates` (B, T) of the contract are used.

        Returns:
            Embedding (B, D) and pixels (B, L, D).
        """
        image, clear, dates = curve(batch, self.in_channels)
        code = date_code(dates, self.embed_dim, waves=self.year_waves, years=self.years)
        series = clear_series(image, clear, code)
        tokens = self.embed(series.values) + series.when
        for layer in self.layers:
            tokens = layer(tokens, src_key_padding_mask=~series.known)
        tokens = self.norm(tokens).masked_fill(~series.known[..., None], -torch.inf)
        return features(tokens.amax(1), clear.any(1))
