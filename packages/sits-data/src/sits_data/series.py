"""Series on irregular dates, put onto a grid of days: the definition of the faster ones on tensors."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Resampled(NamedTuple):
    """Series on a grid.

    Args:
        values: (P, G, B) float; 0 where a pixel was never clear.
        observed: (P,) bool, whether a pixel was clear at least once.
        distance: (P, G) days to the nearest clear date; -1 where there is none.
    """

    values: NDArray[Any]
    observed: NDArray[np.bool_]
    distance: NDArray[Any]


def resample(
    pixels: NDArray[Any], clear: NDArray[np.bool_], dates: NDArray[Any], grid: NDArray[Any]
) -> Resampled:
    """Interpolate between the clear dates of each pixel, linear in days; hold the first and the last.

    Args:
        pixels: (P, T, B) float.
        clear: (P, T) bool; what is not clear is missing.
        dates: (T,) days, ascending.
        grid: (G,) days, whole or not.

    Source: Chelali et al., VISAPP 2020, section 4.2.1.
    """
    size, _, bands = pixels.shape
    values = np.zeros((size, len(grid), bands), pixels.dtype)
    distance = np.full((size, len(grid)), -1.0)
    observed = np.asarray(clear.any(axis=1))
    for row in np.flatnonzero(observed):
        days = dates[clear[row]]
        for band in range(bands):
            values[row, :, band] = np.interp(grid, days, pixels[row, clear[row], band])
        distance[row] = np.abs(grid[:, None] - days).min(axis=1)
    return Resampled(values, observed, distance)
