"""How a labelled store is cut into training and test samples."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

from sits_models.data.items import Unit
from sits_models.data.sides import FOLDS, usual_gap
from sits_models.data.splits import Split, Stores, block_folds, halves
from sits_models.errors import TooFewLabels
from sits_models.ranges import SEED, check_ranges

SplitName = Literal["blocks", "west-east", "north-south"]

_log = logging.getLogger("sits_models")


@dataclass(frozen=True)
class Design:
    """How a store is cut into training and test samples.

    Args:
        unit: "region" judges regions by their label; "pixel" each pixel by its own or its region's, and
            all pixels of a region are on one side. None is pixels where each has its own label.
        split: "blocks" is cross-validation by squares of the ground; "west-east" trains on the
            western half of the regions and tests on the eastern, "north-south" likewise. None is
            blocks, or on a site too small for them the first of the halves that can be judged.
        folds: of the cross-validation; None is 5. Given, the split is by blocks.
        block_m: side of the squares in metres; None takes the store's, halved until there are enough.
            Given, the split is by blocks.
        gap_m: training regions nearer than that to a test region are left out; None is 50 for
            blocks and 0 for halves.
        fraction: share of the training labels of each class to use, above 0 to 1; None for all.
        shots: training labels of each class to use; None for all.
        seed: of the deal of blocks and the choice of labels, from 0 to 2³² - 1.

    Raises:
        InvalidRequest: the seed is out of its range.
    """

    unit: Unit | None = None
    split: SplitName | None = None
    folds: int | None = None
    block_m: int | None = None
    gap_m: float | None = None
    fraction: float | None = None
    shots: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(vars(self), {"seed": SEED})

    @classmethod
    def given(cls, settings: Mapping[str, Any]) -> "Design":
        """From settings by name; those that are None keep their defaults."""
        return cls(**{name: value for name, value in settings.items() if value is not None})

    @property
    def labels(self) -> str:
        """In words, how many labels are used."""
        if self.shots is not None:
            return f"{self.shots} shots per class"
        return "all" if self.fraction is None else f"{100 * self.fraction:.3g} % of each class"

    def cut(self, store: Stores) -> tuple["Design", list[Split]]:
        """Choose what was left open, and cut.

        Returns:
            This design with its split and gap decided, and the regions of each fold.

        Raises:
            InvalidRequest, TooFewLabels: see `block_folds` and `halves`.
        """
        if self.split is not None:
            return self._cut(store, self.split)
        try:
            return self._cut(store, "blocks")
        except TooFewLabels:
            if self.folds is not None or self.block_m is not None:
                raise
            for split in ("west-east", "north-south"):
                with suppress(TooFewLabels):
                    chosen = self._cut(store, split)
                    _log.info("too small a site for blocks: split %s", split)
                    return chosen
            raise

    def _cut(self, store: Stores, split: SplitName) -> tuple["Design", list[Split]]:
        gap_m = usual_gap(split) if self.gap_m is None else self.gap_m
        if split == "blocks":
            folds = FOLDS if self.folds is None else self.folds
            splits = block_folds(store, folds=folds, block_m=self.block_m, gap_m=gap_m, seed=self.seed)
        else:
            splits = [halves(store, axis=split, gap_m=gap_m)]
        return replace(self, split=split, gap_m=gap_m), splits
