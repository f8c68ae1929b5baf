"""Counter-based random numbers: a draw is a function of its key, so nothing has to be remembered.

NumPy, torch on any device and Triton give the same bits, whatever worker asks and in whatever order.

Source: Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3 (SC 2011),
Philox4x32-10.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDS = 10
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85
LOW_32 = 0xFFFFFFFF

Words = NDArray[np.uint64]


def philox(key: tuple[ArrayLike, ArrayLike], counter: tuple[ArrayLike, ...]) -> Words:
    """Four random words for each key and counter.

    Args:
        key: two integers or arrays of them, taken modulo 2³².
        counter: four of them; all six are broadcast against each other.

    Returns:
        (…, 4) uint64, each below 2³².
    """
    k0, k1 = (_low(part) for part in key)
    c0, c1, c2, c3 = (_low(part) for part in counter)
    for _ in range(ROUNDS):
        product0, product1 = c0 * np.uint64(MULTIPLIERS[0]), c2 * np.uint64(MULTIPLIERS[1])
        c0, c1, c2, c3 = (
            (product1 >> np.uint64(32)) ^ c1 ^ k0,
            product1 & np.uint64(LOW_32),
            (product0 >> np.uint64(32)) ^ c3 ^ k1,
            product0 & np.uint64(LOW_32),
        )
        k0 = (k0 + np.uint64(WEYL[0])) & np.uint64(LOW_32)
        k1 = (k1 + np.uint64(WEYL[1])) & np.uint64(LOW_32)
    return np.stack(np.broadcast_arrays(c0, c1, c2, c3), axis=-1)


def below(words: Words, limit: ArrayLike) -> NDArray[np.int64]:
    """Random words as integers 0 … limit-1, by multiplying instead of dividing.

    Args:
        words: uint64 below 2³².
        limit: at least 1 and at most 2³¹, broadcast against `words`.
    """
    return ((words * np.asarray(limit).astype(np.uint64)) >> np.uint64(32)).astype(np.int64)


def _low(value: ArrayLike) -> NDArray[Any]:
    return np.asarray(value).astype(np.int64).astype(np.uint64) & np.uint64(LOW_32)
