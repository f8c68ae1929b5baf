"""How gaps are filled."""

from dataclasses import dataclass
from typing import Literal, get_args

from sits_data.errors import InvalidRequest

Method = Literal["linear", "savgol", "whittaker"]
Edges = Literal["nearest", "none"]


@dataclass(frozen=True)
class Filling:
    """How the unclear dates of a pixel get values; gaps and windows are measured in days.

    Args:
        method: `linear` between the neighbouring clear dates, which never changes a clear value;
            `savgol`, a local polynomial through the linear series; `whittaker`, the smoothest series
            near the clear values. The last two smooth clear dates too, unless `keep_observed`.
        edges: before the first and after the last clear date hold the value `nearest`, or `none`.
        max_gap_days: fill only where the clear dates around are at most so far apart, at an edge where
            the clear date is at most so far away; None fills every gap.
        keep_observed: leave clear dates as they were observed.
        window_days: width of the window of `savgol`.
        order: degree of its polynomial.
        smoothing: λ of `whittaker` in days³; larger is smoother.
    """

    method: Method = "linear"
    edges: Edges = "nearest"
    max_gap_days: int | None = None
    keep_observed: bool = False
    window_days: int = 45
    order: int = 2
    smoothing: float = 10_000.0

    def __post_init__(self) -> None:
        _check(self.method in get_args(Method), f"a method is one of {_listed(Method)}", self.method)
        _check(self.edges in get_args(Edges), f"edges are one of {_listed(Edges)}", self.edges)
        gap = self.max_gap_days
        _check(gap is None or gap > 0, "the largest gap to fill is at least 1 day", gap)
        _check(self.window_days > 0, "a window has at least 1 day", self.window_days)
        _check(0 <= self.order <= 5, "a polynomial has a degree of 0 to 5", self.order)
        _check(0 < self.smoothing <= 1e12, "smoothing is above 0 and at most 1e12", self.smoothing)


def _listed(choices: object) -> str:
    return ", ".join(get_args(choices))


def _check(holds: bool, must: str, got: object) -> None:
    if not holds:
        raise InvalidRequest(f"{must}, got {got}")
