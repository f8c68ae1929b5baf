"""Whether a test sample could have been seen in training, checked on the split itself."""

import numpy as np

from sits_models.bench.problem import Problem
from sits_models.errors import LeakyFolds


def check_leaks(problem: Problem) -> None:
    """Look at every fold once more, without trusting whoever cut it.

    Raises:
        LeakyFolds: a sample, a pixel, or a block of the ground is on both sides, or two regions are
            nearer than the gap.
    """
    store, table = problem.store, problem.table
    outlines = store.to_geopandas().geometry
    place = table.yx.numpy().astype(np.int64)
    place = place[:, 0] * (int(place[:, 1].max()) + 1) + place[:, 1]
    owner = np.repeat(np.arange(len(table)), table.size.numpy())  # rows of regions follow each other
    for fold in problem.folds:
        train, test = (np.unique(problem.items.regions[side]) for side in (fold.train, fold.test))
        where = f"fold {fold.number} of {store.path}"
        if both := np.intersect1d(train, test).tolist():
            raise LeakyFolds(f"{where}: regions {_some(both)} train and test")
        shared = np.intersect1d(place[np.isin(owner, train)], place[np.isin(owner, test)])
        if len(shared):
            raise LeakyFolds(
                f"{where}: {len(shared)} pixels lie in regions of both sides; regions overlap, make a "
                "store of regions that do not"
            )
        blocks = np.intersect1d(problem.groups[fold.train], problem.groups[fold.test])
        if problem.splits[0].block_m and len(blocks):
            raise LeakyFolds(f"{where}: {len(blocks)} blocks of the ground are on both sides")
        gap = problem.splits[0].gap_m
        if gap > 0:
            near, _ = outlines.iloc[test].sindex.query(
                outlines.iloc[train], predicate="dwithin", distance=gap - 1e-6
            )
            if len(near):
                raise LeakyFolds(
                    f"{where}: {len(np.unique(near))} training regions are nearer than {gap:g} m to a "
                    "test region"
                )


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:5])) + (" …" if len(numbers) > 5 else "")
