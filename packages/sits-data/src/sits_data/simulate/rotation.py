"""What grows where in which season, and when the land changes hands from one class to the next."""

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from sits_data.simulate.legend import CLASSES, HEDGE, ROAD, WATER, YARD, index_of, members
from sits_data.simulate.mosaic import Mosaic
from sits_data.simulate.settings import Settings

ROTATED, CONVERTED, CLEARED = 0.3, 0.1, 0.4
"""Part of the arable parcels, of meadows and orchards, and of forests that change in a winter."""


@dataclass(frozen=True)
class LandUse:
    """Classes of all units through the seasons.

    Args:
        classes: (unit, season) positions in `legend.ALL`.
        switch: (unit, winter) ordinal of the day on which a season's class takes over.
    """

    classes: NDArray[np.intp]
    switch: NDArray[np.int64]

    def season_on(self, day: date) -> NDArray[np.intp]:
        """(unit,) which season's class stands on the land that day."""
        return np.asarray((self.switch <= day.toordinal()).sum(axis=1))


def assign(settings: Settings, mosaic: Mosaic) -> LandUse:
    """Deal the classes to the fields, whatever their size and shape, and let some change each winter."""
    rng = settings.rng("rotation")
    labelled = mosaic.parcels["unit"].to_numpy()
    first = np.empty(mosaic.n_fields + 2, dtype=np.intp)
    first[mosaic.n_fields :] = ROAD, HEDGE
    first[: mosaic.n_fields] = _deal(rng, mosaic.n_fields)
    first[labelled] = _deal(rng, labelled.size)
    unlabelled = np.setdiff1d(np.arange(mosaic.n_fields), labelled)
    first[unlabelled[::7]], first[unlabelled[3::11]] = WATER, YARD
    columns, switches = [first], []
    for year in settings.seasons[1:]:
        following = columns[-1].copy()
        following[labelled] = _next_season(rng, following[labelled])
        switches.append(_switch_days(rng, following != columns[-1], year))
        columns.append(following)
    return LandUse(np.stack(columns, axis=1), np.stack(switches, axis=1))


def change_kinds(before: NDArray[np.intp], after: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Codes of `legend.CHANGES` for classes before and after a winter."""
    arable = members("arable")
    kinds = np.full(before.shape, 2, dtype=np.uint8)
    kinds[np.isin(before, arable) & np.isin(after, arable)] = 1
    kinds[np.isin(before, members("forest"))] = 3
    kinds[before == after] = 0
    return kinds


def _deal(rng: np.random.Generator, n: int) -> NDArray[np.intp]:
    """Classes in fixed proportions, in random order; both of a pair equally often, or one apart."""
    shares = np.array([c.share for c in CLASSES])
    bounds = np.rint(np.cumsum(shares / shares.sum()) * n).astype(int)
    return rng.permutation(np.searchsorted(bounds, np.arange(n), side="right"))


def _next_season(rng: np.random.Generator, now: NDArray[np.intp]) -> NDArray[np.intp]:
    after = now.copy()
    rotated = _some(rng, now, members("arable"), ROTATED)
    after[rotated] = rng.permutation(now[rotated])  # permuted: as much of each crop as before
    converted = _some(rng, now, members("grass") + members("orchard"), CONVERTED)
    after[converted] = rng.choice(members("arable"), converted.size)
    after[_some(rng, now, members("forest"), CLEARED)] = index_of(9590)
    return after


def _some(
    rng: np.random.Generator, now: NDArray[np.intp], classes: tuple[int, ...], part: float
) -> NDArray[np.intp]:
    """Positions of a part of the land in these classes, at least one, equally many of each class."""
    groups = [np.flatnonzero(now == c) for c in classes]
    picked = [rng.permutation(g)[: max(1, round(part * g.size))] for g in groups]
    return np.concatenate(picked)


def _switch_days(rng: np.random.Generator, changed: NDArray[np.bool_], year: int) -> NDArray[np.int64]:
    """Changes fall between November and mid-December, all else turns over at New Year."""
    autumn = date(year - 1, 11, 1).toordinal() + rng.integers(0, 45, changed.size)
    return np.where(changed, autumn, date(year, 1, 1).toordinal())
