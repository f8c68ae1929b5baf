"""Views of a run's first batch as pictures."""

from dataclasses import dataclass

import numpy as np

from sits_models.report.files import Arrays
from sits_models.report.pictures import data_url, paint_view

_MOST_VIEWS = 8


@dataclass(frozen=True)
class View:
    """One planar view as a picture; `dates` are some rows' days by their place, 0 to 100."""

    title: str
    caption: str
    alt: str
    url: str
    dates: tuple[tuple[float, str], ...]


def planar_views(arrays: Arrays) -> tuple[View, ...]:
    """Pictures of the views that a run's first batch showed, those of a region beside each other."""
    count = len(arrays["image"])
    region = arrays.get("region", np.zeros(count, np.int64))
    number = arrays.get("view", np.arange(count))
    bands = [str(band) for band in arrays["bands"]]
    dated = np.asarray(arrays["pad_mask"].any(axis=1))
    shown = [one for one in np.lexsort((number, region)) if dated[one]][:_MOST_VIEWS]
    return tuple(
        _view(arrays, int(one), bands, f"Region {region[one]}, view {number[one] + 1}") for one in shown
    )


def _view(arrays: Arrays, number: int, bands: list[str], title: str) -> View:
    dated = np.flatnonzero(arrays["pad_mask"][number])
    image, clear = arrays["image"][number][:, dated], arrays["clear"][number][dated]
    used = np.flatnonzero((image != 0).any(axis=(0, 1)))
    length = int(used[-1]) + 1 if len(used) else 1
    image, clear = image[..., :length], clear[:, :length]
    days = arrays["dates"][number][dated].astype("datetime64[D]").astype(str)
    step = max(1, -(-len(days) // 5))
    caption = f"{len(days)} dates, {length} positions, {100 * clear.mean():.0f}\u00a0% clear"
    return View(
        title=title,
        caption=caption,
        alt=f"{title}: planar image, {caption}, {days[0]} to {days[-1]}",
        url=data_url(paint_view(image, clear, bands)),
        dates=tuple((100 * (row + 0.5) / len(days), days[row]) for row in range(0, len(days), step)),
    )
