"""From the settings of a datamodule to who trains and who tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sits_data.store import PlanarStore
from sits_models.data.splits import Split, block_folds, blocks_of, halves
from sits_models.data.stores import check_labels, shared_classes
from sits_models.errors import TooFewLabels

SplitName = Literal["blocks", "west-east", "north-south", "none"]
Positions = NDArray[np.int64]

FOLDS = 5
"""Of a split by blocks, unless asked otherwise."""

GAP_M = 50.0
"""Between the sides of a split by blocks, unless asked otherwise; halves have none."""

_FEW, _HALVED, _HOLD_OUT = 5, 4, 0x7A11
_MANY = 1 << 32  # more blocks than a store has


@dataclass(frozen=True, eq=False)
class Sides:
    """Who trains and who tests.

    Args:
        train: of each store, (N,) int64 positions of its regions, ascending.
        test: of each store, none where all train.
        split: what was done; None where all train.
    """

    train: list[Positions]
    test: list[Positions]
    split: Split | None


def usual_gap(split: SplitName) -> float:
    """The gap in metres of a split for which none was asked for."""
    return GAP_M if split == "blocks" else 0.0


def choose_sides(
    stores: Sequence[PlanarStore],
    *,
    split: SplitName,
    folds: int | None,
    fold: int | None,
    block_m: int | None,
    gap_m: float | None,
    seed: int,
) -> Sides:
    """Split the regions of some stores.

    Args:
        stores: taken together.
        split: "none" trains on all regions, labelled or not.
        folds: of `split` "blocks"; None is `FOLDS`.
        fold: which one tests; None trains on all labelled regions.
        block_m: see `block_folds`.
        gap_m: see `block_folds` and `halves`; None is `usual_gap`.
        seed: see `block_folds`.

    Raises:
        InvalidRequest, TooFewLabels: see `block_folds` and `halves`.
    """
    if split == "none":
        everybody = [np.arange(len(store)) for store in stores]
        return Sides(everybody, _nobody(stores), None)
    if fold is None:
        check_labels(stores)
        labels = shared_classes(stores)[1]
        return Sides([np.flatnonzero(one >= 0) for one in labels], _nobody(stores), None)
    gap_m = usual_gap(split) if gap_m is None else gap_m
    if split == "blocks":
        folds = FOLDS if folds is None else folds
        found = block_folds(stores, folds=folds, block_m=block_m, gap_m=gap_m, seed=seed)[fold]
    else:
        found = halves(stores, axis=split, gap_m=gap_m)
    return Sides(_by_store(found.train, stores), _by_store(found.test, stores), found)


def hold_out(
    stores: Sequence[PlanarStore], regions: Sequence[Positions], *, share: float, seed: int
) -> tuple[list[Positions], list[Positions]]:
    """Set some training regions aside: whole blocks of the ground, where there are a few.

    Blocks are the stores', halved until there are `_FEW`; where even small ones are fewer, regions.

    Args:
        stores: taken together.
        regions: of each store, those that train.
        share: of them to set aside, about; at least one and never all.
        seed: of the choice.

    Returns:
        Of each store, who still trains and who was set aside.

    Raises:
        TooFewLabels: there is only one region.
    """
    count = sum(map(len, regions))
    if count < 2:
        raise TooFewLabels(f"validation needs two regions or more of those that train, got {count}")
    for halved in range(_HALVED + 1):
        blocks = np.concatenate(
            [
                _blocks(store, halved)[chosen] + number * _MANY
                for number, (store, chosen) in enumerate(zip(stores, regions, strict=True))
            ]
        )
        if len(np.unique(blocks)) >= _FEW:
            break
    else:
        blocks = np.arange(count)
    order = np.random.default_rng([seed, _HOLD_OUT]).permutation(np.unique(blocks))
    size = np.array([(blocks == block).sum() for block in order]).cumsum()
    stop = min(int(np.searchsorted(size, share * count)) + 1, len(order) - 1)
    aside = np.isin(blocks, order[:stop])
    parts = np.split(aside, np.cumsum([len(one) for one in regions])[:-1])
    pairs = list(zip(regions, parts, strict=True))
    return [one[~part] for one, part in pairs], [one[part] for one, part in pairs]


def _blocks(store: PlanarStore, halved: int) -> Positions:
    return blocks_of(store, block_m=max(1, store.manifest.recipe.block_m >> halved))


def _nobody(stores: Sequence[PlanarStore]) -> list[Positions]:
    return [np.array([], np.int64) for _ in stores]


def _by_store(positions: Positions, stores: Sequence[PlanarStore]) -> list[Positions]:
    """Positions that count on through the stores, as positions in each."""
    start = np.cumsum([0, *map(len, stores)])
    parts = np.split(positions, np.searchsorted(positions, start[1:-1]))
    return [part - first for part, first in zip(parts, start[:-1], strict=True)]
