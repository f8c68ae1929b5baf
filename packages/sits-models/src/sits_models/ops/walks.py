"""Random walks through regions, drawn where the pixels lie."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sits_data.orders import golden_stride
from sits_models.ops.philox import below, philox

if TYPE_CHECKING:
    from sits_models.data.table import PixelTable


def random_walks(
    table: "PixelTable", regions: Tensor, *, length: int, run: int, epoch: int, view: int, count: int = 1
) -> Tensor:
    """Walks that step to one of the 8 neighbours in the region: those of `sits_data.orders`.

    Args:
        table: the pixels.
        regions: (B,) int64 positions, on any device.
        length: pixels of a walk, L.
        run: seed of the run; with `epoch`, `view` and the region's id it names the draw.
        epoch: -1 is evaluation.
        view: number of the view.
        count: walks of each region, K.

    Returns:
        (B, K, L) int64 region-local rows, on the table's device; the same on every device.
    """
    near, regions = table.neighbours, regions.to(table.device)
    first, size = table.first_row[regions, None], table.size[regions, None]
    blocks = torch.arange(-(-length // 4), device=table.device)
    walk = torch.arange(count, device=table.device)
    words = philox(
        (run, table.region_id[regions, None, None]), (blocks, walk[:, None], epoch, view)
    ).flatten(2)  # (B, K, at least L)
    stride = torch.from_numpy(golden_stride(size.cpu().numpy())).to(table.device)
    here = first + (below(words[:, :1, 0], size) + walk * stride) % size
    rows = [here]
    for step in range(1, length):
        here = near.rows[here, below(words[:, :, step], near.degree[here])].long()
        rows.append(here)
    return torch.stack(rows, dim=-1) - first[..., None]
