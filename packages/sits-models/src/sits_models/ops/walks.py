"""Random walks through regions, drawn where the pixels lie."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sits_data.orders import golden_stride
from sits_models.ops.compiled import walk_on
from sits_models.ops.philox import below, philox

if TYPE_CHECKING:
    from sits_models.data.table import Near, PixelTable


def random_walks(
    table: "PixelTable",
    regions: Tensor,
    *,
    length: int,
    run: int,
    epoch: int,
    view: int | Tensor,
    count: int = 1,
) -> Tensor:
    """Walks that step to one of the 8 neighbours in the region: those of `sits_data.orders`.

    Args:
        table: the pixels.
        regions: (B,) int64 positions, on any device.
        length: pixels of a walk, L.
        run: seed of the run; with `epoch`, `view` and the region's id it names the draw.
        epoch: -1 is evaluation.
        view: number of the view, or (B,) int64 one a region.
        count: walks of each region, K.

    Returns:
        (B, K, L) int64 region-local rows, on the table's device; the same on every device.
    """
    near, regions = table.neighbours, regions.to(table.device)
    first, size = table.first_row[regions, None], table.size[regions, None]
    blocks = torch.arange(-(-length // 4), device=table.device)
    walk = torch.arange(count, device=table.device)
    number = view[:, None, None] if isinstance(view, Tensor) else view
    words = philox(
        (run, table.region_id[regions, None, None]), (blocks, walk[:, None], epoch, number)
    ).flatten(2)  # (B, K, at least L)
    stride = torch.from_numpy(golden_stride(size.cpu().numpy())).to(table.device)
    here = first + (below(words[:, :1, 0], size) + walk * stride) % size
    walk_all = compiled_steps if here.device.type == "cpu" else step_by_step
    return walk_all(near, here, words[:, :, :length]) - first[..., None]


def step_by_step(near: "Near", here: Tensor, words: Tensor) -> Tensor:
    """The definition by tensor operations, which a GPU runs; a CPU has a compiled twin.

    Args:
        near: who borders whom.
        here: (B, K) int64 rows at which walks start.
        words: (B, K, L) random words.

    Returns:
        (B, K, L) int64 rows.
    """
    steps = [here]
    for step in range(1, words.shape[2]):
        here = near.rows[here, below(words[:, :, step], near.degree[here])].long()
        steps.append(here)
    return torch.stack(steps, dim=-1)


def compiled_steps(near: "Near", here: Tensor, words: Tensor) -> Tensor:
    """`step_by_step`, on the CPU."""
    rows = here[..., None].expand(words.shape).contiguous()
    walk_on(
        near.rows.numpy(),
        near.degree.numpy(),
        words.flatten(0, 1).numpy(),
        rows.flatten(0, 1).numpy(),
    )
    return rows
