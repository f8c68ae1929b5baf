"""Whole regions for a backbone: by windows along a curve, by walks, or as they lie on the ground."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sits_models.catalogue import Form
from sits_models.contract import Batch
from sits_models.data.curves import curve_windows
from sits_models.data.forms import chip_batch, chip_index
from sits_models.data.items import Items, each_walk
from sits_models.data.normalisation import Normalisation
from sits_models.data.regions import RegionBatch
from sits_models.data.table import PixelTable
from sits_models.data.task_views import TaskViews
from sits_models.ops.gather import planar_batch


class Shown(NamedTuple):
    """Some windows or walks, and where what a backbone says of them belongs.

    Args:
        owner: (B,) int64 which of the regions each shows, on the table's device.
        rows: (B, L) int64 region-local row at each position, -1 = none; of chips L is H · W.
        batch: the images.
    """

    owner: Tensor
    rows: Tensor
    batch: Batch


@dataclass(frozen=True, eq=False)
class Windows:
    """All pixels of some regions, in batches; windows of a region follow each other.

    Args:
        table: the pixels.
        regions: (R,) int64 positions in it.
        form: "curve" cuts regions into windows along a curve, "chip" shows each at once.
        curve: that comes to every pixel once; not used for chips.
        length: positions of a window.
        batch_size: windows at once.
        normalisation: of the values; None leaves reflectance.
        device: where batches are wanted.
        shift: positions by which the first window starts before the curve, 0 … length-1.

    Raises:
        InvalidRequest: there is no such curve.
    """

    table: PixelTable
    regions: Tensor
    form: Form
    curve: str
    length: int
    batch_size: int
    normalisation: Normalisation | None
    device: torch.device | str
    shift: int = 0

    def __iter__(self) -> Iterator[Shown]:
        table, regions = self.table, self.regions.to(self.table.device)
        if self.form == "chip":
            everybody = torch.arange(len(regions), device=regions.device)
            for first in range(0, len(regions), self.batch_size):
                owner = everybody[first : first + self.batch_size]
                batch = chip_batch(
                    table, regions[owner], normalisation=self.normalisation, device=self.device
                )
                yield Shown(owner, chip_index(table, regions[owner]).flatten(1), batch)
            return
        rows, owners = curve_windows(table, regions, self.curve, length=self.length, shift=self.shift)
        for first in range(0, len(rows), self.batch_size):
            some, owner = (part[first : first + self.batch_size] for part in (rows, owners))
            batch = planar_batch(
                table, regions[owner], some, normalisation=self.normalisation, device=self.device
            )
            yield Shown(owner, some, batch)

    def __len__(self) -> int:
        """How many batches there are."""
        windows = torch.ones(len(self.regions))
        if self.form == "curve":
            windows = (self.table.size[self.regions.to(self.table.device)] + self.shift) / self.length
        return -(-int(windows.ceil().sum()) // self.batch_size)


def walks_of(
    table: PixelTable,
    regions: NDArray[np.int64],
    *,
    views: TaskViews,
    normalisation: Normalisation | None,
    seed: int,
    device: torch.device | str = "cpu",
    batch_size: int = 128,
) -> Iterator[Shown]:
    """The walks of some regions that tests see, in batches; those of a region follow each other.

    Args:
        table: the pixels.
        regions: (R,) int64 positions in it, each once.
        views: how walks are drawn, and how many; `views.walks` is not None.
        normalisation: of the values; None leaves reflectance.
        seed: of the run, part of the walks' key.
        device: where batches are wanted.
        batch_size: walks at once.
    """
    assert views.walks is not None, "regions without walks have none to show"
    walks = each_walk(table, Items(regions), views.walks)
    assert walks.walks is not None
    owner = torch.from_numpy(np.cumsum(walks.walks == 0) - 1)
    for start in range(0, len(walks), batch_size):
        some = slice(start, start + batch_size)
        drawn = RegionBatch(
            table=table,
            regions=torch.from_numpy(walks.regions[some]),
            window=None,
            run=seed,
            epoch=-1,
            normalisation=normalisation,
            device=torch.device("cpu"),
            walks=torch.from_numpy(walks.walks[some]),
        )
        batch = views.draw(drawn.to(device))
        yield Shown(owner[some].to(table.device), batch["index"].to(table.device), batch)
