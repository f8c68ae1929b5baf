"""The forms that a region's pixels can be given to a model in: a curve, a bag of walks, a chip.

All are the same gather with other index lists; nothing is interpolated.
"""

from typing import cast

import torch
from torch import Tensor

from sits_data.orders import CurveName
from sits_models.contract import Batch
from sits_models.data.curves import Draw, whole_curve
from sits_models.data.normalisation import Normalisation
from sits_models.data.table import PixelTable
from sits_models.ops.gather import planar_batch
from sits_models.ops.walks import random_walks


def curve_batch(
    table: PixelTable, regions: Tensor, order: str, *, normalisation: Normalisation | None = None
) -> Batch:
    """Whole regions along a curve, padded to the largest: image (B, C, T, L).

    Args:
        table: the pixels.
        regions: (B,) int64 positions in it.
        order: a curve that comes to every pixel once.
        normalisation: of the values; None leaves reflectance.
    """
    return planar_batch(table, regions, whole_index(table, regions, order), normalisation=normalisation)


def whole_index(table: PixelTable, regions: Tensor, order: str) -> Tensor:
    """The index lists of whole regions along a curve: (B, L) int64, -1 where padded."""
    regions = regions.to(table.device)
    size = table.size[regions, None]
    position = torch.arange(int(size.max()) if len(regions) else 0, device=table.device)
    rows = table.first_row[regions, None] + torch.where(position < size, position, 0)
    return torch.where(position < size, whole_curve(table, order)[rows].long(), -1)


def walk_batch(
    table: PixelTable,
    regions: Tensor,
    curve: CurveName,
    *,
    walks: int,
    length: int,
    draw: Draw,
    normalisation: Normalisation | None = None,
) -> Batch:
    """Bags of random walks: image (B, K, C, T, L).

    Args:
        table: the pixels.
        regions: (B,) int64 positions in it.
        curve: how walks go.
        walks: of each region, K.
        length: pixels of a walk, L.
        draw: which walks.
        normalisation: of the values; None leaves reflectance.
    """
    regions = regions.to(table.device)
    near = table.near(connectivity=curve.connectivity, sigma=curve.sigma)
    index = random_walks(
        table, regions, length=length, count=walks, law=curve.law, near=near,
        run=draw.run, epoch=draw.epoch, view=draw.view,
    )  # fmt: skip
    flat = planar_batch(
        table, regions.repeat_interleave(walks), index.flatten(0, 1), normalisation=normalisation
    )
    of_walks = {"image", "clear", "index", "yx", "mask"}
    batch = {
        key: value.view(-1, walks, *value.shape[1:]) if key in of_walks else value[::walks]
        for key, value in cast(dict[str, Tensor], flat).items()
    }
    return cast(Batch, batch)


def chip_batch(
    table: PixelTable,
    regions: Tensor,
    *,
    times: Tensor | None = None,
    normalisation: Normalisation | None = None,
    device: torch.device | str | None = None,
) -> Batch:
    """Regions as they lie on the ground, in their bounding boxes: image (B, T, C, H, W).

    What is in the box and not in the region, or pads a smaller box, is 0, not clear, and unlabelled.

    Args:
        table: the pixels.
        regions: (B,) int64 positions in it.
        times: (B, T) int64 positions of each region's calendar, -1 padded at the tail; None takes all.
        normalisation: of the values; None leaves reflectance.
        device: where the batch is wanted; None is where the table lies.
    """
    regions = regions.to(table.device)
    index = chip_index(table, regions)
    box = height, width = index.shape[1:]
    drawn = planar_batch(
        table, regions, index.flatten(1), times=times, normalisation=normalisation, device=device
    )
    batch = cast(dict[str, Tensor], drawn)
    del batch["index"]  # where a pixel lies says which one it is
    batch["image"] = batch["image"].transpose(1, 2)
    for key in {"image", "clear", "mask"} & batch.keys():
        batch[key] = batch[key].reshape(*batch[key].shape[:-1], *box)
    cells = torch.stack(
        torch.meshgrid(
            torch.arange(height, device=table.device),
            torch.arange(width, device=table.device),
            indexing="ij",
        ),
        dim=-1,
    )
    corner, extent = (part[regions] for part in table.boxes)
    offset = (corner - table.centre[regions])[:, None, None]
    own = (cells < extent[:, None, None]).all(-1, keepdim=True)
    yx = torch.where(own, (cells + offset) * table.resolution_m, 0).float()
    batch["yx"] = yx.to(batch["image"].device)
    return cast(Batch, batch)


def chip_index(table: PixelTable, regions: Tensor) -> Tensor:
    """Which pixel lies where: (B, H, W) int64 region-local rows, -1 where none of the region does.

    Args:
        table: the pixels.
        regions: (B,) int64 positions in it, on its device.
    """
    corner, extent = (part[regions] for part in table.boxes)
    height, width = extent.amax(0).tolist() if len(regions) else (0, 0)
    size = table.size[regions]
    owner = torch.repeat_interleave(torch.arange(len(regions), device=table.device), size)
    row = torch.arange(len(owner), device=table.device) - (size.cumsum(0) - size)[owner]
    y, x = (table.yx[table.first_row[regions][owner] + row] - corner[owner]).long().unbind(1)
    index = torch.full((len(regions), height, width), -1, device=table.device)
    index[owner, y, x] = row
    return index
