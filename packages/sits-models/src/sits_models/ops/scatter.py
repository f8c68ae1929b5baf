"""Back-projection: values of columns brought back to the pixels that the columns came from."""

from typing import NamedTuple

import torch
from torch import Tensor

from sits_data.planar import Reduce


class Scattered(NamedTuple):
    """Values of pixels.

    Args:
        values: (P, …); NaN where a pixel does not occur, under "sum" 0.
        counts: (P,) int64 how often each pixel occurs.
    """

    values: Tensor
    counts: Tensor


def scatter(values: Tensor, rows: Tensor, size: int, *, reduce: Reduce = "mean") -> Scattered:
    """The twin of `sits_data.planar.scatter`, on any device, with gradients, safe under `torch.compile`.

    Args:
        values: floats of columns, the shape of `rows` first: (L, …), (K, L, …) or (B, K, L, …).
        rows: int64 rows of a table or of a region; -1 is padding and is ignored.
        size: pixels, P.
        reduce: what to do with a pixel that occurs more than once.
    """
    # Padding goes to one more row, which is cut off: a shape that depends on data would not compile.
    place = torch.where(rows < 0, size, rows).flatten()
    flat = values.flatten(0, rows.ndim - 1)
    counts = torch.zeros(size + 1, dtype=torch.int64, device=rows.device)
    counts = counts.index_add(0, place, torch.ones_like(place))[:size]
    if reduce == "max":
        least = torch.full((size + 1, *flat.shape[1:]), -torch.inf, dtype=flat.dtype, device=flat.device)
        where = place.reshape(-1, *[1] * (flat.ndim - 1)).expand_as(flat)
        found = least.scatter_reduce(0, where, flat, "amax")[:size]
    else:
        none = torch.zeros((size + 1, *flat.shape[1:]), dtype=flat.dtype, device=flat.device)
        found = none.index_add(0, place, flat)[:size]
    if reduce == "sum":
        return Scattered(found, counts)
    times = counts.reshape(size, *[1] * (flat.ndim - 1))
    found = found / times.clamp(min=1) if reduce == "mean" else found
    return Scattered(torch.where(times > 0, found, torch.nan), counts)
