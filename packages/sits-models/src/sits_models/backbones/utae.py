"""U-TAE: a U-Net over space whose lowest level looks along time, and tells the others which dates count.

Source: Sainte Fare Garnot and Landrieu, Panoptic Segmentation of Satellite Image Time Series with
Convolutional Temporal Attention Networks, ICCV 2021, arXiv 2107.07933.
"""

from collections.abc import Mapping

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional

from sits_models.backbones import Features
from sits_models.backbones.inputs import chip
from sits_models.backbones.ltae import MasterQueries, head_code, head_code_dim
from sits_models.backbones.norms import BatchNorm, SeenGroupNorm, norm_seen
from sits_models.backbones.series import features, shown
from sits_models.errors import InvalidConfig

_GROUPS = 4


class UTAE(nn.Module):
    """Features of every pixel of a chip, at full resolution.

    What is not clear on a date is 0 after every layer, as what lies beyond the chip's edge is: it is in
    no sum, no norm and no attention. On a coarser level a cell is clear where any of its pixels is. The
    weights of dates, found on the coarsest level, are shared among those on which a pixel was clear.

    The authors' code has 1 087 260 weights with ten bands and 20 classes. This one has 1 072 128: the
    classifier's 15 132 are left out. Edges are padded with zeros; theirs reflects. Dates are coded by
    season and year; theirs by days.

    Args:
        in_channels: bands, C.
        encoder: channels of each level on the way down, the finest first; multiples of `heads`.
        decoder: channels of each level on the way up, the finest first; the last equals the encoder's,
            and the first is D.
        heads: of the attention.
        d_k: width of keys and queries.
        dim: width of tokens.
        dropout: share of activations that are dropped after the attention.
        years: of a series that are told apart, counted back from its newest date.

    Raises:
        InvalidConfig: the widths do not fit each other.
    """

    def __init__(
        self,
        in_channels: int = 10,
        *,
        encoder: tuple[int, ...] = (64, 64, 64, 128),
        decoder: tuple[int, ...] = (32, 32, 64, 128),
        heads: int = 16,
        d_k: int = 4,
        dim: int = 256,
        dropout: float = 0.2,
        years: int = 4,
    ) -> None:
        super().__init__()
        if len(encoder) != len(decoder) or encoder[-1] != decoder[-1] or any(w % heads for w in encoder):
            raise InvalidConfig(
                f"encoder and decoder must have as many levels and end in one width, and the encoder's "
                f"be multiples of {heads} heads, got {encoder} and {decoder}"
            )
        self.in_channels, self.embed_dim = in_channels, decoder[0]
        self.factor = 2 ** (len(encoder) - 1)
        self.first = nn.ModuleList([Convolution(in_channels, encoder[0]), Convolution(*encoder[:1] * 2)])
        self.down = nn.ModuleList(map(Down, encoder, encoder[1:]))
        self.time = CellSeries(encoder[-1], dim=dim, heads=heads, d_k=d_k, dropout=dropout, years=years)
        self.up = nn.ModuleList(map(Up, decoder[:0:-1], decoder[-2::-1], encoder[-2::-1]))

    def forward(self, batch: Mapping[str, Tensor]) -> Features:
        """Embeddings of chips.

        Args:
            batch: `image` (B, T, C, H, W), `clear` (B, T, H, W) and `dates` (B, T) of the contract are
                used.

        Returns:
            Embedding (B, D) and pixels (B, H, W, D).
        """
        image, clear, dates = chip(batch, self.in_channels)
        height, width = clear.shape[-2:]
        more = (0, -width % self.factor, 0, -height % self.factor)
        seen = [functional.pad(clear, more)]  # of each level, (B, T, H, W)
        for _ in self.down:
            seen.append(functional.max_pool2d(seen[-1].float(), 2).bool())
        maps = self._over_space(functional.pad(image, more), seen)
        result, weights = self.time(maps[-1], seen[-1], dates)
        for block, skip, clear_there in zip(self.up, maps[-2::-1], seen[-2::-1], strict=True):
            result = block(result, _over_time(skip, clear_there, weights), clear_there.any(1))
        ever = clear.any(1)
        pixels = rearrange(result, "b d h w -> b h w d")[:, :height, :width]
        return features(pixels[shown(ever)], ever)

    def _over_space(self, image: Tensor, seen: list[Tensor]) -> list[Tensor]:
        """Maps (B, T, D, H, W) of each level, every date by itself."""
        frames, clear = image.flatten(0, 1), [one.flatten(0, 1) for one in seen]
        for layer in self.first:
            frames = layer(frames, clear[0])
        maps = [frames]
        for block, there in zip(self.down, clear[1:], strict=True):
            maps.append(block(maps[-1], there))
        return [rearrange(one, "(b t) d h w -> b t d h w", b=len(image)) for one in maps]


class Convolution(nn.Module):
    """Convolution, norm over what was seen on the date, ReLU; 0 elsewhere."""

    def __init__(self, before: int, after: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, kernel, stride, padding=1)
        self.norm = SeenGroupNorm(_GROUPS, after)

    def forward(self, maps: Tensor, seen: Tensor) -> Tensor:
        """(N, D, H, W) and what is seen of the result, (N, H, W)."""
        result: Tensor = self.norm(self.convolution(maps), seen).relu()
        return result


class Down(nn.Module):
    """Halve the resolution, then two convolutions, the second one a residual."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.halve = Convolution(before, before, kernel=4, stride=2)
        self.convolution, self.residual = Convolution(before, after), Convolution(after, after)

    def forward(self, maps: Tensor, seen: Tensor) -> Tensor:
        """(N, D, 2 H, 2 W) and what is seen of the result, (N, H, W)."""
        maps = self.convolution(self.halve(maps, seen), seen)
        result: Tensor = maps + self.residual(maps, seen)
        return result


class CellSeries(nn.Module):
    """L-TAE on each cell of the coarsest level.

    Args:
        channels: of the maps.
        dim: width of tokens.
        heads: H.
        d_k: width of keys and queries.
        dropout: share of activations that are dropped.
        years: of a series that are told apart.
    """

    def __init__(
        self, channels: int, *, dim: int, heads: int, d_k: int, dropout: float, years: int
    ) -> None:
        super().__init__()
        self.heads, self.years, self.code_dim = heads, years, head_code_dim(dim, heads, years)
        self.norm_in = SeenGroupNorm(heads, channels)
        self.project = nn.Linear(channels, dim)
        self.attention = MasterQueries(dim, heads, d_k)
        self.dense = nn.Sequential(
            nn.Linear(dim, channels), BatchNorm(channels), nn.ReLU(), nn.Dropout(dropout)
        )
        self.norm_out = nn.GroupNorm(heads, channels)

    def forward(self, maps: Tensor, seen: Tensor, dates: Tensor) -> tuple[Tensor, Tensor]:
        """Sum up the dates of each cell.

        Args:
            maps: (B, T, D, H, W).
            seen: (B, T, H, W) bool.
            dates: (B, T).

        Returns:
            (B, D, H, W), and the weights of dates (B, heads, T, H, W); 0 where nothing was ever seen.
        """
        ever = seen.any(1)
        run = shown(ever)
        known = rearrange(seen, "b t h w -> b h w t")[run]
        values = rearrange(maps, "b t d h w -> b h w d t")[run]  # (N, D, T)
        code = head_code(dates, self.code_dim, self.years)[run.nonzero()[:, 0]]
        tokens = self.project(self.norm_in(values, known).transpose(1, 2))
        tokens = tokens + repeat(code, "n t c -> n t (h c)", h=self.heads)
        mixed, weights = self.attention(tokens, known)
        summed = features(self.norm_out(self.dense(mixed)), ever).pixels
        spread = weights.new_zeros(*run.shape, *weights.shape[1:])
        spread[run] = weights
        return (
            rearrange(summed, "b h w d -> b d h w"),
            rearrange(spread, "b h w heads t -> b heads t h w"),
        )


class Up(nn.Module):
    """Double the resolution, join the skipped level, then two convolutions, the second a residual."""

    def __init__(self, before: int, after: int, skipped: int) -> None:
        super().__init__()
        self.widen = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)
        self.skip = nn.Conv2d(skipped, skipped, 1)
        self.convolution = nn.Conv2d(after + skipped, after, 3, padding=1)
        self.residual = nn.Conv2d(after, after, 3, padding=1)
        self.norms = nn.ModuleList(map(BatchNorm, (after, skipped, after, after)))

    def forward(self, maps: Tensor, skip: Tensor, seen: Tensor) -> Tensor:
        """Maps (B, D, H, W), skipped ones (B, D, 2 H, 2 W), and where they were seen, (B, 2 H, 2 W)."""
        widened, skipped, first, second = self.norms
        maps = norm_seen(widened, self.widen(maps), seen).relu()
        skip = norm_seen(skipped, self.skip(skip), seen).relu()
        maps = norm_seen(first, self.convolution(torch.cat([maps, skip], dim=1)), seen).relu()
        return maps + norm_seen(second, self.residual(maps), seen).relu()


def _over_time(maps: Tensor, seen: Tensor, weights: Tensor) -> Tensor:
    """Maps (B, T, D, H, W) summed over the dates on which they were seen, each head its channels.

    The weights (B, heads, T, h, w) are interpolated to the resolution of the maps; what they give to
    dates on which a pixel was not seen goes to the others.
    """
    heads = weights.shape[1]
    fine = functional.interpolate(weights.flatten(1, 2), size=maps.shape[-2:], mode="bilinear")
    fine = rearrange(fine, "b (g t) h w -> b g t h w", g=heads) * seen[:, None]
    fine = fine / fine.sum(2, keepdim=True).clamp(min=torch.finfo(fine.dtype).tiny)
    groups = rearrange(maps, "b t (g c) h w -> b g c t h w", g=heads)
    return torch.einsum("bgthw,bgcthw->bgchw", fine, groups).flatten(1, 2)
