"""One block of a cube, its gaps filled in place."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sits_data.errors import InvalidRequest
from sits_data.gapfill.gaps import NEVER, Policy
from sits_data.gapfill.linear import fill_linear
from sits_data.gapfill.savgol import fill_savgol, local_polynomials
from sits_data.gapfill.settings import Filling
from sits_data.gapfill.whittaker import FEWEST, fill_whittaker, penalty

Numbers = NDArray[np.uint16]
Clear = NDArray[np.bool_]
Filled = NDArray[np.uint8]
Fill = Callable[[Numbers, Clear, Filled, slice], None]
"""Fills pixels of (time, band, pixel) numbers in place and notes in (time, pixel) `filled` which."""


def make_fill(settings: Filling, days: NDArray[np.int32]) -> Fill:
    """The filling of series on some dates; what depends only on the dates is worked out once.

    Args:
        settings: method, edges, largest gap.
        days: (time,) ascending.

    Returns:
        A function of numbers (time, band, pixel) uint16, clear (time, pixel), filled (time, pixel)
        uint8, and a slice of pixels, that other threads may call on other pixels at the same time.
        Afterwards numbers are 0 where nothing is known.

    Raises:
        InvalidRequest: the dates do not ascend.
    """
    if (np.diff(days) <= 0).any():
        raise InvalidRequest("dates must ascend, one entry a day; sort them, and merge those of one day")
    policy = Policy(settings.edges == "nearest", settings.max_gap_days or NEVER)
    linear = partial(_call, fill_linear, days, (policy,))
    if settings.method == "savgol":
        weights = local_polynomials(days, settings.window_days, settings.order)
        return partial(_call, fill_savgol, days, (policy, settings.keep_observed, weights))
    if settings.method == "linear" or len(days) < FEWEST:
        return linear
    bands = penalty(days, settings.smoothing)
    curved = partial(_call, fill_whittaker, days, (policy, settings.keep_observed, bands))

    def fill(numbers: Numbers, clear: Clear, filled: Filled, pixels: slice) -> None:
        linear(numbers, clear, filled, pixels)  # which is what remains of pixels with few dates
        curved(numbers, clear, filled, pixels)

    return fill


def _call(
    kernel: Callable[..., None],
    days: NDArray[np.int32],
    settings: tuple[object, ...],
    numbers: Numbers,
    clear: Clear,
    filled: Filled,
    pixels: slice,
) -> None:
    kernel(numbers, clear, days, filled, pixels.start, pixels.stop, *settings)
