"""How the dates of a cube lie on each other: where each one's content is, and when."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from sits_data.coregistration import Shifts
from sits_data.plot.page import ACCENT, FAINT, QUIET, RULE, WARM, WIDTH_IN, Page, iso, new_page

_MARGIN, _TOP, _SIDE, _GAP = 0.75, 1.25, 3.9, 0.95
_STRIP, _BETWEEN = 1.7, 0.5
_EAST, _NORTH = ACCENT, WARM


def plot_shifts(shifts: Shifts, out: Path, *, dpi: int = 150) -> None:
    """Draw the measured dates on the ground, and their two components over time.

    Args:
        shifts: of one cube.
        out: the PNG.
        dpi: dots per inch; the page is 13.33 inches wide.

    Raises:
        OutputNotWritable: no permission, or the disk is full.
    """
    left = _MARGIN + _SIDE + _GAP
    with new_page(WIDTH_IN, _TOP + _SIDE + 0.75, dpi) as page:
        page.heading(_MARGIN - 0.3, *_titles(shifts))
        _draw_ground(page.axes(_MARGIN, _TOP, _SIDE, _SIDE), shifts)
        _draw_series(page, left, shifts)
        page.save(out)


def _titles(shifts: Shifts) -> tuple[str, str]:
    measured = shifts.shift_m[shifts.measured]
    spread = np.median(np.hypot(*measured.T))
    return f"{shifts.cube}: dates lie {spread:.1f} m off, in the median", (
        f"{iso(shifts.dates[0])} to {iso(shifts.dates[-1])}, {len(measured)} of {len(shifts.dates)} "
        f"dates measured ({shifts.mask}) · zero: {shifts.reference} · bars: spread of windows"
    )


def _limit(shifts: Shifts) -> float:
    """Half the width of the axes in metres: a pixel, or what the farthest date needs."""
    farthest = np.nanmax(np.abs(shifts.shift_m) + shifts.spread_m)
    return float(max(shifts.resolution_m, 1.1 * farthest))


def _draw_ground(axes: Axes, shifts: Shifts) -> None:
    pixel, limit = shifts.resolution_m, _limit(shifts)
    axes.add_patch(Rectangle((-pixel / 2, -pixel / 2), pixel, pixel, facecolor=FAINT, zorder=0))
    axes.text(0.02, 0.98, f"grey: one pixel, {pixel} m", transform=axes.transAxes, va="top", fontsize=8)
    axes.axhline(0, color=RULE, lw=0.8, zorder=0)
    axes.axvline(0, color=RULE, lw=0.8, zorder=0)
    east, north = shifts.shift_m.T
    spread_east, spread_north = shifts.spread_m.T
    ok = shifts.measured
    axes.errorbar(
        east[ok], north[ok], spread_north[ok], spread_east[ok],
        fmt="o", ms=3.5, color=ACCENT, ecolor=RULE, elinewidth=0.8,
    )  # fmt: skip
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), xlabel="metres east", ylabel="metres north")
    axes.set_aspect("equal")


def _draw_series(page: Page, left: float, shifts: Shifts) -> None:
    width = WIDTH_IN - left - 0.45
    days = shifts.dates.astype("datetime64[D]")
    for number, (name, colour) in enumerate((("east", _EAST), ("north", _NORTH))):
        axes = page.axes(left, _TOP + number * (_STRIP + _BETWEEN), width, _STRIP)
        _draw_component(axes, days, shifts, number, colour)
        axes.set_ylabel(f"metres {name}")


def _draw_component(
    axes: Axes, days: NDArray[np.datetime64], shifts: Shifts, component: int, colour: str
) -> None:
    ok, limit, half = shifts.measured, _limit(shifts), shifts.resolution_m / 2
    axes.axhspan(-half, half, color=FAINT, zorder=0)
    axes.axhline(0, color=RULE, lw=0.8, zorder=0)
    shift, spread = shifts.shift_m[:, component], shifts.spread_m[:, component]
    axes.errorbar(days[ok], shift[ok], spread[ok], fmt="o", ms=3.5, color=colour, ecolor=RULE)
    # Dates without a shift: a tick at the bottom each.
    axes.plot(days[~ok], np.full((~ok).sum(), -limit), "|", color=QUIET, ms=7, clip_on=False)
    axes.set_ylim(-limit, limit)
    locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    if component == 0:
        note = f"ticks at the bottom: {(~ok).sum()} dates not measured"
        axes.set_title(note, loc="right", fontsize=8, color=QUIET)
