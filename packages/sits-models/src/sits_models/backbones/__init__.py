"""Architectures: from a batch of planar images or of chips to embeddings of regions and of pixels."""

from typing import NamedTuple

from torch import Tensor


class Features(NamedTuple):
    """What a backbone says of a batch.

    Args:
        embedding: (B, D), one a sample: the mean of `pixels` over positions that were ever clear. Of a
            pixel set, which is encoded as a whole, what `pixels` repeats.
        pixels: (B, L, D), one a position of planar images (B, C, T, L), or (B, H, W, D), one a pixel of
            chips (B, T, C, H, W); finite but meaningless where nothing was ever clear.
    """

    embedding: Tensor
    pixels: Tensor
