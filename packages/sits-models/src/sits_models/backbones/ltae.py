"""L-TAE: light attention over time, with one learned query a head.

Source: Sainte Fare Garnot and Landrieu, Lightweight Temporal Self-Attention for Classifying Satellite
Image Time Series, 2020, arXiv 2007.00586.
"""

import math
from collections.abc import Mapping

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from sits_models.backbones import Features
from sits_models.backbones.fourier import date_code
from sits_models.backbones.inputs import curve
from sits_models.backbones.norms import BatchNorm
from sits_models.backbones.series import clear_series, features
from sits_models.errors import InvalidConfig


class MasterQueries(nn.Module):
    """Each head weighs the dates by its own learned query, and mixes its own share of the channels.

    Args:
        dim: width of tokens, a multiple of `heads`.
        heads: H.
        d_k: width of keys and queries.
        dropout: share of weights that are dropped.

    Raises:
        InvalidConfig: the heads cannot share the channels.
    """

    def __init__(self, dim: int, heads: int, d_k: int, dropout: float = 0.1) -> None:
        super().__init__()
        if dim % heads:
            raise InvalidConfig(f"dim must be a multiple of heads, got {dim} and {heads}")
        self.heads = heads
        self.query = nn.Parameter(torch.randn(heads, d_k) * math.sqrt(2 / d_k))
        self.key = nn.Linear(dim, heads * d_k)
        nn.init.normal_(self.key.weight, std=math.sqrt(2 / d_k))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the known tokens.

        Args:
            tokens: (N, T, dim).
            known: (N, T) bool; a row without any gives 0.

        Returns:
            (N, dim) and the weights (N, H, T), which add up to 1 but for dropout.
        """
        keys = rearrange(self.key(tokens), "n t (h k) -> n h t k", h=self.heads)
        score = (keys * self.query[:, None]).sum(-1) / math.sqrt(self.query.shape[1])
        unknown = ~known[:, None]
        score = score.masked_fill(unknown, torch.finfo(score.dtype).min)
        weights = self.dropout(score.softmax(-1).masked_fill(unknown, 0))
        shares = rearrange(tokens, "n t (h c) -> n h t c", h=self.heads)
        mixed = (weights[:, :, None] @ shares).squeeze(2)
        return rearrange(mixed, "n h c -> n (h c)"), weights


class LightAttention(nn.Module):
    """The temporal encoder: norm, projection, code of the date, master queries, dense layer.

    The authors' code has 112 000 weights (128 → 256 → 128, 16 heads of 8). Of these, 12 288 belong to a
    norm over 256 channels and 24 dates, which fits no other number of dates; here it is over the
    channels, with 512, which leaves 100 224.

    Args:
        in_channels: width of what comes in.
        dim: width of tokens.
        out: width of what goes out.
        heads: H.
        d_k: width of keys and queries.
        dropout: share of activations that are dropped.
        years: of a series that are told apart; with sines of the year they fill a head's channels.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        dim: int = 256,
        out: int = 128,
        heads: int = 16,
        d_k: int = 8,
        dropout: float = 0.2,
        years: int = 4,
    ) -> None:
        super().__init__()
        self.heads, self.years = heads, years
        self.attention = MasterQueries(dim, heads, d_k)
        self.code_dim = head_code_dim(dim, heads, years)
        self.project = nn.Sequential(
            nn.LayerNorm(in_channels), nn.Linear(in_channels, dim), nn.LayerNorm(dim)
        )
        self.dense = nn.Sequential(nn.Linear(dim, out), BatchNorm(out), nn.ReLU(), nn.Dropout(dropout))
        self.norm = nn.LayerNorm(out)

    def code(self, dates: Tensor) -> Tensor:
        """The code of dates (B, T) that each head adds to its channels: (B, T, dim / heads)."""
        return head_code(dates, self.code_dim, self.years)

    def forward(self, values: Tensor, code: Tensor, known: Tensor) -> Tensor:
        """Encode series.

        Args:
            values: (N, T, C).
            code: (N, T, dim / heads) of their dates.
            known: (N, T) bool.

        Returns:
            (N, out).
        """
        tokens = self.project(values) + repeat(code, "n t c -> n t (h c)", h=self.heads)
        mixed, _ = self.attention(tokens, known)
        result: Tensor = self.norm(self.dense(mixed))
        return result


def head_code_dim(dim: int, heads: int, years: int) -> int:
    """Channels of a head, where the code of a date must fit.

    Raises:
        InvalidConfig: it does not.
    """
    width = dim // heads
    if width < years + 2:
        raise InvalidConfig(
            f"dim / heads must be at least years + 2 = {years + 2}, got {dim} / {heads} = {width}; "
            f"give a wider dim, fewer heads or fewer years"
        )
    return width


def head_code(dates: Tensor, width: int, years: int) -> Tensor:
    """Dates (B, T) as (B, T, width): as many sines of the year as there is room for beside `years`."""
    return date_code(dates, width, waves=(width - years) // 2, years=years)


class LTAE(nn.Module):
    """L-TAE on the series of each pixel: bands, projected to what the paper's encoder takes.

    Args:
        in_channels: bands, C.
        hidden: width of an observation.
        dim: width of tokens.
        out: width of the result, D.
        heads: of the attention.
        d_k: width of keys and queries.
        dropout: share of activations that are dropped.
        years: of a series that are told apart, counted back from its newest date.
    """

    def __init__(
        self,
        in_channels: int = 10,
        *,
        hidden: int = 128,
        dim: int = 256,
        out: int = 128,
        heads: int = 16,
        d_k: int = 8,
        dropout: float = 0.2,
        years: int = 4,
    ) -> None:
        super().__init__()
        self.in_channels, self.embed_dim = in_channels, out
        self.embed = nn.Linear(in_channels, hidden)
        self.encoder = LightAttention(
            hidden, dim=dim, out=out, heads=heads, d_k=d_k, dropout=dropout, years=years
        )

    def forward(self, batch: Mapping[str, Tensor]) -> Features:
        """Embeddings of planar images, each position by itself.

        Args:
            batch: `image` (B, C, T, L), `clear` (B, T, L) and `dates` (B, T) of the contract are used.

        Returns:
            Embedding (B, D) and pixels (B, L, D).
        """
        image, clear, dates = curve(batch, self.in_channels)
        series = clear_series(image, clear, self.encoder.code(dates))
        vectors = self.encoder(self.embed(series.values), series.when, series.known)
        return features(vectors, clear.any(1))
