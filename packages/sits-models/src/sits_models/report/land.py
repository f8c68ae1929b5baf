"""What a report takes from the planar store: when it was clear, and where which labels lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sits_data.store import PlanarStore

_ROWS = 1 << 18
_MOST_TICKS = 7
_STEPS_MONTHS = (1, 2, 3, 6, 12, 24, 60)


@dataclass(frozen=True)
class Bar:
    """One date of a timeline.

    Args:
        place: along the time axis, 0 to 100.
        clear: share of clear pixels, 0 to 1.
        day: ISO.
    """

    place: float
    clear: float
    day: str


@dataclass(frozen=True)
class Timeline:
    """How clear a store is, date by date.

    Args:
        name: of the store.
        mask: preset that says what is clear.
        bars: one a date.
        ticks: place along the axis, 0 to 100, and text.
        mean: share of clear observations, 0 to 1.
        poor: dates of which less than a tenth is clear.
        longest_gap: days between neighbours of the dates at least half clear, None with fewer than two.
    """

    name: str
    mask: str
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    mean: float
    poor: int
    longest_gap: int | None


def timeline(store: PlanarStore) -> Timeline:
    """Read `qa` of all pixels, some rows at a time."""
    clear = clear_share(store)
    days = store.dates.astype("datetime64[D]")
    first, last = days[0] - 6, days[-1] + 6
    span = (last - first).astype(int)

    def place(day: np.datetime64) -> float:
        return round(float(100 * (day - first).astype(int) / span), 2)

    good = days[clear >= 0.5]
    return Timeline(
        name=store.path.name,
        mask=store.manifest.mask,
        bars=tuple(
            Bar(place(day), float(share), str(day)) for day, share in zip(days, clear, strict=True)
        ),
        ticks=tuple((place(day), text) for day, text in _ticks(first, last)),
        mean=float(clear.mean()),
        poor=int((clear < 0.1).sum()),
        longest_gap=max((int((b - a).astype(int)) for a, b in pairwise(good)), default=None),
    )


def clear_share(store: PlanarStore) -> NDArray[np.float64]:
    """Share of all pixels of a store that are clear on each date: (T,), 0 to 1."""
    total = np.zeros(len(store.dates))
    for shard in range(len(store.manifest.shard_rows)):
        qa = store.shard("qa", shard)
        for start in range(0, len(qa), _ROWS):
            total += ((qa[start : start + _ROWS] & store.manifest.unclear_bits) == 0).sum(axis=0)
    return np.asarray(total / max(1, store.manifest.pixels))


def label_map(store: PlanarStore, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Labels on the grid of the cube: (y, x), -1 where nothing is labelled."""
    image = np.full(shape, -1, np.int64)
    label = store.manifest.label
    columns = (store.regions[name].to_numpy() for name in ("shard", "pixels", "first_row"))
    shard_of, pixels, first_row = columns
    for shard in range(len(store.manifest.shard_rows)):
        yx = store.shard("yx", shard)
        if label is not None and label.per_pixel:
            labels = store.shard(f"label-{label.name}", shard)
        else:
            here = np.flatnonzero(shard_of == shard)
            here = here[np.argsort(first_row[here])]
            labels = np.repeat(store.labels[here], pixels[here])
        image[yx[:, 0], yx[:, 1]] = labels
    return image


def explained(embedding: NDArray[np.floating], group: NDArray[np.integer]) -> float | None:
    """The share of an embedding's variance that lies between groups, less what chance would give.

    Args:
        embedding: (N, D).
        group: (N,) which group each belongs to.

    Returns:
        At most 1, near 0 for groups drawn at random; None with one group, or groups of one.

    Source: adjusted R² of a one-way layout (epsilon squared, Kelley 1935).
    """
    values = embedding.astype(np.float64) - embedding.mean(axis=0, dtype=np.float64)
    _, number = np.unique(group, return_inverse=True)
    count, groups = len(values), int(number.max()) + 1 if len(number) else 0
    total = float((values**2).sum())
    if groups < 2 or count <= groups or total == 0:
        return None
    sums = np.zeros((groups, values.shape[1]))
    np.add.at(sums, number, values)
    between = float((sums**2 / np.bincount(number)[:, None]).sum())
    return 1 - (total - between) / total * (count - 1) / (count - groups)


def blocks(yx_m: NDArray[np.floating], side_m: float = 1000) -> NDArray[np.int64]:
    """The square of the ground that each place lies in; squares are halved until there are four.

    Args:
        yx_m: (N, 2) metres.
        side_m: of a square at most.
    """
    extent = float(np.ptp(yx_m, axis=0).max()) if len(yx_m) else 0.0
    while side_m > 1 and side_m > extent / 2:
        side_m /= 2
    squares = np.floor((yx_m - yx_m.min(axis=0)) / side_m).astype(np.int64)
    return np.asarray(squares[:, 0] * (squares[:, 1].max() + 1) + squares[:, 1])


def _ticks(first: np.datetime64, last: np.datetime64) -> Sequence[tuple[np.datetime64, str]]:
    """Starts of months, at most seven; January says the year."""
    month, stop = first.astype("datetime64[M]") + 1, last.astype("datetime64[M]")
    months = np.arange(month, stop + 1)
    number = months.astype(int)  # since January 1970
    for step in _STEPS_MONTHS:
        chosen = months[number % step == 0]
        if len(chosen) <= _MOST_TICKS:
            break
    return [(one.astype("datetime64[D]"), _month(one)) for one in chosen]


def _month(month: np.datetime64) -> str:
    year, number = str(month).split("-")
    names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    return year if number == "01" else names[int(number) - 1]
