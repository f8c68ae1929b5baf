"""The gather on the CPU in one pass: fifteen times as fast as the chain of tensor operations."""

import numba
import numpy as np
from numpy.typing import NDArray

_UNSEEN, _ABSENT = 2, 3


@numba.njit(nogil=True, cache=True)  # type: ignore[misc,unused-ignore]
def decode_rows(
    digits: NDArray[np.int16],
    quality: NDArray[np.uint8],
    first: int,
    rows: NDArray[np.int64],
    times: NDArray[np.int64],
    gain: NDArray[np.float32],
    bias: NDArray[np.float32],
    unclear_bits: int,
    fresh: bool,
    image: NDArray[np.float32],
    clear: NDArray[np.bool_],
) -> None:
    """Write what one shard knows of a batch.

    Sequential: a batch of 256 takes 10 ms, and threads of its own would not survive the fork of a
    loader's workers.

    Args:
        digits: (N, T, C) bits of uint16 DN.
        quality: (N, T) bits.
        first: row of the table at which the shard starts.
        rows: (B, L) rows of the table, -1 = padded.
        times: (B, T') positions along the shard's dates, -1 = padded.
        gain: (C,) value = DN * gain + bias.
        bias: (C,).
        unclear_bits: bits of `quality` that count as unclear.
        fresh: also write zeros where this shard has nothing to say.
        image: (B, C, T', L) written to.
        clear: (B, T', L) written to.
    """
    positions, dates, bands = rows.shape[1], times.shape[1], digits.shape[2]
    # Rows of a region are far apart in memory: fetched one after the other they come in time.
    near = np.empty((positions, dates, bands), digits.dtype)
    state = np.empty((positions, dates), np.uint8)
    for b in range(rows.shape[0]):
        for position in range(positions):
            row = rows[b, position] - first
            inside = 0 <= row < len(digits)
            for t in range(dates):
                time = times[b, t]
                if not inside or time < 0:
                    state[position, t] = _ABSENT
                    continue
                state[position, t] = (quality[row, time] & unclear_bits) == 0
                for band in range(bands):
                    near[position, t, band] = digits[row, time, band]
                    if digits[row, time, band] == 0:
                        state[position, t] = _UNSEEN
        for t in range(dates):
            for position in range(positions):
                known = state[position, t]
                if known < _UNSEEN:
                    for band in range(bands):
                        number = np.float32(np.uint16(near[position, t, band]))
                        image[b, band, t, position] = number * gain[band] + bias[band]
                    clear[b, t, position] = known == 1
                elif fresh or known == _UNSEEN:
                    for band in range(bands):
                        image[b, band, t, position] = 0
                    clear[b, t, position] = False
