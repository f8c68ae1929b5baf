"""Twins of tensor operations for the CPU, compiled by numba.

Each does in one pass what a chain of small operations takes ten times as long for. All are
sequential: threads of their own would not survive the fork of a loader's workers.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from sits_data.philox import LOW_32, MULTIPLIERS, ROUNDS, WEYL

_UNSEEN = 2
_LOW = np.uint64(LOW_32)
_HALF = np.uint64(32)
_M0, _M1 = (np.uint64(number) for number in MULTIPLIERS)
_W0, _W1 = (np.uint64(number) for number in WEYL)


@numba.njit(nogil=True, cache=True)  # type: ignore[misc,unused-ignore]
def decode_rows(
    digits: NDArray[np.int16],
    quality: NDArray[np.uint8],
    which: NDArray[np.int64],
    first: NDArray[np.int64],
    dated: NDArray[np.int64],
    index: NDArray[np.int64],
    times: NDArray[np.int64],
    gain: NDArray[np.float32],
    bias: NDArray[np.float32],
    unclear_bits: int,
    image: NDArray[np.float32],
    clear: NDArray[np.bool_],
) -> None:
    """Write the samples of a batch whose regions lie in one shard.

    Args:
        digits: (cells, C) bits of uint16 DN.
        quality: (cells,) bits.
        which: (n,) the samples to write.
        first: (B,) cell of the shard at which each sample's region starts.
        dated: (B,) cells of a pixel.
        index: (B, L) region-local rows, -1 = padded.
        times: (B, T) positions of the region's calendar, -1 = padded.
        gain: (B, C) value = DN * gain + bias.
        bias: (B, C).
        unclear_bits: bits of `quality` that count as unclear.
        image: (B, C, T, L) written to.
        clear: (B, T, L) written to.
    """
    positions, dates, bands = index.shape[1], times.shape[1], digits.shape[1]
    # Turned round in the cache, so that memory is read and written in runs.
    near = np.zeros((dates, bands, positions), np.uint16)
    state = np.empty((dates, positions), np.uint8)
    for b in which:
        for position in range(positions):
            row = first[b] + index[b, position] * dated[b]
            for t in range(dates):
                if index[b, position] < 0 or times[b, t] < 0:
                    state[t, position] = _UNSEEN
                    continue
                cell = row + times[b, t]
                seen = True
                for band in range(bands):
                    number = digits[cell, band]
                    near[t, band, position] = number
                    seen &= number != 0
                known = (quality[cell] & unclear_bits) == 0
                state[t, position] = known if seen else _UNSEEN
        for t in range(dates):
            for position in range(positions):
                clear[b, t, position] = state[t, position] == 1
            for band in range(bands):
                for position in range(positions):
                    value = np.float32(near[t, band, position]) * gain[b, band] + bias[b, band]
                    seen = state[t, position] < _UNSEEN
                    image[b, band, t, position] = value if seen else np.float32(0)


@numba.njit(nogil=True, cache=True)  # type: ignore[misc,unused-ignore]
def philox_words(inputs: NDArray[np.int64], words: NDArray[np.int64]) -> None:
    """Write the random words of each key and counter, see `sits_data.philox`.

    Args:
        inputs: (6, N) two keys, then four counters.
        words: (N, 4) written to, 0 … 2³²-1.
    """
    for n in range(inputs.shape[1]):
        k0, k1 = np.uint64(inputs[0, n]) & _LOW, np.uint64(inputs[1, n]) & _LOW
        c0, c1 = np.uint64(inputs[2, n]) & _LOW, np.uint64(inputs[3, n]) & _LOW
        c2, c3 = np.uint64(inputs[4, n]) & _LOW, np.uint64(inputs[5, n]) & _LOW
        for _ in range(ROUNDS):
            product0, product1 = c0 * _M0, c2 * _M1
            c0, c1 = (product1 >> _HALF) ^ c1 ^ k0, product1 & _LOW
            c2, c3 = (product0 >> _HALF) ^ c3 ^ k1, product0 & _LOW
            k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
        words[n, 0], words[n, 1], words[n, 2], words[n, 3] = c0, c1, c2, c3


@numba.njit(nogil=True, cache=True)  # type: ignore[misc,unused-ignore]
def walk_on(
    neighbours: NDArray[np.int32],
    degree: NDArray[np.int32],
    words: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> None:
    """Continue walks from where they start, each neighbour as likely.

    Args:
        neighbours: (P, N) rows beside each row, in the order of `sits_data.orders`.
        degree: (P,) how many of them there are, 1 … N.
        words: (W, at least L) random words.
        rows: (W, L) written to; the first of each walk is there.
    """
    for walk in range(rows.shape[0]):
        here = rows[walk, 0]
        for step in range(1, rows.shape[1]):
            here = neighbours[here, (words[walk, step] * degree[here]) >> 32]
            rows[walk, step] = here


@numba.njit(nogil=True, cache=True)  # type: ignore[misc,unused-ignore]
def walk_weighed(
    neighbours: NDArray[np.int32],
    degree: NDArray[np.int32],
    bounds: NDArray[np.int32],
    backtrack: bool,
    words: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> None:
    """Continue walks whose steps are not all as likely, as `sits_data.orders.random_walks` says.

    Args:
        neighbours: as for `walk_on`.
        degree: as for `walk_on`.
        bounds: (P, N) sums of the weights of the first 1 … N neighbours.
        backtrack: whether a step may lead straight back where there is another.
        words: as for `walk_on`.
        rows: as for `walk_on`.
    """
    last = bounds.shape[1] - 1
    for walk in range(rows.shape[0]):
        here, before = rows[walk, 0], np.int64(-1)
        for step in range(1, rows.shape[1]):
            low, width = np.int64(0), np.int64(0)
            if not backtrack and degree[here] > 1:
                for column in range(degree[here]):
                    if neighbours[here, column] == before:
                        low = np.int64(bounds[here, column - 1]) if column else np.int64(0)
                        width = bounds[here, column] - low
            draw = (words[walk, step] * (bounds[here, last] - width)) >> 32
            if draw >= low:
                draw += width
            column = 0
            while draw >= bounds[here, column]:
                column += 1
            before, here = here, np.int64(neighbours[here, column])
            rows[walk, step] = here
