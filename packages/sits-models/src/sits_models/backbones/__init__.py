"""Architectures: from a batch of planar images to embeddings of regions and of pixels."""

from typing import NamedTuple

from torch import Tensor


class Features(NamedTuple):
    """What a backbone says of a batch.

    Args:
        embedding: (B, D), one a sample: the mean of `pixels` over positions that were seen.
        pixels: (B, L, D) of a planar image, (B, H, W, D) of a chip; finite but meaningless where nothing
            was ever clear.
    """

    embedding: Tensor
    pixels: Tensor
