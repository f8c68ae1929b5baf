"""Which regions train and which test: split in space, so that neighbours are not on both sides.

Fields of one farm look alike, and so do pixels of one field. A random split therefore tests on what
it trained on; a split by squares of the ground, with a gap between the two sides, does not.

Source: Roberts et al. (2017), Ecography 40:913-929, on blocked cross-validation.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sits_data.errors import InvalidRequest
from sits_data.regions import block_names
from sits_data.store import PlanarStore
from sits_models.data.ground import Ground, Side
from sits_models.errors import TooFewLabels

Axis = Literal["west-east", "north-south"]
Stores = PlanarStore | Sequence[PlanarStore]
Positions = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Two sets of labelled regions; positions count on through the stores where there are several.

    Args:
        train: (N,) int64 positions of the regions that train, ascending.
        test: of those that test.
        dropped: of labelled regions on neither side: too near, or of a class on one side only.
        block_m: side of the blocks in metres; 0 where the ground was cut in two.
        gap_m: least distance in metres between the outlines of a training and a test region.
        description: what was done, in words to print.
    """

    train: Positions
    test: Positions
    dropped: Positions
    block_m: int
    gap_m: float
    description: str


def block_folds(
    store: Stores, *, folds: int = 5, block_m: int | None = None, gap_m: float = 50, seed: int = 0
) -> list[Split]:
    """Cross-validation by squares of the ground: each labelled region tests once.

    A region belongs to the square that its centroid lies in. Squares are dealt so that every fold
    gets its share of each class, as far as they allow.

    Args:
        store: one, or several whose squares are dealt together, so that no ground is on both sides.
        folds: at least 2.
        block_m: side of the squares in metres; None takes the store's, halved until there are two
            squares a fold.
        gap_m: training regions nearer than that to a test region are left out of the fold; 0 for none.
        seed: of the deal.

    Raises:
        InvalidRequest: a number is out of its range.
        TooFewLabels: labels are missing, have one class, or lie in too few squares.
    """
    if folds < 2:
        raise InvalidRequest(f"folds must be at least 2, got {folds}; 5 is a common choice")
    if block_m is not None and block_m < 1:
        raise InvalidRequest(f"the side of a block must be at least 1 m, got {block_m}")
    _check_gap(gap_m)
    ground = Ground.of(_several(store))
    blocks, side_m = ground.blocks(folds, block_m)
    splits = []
    for number, test in enumerate(_deal(ground.labels, blocks, folds, seed), start=1):
        near = ground.near(~test, test, gap_m)
        train = ~test & ~near
        what = f"fold {number} of {folds} by blocks of {side_m} m"
        _check_sides(ground, train, test, f"{what}, {gap_m:g} m apart")
        words = f"{what}: {_sizes(train, test)}{_gap_words(gap_m, near)}"
        splits.append(_split(ground, train, test, near, side_m, gap_m, words))
    return splits


def halves(store: Stores, *, axis: Axis, gap_m: float = 0) -> Split:
    """Cut the ground in two: train on the first half of the labelled pixels, test on the other.

    For sites too small for blocks. Regions are sorted by their centroids and none is cut, so halves
    are as equal as whole regions allow. Regions of a class that one side lacks are left out: that
    class cannot be learned, or is not asked for.

    Args:
        store: one or several.
        axis: "west-east" trains in the west, "north-south" in the north.
        gap_m: training regions nearer than that to a test region are left out; 0 for none.

    Raises:
        InvalidRequest: the gap is negative, or the axis unknown.
        TooFewLabels: the sides share fewer than two classes.
    """
    if axis not in ("west-east", "north-south"):
        raise InvalidRequest(f"the axis must be west-east or north-south, got {axis}")
    _check_gap(gap_m)
    ground = Ground.of(_several(store))
    centres = ground.outlines.centroid
    along = centres.x.to_numpy() if axis == "west-east" else -centres.y.to_numpy()
    ascending = np.argsort(along, kind="stable")
    passed = np.cumsum(ground.pixels[ascending])
    cut = int(np.argmin(np.abs(passed[:-1] - passed[-1] / 2))) + 1
    first = np.zeros(len(ground), bool)
    first[ascending[:cut]] = True
    near = ground.near(first, ~first, gap_m)
    both = np.intersect1d(ground.labels[first & ~near], ground.labels[~first])
    lonely = ~np.isin(ground.labels, both) & ~near
    train, test = first & ~near & ~lonely, ~first & ~lonely
    west, east = axis.split("-")
    _check_sides(ground, train, test, f"{west} against {east}, {gap_m:g} m apart")
    words = f"trained in the {west}, tested in the {east}: {_sizes(train, test)}, {len(both)} classes"
    words += _gap_words(gap_m, near)
    if lonely.any():
        words += f"; {_regions(lonely)} of classes that one side lacks left out"
    return _split(ground, train, test, near | lonely, 0, gap_m, words)


def describe_splits(splits: Sequence[Split]) -> str:
    """A few words on all folds of a cross-validation, or the description of the only split."""
    if len(splits) == 1:
        return splits[0].description
    one, left_out = splits[0], [len(split.dropped) for split in splits]
    words = f"{len(splits)} folds by spatial blocks of {one.block_m} m"
    if not one.gap_m:
        return f"{words}, no gap between training and test regions"
    return (
        f"{words}, training regions nearer than {one.gap_m:g} m to a test region left out "
        f"({min(left_out)} to {max(left_out)} a fold)"
    )


def blocks_of(store: PlanarStore, *, block_m: int | None = None) -> Positions:
    """The number of the spatial block that each region lies in, labelled or not: (R,) int64.

    Args:
        store: its regions.
        block_m: side of the blocks in metres; None takes the store's.
    """
    if block_m is None:
        names = store.regions["block"].to_pylist()
    else:
        names = block_names(store.to_geopandas(), block_m)
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def few_labels(
    samples: Positions,
    labels: NDArray[np.integer[Any]],
    *,
    fraction: float | None = None,
    shots: int | None = None,
    seed: int = 0,
) -> Positions:
    """A few samples of each class; with one seed, a larger choice holds every smaller one.

    Args:
        samples: (N,) int64 positions in `labels` to choose from.
        labels: of all samples, 0 … K-1, -1 = unlabelled; those are never chosen.
        fraction: share of each class, above 0 to 1, rounded up; None for all.
        shots: samples of each class, a class that has fewer gives all; None for all.
        seed: of the choice.

    Returns:
        (M,) int64 positions, ascending.

    Raises:
        InvalidRequest: a number is out of its range, or both are given.
    """
    if fraction is not None and shots is not None:
        raise InvalidRequest(f"give a fraction or shots, not both, got {fraction} and {shots}")
    if fraction is not None and not 0 < fraction <= 1:
        raise InvalidRequest(f"the fraction of labels must be above 0 and at most 1, got {fraction}")
    if shots is not None and shots < 1:
        raise InvalidRequest(f"shots per class must be at least 1, got {shots}")
    samples = samples[labels[samples] >= 0]
    # A sample's key does not depend on which others there are: folds agree with each other.
    keys = np.random.default_rng(seed).random(len(labels))[samples]
    by_class = np.lexsort((keys, labels[samples]))
    _, first, size = np.unique(labels[samples][by_class], return_index=True, return_counts=True)
    rank = np.arange(len(samples)) - np.repeat(first, size)
    # 0.07 x 100 is a little more than 7: round before rounding up.
    quota = size if fraction is None else np.ceil(np.round(fraction * size, 9))
    quota = quota if shots is None else np.minimum(quota, shots)
    return np.sort(samples[by_class[rank < np.repeat(quota, size)]])


def _deal(labels: Positions, blocks: Positions, folds: int, seed: int) -> list[Side]:
    """Which regions test in each fold: whole blocks, classes spread as evenly as they can be."""
    from sklearn.model_selection import StratifiedGroupKFold

    # Classes with fewer regions than folds cannot be in each: the deal counts them as one class.
    rare = np.bincount(labels)[labels] < folds
    strata = np.where(rare, labels.max() + 1, labels)
    deal = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    sides = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class in y")
        for _, test in deal.split(labels, strata, blocks):
            sides.append(np.isin(np.arange(len(labels)), test))
    return sides


def _check_sides(ground: Ground, train: Side, test: Side, what: str) -> None:
    learned = np.unique(ground.labels[train])
    shared = np.intersect1d(learned, ground.labels[test])
    if len(learned) < 2 or not len(shared):
        raise TooFewLabels(
            f"{what}: both sides need regions, and training two classes of which testing has one; "
            f"{ground.name} has {_sizes(train, test)}, with {len(learned)} classes to learn and "
            f"{len(shared)} on both sides; use a smaller gap, smaller blocks, fewer folds or more labels"
        )


def _split(
    ground: Ground, train: Side, test: Side, dropped: Side, block_m: int, gap_m: float, words: str
) -> Split:
    where = ground.positions
    return Split(where[train], where[test], where[dropped], block_m, gap_m, words)


def _several(store: Stores) -> Sequence[PlanarStore]:
    return [store] if isinstance(store, PlanarStore) else store


def _check_gap(gap_m: float) -> None:
    if not gap_m >= 0:
        raise InvalidRequest(f"the gap must be at least 0 m, got {gap_m:g}; 50 is a common choice")


def _sizes(train: Side, test: Side) -> str:
    return f"{_regions(train)} to train, {test.sum()} to test"


def _gap_words(gap_m: float, near: Side) -> str:
    if not gap_m:
        return "; no gap between training and test regions"
    return (
        f"; {_regions(near)} nearer than {gap_m:g} m to a test region left out of training "
        "(outline to outline)"
    )


def _regions(side: Side) -> str:
    count = int(side.sum())
    return f"{count} region{'s' * (count != 1)}"
