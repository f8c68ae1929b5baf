"""How a labelled store is cut into training and test samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sits_data.errors import InvalidRequest
from sits_data.store import PlanarStore
from sits_models.data.items import Unit
from sits_models.data.sides import usual_gap
from sits_models.data.splits import Split, block_folds, halves

SplitName = Literal["blocks", "west-east", "north-south"]


@dataclass(frozen=True)
class Design:
    """How a store is cut into training and test samples.

    Args:
        unit: "region" judges regions by their label; "pixel" each pixel by its own or its region's, and
            all pixels of a region are on one side. None is pixels where each has its own label.
        split: "blocks" is cross-validation by squares of the ground; "west-east" trains on the
            western half of the regions and tests on the eastern, "north-south" likewise.
        folds: of the cross-validation.
        block_m: side of the squares in metres; None takes the store's, halved until there are enough.
        gap_m: training regions nearer than that to a test region are left out; None is 50 for
            blocks and 0 for halves.
        fraction: share of the training labels of each class to use, above 0 to 1; None for all.
        shots: training labels of each class to use; None for all.
        seed: of the deal of blocks and the choice of labels, from 0 to 2³² - 1.

    Raises:
        InvalidRequest: the seed is out of its range.
    """

    unit: Unit | None = None
    split: SplitName = "blocks"
    folds: int = 5
    block_m: int | None = None
    gap_m: float | None = None
    fraction: float | None = None
    shots: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise InvalidRequest(f"the seed must be from 0 to {2**32 - 1}, got {self.seed}")

    @classmethod
    def given(cls, settings: Mapping[str, Any]) -> "Design":
        """From settings by name; those that are None keep their defaults."""
        return cls(**{name: value for name, value in settings.items() if value is not None})

    @property
    def gap(self) -> float:
        """The gap in metres, the default filled in."""
        return usual_gap(self.split) if self.gap_m is None else self.gap_m

    @property
    def labels(self) -> str:
        """In words, how many labels are used."""
        if self.shots is not None:
            return f"{self.shots} shots per class"
        return "all" if self.fraction is None else f"{100 * self.fraction:.3g} % of each class"

    def cut(self, store: PlanarStore) -> list[Split]:
        """The regions of each fold; raises as `block_folds` and `halves`."""
        if self.split == "blocks":
            return block_folds(
                store, folds=self.folds, block_m=self.block_m, gap_m=self.gap, seed=self.seed
            )
        return [halves(store, axis=self.split, gap_m=self.gap)]
