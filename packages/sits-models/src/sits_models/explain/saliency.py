"""What a classifier looked at: how much each observation of a planar image speaks for a class."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from sits_models.contract import Batch

How = Literal["gradcam++", "attention", "gradient"]
"""Ways to find it; which one is meant depends on the backbone, see `explain.observe`."""


class Classifier(NamedTuple):
    """A backbone and the linear layer that names its embeddings, both in evaluation."""

    backbone: nn.Module
    head: nn.Module


class Saliency(NamedTuple):
    """What a classifier looked at in a batch.

    Args:
        values: (B, T, L) float32, not negative, on one scale for all images of a model; 0 where nothing
            was clear. Of chips L is H · W.
        chances: (B, K) float32 probabilities of the classes.
        target: (B,) int64 class that `values` speak for.
    """

    values: Tensor
    chances: Tensor
    target: Tensor


def score(model: Classifier, batch: Batch, target: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """The scores that are explained.

    Args:
        model: that names the batch.
        batch: of planar images.
        target: (B,) int64 classes; None takes what the model names.

    Returns:
        The sum over the batch of each image's score of its class, with a graph, so that one backward
        pass serves all; probabilities (B, K); classes (B,).
    """
    scores: Tensor = model.head(model.backbone(batch).embedding)
    chances = scores.detach().softmax(-1).float()
    chosen = chances.argmax(1) if target is None else target.to(scores.device)
    return scores.gather(1, chosen[:, None]).sum(), chances, chosen


def by_gradient(model: Classifier, batch: Batch, target: Tensor | None = None) -> Saliency:
    """How steeply a class's score answers to each observation: the length of its gradient over bands.

    It serves any backbone; see `score` for arguments.

    Source: Simonyan, Vedaldi and Zisserman, ICLR workshop 2014, arXiv 1312.6034.
    """
    with torch.enable_grad():
        image = batch["image"].detach().requires_grad_()
        told, chances, chosen = score(model, Batch(**{**batch, "image": image}), target)
        (steep,) = torch.autograd.grad(told, image)
    length = steep.norm(dim=2 if image.ndim == 5 else 1) * batch["clear"]  # chips are (B, T, C, H, W)
    return Saliency(length.flatten(2).float(), chances, chosen)
