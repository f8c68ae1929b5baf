"""The series of single pixels: what was clear of each, one after the other, without gaps or padding."""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

from sits_models.backbones import Features


@dataclass(frozen=True)
class Series:
    """Clear observations of N pixels in the order of their dates.

    Args:
        values: (N, S, C); 0 behind the last one.
        when: (N, S, W), the numbers that describe the date of each.
        known: (N, S) bool, True for the first observations of each row and at least for one.
    """

    values: Tensor
    when: Tensor
    known: Tensor


def shown(seen: Tensor) -> Tensor:
    """Positions to work on: those that were seen, or the very first one where none was.

    A network is never run on nothing, so that its weights have gradients always.

    Args:
        seen: (…) bool.
    """
    first = torch.zeros_like(seen).flatten()
    first[0] = True
    return seen | (first.view_as(seen) & ~seen.any())


def clear_series(image: Tensor, clear: Tensor, when: Tensor) -> Series:
    """Each shown position's clear observations, moved together, cut where the longest one ends.

    Args:
        image: (B, C, T, L), 0 where not clear.
        clear: (B, T, L) bool.
        when: (B, T, W).

    Returns:
        One row a position of `shown(clear.any(1))`, S = the most observations of any.
    """
    run = shown(clear.any(1))
    owner = run.nonzero()[:, 0]
    known = rearrange(clear, "b t l -> b l t")[run]
    longest = max(1, int(known.sum(1).max()))
    order = (~known).to(torch.uint8).argsort(dim=1, stable=True)[:, :longest]
    row = torch.arange(len(order), device=order.device)[:, None]
    values = rearrange(image, "b c t l -> b l t c")[run][row, order]
    known = known[row, order]
    known[:, 0] = True
    return Series(values, when[owner[:, None], order], known)


def features(vectors: Tensor, seen: Tensor) -> Features:
    """The vectors of shown positions where they belong, 0 elsewhere, and their mean.

    Args:
        vectors: (N, D), a row for each position of `shown(seen)`.
        seen: (B, L) or (B, H, W) bool.
    """
    pixels = vectors.new_zeros(*seen.shape, vectors.shape[-1])
    pixels[shown(seen)] = vectors
    pixels = pixels * seen[..., None]
    count = seen.flatten(1).sum(1, keepdim=True)
    embedding = pixels.flatten(1, -2).sum(1) / count.clamp(min=1)
    return Features(embedding, pixels)
