"""Whether attention finds what does not belong: pieces of other fields, planted into regions.

A quarter of a region, a run of neighbours along its Hilbert curve, gets the pixels of a region of
another class. What a map names otherwise than the region's label is what it found. The baselines without
saliency are the same classifier, which names each pixel by its features, and k-means.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from sits_data.errors import InvalidRequest
from sits_models.bench.intervals import FEWEST, Interval, difference, interval
from sits_models.data.curves import USUAL, whole_curve
from sits_models.data.table import PixelTable
from sits_models.ops.gather import planar_batch

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]

_SHARE = 0.25
_SMALLEST = 16


@dataclass(frozen=True, eq=False)
class Planted:
    """Regions with intruders.

    Args:
        table: a copy of the pixels, with the intruders.
        regions: (R,) int64 positions of those that have one.
        size: (R,) int64 pixels of each.
        mask: (P,) bool, True = intruder; pixels of the regions after each other.
    """

    table: PixelTable
    regions: Numbers
    size: Numbers
    mask: Mask


@dataclass(frozen=True)
class Verdict:
    """How well the intruders were found.

    Args:
        regions: with one.
        found: mean intersection over union, of the semantic map.
        floors: the same of the baselines.
        above: how much the map has more than each.
    """

    regions: int
    found: Interval
    floors: Mapping[str, Interval]
    above: Mapping[str, Interval]

    @property
    def text(self) -> str:
        """What it says, in words."""
        parts = []
        for name, apart in self.above.items():
            value = f"{apart.value:+.3f} [{apart.low:+.3f}, {apart.high:+.3f}]"
            word = "above" if apart.low > 0 else "below" if apart.high < 0 else "not above"
            parts.append(f"{word} {name} ({self.floors[name]}): {value}")
        return (
            f"intruders in {self.regions} regions: the attention map finds {self.found} of them "
            f"(intersection over union), {'; '.join(parts)}"
        )


def plant(table: PixelTable, count: int, *, seed: int = 0) -> Planted:
    """Put a piece of another class into some labelled regions.

    Args:
        table: resident, of one calendar.
        count: regions that get one, or all that have 16 pixels if they are fewer.
        seed: of all draws.

    Raises:
        InvalidRequest: the regions have fewer than two classes, or fewer than 8 can get an intruder.
    """
    draws = np.random.Generator(np.random.Philox(seed))
    label, size = (one.cpu().numpy() for one in (table.label, table.size))
    able = np.flatnonzero((label >= 0) & (size >= _SMALLEST))
    if len(np.unique(label[able])) < 2 or len(able) < FEWEST:
        raise InvalidRequest(
            f"intruders need {FEWEST} labelled regions of {_SMALLEST} pixels and two classes, got "
            f"{len(able)} of {len(np.unique(label[able]))} classes; leave --intruders out"
        )
    hosts = np.sort(draws.choice(able, min(count, len(able)), replace=False))
    curve = whole_curve(table, USUAL).cpu().numpy()
    row, cell = (one.cpu().numpy() for one in (table.first_row, table.first_cell))
    dates = int(table.dated[0])
    pixels, qa = table.pixels[0].clone(), table.qa[0].clone()
    masks = []
    for host in hosts:
        guest = int(draws.choice(able[label[able] != label[host]]))
        wanted = round(size[host] * _SHARE)
        place = _run(curve[row[host] : row[host] + size[host]], wanted, draws)
        given = _run(curve[row[guest] : row[guest] + size[guest]], wanted, draws)
        here, there = (
            (cell[region] + rows[:, None] * dates + np.arange(dates)).ravel()
            for region, rows in ((host, place), (guest, given))
        )
        pixels[here], qa[here] = table.pixels[0][there], table.qa[0][there]
        mask = np.zeros(size[host], bool)
        mask[place] = True
        masks.append(mask)
    planted = replace(table, pixels=(pixels,), qa=(qa,))
    return Planted(planted, hosts.astype(np.int64), size[hosts], np.concatenate(masks))


def two_clusters(planted: Planted, *, seed: int = 0) -> Mask:
    """The smaller of two clusters of each region's series, by k-means: (P,) bool.

    What was not clear on a date counts as the mean of what was.
    """
    table, found = planted.table, []
    for region in planted.regions:
        rows = torch.arange(int(table.size[region]))
        batch = planar_batch(table, torch.tensor([region]), rows[None])
        image, clear = batch["image"][0], batch["clear"]  # (C, T, P), (1, T, P)
        mean = (image * clear).sum(2, keepdim=True) / clear.sum(2, keepdim=True).clamp(min=1)
        series = torch.where(clear, image, mean).flatten(0, 1).T.numpy()
        cluster = KMeans(2, n_init=4, random_state=seed).fit_predict(series)
        found.append(cluster == (cluster.mean() < 0.5))
    return np.concatenate(found)


def judge_intruders(
    planted: Planted, found: Mask, floors: Mapping[str, Mask], *, seed: int = 0, draws: int = 2000
) -> Verdict:
    """Compare maps of intruders with where these are.

    Args:
        planted: regions with intruders.
        found: (P,) bool, what the attention map names otherwise than its region.
        floors: (P,) bool of each baseline.
        seed: of the bootstrap over regions.
        draws: of it.
    """
    owner = np.repeat(np.arange(len(planted.regions)), planted.size)
    sums = {
        name: intersection_over_union(planted.mask, mask, owner)[None, :, None]
        for name, mask in {"": found, **floors}.items()
    }
    sums = {name: np.concatenate([one, np.ones_like(one)], axis=2) for name, one in sums.items()}
    mine = sums.pop("")

    def mean(total: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(total[..., 0] / total[..., 1])

    return Verdict(
        regions=len(planted.regions),
        found=interval(mine, mean, seed=seed, draws=draws),
        floors={name: interval(one, mean, seed=seed, draws=draws) for name, one in sums.items()},
        above={name: difference(mine, one, mean, seed=seed, draws=draws) for name, one in sums.items()},
    )


def intersection_over_union(true: Mask, found: Mask, owner: Numbers) -> NDArray[np.float64]:
    """Pixels of both, by pixels of either, in each region: (R,); 1 where there are none of either.

    >>> both = np.array([True, True, False]), np.array([False, True, True])
    >>> intersection_over_union(*both, np.zeros(3, int))
    array([0.33333333])
    """
    both, either = np.bincount(owner, true & found), np.bincount(owner, true | found)
    return np.asarray(np.where(either > 0, both / np.maximum(either, 1), 1.0))


def _run(curve: NDArray[np.int32], length: int, draws: np.random.Generator) -> Numbers:
    """Rows of a random run along a curve, over and over if it is shorter."""
    first = draws.integers(0, max(1, len(curve) - length + 1))
    return np.asarray(curve[(first + np.arange(length)) % len(curve)], np.int64)
