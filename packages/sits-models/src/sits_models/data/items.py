"""What one sample is: a region, one pixel of a region, one walk through it, or one of its targets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sits_data.errors import InvalidRequest
from sits_data.manifest import LabelClass
from sits_data.orders import walk_count
from sits_models.data.splits import few_labels
from sits_models.data.table import PixelTable

Unit = Literal["region", "pixel"]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Items:
    """Samples of one store, by number.

    Args:
        regions: (N,) int64 position in the table of each sample's region.
        rows: (N,) int64 region-local row, where one pixel is one sample; else None.
        walks: (N,) int64 number among its region's walks, where one walk is one sample; else None.
        targets: (N,) int64 number among its region's targets, where it has several; else None.
    """

    regions: Numbers
    rows: Numbers | None = None
    walks: Numbers | None = None
    targets: Numbers | None = None

    def __len__(self) -> int:
        return len(self.regions)

    def chosen(self, numbers: Numbers) -> "Items":
        """Some of the samples."""
        parts = (None if one is None else one[numbers] for one in (self.rows, self.walks, self.targets))
        return Items(self.regions[numbers], *parts)


def items_of(table: PixelTable, regions: Numbers, *, unit: Unit, labelled: bool = False) -> Items:
    """The samples that some regions make.

    Args:
        table: the store's.
        regions: (N,) int64 positions in it.
        unit: "region" makes one sample of each, or of each of its targets; "pixel" one of each pixel.
        labelled: leave out pixels and targets without a label.
    """
    if unit == "region" and table.targets is not None:
        several = table.targets.shape[1]
        everything = Items(
            np.repeat(regions, several), targets=np.tile(np.arange(several), len(regions))
        )
        if not labelled:
            return everything
        return everything.chosen(np.flatnonzero(labels_of(table, everything).numpy() >= 0))
    if unit == "region":
        return Items(regions)
    size = table.size.cpu().numpy()[regions]
    rows = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    items = Items(np.repeat(regions, size), rows.astype(np.int64))
    if not labelled or table.pixel_label is None:
        return items
    return items.chosen(np.flatnonzero(labels_of(table, items).numpy() >= 0))


def each_walk(table: PixelTable, items: Items, walks: float) -> Items:
    """The walks of some regions, each one sample, those of a region after each other.

    Args:
        table: the store's.
        items: regions.
        walks: a whole number is that of each region's walks; a share of its pixels is rounded up.

    Raises:
        InvalidRequest: there would be none.
    """
    if walks <= 0 or (walks > 1 and walks != int(walks)):
        raise InvalidRequest(
            f"walks must be a whole number from 1 on, or a share of the pixels up to 1.0, got {walks}"
        )
    size = table.size.cpu().numpy()[items.regions]
    share = isinstance(walks, float) and walks <= 1
    count = walk_count(size, walks) if share else np.full(len(size), int(walks))
    number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return Items(np.repeat(items.regions, count), walks=number.astype(np.int64))


def labels_of(table: PixelTable, items: Items) -> Tensor:
    """(N,) int64 class of each sample, -1 = unlabelled."""
    return torch.from_numpy(every_label(table, items)[numbers_of(table, items)])


def few_items(
    tables: Sequence[PixelTable],
    items: Sequence[Items],
    *,
    fraction: float | None,
    shots: int | None,
    seed: int,
) -> list[Items]:
    """A few samples of each class, counted over all stores; see `few_labels`.

    Args:
        tables: of each store.
        items: of each store, what there is to choose from.
        fraction: of each class.
        shots: of each class.
        seed: of the choice.
    """
    pairs = list(zip(tables, items, strict=True))
    labels = [every_label(table, one) for table, one in pairs]
    start = np.cumsum([0, *map(len, labels)])
    numbers = [
        numbers_of(table, one) + first for (table, one), first in zip(pairs, start[:-1], strict=True)
    ]
    chosen = few_labels(
        np.concatenate(numbers), np.concatenate(labels), fraction=fraction, shots=shots, seed=seed
    )
    return [
        one.chosen(np.flatnonzero(np.isin(mine, chosen)))
        for one, mine in zip(items, numbers, strict=True)
    ]


def with_classes(table: PixelTable, classes: Sequence[LabelClass]) -> PixelTable:
    """The same pixels with labels numbered by another list of classes, matched by their codes.

    Args:
        table: of a store.
        classes: that hold all of the table's, see `shared_classes`.
    """
    number = {one.code: label for label, one in enumerate(classes)}
    # The last entry serves -1, unlabelled.
    new = torch.tensor([number[one.code] for one in table.classes] + [-1], device=table.device)
    pixel_label = None if table.pixel_label is None else new[table.pixel_label]
    return replace(table, classes=tuple(classes), label=new[table.label], pixel_label=pixel_label)


def numbers_of(table: PixelTable, items: Items) -> Numbers:
    """(N,) a number for each sample, the same in every split: the place of its region or pixel.

    Few labels are counted by it, so that models and floors get the same ones.
    """
    if items.targets is not None and table.targets is not None:
        return items.regions * table.targets.shape[1] + items.targets
    if items.rows is None:
        return items.regions
    return np.asarray(table.first_row.cpu().numpy()[items.regions] + items.rows)


def every_label(table: PixelTable, items: Items) -> Numbers:
    """Labels of all samples of a store that there could be, by `numbers_of`; -1 = unlabelled."""
    if items.targets is not None and table.targets is not None:
        return np.asarray(table.targets.flatten().cpu().numpy())
    label = table.label.cpu().numpy()
    if items.rows is None:
        return np.asarray(label)
    if table.pixel_label is not None:
        return np.asarray(table.pixel_label.cpu().numpy())
    return np.repeat(label, table.size.cpu().numpy())
