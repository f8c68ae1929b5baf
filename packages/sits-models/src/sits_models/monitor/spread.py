"""How much of their space embeddings use."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def embedding_std(embedding: Tensor) -> float:
    """Mean deviation of normalised embeddings, times √D: 1 when they point everywhere, 0 collapsed.

    Args:
        embedding: (N, D), N at least 2.

    Source: Chen and He, Exploring simple siamese representation learning (CVPR 2021), section 4.1.
    """
    unit = functional.normalize(embedding.double(), dim=1)
    return float(unit.std(dim=0).mean() * unit.shape[1] ** 0.5)


def rankme(embedding: Tensor) -> float:
    """Effective number of directions: the exponential of the entropy of the singular values.

    Embeddings are centred first, so that a shared offset is no direction. Between 1 and the smaller
    of N and D; 0 where all embeddings are the same, NaN where they are not finite.

    Args:
        embedding: (N, D).

    Source: Garrido et al., RankMe (ICML 2023, arXiv 2210.02885).
    """
    if not torch.isfinite(embedding).all():
        return math.nan
    centred = embedding.double() - embedding.double().mean(0)
    values = torch.linalg.svdvals(centred)
    total = values.sum()
    if total <= 1e-12:
        return 0.0
    share = values / total
    return float((-(share * share.clamp(min=1e-300).log()).sum()).exp())
