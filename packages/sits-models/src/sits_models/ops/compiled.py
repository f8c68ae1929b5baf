"""Twins of tensor operations for the CPU, compiled by numba.

Each does in one pass what a chain of small operations takes ten times as long for. All are
sequential: threads of their own would not survive the fork of a loader's workers.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from sits_data.philox import LOW_32, MULTIPLIERS, ROUNDS, WEYL
from sits_models.ops.memory import LANE, LINE, prefetch, turn

_LOW = np.uint64(LOW_32)
_HALF = np.uint64(32)
_M0, _M1 = (np.uint64(number) for number in MULTIPLIERS)
_W0, _W1 = (np.uint64(number) for number in WEYL)


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def decode_rows(
    which: NDArray[np.int64],
    digits: NDArray[np.uint16],
    quality: NDArray[np.uint8],
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

    Pixels are turned round in the cache, eight at a time, so that memory is read and written in runs; a
    table there whose rows are a power of two apart would use a few lines of the cache only.

    Args:
        which: (n,) the samples to write.
        digits: (cells, C) DN.
        quality: (cells,) bits.
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
    wide = (positions + LANE - 1) // LANE * LANE
    stride = wide + LANE
    near = np.empty(dates * bands * stride, np.uint16)
    unclear = np.empty((dates, wide), np.uint8)
    least = np.empty(wide, np.uint16)
    seen = np.empty(wide, np.float32)
    cell = np.empty(LANE, np.int64)
    flat = digits.reshape(-1)
    for n in range(len(which)):
        b = which[n]
        whole = 2 * dates > dated[b]  # else most of what was asked for would not be read
        for position in range(0, wide, LANE):
            if whole:
                # The next rows, or the first ones of the next sample.
                last = position + LANE >= wide
                other = which[min(n + 1, len(which) - 1)] if last else b
                place = 0 if last else position + LANE
                for k in range(place, min(place + LANE, positions)):
                    far = (first[other] + max(index[other, k], 0) * dated[other]) * bands
                    for number in range(0, dated[other] * bands, LINE):
                        prefetch(flat, far + number)  # type: ignore[call-arg,unused-ignore]
            t = 0
            while t < dates:
                # Dates that follow each other are one run of numbers.
                time, stop = max(times[b, t], 0), t + 1
                while stop < dates and times[b, stop] == time + stop - t:
                    stop += 1
                for k in range(LANE):
                    row = index[b, position + k] if position + k < positions else 0
                    cell[k] = first[b] + max(row, 0) * dated[b] + time
                    for step in range(stop - t):
                        unclear[t + step, position + k] = quality[cell[k] + step] & unclear_bits
                s0, s1, s2, s3 = cell[0] * bands, cell[1] * bands, cell[2] * bands, cell[3] * bands
                s4, s5, s6, s7 = cell[4] * bands, cell[5] * bands, cell[6] * bands, cell[7] * bands
                run, to = (stop - t) * bands, t * bands * stride + position
                squares = run - run % LANE
                for m in range(0, squares, LANE):
                    starts = (s0 + m, s1 + m, s2 + m, s3 + m, s4 + m, s5 + m, s6 + m, s7 + m)
                    turn(near, to + m * stride, stride, flat, starts)  # type: ignore[call-arg,unused-ignore]
                for m in range(squares, run):
                    for k in range(LANE):
                        near[to + m * stride + k] = flat[cell[k] * bands + m]
                t = stop
        for t in range(dates):
            for position in range(positions):
                real = times[b, t] >= 0 and index[b, position] >= 0
                least[position] = 0xFFFF if real else 0
            for band in range(bands):
                for position in range(positions):
                    least[position] = min(least[position], near[(t * bands + band) * stride + position])
            for position in range(positions):
                seen[position] = np.float32(least[position])
                clear[b, t, position] = least[position] != 0 and unclear[t, position] == 0
            for band in range(bands):
                factor, shift = gain[b, band], bias[b, band]
                row = (t * bands + band) * stride
                for position in range(positions):
                    value = np.float32(near[row + position]) * factor + shift
                    none = seen[position] == np.float32(0)
                    image[b, band, t, position] = np.float32(0) if none else value


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def centre_rows(
    yx: NDArray[np.int32],
    first: NDArray[np.int64],
    index: NDArray[np.int64],
    centre: NDArray[np.float32],
    resolution_m: int,
    metres: NDArray[np.float32],
) -> None:
    """Write how far the pixels of a batch lie from the middle of their regions.

    Args:
        yx: (N, 2) row and column on the grid.
        first: (B,) row at which each sample's region starts.
        index: (B, L) region-local rows, -1 = padded.
        centre: (B, 2) mean row and column of the region.
        resolution_m: pixel size.
        metres: (B, L, 2) written to; 0 where padded.
    """
    for b in range(index.shape[0]):
        for position in range(index.shape[1]):
            row = first[b] + index[b, position]
            for axis in range(2):
                apart = (np.float32(yx[row, axis]) - centre[b, axis]) * np.float32(resolution_m)
                metres[b, position, axis] = apart if index[b, position] >= 0 else np.float32(0)


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _philox(
    k0: np.uint64, k1: np.uint64, c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """The four words of one key and counter, see `sits_data.philox`."""
    for _ in range(ROUNDS):
        product0, product1 = c0 * _M0, c2 * _M1
        c0, c1 = (product1 >> _HALF) ^ c1 ^ k0, product1 & _LOW
        c2, c3 = (product0 >> _HALF) ^ c3 ^ k1, product0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
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
        words[n, 0], words[n, 1], words[n, 2], words[n, 3] = _philox(k0, k1, c0, c1, c2, c3)


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def walk_on(
    neighbours: NDArray[np.int32],
    degree: NDArray[np.int32],
    bounds: NDArray[np.int32],
    weighed: bool,
    backtrack: bool,
    region: NDArray[np.int64],
    view: NDArray[np.int64],
    run: int,
    epoch: int,
    rows: NDArray[np.int64],
) -> None:
    """Continue walks from where they start, drawing words on the way: no memory but for the result.

    Args:
        neighbours: (P, N) rows beside each row, in the order of `sits_data.orders`.
        degree: (P,) how many of them there are, 1 … N.
        bounds: (P, N) sums of the weights of the first 1 … N neighbours; not read unless `weighed`.
        weighed: whether neighbours are not all as likely.
        backtrack: whether a step may lead straight back where there is another.
        region: (B,) id of each region, part of the key.
        view: (B,) part of the key.
        run: part of the key.
        epoch: part of the key.
        rows: (B, K, L) written to; the first of each walk is there.
    """
    regions, walks, length = rows.shape
    k0, c2 = np.uint64(run) & _LOW, np.uint64(epoch) & _LOW
    words = np.empty(4, np.int64)
    for b in range(regions):
        k1, c3 = np.uint64(region[b]) & _LOW, np.uint64(view[b]) & _LOW
        for walk in range(walks):
            here, before = rows[b, walk, 0], np.int64(-1)
            for step in range(length):
                if step % 4 == 0:
                    words[0], words[1], words[2], words[3] = _philox(
                        k0, k1, np.uint64(step // 4), np.uint64(walk), c2, c3
                    )
                if step == 0:
                    continue
                if backtrack and not weighed:
                    column = (words[step % 4] * degree[here]) >> 32
                else:
                    column = _column(
                        neighbours, degree, bounds, weighed, backtrack, here, before, words[step % 4]
                    )
                before, here = here, np.int64(neighbours[here, column])
                rows[b, walk, step] = here


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _column(
    neighbours: NDArray[np.int32],
    degree: NDArray[np.int32],
    bounds: NDArray[np.int32],
    weighed: bool,
    backtrack: bool,
    here: np.int64,
    before: np.int64,
    word: np.int64,
) -> int:
    """Which neighbour a walk steps to, as `sits_data.orders.random_walks` says."""
    ways = degree[here]
    low, width, last = np.int64(0), np.int64(0), np.int64(0)
    for column in range(ways):
        upper = np.int64(bounds[here, column]) if weighed else np.int64(column + 1)
        if not backtrack and ways > 1 and neighbours[here, column] == before:
            low, width = last, upper - last
        last = upper
    draw = (word * (last - width)) >> 32
    if draw >= low:
        draw += width
    column = 0
    while draw >= (bounds[here, column] if weighed else column + 1):
        column += 1
    return column
