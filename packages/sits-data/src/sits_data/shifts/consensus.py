"""Many windows, one shift: the median of those that can be believed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sits_data.shifts.matching import Match

MIN_WINDOWS = 3
MIN_CORRELATION = 0.3
MAX_SHIFT_PX = 5.0
MAX_SPREAD_PX = 0.5
_NORMAL = 1.4826
"""The standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True)
class Consensus:
    """What the windows of one date say together.

    Args:
        down, right: median of the windows used, pixels; NaN where they cannot be believed.
        spread_down, spread_right: 1.4826 times their median absolute deviation, pixels; NaN with
            fewer than `MIN_WINDOWS`.
        used: windows that the median is of.
        weak: windows that were left out, since their peak is low or too far away.
    """

    down: float
    right: float
    spread_down: float
    spread_right: float
    used: int
    weak: int

    @property
    def measured(self) -> bool:
        """Whether there is a shift."""
        return not np.isnan(self.down)


def find_consensus(matches: Sequence[Match]) -> Consensus:
    """Combine the windows of one date.

    A window is weak below a correlation of 0.3, or further than 5 pixels off. Fewer than three
    others, or others that scatter by more than half a pixel, measure nothing.

    >>> find_consensus([Match(0.5, -1.0, 0.8), Match(0.6, -1.0, 0.9), Match(0.4, -1.1, 0.7)]).right
    -1.0
    """
    strong = np.array(
        [
            (one.down, one.right)
            for one in matches
            if one.correlation >= MIN_CORRELATION and max(abs(one.down), abs(one.right)) <= MAX_SHIFT_PX
        ]
    )
    used, weak = len(strong), len(matches) - len(strong)
    if used < MIN_WINDOWS:
        return Consensus(np.nan, np.nan, np.nan, np.nan, used, weak)
    centre = np.median(strong, axis=0)
    spread = _NORMAL * np.median(np.abs(strong - centre), axis=0)
    if spread.max() > MAX_SPREAD_PX:
        centre = np.full(2, np.nan)
    (down, right), (spread_down, spread_right) = centre.tolist(), spread.tolist()
    return Consensus(down, right, spread_down, spread_right, used, weak)
