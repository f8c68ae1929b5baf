"""What a transformer on planar images looked at: its attention, weighted by gradients.

Source: Chefer, Gur and Wolf, Generic Attention-model Explainability, ICCV 2021, arXiv 2103.15679.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from einops import rearrange
from torch import Tensor, nn

from sits_models.backbones.planar_vit import Block, PlanarViT
from sits_models.contract import Batch
from sits_models.explain.saliency import Classifier, Saliency, score


def attention(model: Classifier, batch: Batch, target: Tensor | None = None) -> Saliency:
    """Relevance of each observation to a class, of a `PlanarViT`.

    Layer by layer, R grows by the mean over heads of relu(A · ∂score/∂A), times R. Along time it gives
    how much each date says to a group of positions, along the curve how much each group says to the
    others. As attention is factorised, the relevance of a date of a group is the product of the two.
    The readout is a mean, not a token of its own: relevance starts from what each position's vector adds
    to the score, as far as that is positive, and positions of a group share in the same proportion.

    Args:
        model: whose backbone is a `PlanarViT`.
        batch: of planar images.
        target: (B,) int64 classes; None takes what the model names.
    """
    backbone = model.backbone
    assert isinstance(backbone, PlanarViT), "its attention must be known"
    clear, patch = batch["clear"], backbone.patch
    size, dates, length = clear.shape
    with (
        torch.enable_grad(),
        _seen(backbone.temporal) as temporal,
        _seen(backbone.spatial) as spatial,
        _output(backbone.norm) as vectors,
    ):
        told, chances, chosen = score(model, batch, target)
        *slopes, slope = torch.autograd.grad(told, [*temporal, *spatial, *vectors])
    # norm is also applied nowhere else: its one output is the vectors of positions.
    gain = (slope * vectors[0].detach()).sum(-1).relu()  # (B, N · patch)
    together = rearrange(gain, "b (n p) -> b n p", p=patch)
    group = together.sum(2)

    in_time = relevance(temporal, slopes[: len(temporal)])[:, 0, 1:]  # the series' own token reads
    in_time = rearrange(in_time, "(b n) t -> b n t", b=size)
    in_space = relevance(spatial, slopes[len(temporal) :])[:, 1:, 1:]
    group = torch.einsum("bn,bnm->bm", group, in_space)

    share = together / together.sum(2, keepdim=True).clamp(min=torch.finfo(gain.dtype).tiny)
    values = torch.einsum("bn,bnt,bnp->btnp", group, in_time, share)
    values = rearrange(values, "b t n p -> b t (n p)")[:, :, :length]
    assert values.shape == (size, dates, length)
    return Saliency((values * clear).float(), chances, chosen)


def relevance(maps: list[Tensor], slopes: list[Tensor]) -> Tensor:
    """How much each token has told each other one, over some blocks after each other.

    Args:
        maps: attention (N, heads, Q, S) of each block; Q < S where only the first tokens look.
        slopes: of the score, by them.

    Returns:
        (N, Q, S) of the last block.
    """
    tokens = maps[0].shape[-1]
    told = torch.eye(tokens, device=maps[0].device).expand(len(maps[0]), -1, -1)
    for one, slope in zip(maps, slopes, strict=True):
        looked = (one.detach() * slope).relu().mean(1)
        told = told[:, : looked.shape[1]] + looked @ told
    return told


@contextmanager
def _seen(blocks: nn.ModuleList) -> Iterator[list[Tensor]]:
    """The attention of some blocks in this block, in their order."""
    found: list[Tensor] = []

    def attend(query: Tensor, key: Tensor, value: Tensor, *, attn_mask: Tensor) -> Tensor:
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
        weights = scores.masked_fill(~attn_mask, -torch.inf).softmax(-1)
        if not weights.requires_grad:  # of a frozen network
            weights.requires_grad_()
        found.append(weights)
        return weights @ value

    each = [block for block in blocks if isinstance(block, Block)]
    try:
        for block in each:
            block.attend = attend  # type: ignore[assignment]
        yield found
    finally:
        for block in each:
            vars(block).pop("attend", None)


@contextmanager
def _output(layer: nn.Module) -> Iterator[list[Tensor]]:
    """What a layer gives in this block."""
    found: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _, __, made: found.append(made))
    try:
        yield found
    finally:
        hook.remove()
