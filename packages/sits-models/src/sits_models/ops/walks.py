"""Random walks through regions, drawn where the pixels lie."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from sits_data.orders import WalkLaw, golden_stride
from sits_models.ops.compiled import walk_on
from sits_models.ops.device import runs_kernels
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
    law: WalkLaw | None = None,
    near: "Near | None" = None,
) -> Tensor:
    """Walks that step to a neighbour in the region: those of `sits_data.orders`.

    Args:
        table: the pixels.
        regions: (B,) int64 positions, on any device.
        length: pixels of a walk, L.
        run: seed of the run; with `epoch`, `view` and the region's id it names the draw.
        epoch: -1 is evaluation.
        view: number of the view, or (B,) int64 one a region.
        count: walks of each region, K.
        law: how walks go; None is the default law.
        near: who borders whom; None is `table.neighbours`, all 8 alike.

    Returns:
        (B, K, L) int64 region-local rows, on the table's device; the same on every device.
    """
    law = law or WalkLaw()
    near, regions = near or table.neighbours, regions.to(table.device)
    first, size = table.first_row[regions, None], table.size[regions, None]
    walk = torch.arange(count, device=table.device)
    number = torch.as_tensor(view, device=table.device).expand(len(regions))
    key, draw = (run, table.region_id[regions, None, None]), (epoch, number[:, None, None])

    def words(walk: Tensor, blocks: int) -> Tensor:
        """(B, walks, at least 4 · blocks) random words."""
        block = torch.arange(blocks, device=table.device)
        return philox(key, (block, walk[:, None], *draw)).flatten(2)

    if law.starts == "iid":
        start = below(words(walk, 1)[:, :, 0], size)
    else:
        stride = torch.from_numpy(golden_stride(size.cpu().numpy())).to(table.device)
        start = (below(words(walk[:1], 1)[:, :, 0], size) + walk * stride) % size
    here = first + start
    if runs_kernels(here.device):
        from sits_models.ops.kernels import walk_steps as walk_all
    elif here.device.type == "cpu":
        walk_all = compiled_steps
    else:
        drawn = words(walk, -(-length // 4))[:, :, :length]
        return step_by_step(near, here, drawn, backtrack=law.backtrack) - first[..., None]
    rows = walk_all(
        near, here, table.region_id[regions], length=length, run=run, epoch=epoch, view=number,
        backtrack=law.backtrack,
    )  # fmt: skip
    return rows - first[..., None]


def step_by_step(near: "Near", here: Tensor, words: Tensor, *, backtrack: bool = True) -> Tensor:
    """The definition by tensor operations, for any device; the others are tested against it.

    Args:
        near: who borders whom.
        here: (B, K) int64 rows at which walks start.
        words: (B, K, L) random words.
        backtrack: whether a step may lead straight back where there is another.

    Returns:
        (B, K, L) int64 rows.
    """
    weighed = near.bounds is not None or not backtrack
    bounds = _bounds(near) if weighed else None
    steps, before = [here], torch.full_like(here, -1)
    for step in range(1, words.shape[2]):
        if bounds is None:
            column = below(words[:, :, step], near.degree[here])
        else:
            column = _column(near, bounds, here, None if backtrack else before, words[:, :, step])
        before, here = here, near.rows[here, column].long()
        steps.append(here)
    return torch.stack(steps, dim=-1)


def compiled_steps(
    near: "Near",
    here: Tensor,
    region: Tensor,
    *,
    length: int,
    run: int,
    epoch: int,
    view: Tensor,
    backtrack: bool = True,
) -> Tensor:
    """`step_by_step` of the words of a key, on the CPU; arguments as for `kernels.walk_steps`."""
    rows = np.empty((*here.shape, length), np.int64)
    rows[..., 0] = here.numpy()
    bounds = near.degree[:, None] if near.bounds is None else near.bounds
    walk_on(
        near.rows.numpy(), near.degree.numpy(), bounds.numpy(), near.bounds is not None, backtrack,
        region.numpy(), view.numpy(), run, epoch, rows,
    )  # fmt: skip
    return torch.from_numpy(rows)


def _bounds(near: "Near") -> Tensor:
    """(P, N) int32 sums of weights, where all are alike too."""
    if near.bounds is not None:
        return near.bounds
    count = torch.arange(1, near.rows.shape[1] + 1, dtype=torch.int32, device=near.rows.device)
    return torch.minimum(count, near.degree[:, None])


def _column(near: "Near", bounds: Tensor, here: Tensor, before: Tensor | None, words: Tensor) -> Tensor:
    """Which neighbour each walk steps to, see `sits_data.orders.random_walks`."""
    upper = bounds[here].long()
    draw_from = upper[..., -1]
    if before is None:
        return (below(words, draw_from)[..., None] >= upper).sum(-1)
    back = (near.rows[here] == before[..., None]) & (near.degree[here] > 1)[..., None]
    lower = torch.nn.functional.pad(upper[..., :-1], (1, 0))
    low, width = (lower * back).sum(-1), ((upper - lower) * back).sum(-1)
    draw = below(words, draw_from - width)
    draw = torch.where(draw >= low, draw + width, draw)
    return (draw[..., None] >= upper).sum(-1)
