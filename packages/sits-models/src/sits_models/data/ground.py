"""The labelled regions of some stores as they lie on the ground: what a spatial split looks at."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sits_data.regions import block_names
from sits_data.store import PlanarStore
from sits_models.data.stores import check_labels, name_stores, shared_classes
from sits_models.errors import TooFewLabels

if TYPE_CHECKING:
    import geopandas as gpd

Positions = NDArray[np.int64]
Side = NDArray[np.bool_]

_log = logging.getLogger("sits_models")


@dataclass(frozen=True, eq=False)
class Ground:
    """Labelled regions; a side of a split is a bool array over them.

    Args:
        name: of the stores, for messages.
        positions: (N,) int64 of the labelled regions, counting on through the stores.
        labels: (N,) int64 0 … K-1.
        pixels: (N,) int64 pixels of each region.
        outlines: (N,) polygons in the first store's CRS.
        block_m: side in metres of the first store's blocks.
    """

    name: str
    positions: Positions
    labels: Positions
    pixels: Positions
    outlines: "gpd.GeoSeries"
    block_m: int

    @classmethod
    def of(cls, stores: Sequence[PlanarStore]) -> "Ground":
        """The ground that some stores cover.

        Raises:
            TooFewLabels: there are no labels, or all are of one class.
        """
        import pandas as pd

        check_labels(stores)
        name = name_stores(stores)
        labels = np.concatenate(shared_classes(stores)[1])
        positions = np.flatnonzero(labels >= 0)
        frames = [store.to_geopandas() for store in stores]
        outlines = pd.concat([one.geometry.to_crs(frames[0].crs) for one in frames], ignore_index=True)
        pixels = np.concatenate([one["pixels"].to_numpy(np.int64) for one in frames])
        return cls(
            name=name,
            positions=positions,
            labels=labels[positions],
            pixels=pixels[positions],
            outlines=outlines.iloc[positions].reset_index(drop=True),
            block_m=stores[0].manifest.recipe.block_m,
        )

    def __len__(self) -> int:
        return len(self.labels)

    def blocks(self, folds: int, block_m: int | None) -> tuple[Positions, int]:
        """The square of an absolute lattice in which each region's centroid lies.

        Args:
            folds: at least two squares a fold are needed.
            block_m: side in metres; None takes the stores', halved until there are enough.

        Returns:
            Numbers (N,) int64 of the squares, and their side in metres.

        Raises:
            TooFewLabels: there are too few squares.
        """
        side_m, least = block_m or self.block_m, 2 * folds
        squares, numbers = self._squares(side_m)
        while squares < least and block_m is None and side_m > 1 and len(self) >= least:
            side_m //= 2
            squares, numbers = self._squares(side_m)
        if squares < least:
            raise TooFewLabels(
                f"{folds} folds need labelled regions in at least {least} blocks, {self.name} has "
                f"{len(self)} of them in {squares} blocks of {side_m} m; use fewer folds, smaller "
                "blocks, or split west-east"
            )
        if block_m is None and side_m < self.block_m:
            _log.info(
                "blocks of %d m instead of the store's %d m: %d folds need at least %d blocks",
                side_m,
                self.block_m,
                folds,
                least,
            )
        return numbers, side_m

    def near(self, train: Side, test: Side, gap_m: float) -> Side:
        """Which training regions are nearer than `gap_m` to a test region, outline to outline."""
        near = np.zeros(len(self), bool)
        if gap_m > 0:
            (asked, _), distance = self.outlines[test].sindex.nearest(
                self.outlines[train], return_all=False, max_distance=gap_m, return_distance=True
            )
            near[np.flatnonzero(train)[asked[distance < gap_m]]] = True
        return near

    def _squares(self, side_m: int) -> tuple[int, Positions]:
        names, numbers = np.unique(block_names(self.outlines, side_m), return_inverse=True)
        return len(names), numbers.astype(np.int64)
