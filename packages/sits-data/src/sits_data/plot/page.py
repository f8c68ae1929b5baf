"""A page to draw on: one look, places in inches from the top left, PNG written whole or not at all."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from sits_data.errors import InvalidRequest
from sits_data.output import write_atomically, writing_to

INK, QUIET, RULE, FAINT = "#1f2933", "#5f6b7a", "#c3ccd5", "#edf0f3"
ACCENT, ACCENT_PALE, GREEN, WARM = "#0072b2", "#a5cbe2", "#117733", "#d55e00"

WIDTH_IN = 13.33
"""That of a 16:9 slide."""

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": QUIET,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "image.interpolation": "none",
}


@dataclass(frozen=True)
class Page:
    """A figure on which places are inches from the top left corner."""

    figure: Figure
    width_in: float
    height_in: float
    dpi: int

    def pixels(self, inches: float) -> int:
        """A length in whole device pixels, at least 1."""
        return max(1, round(inches * self.dpi))

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes on whole device pixels, so that images drawn at their size stay sharp."""
        full_width, full_height = self.pixels(self.width_in), self.pixels(self.height_in)
        w, h = self.pixels(width), self.pixels(height)
        x, y = round(left * self.dpi), full_height - round(top * self.dpi) - h
        return self.figure.add_axes((x / full_width, y / full_height, w / full_width, h / full_height))

    def picture(
        self, left: float, top: float, width: float, height: float, *, frame: bool = True
    ) -> Axes:
        """Axes for an image: no ticks; a thin frame or none."""
        axes = self.axes(left, top, width, height)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(frame)
        return axes

    def text(
        self,
        left: float,
        top: float,
        text: str,
        *,
        size: float = 9,
        colour: str = INK,
        bold: bool = False,
        align: Literal["left", "center", "right"] = "left",
    ) -> Text:
        """A line of text whose baseline lies at `top`."""
        return self.figure.text(
            left / self.width_in,
            1 - top / self.height_in,
            text,
            fontsize=size,
            color=colour,
            fontweight="bold" if bold else "normal",
            ha=align,
            va="baseline",
            parse_math=False,
        )

    def heading(self, left: float, title: str, subtitle: str) -> None:
        """Title and subtitle at the top of the page."""
        self.text(left, 0.52, title, size=17, bold=True)
        self.text(left, 0.82, subtitle, size=10.5, colour=QUIET)

    def save(self, out: Path) -> None:
        """Write a PNG; equal pictures are equal byte for byte.

        Raises:
            InvalidRequest: `out` does not end in `.png`.
            OutputNotWritable: no permission, or the disk is full.
        """
        if out.suffix.lower() != ".png":
            raise InvalidRequest(f"the picture is a PNG, {out} is not named so; use --out NAME.png")
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=self.dpi, metadata={"Software": None})
        with writing_to(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(out, buffer.getvalue())


@contextmanager
def new_page(width_in: float, height_in: float, dpi: int) -> Iterator[Page]:
    """An empty page; inside the block our look holds, whatever the user's matplotlibrc says."""
    with matplotlib.style.context(["default", _STYLE]):
        figure = Figure(figsize=(width_in, height_in), dpi=dpi, facecolor="white")
        FigureCanvasAgg(figure)
        yield Page(figure, width_in, height_in, dpi)


def iso(day: int | np.integer[Any]) -> str:
    """A day since 1970-01-01 as `2019-06-30`."""
    return str(np.datetime64(int(day), "D"))


def shorten(text: str, length: int) -> str:
    """A text of at most so many characters; what is cut off becomes an ellipsis."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def spread_ticks(count: int, most: int) -> list[int]:
    """About `most` positions of 0 … count-1 to label, evenly spaced; the last one where it has room.

    >>> spread_ticks(9, 4)
    [0, 3, 6, 8]
    >>> spread_ticks(8, 4)
    [0, 2, 4, 6]
    """
    step = max(1, -(-count // max(most, 1)))
    ticks = list(range(0, count, step))
    return ticks if count - 1 - ticks[-1] < 0.6 * step else [*ticks, count - 1]
