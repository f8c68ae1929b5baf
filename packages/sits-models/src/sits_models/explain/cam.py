"""Grad-CAM++ of convolutional networks on planar images.

Source: Chattopadhay, Sarkar, Howlader and Balasubramanian, WACV 2018, arXiv 1710.11063, with the score
before the softmax; on planar images: Chelali et al., CVIU 208-209 (2021) 103221, section 3.6.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from sits_models.contract import Batch
from sits_models.explain.saliency import Classifier, Saliency, score


@runtime_checkable
class Pictured(Protocol):
    """A backbone that sees planar images as pictures."""

    @property
    def last_maps(self) -> nn.Module:
        """What makes the last maps (N, D, h, w); it may be called several times for one batch."""

    def spread(self, maps: Sequence[Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Values of cells, (N, h, w) a call, brought to the observations (B, T, L); 0 if not clear."""


def grad_cam(model: Classifier, batch: Batch, target: Tensor | None = None) -> Saliency:
    """Grad-CAM++ of each image's score of its class, on the last maps of a `Pictured` backbone.

    Values are not scaled image by image, so that those of several images can be compared. The model is
    left as it was: no gradient of a weight is touched.

    Args:
        model: whose backbone is `Pictured`.
        batch: of planar images.
        target: (B,) int64 classes; None takes what the model names.
    """
    backbone = model.backbone
    assert isinstance(backbone, Pictured), "its maps must be known"
    with torch.enable_grad(), _last_maps(backbone.last_maps) as maps:
        told, chances, chosen = score(model, batch, target)
        steep = torch.autograd.grad(told, maps)
    cells = [weigh(one.detach(), slope) for one, slope in zip(maps, steep, strict=True)]
    values = backbone.spread(cells, cast(dict[str, Tensor], batch))
    return Saliency(values.float(), chances, chosen)


def weigh(maps: Tensor, slope: Tensor) -> Tensor:
    """The weighted sum of maps.

    With g the gradient of the score, a map A counts Σ α relu(g), where α = g² / (2 g² + ΣA g³); sums run
    over its cells.

    Args:
        maps: (N, D, h, w).
        slope: of the score, by them.

    Returns:
        (N, h, w), not negative.
    """
    below = 2 * slope**2 + maps.sum((2, 3), keepdim=True) * slope**3
    share = torch.where(below == 0, 0, slope**2 / torch.where(below == 0, 1, below))
    weight = (share * slope.relu()).sum((2, 3))
    return torch.einsum("nd,ndhw->nhw", weight, maps).relu()


@contextmanager
def _last_maps(layer: nn.Module) -> Iterator[list[Tensor]]:
    """The maps that a layer makes in this block; the graph begins with them."""
    found: list[Tensor] = []

    def keep(_: nn.Module, __: object, made: Tensor | list[Tensor]) -> Tensor | list[Tensor]:
        maps = (made if isinstance(made, Tensor) else made[0]).detach().requires_grad_()
        found.append(maps)
        return maps if isinstance(made, Tensor) else [maps]

    hook = layer.register_forward_hook(keep)
    try:
        yield found
    finally:
        hook.remove()
