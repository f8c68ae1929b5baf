"""From index lists to a batch: gather, dequantise, normalise, mask, lay out."""

from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from sits_models.contract import Batch
from sits_models.ops.compiled import centre_rows, decode_rows
from sits_models.ops.device import runs_kernels

if TYPE_CHECKING:
    from sits_models.data.normalisation import Normalisation
    from sits_models.data.table import PixelTable


def planar_batch(
    table: "PixelTable",
    regions: Tensor,
    index: Tensor,
    *,
    times: Tensor | None = None,
    normalisation: "Normalisation | None" = None,
    light: Tensor | None = None,
    device: torch.device | str | None = None,
) -> Batch:
    """The planar images of some regions along index lists.

    Digital numbers are gathered where the table lies and cross to `device` as they are; the rest
    happens there. A date on which any band of a pixel is 0 was not observed.

    Args:
        table: the pixels.
        regions: (B,) int64 positions in the table.
        index: (B, L) int64 region-local rows, -1 = padded position.
        times: (B, T) int64 positions of each region's calendar, -1 padded at the tail; None takes all.
        normalisation: of the values; None leaves reflectance, unit 1.
        light: (B, C) float32 factors that reflectance is multiplied by; None for none.
        device: where the batch is wanted; None is where the table lies.

    Returns:
        `label` where the table has classes, `mask` where these are known for each pixel.
    """
    target = torch.device(device) if device is not None else table.device
    regions, index = regions.to(table.device), index.to(table.device)
    times = table.positions(regions) if times is None else times.to(table.device)
    inside, real = index >= 0, times >= 0
    rows = table.first_row[regions, None] + index.clamp(min=0)
    gain, bias = (part.expand(len(regions), -1) for part in table.affine(normalisation, target))
    if light is not None:
        black = bias - gain * (table.offset / table.scale)  # what reflectance 0 becomes
        gain, bias = gain * light.to(target), torch.lerp(black, bias, light.to(target))
    if table.device.type == target.type == "cpu":
        image, clear = _on_cpu(table, regions, index, times, gain, bias)
    elif table.device.type == target.type and runs_kernels(target):
        image, clear = _by_kernel(table, regions, index, times, gain, bias)
    else:
        digits, quality = table.observations(regions, index.clamp(min=0), times.clamp(min=0))
        image, clear = decode(
            digits.to(target, non_blocking=True),
            quality.to(target, non_blocking=True),
            (inside[:, None] & real[..., None]).to(target),
            gain,
            bias,
            unclear_bits=table.unclear_bits,
        )
    batch = {
        "image": image,
        "dates": torch.where(real, table.days(regions).gather(1, times.clamp(min=0)), 0),
        "clear": clear,
        "pad_mask": real,
        "length": real.sum(-1),
        "index": index,
        "yx": _metres(table, regions, index, rows),
        "region": table.region_id[regions],
    }
    if table.classes:
        batch["label"] = table.label[regions]
    if table.pixel_label is not None:
        batch["mask"] = torch.where(inside, table.pixel_label[rows], -1)
    return cast(Batch, {key: value.to(target, non_blocking=True) for key, value in batch.items()})


def decode(
    digits: Tensor, quality: Tensor, real: Tensor, gain: Tensor, bias: Tensor, *, unclear_bits: int
) -> tuple[Tensor, Tensor]:
    """Gathered observations as an image: the definition that faster ones are tested against.

    Args:
        digits: (B, L, T, C) int16, the bits of uint16 DN; 0 = not observed.
        quality: (B, L, T) uint8 bits.
        real: (B, T, L) bool, False where padded.
        gain: (B, C) float32, value = DN * gain + bias.
        bias: (B, C) float32.
        unclear_bits: bits of `quality` that count as unclear.

    Returns:
        Image (B, C, T, L) float32, 0 where not observed or padded, and clear (B, T, L) bool.
    """
    seen = (digits != 0).all(-1).transpose(1, 2) & real
    clear = seen & ((quality & unclear_bits) == 0).transpose(1, 2)
    values = (digits.int() & 0xFFFF).float() * gain[:, None, None] + bias[:, None, None]
    image = values.permute(0, 3, 2, 1).contiguous()
    return image.masked_fill_(~seen[:, None], 0), clear


def _metres(table: "PixelTable", regions: Tensor, index: Tensor, rows: Tensor) -> Tensor:
    """(B, L, 2) float32 metres south and east of each region's centroid; 0 where padded."""
    if table.device.type == "cpu":
        metres = np.empty((*index.shape, 2), np.float32)
        centre, first = table.centre[regions].numpy(), table.first_row[regions].numpy()
        centre_rows(table.yx.numpy(), first, index.numpy(), centre, table.resolution_m, metres)
        return torch.from_numpy(metres)
    centred = (table.yx[rows] - table.centre[regions, None]) * table.resolution_m
    return torch.where((index >= 0)[..., None], centred, 0)


def _by_kernel(
    table: "PixelTable", regions: Tensor, index: Tensor, times: Tensor, gain: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    from sits_models.ops.kernels import decode_cells

    (pixels,), (qa,) = table.pixels, table.qa  # a resident table is one shard
    first, dated = table.first_cell[regions], table.dated[table.calendar[regions]]
    return decode_cells(
        pixels, qa, first, dated, index, times, gain, bias, unclear_bits=table.unclear_bits
    )


def _on_cpu(
    table: "PixelTable", regions: Tensor, index: Tensor, times: Tensor, gain: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    # NumPy's allocator gives memory back that was used before; torch's takes fresh pages, which cost
    # more than the gather.
    shape = (times.shape[1], index.shape[1])
    image = np.empty((len(index), len(table.bands), *shape), np.float32)
    clear = np.empty((len(index), *shape), np.bool_)
    first, dated = table.first_cell[regions], table.dated[table.calendar[regions]]
    for shard, which in table.by_shard(regions):
        start = int(table.shard_ends[shard]) - len(table.qa[shard])
        decode_rows(
            which.numpy(),
            table.pixels[shard].numpy().view(np.uint16),
            table.qa[shard].numpy(),
            (first - start).numpy(),
            dated.numpy(),
            index.numpy(),
            times.numpy(),
            gain.numpy(),
            bias.numpy(),
            table.unclear_bits,
            image,
            clear,
        )
    return torch.from_numpy(image), torch.from_numpy(clear)
