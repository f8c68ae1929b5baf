"""One image out of the clear pixels of some."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sits_data.composite.kernels import median_images, medoid_dates
from sits_data.composite.network import sorting_network
from sits_data.composite.settings import NDVI_BANDS, Method
from sits_data.numbers import to_reflectance

NO_SOURCE = -1


@dataclass(frozen=True)
class Composited:
    """The composite of one period.

    Args:
        numbers: (band, y, x) uint16, 0 where nothing was clear; of `count` only zeros.
        count: (y, x) uint16 clear dates.
        source: (y, x) int16 index of the date that was picked, -1 where there is none.
    """

    numbers: NDArray[np.uint16]
    count: NDArray[np.uint16]
    source: NDArray[np.int16]


def compose(
    numbers: NDArray[np.uint16],
    clear: NDArray[np.bool_],
    method: Method,
    *,
    bands: Sequence[str],
    rank: NDArray[np.int64],
) -> Composited:
    """The composite of the dates of one period.

    Args:
        numbers: (time, band, y, x) as in a cube, contiguous.
        clear: (time, y, x), True = usable in every band, contiguous.
        method: which.
        bands: canonical ids.
        rank: (time,) place of each date in the order of preference of `least-cloudy`, 0 first.
    """
    dates, _, height, width = numbers.shape
    count = clear.sum(axis=0, dtype=np.uint16)
    out = np.zeros((len(bands), height * width), np.uint16)
    source = np.full(height * width, NO_SOURCE, np.int16)
    flat = numbers.reshape(dates, len(bands), height * width)
    seen = clear.reshape(dates, height * width)
    if dates and method == "median":
        median_images(flat, seen, sorting_network(dates), out)
    elif dates and method != "count":
        if method == "medoid":
            medoid_dates(flat, seen, source)
        else:
            score = -rank[:, None] if method == "least-cloudy" else _ndvi(flat, bands)
            best = np.where(seen, score, -np.inf).argmax(axis=0)
            source[:] = np.where(seen.any(axis=0), best, NO_SOURCE)
        picked = np.take_along_axis(flat, np.maximum(source, 0).astype(np.intp)[None, None], axis=0)
        np.copyto(out, picked[0], where=source >= 0)
    return Composited(out.reshape(len(bands), height, width), count, source.reshape(height, width))


def rank_dates(clear_share: NDArray[np.float64]) -> NDArray[np.int64]:
    """Place of each date when they are sorted by clear share, the clearest 0, the first of equals.

    >>> rank_dates(np.array([0.2, 0.9, 0.9]))
    array([2, 0, 1])
    """
    return np.argsort(np.argsort(-clear_share, kind="stable"), kind="stable")


def _ndvi(flat: NDArray[np.uint16], bands: Sequence[str]) -> NDArray[np.float32]:
    """NDVI of reflectance; where both bands together are not above 0 it means nothing: last choice."""
    red, infrared = (to_reflectance(flat[:, list(bands).index(band)]) for band in NDVI_BANDS)
    total = infrared + red
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, (infrared - red) / total, np.float32(-1e6))
