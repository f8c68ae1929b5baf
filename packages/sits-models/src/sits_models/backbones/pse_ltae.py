"""PSE + L-TAE: a region is a set of pixels on each date, and a series of such sets.

Source: pixel sets after Sainte Fare Garnot, Landrieu, Giordano and Chehata, Satellite Image Time Series
Classification with Pixel-Set Encoders and Temporal Self-Attention, CVPR 2020, arXiv 1911.07757;
attention after arXiv 2007.00586 (see `ltae`).
"""

from collections.abc import Mapping

import torch
from einops import rearrange
from torch import Tensor, nn

from sits_models.backbones import Features
from sits_models.backbones.inputs import curve
from sits_models.backbones.ltae import LightAttention
from sits_models.backbones.norms import BatchNorm


class PixelSet(nn.Module):
    """Mean and standard deviation, over the clear pixels of a date, of what a network makes of each.

    Args:
        in_channels: bands, C.
        widths: of the network on pixels.
        out: width of the result.
    """

    def __init__(self, in_channels: int, widths: tuple[int, ...] = (32, 64), out: int = 128) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((in_channels, *widths), widths, strict=False):
            layers += [nn.Linear(before, after), BatchNorm(after), nn.ReLU()]
        self.pixel = nn.Sequential(*layers)
        self.pooled = nn.Sequential(nn.Linear(2 * widths[-1], out), BatchNorm(out))

    def forward(self, image: Tensor, clear: Tensor) -> Tensor:
        """Vectors of dates.

        Args:
            image: (B, C, T, L).
            clear: (B, T, L) bool.

        Returns:
            (B, T, out), 0 on dates without a clear pixel.
        """
        known = clear.any(-1)
        date = (known.flatten().cumsum(0) - 1).view_as(known)  # number of each known date
        owner = date[..., None].expand_as(clear)[clear]
        rows = self.pixel(rearrange(image, "b c t l -> b t l c")[clear])
        empty = rows.new_zeros(int(known.sum()), rows.shape[1])
        count = clear.sum(-1)[known][:, None]
        mean = empty.index_add(0, owner, rows) / count
        spread = empty.index_add(0, owner, (rows - mean[owner]).square()) / count
        pooled = self.pooled(torch.cat([mean, (spread + 1e-5).sqrt()], dim=-1))
        result: Tensor = pooled.new_zeros(*known.shape, pooled.shape[1])
        result[known] = pooled
        return result


class PSELTAE(nn.Module):
    """A pixel-set encoder on each date, then L-TAE over the dates on which anything was clear.

    The set is all L positions; the authors' code draws 64 of them. The pixels' vectors are the region's.

    The authors' code has 143 124 weights with ten bands, 24 dates and 20 classes. This one has 119 648:
    the classifier's 11 188 and the 512 of four measures of the parcel's shape are left out, and 11 776
    fewer make it take any number of dates (see `LightAttention`).

    Args:
        in_channels: bands, C.
        widths: of the network on pixels.
        hidden: width of a date.
        dim: width of tokens.
        out: width of the result, D.
        heads: of the attention.
        d_k: width of keys and queries.
        dropout: share of activations that are dropped.
    """

    per_pixel = False
    """A pixel's vector is its region's."""

    def __init__(
        self,
        in_channels: int = 10,
        *,
        widths: tuple[int, ...] = (32, 64),
        hidden: int = 128,
        dim: int = 256,
        out: int = 128,
        heads: int = 16,
        d_k: int = 8,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.in_channels, self.embed_dim = in_channels, out
        self.pixels = PixelSet(in_channels, widths, hidden)
        self.encoder = LightAttention(hidden, dim=dim, out=out, heads=heads, d_k=d_k, dropout=dropout)

    def forward(self, batch: Mapping[str, Tensor]) -> Features:
        """Embeddings of planar images as sets of pixels.

        Args:
            batch: `image` (B, C, T, L), `clear` (B, T, L) and `dates` (B, T) of the contract are used.

        Returns:
            Embedding (B, D), 0 of a region that was never clear, and pixels (B, L, D), which repeat it.
        """
        image, clear, dates = curve(batch, self.in_channels)
        known = clear.any(-1)
        vectors = self.pixels(image, clear)
        embedding = self.encoder(vectors, self.encoder.code(dates), known)
        embedding = embedding * known.any(1, keepdim=True)
        return Features(embedding, embedding[:, None].expand(-1, clear.shape[-1], -1))
