"""Gather and back-projection in NumPy: the definition that every faster one is tested against.

`gather` makes columns of a region's pixels, along any index list; `scatter` brings values of
columns back to the pixels. On an order, which holds each pixel once, `scatter(gather(x)) == x`.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Reduce = Literal["mean", "sum", "max"]
Array = NDArray[Any]
Index = NDArray[np.integer[Any]]


def gather(pixels: Array, index: Index) -> Array:
    """The planar image of a region along an index list: rows are time, columns positions.

    Args:
        pixels: (P, T, B) one row a pixel, any dtype and unit.
        index: (L,) rows of the region, or (K, L) for K walks; -1 is padding.

    Returns:
        (B, T, L), or (K, B, T, L), of the same dtype; padded positions hold 0.

    >>> pixels = np.arange(6).reshape(3, 1, 2)  # three pixels, one date, two bands
    >>> gather(pixels, np.array([2, 0, -1]))
    array([[[4, 0, 0]],
    <BLANKLINE>
           [[5, 1, 0]]])
    """
    columns = np.where((index >= 0)[..., None, None], pixels[index], pixels.dtype.type(0))
    return np.ascontiguousarray(np.swapaxes(columns, -1, -3))


def scatter(values: Array, index: Index, size: int, *, reduce: Reduce = "mean") -> Array:
    """Values of columns, brought back to the pixels that the columns came from.

    Axes come out in reverse, pixel-major like the store, so that `scatter` undoes `gather`.

    Args:
        values: (…, L) with `index` (L,), such as (B, T, L) or the scores (L,); with `index` (K, L)
            the walks come first, (K, …, L), and are reduced together.
        index: rows of the region; -1 is padding and is ignored.
        size: pixels of the region, P.
        reduce: what to do with a pixel that occurs more than once.

    Returns:
        (P, …) with the middle axes reversed, such as (P, T, B); floats keep their dtype, others
        become float64. A pixel that does not occur is NaN, under "sum" 0; see `coverage`.
    """
    flat, kept = _columns_first(values, index)
    out = np.full((size, *flat.shape[1:]), -np.inf if reduce == "max" else 0, flat.dtype)
    (np.maximum if reduce == "max" else np.add).at(out, kept, flat)
    if reduce == "sum":
        return out
    counts = coverage(index, size).reshape(size, *[1] * (out.ndim - 1))
    counts = counts.astype(out.dtype)
    out = out / np.maximum(counts, 1) if reduce == "mean" else out
    return np.where(counts > 0, out, np.nan).astype(flat.dtype)


def coverage(index: Index, size: int) -> NDArray[np.int64]:
    """How often each of `size` pixels occurs in an index list of any shape: (P,) int64."""
    return np.bincount(index[index >= 0].ravel(), minlength=size)


def _columns_first(values: Array, index: Index) -> tuple[Array, Index]:
    if values.shape[-1] != index.shape[-1] or (index.ndim == 2 and len(values) != len(index)):
        raise ValueError(
            f"values must be (…, L) for an index (L,) or (K, …, L) for (K, L), "
            f"got {values.shape} for {index.shape}"
        )
    dtype = values.dtype if np.issubdtype(values.dtype, np.floating) else np.dtype(np.float64)
    walks = values if index.ndim == 2 else values[None]
    # (K, …, L) → (K, L, … reversed) → (K·L, … reversed)
    axes = (0, *range(walks.ndim - 1, 0, -1))
    columns = walks.transpose(axes)
    flat = columns.reshape(-1, *columns.shape[2:]).astype(dtype)
    keep = index.ravel() >= 0
    return flat[keep], index.ravel()[keep]
