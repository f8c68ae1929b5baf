"""How long a round number of metres is on a picture."""

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from sits_data.plot.page import INK, QUIET, Page


def draw_scale_bar(axes: Axes, width_m: float) -> None:
    """A white bar of a round length at the lower left of a picture that is `width_m` wide."""
    length = _round_length(width_m * 0.4)
    shadow, casing = (
        [patheffects.withStroke(linewidth=width, foreground="#00000099")] for width in (2.5, 4)
    )
    start, end, level = 0.05, 0.05 + length / width_m, 0.07
    axes.plot(
        [start, end], [level, level], color="white", lw=2.2, solid_capstyle="butt",
        transform=axes.transAxes, path_effects=casing,
    )  # fmt: skip
    axes.text(
        start, level + 0.035, _text(length), color="white", fontsize=8, transform=axes.transAxes,
        ha="left", va="bottom", path_effects=shadow,
    )  # fmt: skip


def draw_scale_bar_below(page: Page, right: float, top: float, metres_per_inch: float) -> None:
    """A bar of a round length under a picture, with its right end at `right` (inches)."""
    length = _round_length(metres_per_inch * 1.2)
    left = right - length / metres_per_inch
    level = 1 - (top - 0.045) / page.height_in
    bar = Line2D(
        [left / page.width_in, right / page.width_in], [level, level],
        color=INK, lw=1.6, solid_capstyle="butt", transform=page.figure.transFigure,
    )  # fmt: skip
    page.figure.add_artist(bar)
    page.text(left - 0.07, top, _text(length), size=8.5, colour=QUIET, align="right")


def _text(length: float) -> str:
    return f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"


def _round_length(longest: float) -> float:
    """The largest of 1, 2, 5, 10, … metres that is not longer."""
    power = 10.0 ** np.floor(np.log10(longest))
    return float(power * max(m for m in (1, 2, 5) if m * power <= longest * (1 + 1e-9)))
