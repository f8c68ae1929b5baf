"""Training curves as SVG that takes its colours and letters from the page, light or dark."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.style
import numpy as np
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sits_data.plot.page import ACCENT, FAINT, INK, QUIET, RULE, WARM
from sits_models.report.files import Series

_SIZE_IN = (5.0, 2.7)
_SMOOTH_FROM = 60
"""Values from which on a curve is drawn as its running mean, over what was logged."""

_VARIABLES = {
    INK: "--ink", QUIET: "--quiet", RULE: "--rule", FAINT: "--faint", ACCENT: "--accent", WARM: "--warn",
}  # fmt: skip
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.edgecolor": RULE,
    "axes.labelcolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": FAINT,
    "xtick.color": RULE,
    "ytick.color": FAINT,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "svg.fonttype": "none",
}


@dataclass(frozen=True)
class Panel:
    """What one curve means.

    Args:
        names: columns of `metrics.csv` that it shows; the first is drawn in the accent colour.
        title: in words.
        meaning: in plain words.
        level: a value to compare with, drawn as a dashed line, and what it is.
        low, high: range of the axis; None leaves an end to the values.
    """

    names: tuple[str, ...]
    title: str
    meaning: str
    level: tuple[float, str] | None = None
    low: float | None = None
    high: float | None = None


PANELS: tuple[Panel, ...] = (
    Panel(
        ("train_loss", "val_loss"),
        "Loss",
        "What training lowers. How low it gets says little about what the embeddings are good for.",
    ),
    Panel(
        ("embedding_std",),
        "Spread of embeddings",
        "Near 1 they point in all directions; near 0 all regions look the same to the network.",
        level=(1.0, "spread evenly"),
        low=0,
    ),
    Panel(
        ("rankme",),
        "RankMe",
        "How many directions of the embedding are really used.",
        low=0,
    ),
    Panel(
        ("knn_macro_f1",),
        "kNN while training",
        "Macro-F1 when each region takes the class of its nearest neighbours in other blocks. Labels "
        "are only looked at here, never trained on.",
        low=0,
        high=1,
    ),
    Panel(
        ("teacher_entropy",),
        "Entropy of the teacher",
        "Near 1 the teacher answers at random, at 0 always the same: both are collapse.",
        low=0,
        high=1,
    ),
    Panel(
        ("train_AverageF1Score",),
        "Macro-F1 on what it learns from",
        "What lies between this and the scores on other land is learned by heart.",
        low=0,
        high=1,
    ),
)


def draw_curve(panel: Panel, logs: Sequence[Mapping[str, Series]], *, key: str = "") -> Markup:
    """One panel.

    Args:
        panel: which.
        logs: what was logged, of one training or of each fold's; at least one of the panel's columns.
        key: that no other curves of the page have: ids within the SVG come from it.

    Returns:
        An `<svg>` without a size of its own.
    """
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=_SIZE_IN, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        shown: list[Series] = []
        for name, colour in zip(panel.names, (ACCENT, WARM), strict=False):
            found = [log[name] for log in logs if name in log]
            for number, one in enumerate(found):
                smooth = _running_mean(one.value)
                line = one.value if smooth is None else smooth
                if smooth is not None and len(found) == 1:
                    axes.plot(one.step, one.value, color=colour, lw=0.8, alpha=0.3)
                axes.plot(
                    one.step, line, color=colour, lw=2 if len(found) == 1 else 1.2, ms=4,
                    marker="o" if len(line) <= 25 else None, label=None if number else _label(name),
                )  # fmt: skip
            shown += found
        if panel.level is not None:
            value, what = panel.level
            axes.axhline(value, color=QUIET, lw=1, ls=(0, (4, 3)))
            axes.annotate(
                what, (1, value), xycoords=("axes fraction", "data"), xytext=(0, 6),
                textcoords="offset points", ha="right", color=QUIET, fontsize=9.5,
            )  # fmt: skip
        if len(axes.get_legend_handles_labels()[0]) > 1:
            axes.legend(frameon=False, labelcolor=QUIET, fontsize=9.5, handlelength=1.4)
        _scale(axes, panel, shown)
        axes.set_xlabel("step")
        buffer = io.BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": f"{key} {panel.title}"}):
            figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return for_page(buffer.getvalue().decode())


def for_page(svg: str) -> Markup:
    """An SVG file of matplotlib's as a part of a page: its size, colours and letters are the page's."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', svg, count=1
    )
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r" font-family: [^;\"]*;?", "", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return Markup(svg.strip())


def _scale(axes, panel: Panel, shown: Sequence[Series]) -> None:  # type: ignore[no-untyped-def]
    values = np.concatenate([one.value for one in shown])
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    if panel.level is not None:
        high = max(high, panel.level[0])
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 0.5
    axes.set_ylim(
        low - margin if panel.low is None else min(panel.low, low),
        high + margin if panel.high is None else max(panel.high, high),
    )
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.02)


def _running_mean(values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """(N,) means over a tenth of the values, as many before each as behind; None where there are few."""
    count = len(values)
    if count < _SMOOTH_FROM:
        return None
    finite, place = np.isfinite(values), np.arange(count)
    reach = np.minimum(count // 20, np.minimum(place, count - 1 - place))
    sums, counts = (
        np.concatenate([[0], np.cumsum(part)]) for part in (np.where(finite, values, 0), finite)
    )
    first, stop = place - reach, place + reach + 1
    means = (sums[stop] - sums[first]) / np.maximum(counts[stop] - counts[first], 1)
    return np.asarray(np.where(finite, means, np.nan))


def _label(name: str) -> str:
    return {"train_loss": "training", "val_loss": "held out"}.get(name, name)
