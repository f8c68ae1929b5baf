"""A transformer on planar images: first along time, then along the curve.

Source: tokens and the order time → space after TSViT (Tarasiou, Chavez and Zafeiriou, CVPR 2023,
arXiv 2301.04944); pre-norm blocks after Vision Transformer (Dosovitskiy et al., ICLR 2021).
"""

from collections.abc import Mapping

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from sits_models.backbones import Features
from sits_models.backbones.fourier import day_of_year, metres, years_back
from sits_models.backbones.pixel_series import PixelSeries


class PlanarViT(nn.Module):
    """One token is one date of some neighbouring positions on the curve, all bands.

    Attention runs over the dates of each group of positions and leaves one vector a group; then over
    the groups of the region, which know their place in metres. Un-patching gives each position its
    own vector, to which its own series adds what the group has averaged away.

    Observations that are unclear or missing, padded dates and padded positions are out of every sum:
    changing what lies under a mask changes nothing.

    Args:
        in_channels: bands, C.
        dim: width of tokens and of the embedding, D; a multiple of `heads`.
        heads: of each attention.
        temporal_depth: blocks along time.
        spatial_depth: blocks along the curve.
        patch: positions of a token; a curve whose length is no multiple is padded.
        mlp_ratio: width of each block's hidden layer, in units of `dim`.
        series_dim: width of the per-pixel path.
        year_waves: sines of the day of year.
        years: of a series that are told apart, counted back from its newest date.
        place_waves: sines of the place, the longest 10 240 m.
    """

    def __init__(
        self,
        in_channels: int = 10,
        *,
        dim: int = 96,
        heads: int = 3,
        temporal_depth: int = 2,
        spatial_depth: int = 2,
        patch: int = 8,
        mlp_ratio: float = 2.0,
        series_dim: int = 32,
        year_waves: int = 4,
        years: int = 3,
        place_waves: int = 10,
    ) -> None:
        super().__init__()
        self.in_channels, self.embed_dim, self.patch = in_channels, dim, patch
        self.year_waves, self.years, self.place_waves = year_waves, years, place_waves
        when_dim = 2 * year_waves + years
        self.embed = nn.Linear(patch * (in_channels + 1), dim)
        self.when = nn.Linear(when_dim, dim)
        self.place = nn.Linear(4 * place_waves, dim)
        self.series_token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.region_token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.temporal = nn.ModuleList(Block(dim, heads, mlp_ratio) for _ in range(temporal_depth))
        self.spatial = nn.ModuleList(Block(dim, heads, mlp_ratio) for _ in range(spatial_depth))
        self.group_norm = nn.LayerNorm(dim)
        self.unpatch = nn.Linear(dim, patch * dim)
        self.series = PixelSeries(in_channels, when_dim, series_dim, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, batch: Mapping[str, Tensor]) -> Features:
        """Embeddings of planar images.

        Args:
            batch: `image` (B, C, T, L), `clear` (B, T, L), `dates` (B, T) and `yx` (B, L, 2) of the
                contract are used.

        Returns:
            Embedding (B, D) and pixels (B, L, D).
        """
        length, dates = batch["image"].shape[-1], batch["dates"]
        clear = _to_multiple(batch["clear"], self.patch)
        image = _to_multiple(batch["image"], self.patch).masked_fill(~clear[:, None], 0)
        yx = _to_multiple(batch["yx"].transpose(1, 2), self.patch).transpose(1, 2)
        when = torch.cat([day_of_year(dates, self.year_waves), years_back(dates, self.years)], dim=-1)

        seen = clear.any(1)  # (B, L)
        groups = self._over_time(image, clear, when)  # (B, N, D)
        groups = self._over_space(groups, seen, yx)
        pixels = rearrange(self.unpatch(groups), "b n (p d) -> b (n p) d", p=self.patch)
        pixels = self.norm(pixels + self.series(image, clear, when))
        weight = seen[..., None].to(pixels.dtype)
        embedding = (pixels * weight).sum(1) / weight.sum(1).clamp(min=1)
        return Features(embedding, pixels[:, :length])

    def _over_time(self, image: Tensor, clear: Tensor, when: Tensor) -> Tensor:
        # The series' own token comes first, as a date without values that is always known.
        values = torch.cat([image, clear[:, None].to(image.dtype)], dim=1)
        values = functional.pad(values, (0, 0, 1, 0))
        values = rearrange(values, "b c t (n p) -> b n t (p c)", p=self.patch)
        own = self.series_token.expand(len(when), -1, -1)
        dates = torch.cat([own, self.when(when)], dim=1)
        tokens = (self.embed(values) + dates[:, None]).flatten(0, 1)
        known = rearrange(clear, "b t (n p) -> (b n) t p", p=self.patch).any(-1)
        known = functional.pad(known, (1, 0), value=True)
        *inner, last = self.temporal
        for block in inner:
            tokens = block(tokens, known)
        groups: Tensor = rearrange(last(tokens, known, wanted=1), "(b n) 1 d -> b n d", b=len(image))
        return groups

    def _over_space(self, groups: Tensor, seen: Tensor, yx: Tensor) -> Tensor:
        members = rearrange(seen, "b (n p) -> b n p", p=self.patch)
        weight = members[..., None].to(yx.dtype)
        centre = (rearrange(yx, "b (n p) c -> b n p c", p=self.patch) * weight).sum(2)
        centre = centre / weight.sum(2).clamp(min=1)
        tokens = groups + self.place(metres(centre, self.place_waves, longest_m=10_240))
        tokens = torch.cat([self.region_token.expand(len(tokens), -1, -1), tokens], dim=1)
        known = functional.pad(members.any(-1), (1, 0), value=True)
        for block in self.spatial:
            tokens = block(tokens, known)
        normed: Tensor = self.group_norm(tokens[:, 1:])
        return normed


class Block(nn.Module):
    """Pre-norm transformer block in which masked tokens are looked at by nobody.

    `attend` mixes values (N, heads, S, D / heads) by queries and keys, where a mask allows it; whoever
    wants to see attention puts a function of the same arguments there.
    """

    attend = staticmethod(functional.scaled_dot_product_attention)

    def __init__(self, dim: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query, self.key_value = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)
        hidden = int(dim * mlp_ratio)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, tokens: Tensor, known: Tensor, *, wanted: int | None = None) -> Tensor:
        """Let tokens look at each other.

        Args:
            tokens: (N, S, D).
            known: (N, S) bool, at least one True in each row.
            wanted: how many tokens to work out, from the first; None for all. After the last block
                nobody reads the others.

        Returns:
            (N, S or `wanted`, D).
        """
        normed = self.norm1(tokens)
        query = self._split(self.query(normed[:, :wanted]))
        key, value = map(self._split, self.key_value(normed).chunk(2, dim=-1))
        mixed = self.attend(query, key, value, attn_mask=known[:, None, None])
        tokens = tokens[:, :wanted] + self.out(rearrange(mixed, "n h s d -> n s (h d)"))
        result: Tensor = tokens + self.mlp(self.norm2(tokens))
        return result

    def _split(self, values: Tensor) -> Tensor:
        return rearrange(values, "n s (h d) -> n h s d", h=self.heads)


def _to_multiple(values: Tensor, patch: int) -> Tensor:
    """Pad the last axis with zeros to a multiple of `patch`."""
    missing = -values.shape[-1] % patch
    return functional.pad(values, (0, missing)) if missing else values
