"""Figures of what a classifier looked at: over the dates, and in single regions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from numpy.typing import NDArray

from sits_data.manifest import LabelClass
from sits_data.plot.field import draw_field
from sits_data.plot.page import ACCENT_PALE, FAINT, INK, QUIET, RULE, WIDTH_IN, Page, new_page, shorten
from sits_data.plot.store import load_field
from sits_data.store import PlanarStore
from sits_models.bench.scores import class_names

_MARGIN = 0.6
_DPI = 120
_MOST_CLASSES = 12
_PANEL_IN, _LINE_IN = 0.62, 0.24


@dataclass(frozen=True, eq=False)
class Within:
    """What was found in one region.

    Args:
        region: its position in the store.
        named: (P,) class of each pixel, -1 = none.
        strength: (P,) largest saliency.
        profile: (T,) over the dates.
        told: in words, below the title.
    """

    region: int
    named: NDArray[np.int64]
    strength: NDArray[np.float32]
    profile: NDArray[np.float32]
    told: str


def draw_dates(
    out: Path,
    *,
    dates: NDArray[np.integer],
    classes: Sequence[LabelClass],
    mean: NDArray[np.float64],
    images: NDArray[np.int64],
    kept: NDArray[np.bool_],
    told: str,
) -> None:
    """The mean profile of each class over the dates, the commonest classes first; kept dates are pale.

    Args:
        out: a PNG.
        dates: (T,) days since 1970-01-01.
        classes: K.
        mean: (K, T), NaN where no image was named so.
        images: (K,) how many were.
        kept: (T,) dates that are worth keeping.
        told: in words, below the title.
    """
    shown = [one for one in np.argsort(-images, kind="stable") if images[one]][:_MOST_CLASSES]
    names, top = class_names(classes), 1.25
    height = top + _PANEL_IN * len(shown) + 0.55
    with new_page(WIDTH_IN, height, _DPI) as page:
        page.heading(_MARGIN, "Which dates each class is told by", told)
        left, width = 3.3, WIDTH_IN - 3.3 - _MARGIN
        for number, one in enumerate(shown):
            axes = page.axes(left, top + _PANEL_IN * number, width, _PANEL_IN - 0.12)
            last = number == len(shown) - 1
            _profile(axes, dates, mean[one], kept, classes[one].colour, label=last)
            line = top + _PANEL_IN * number + 0.26
            page.text(_MARGIN, line, shorten(names[one], 24), bold=True)
            page.text(
                left - 0.15, line, f"{images[one]:,} images", size=8.5, colour=QUIET, align="right"
            )
        page.save(out)


def draw_region(
    out: Path,
    store: PlanarStore,
    classes: Sequence[LabelClass],
    within: Within,
    *,
    kept: NDArray[np.bool_],
) -> None:
    """A region as an image, its map of classes, where the classifier looked, and on which dates.

    Args:
        out: a PNG.
        store: of the region.
        classes: that the map names.
        within: what was found.
        kept: (T,) dates that are worth keeping.
    """
    field = load_field(store, within.region)
    side, top = 2.65, 1.5
    pitch = side + 0.3
    found = np.unique(within.named)
    rows = max(1, len(found))
    with new_page(WIDTH_IN, top + side + 0.4 + _LINE_IN * rows, _DPI) as page:
        label = store.labels[within.region]
        title = store.manifest.classes[label].name if label >= 0 else "unlabelled"
        page.heading(_MARGIN, f"Region {within.region}: {shorten(title, 60)}", within.told)
        day = np.datetime64(int(field.dates[field.shown_date]), "D")
        captions = (f"The field on {day}", "The class of each pixel", "How strongly it was looked at")
        for number, caption in enumerate(captions):
            page.text(_MARGIN + pitch * number, top - 0.15, caption, size=11)
        draw_field(page, (_MARGIN, top, side), field)
        colours = np.array([to_rgb(one.colour) for one in classes] + [to_rgb(FAINT)])
        _paint(page, (_MARGIN + pitch, top, side), field.yx, colours[within.named])
        most = float(within.strength.max()) or 1.0
        shade = (within.strength / most)[:, None]
        paper, ink = np.array(to_rgb(FAINT)), np.array(to_rgb(INK))
        _paint(page, (_MARGIN + 2 * pitch, top, side), field.yx, paper + shade * (ink - paper))
        left = _MARGIN + 3 * pitch + 0.15
        page.text(left, top - 0.15, "On which dates", size=11)
        axes = page.axes(left, top, WIDTH_IN - _MARGIN - left, side - 0.3)
        _profile(axes, store.dates, within.profile, kept, INK, label=True)
        _legend(page, (_MARGIN + pitch, top + side + 0.3), classes, within.named)
        page.save(out)


def _profile(
    axes: Axes,
    dates: NDArray[np.integer],
    values: NDArray[np.floating],
    kept: NDArray[np.bool_],
    colour: str,
    *,
    label: bool,
) -> None:
    """A profile from 0 to its largest value, before pale stripes of the dates that are kept."""
    days = dates.astype("datetime64[D]")
    half = np.timedelta64(36, "h")
    for day in days[kept]:
        axes.axvspan(day - half, day + half, color=ACCENT_PALE, alpha=0.55, lw=0)
    axes.fill_between(days, values, color=colour, alpha=0.18, lw=0)
    axes.plot(days, values, color=colour, lw=1.6)
    axes.set_ylim(0, 1.08 * (float(np.nanmax(values)) or 1.0))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    locator = AutoDateLocator(maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    shown = ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(shown)
    axes.tick_params(axis="x", labelbottom=label, color=RULE)


def _paint(
    page: Page,
    place: tuple[float, float, float],
    yx: NDArray[np.int32],
    colours: NDArray[np.floating],
) -> None:
    """Colours (P, 3) of pixels at the top left of a square, as large as `draw_field` draws them."""
    left, top, side = place
    axes = page.picture(left, top, side, side, frame=False)
    local = yx - yx.min(axis=0)
    height, width = local.max(axis=0) + 1
    image = np.ones((height, width, 3))
    image[local[:, 0], local[:, 1]] = colours
    axes.imshow(image, aspect="equal")
    longest = max(height, width)
    axes.set(xlim=(-0.5, longest - 0.5), ylim=(longest - 0.5, -0.5))


def _legend(
    page: Page,
    place: tuple[float, float],
    classes: Sequence[LabelClass],
    named: NDArray[np.int64],
) -> None:
    """The classes of the map with their share of the pixels, the largest first."""
    left, top = place
    names = (*class_names(classes), "never shown")
    colours = [*(one.colour for one in classes), FAINT]
    values, counts = np.unique(named, return_counts=True)
    for line, number in enumerate(np.argsort(-counts, kind="stable")):
        value, height = int(values[number]), top + _LINE_IN * line
        swatch = page.picture(left, height - 0.11, 0.13, 0.13, frame=False)
        swatch.set_facecolor(colours[value])
        page.text(left + 0.22, height, f"{names[value]}: {counts[number] / len(named):.0%}")
