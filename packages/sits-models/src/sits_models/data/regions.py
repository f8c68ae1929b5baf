"""What the loader of a planar datamodule yields: which regions, not yet their pixels.

Pixels are gathered on the device that trains, by whoever knows which view is wanted: a method of
self-supervised learning draws several, a task one.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sits_models.contract import Batch
from sits_models.data.forms import chip_batch
from sits_models.data.normalisation import Normalisation
from sits_models.data.table import PixelTable, Window
from sits_models.ops.gather import planar_batch


@dataclass(frozen=True, eq=False)
class RegionBatch:
    """Some regions of one table and one period; Lightning moves it by `.to(device)`.

    In `self.log` pass `batch_size=len(batch)`: Lightning cannot guess it from the table.

    Args:
        table: the pixels.
        regions: (B,) int64 positions in the table, on `device`.
        window: days that views may show, first and stop; None for all.
        run: seed of the run, for keyed draws.
        epoch: for keyed draws; -1 is evaluation, whose draws stay fixed.
        normalisation: of the values; None leaves reflectance.
        device: where views are wanted.
        rows: (B,) int64 region-local row, where one pixel is one sample; else None.
        walks: (B,) int64 number of the walk, where one walk is one sample; else None.
        targets: (B,) int64 which of several targets of its region a sample is; else None.
    """

    table: PixelTable
    regions: Tensor
    window: Window | None
    run: int
    epoch: int
    normalisation: Normalisation | None
    device: torch.device
    rows: Tensor | None = None
    walks: Tensor | None = None
    targets: Tensor | None = None

    def __len__(self) -> int:
        return len(self.regions)

    @property
    def label(self) -> Tensor:
        """(B,) int64 classes of the samples, -1 = unlabelled, on `device`."""
        table, regions = self.table, self.regions.to(self.table.device)
        if self.targets is not None and table.targets is not None:
            return table.targets[regions, self.targets.to(table.device)].to(self.device)
        if self.rows is None or table.pixel_label is None:
            return table.label[regions].to(self.device)
        return table.pixel_label[table.first_row[regions] + self.rows.to(table.device)].to(self.device)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "RegionBatch":
        """The same batch for another device; the table stays where it is."""
        device = torch.device(device)

        def moved(one: Tensor | None) -> Tensor | None:
            return None if one is None else one.to(device, non_blocking=non_blocking)

        return replace(
            self,
            device=device,
            regions=self.regions.to(device, non_blocking=non_blocking),
            rows=moved(self.rows),
            walks=moved(self.walks),
            targets=moved(self.targets),
        )

    def chip(self, times: Tensor | None = None) -> Batch:
        """Whole regions as they lie on the ground; arguments as for `view`."""
        if times is None:
            times = self.table.positions(self.regions.to(self.table.device), self.window)
        batch = chip_batch(
            self.table, self.regions, times=times, normalisation=self.normalisation, device=self.device
        )
        return self._labelled(batch)

    def view(self, index: Tensor, times: Tensor | None = None, light: Tensor | None = None) -> Batch:
        """The pixels along index lists, on `device`: normalised, masked, in the layout of a batch.

        Args:
            index: (B, L) int64 region-local rows, -1 = padded position.
            times: (B, T) int64 positions of each region's calendar, ascending, -1 padded at the tail;
                None takes all dates of the window.
            light: (B, C) float32 factors that reflectance is multiplied by; None for none.
        """
        if times is None:
            times = self.table.positions(self.regions.to(self.table.device), self.window)
        batch = planar_batch(
            self.table,
            self.regions,
            index,
            times=times,
            normalisation=self.normalisation,
            light=light,
            device=self.device,
        )
        return self._labelled(batch)

    def _labelled(self, batch: Batch) -> Batch:
        """The same with the labels of samples, where regions have one or pixels and targets theirs."""
        if "label" in batch:
            batch["label"] = self.label
        if self.targets is not None:
            batch["target"] = self.targets.to(self.device)
        return batch
