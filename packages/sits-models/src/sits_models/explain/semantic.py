"""A map of classes within regions, from what a classifier looked at in images of them.

Source: Chelali et al., CVIU 208-209 (2021) 103221, section 3.6, equations 4 to 6.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from sits_models.explain.saliency import Saliency
from sits_models.ops.scatter import scatter


class Semantic(NamedTuple):
    """What images say of the pixels that they show.

    Args:
        strength: (P, K) largest saliency of each class; 0 where none of its images shows the pixel.
        images: (P, K) int64 how many images of each class show it; a walk that comes twice counts twice.
    """

    strength: Tensor
    images: Tensor

    @property
    def visits(self) -> Tensor:
        """(P,) int64 how many images show each pixel."""
        return self.images.sum(1)

    @property
    def named(self) -> Tensor:
        """(P,) int64 class of greatest saliency; -1 where no image shows the pixel.

        Where none of the images looks at it, the class that most of them are named.
        """
        silent = self.strength.amax(1) <= 0
        named = torch.where(silent, self.images.argmax(1), self.strength.argmax(1))
        return torch.where(self.visits > 0, named, -1)

    @property
    def entropy(self) -> Tensor:
        """(P,) float32 entropy of the classes' shares of saliency, 0 … 1; NaN where none is."""
        total = self.strength.sum(1, keepdim=True)
        share = self.strength / total
        most = torch.tensor(float(max(2, share.shape[1]))).log()
        return torch.where(total[:, 0] > 0, torch.special.entr(share).sum(1) / most, torch.nan)

    def joined(self, other: "Semantic") -> "Semantic":
        """With what further images say of the same pixels."""
        return Semantic(torch.maximum(self.strength, other.strength), self.images + other.images)


def nothing_yet(size: int, classes: int) -> Semantic:
    """Of P pixels that no image has shown, and K classes."""
    return Semantic(torch.zeros(size, classes), torch.zeros(size, classes, dtype=torch.int64))


def back_project(found: Saliency, rows: Tensor, size: int, *, weighted: bool = True) -> Semantic:
    """Bring the saliency of images back to the pixels that they show.

    A column counts by its largest saliency over time, a pixel by the largest of the columns that show it
    in images named like the class. Saliency is not scaled image by image.

    Args:
        found: of images of some regions.
        rows: (B, L) int64 which pixel each column shows, 0 … P-1; -1 = none.
        size: P.
        weighted: multiply by the probability of the image's class.

    Returns:
        On the CPU.
    """
    column = found.values.amax(1)
    if weighted:
        column = column * found.chances.gather(1, found.target[:, None])
    classes = found.chances.shape[1]
    place = torch.where(rows < 0, -1, rows * classes + found.target[:, None])
    told = scatter(column, place, size * classes, reduce="max")
    strength = torch.where(told.counts > 0, told.values, 0)
    return Semantic(strength.view(size, classes).cpu(), told.counts.view(size, classes).cpu())
