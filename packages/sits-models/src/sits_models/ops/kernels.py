"""Triton kernels for a GPU: the gather and the walk, each in one pass over memory.

Both do what tensor operations beside them define, index for index; `TRITON_INTERPRET=1` runs them on a
CPU, which is how they are tested where there is no GPU. Imported where a GPU is used: Triton comes with
torch on Linux, and only there.
"""

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language.random import philox_impl

if TYPE_CHECKING:
    from sits_models.data.table import Near

_DATES, _POSITIONS, _WALKS = 4, 32, 256
"""Of a tile that one program writes."""


def decode_cells(
    pixels: Tensor,
    qa: Tensor,
    first: Tensor,
    dated: Tensor,
    index: Tensor,
    times: Tensor,
    gain: Tensor,
    bias: Tensor,
    *,
    unclear_bits: int,
) -> tuple[Tensor, Tensor]:
    """Gather, dequantise, normalise, mask and lay out: `PixelTable.observations` and then `decode`.

    Args:
        pixels: (cells, C) int16, the bits of uint16 DN.
        qa: (cells,) uint8 bits.
        first: (B,) int64 cell at which each sample's region starts.
        dated: (B,) int64 cells of a pixel.
        index: (B, L) int64 region-local rows, -1 = padded.
        times: (B, T) int64 positions of the region's calendar, -1 = padded.
        gain: (B, C) float32, value = DN * gain + bias.
        bias: (B, C) float32.
        unclear_bits: bits of `qa` that count as unclear.

    Returns:
        Image (B, C, T, L) float32 and clear (B, T, L) bool.
    """
    batch, length = index.shape
    dates, bands = times.shape[1], pixels.shape[1]
    image = torch.empty(batch, bands, dates, length, dtype=torch.float32, device=pixels.device)
    clear = torch.empty(batch, dates, length, dtype=torch.bool, device=pixels.device)
    if not image.numel():
        return image, clear
    grid = (batch, triton.cdiv(dates, _DATES), triton.cdiv(length, _POSITIONS))
    _decode[grid](
        pixels, qa, first, dated, index.contiguous(), times.contiguous(), gain.contiguous(),
        bias.contiguous(), image, clear.view(torch.uint8), length, dates, unclear_bits,
        BANDS=bands, WIDTH=triton.next_power_of_2(bands), DATES=_DATES, POSITIONS=_POSITIONS,
        enable_fp_fusion=False,  # rounds as torch does
    )  # fmt: skip
    return image, clear


@triton.jit
def _decode(
    pixels, qa, first, dated, index, times, gain, bias, image, clear, length, dates, unclear_bits,
    BANDS: tl.constexpr, WIDTH: tl.constexpr, DATES: tl.constexpr, POSITIONS: tl.constexpr,
):  # fmt: skip
    """One tile (DATES, POSITIONS) of all bands of one sample."""
    b = tl.program_id(0).to(tl.int64)
    t = tl.program_id(1) * DATES + tl.arange(0, DATES)
    p = tl.program_id(2) * POSITIONS + tl.arange(0, POSITIONS)
    band = tl.arange(0, WIDTH)
    time = tl.load(times + b * dates + t, mask=t < dates, other=-1)
    row = tl.load(index + b * length + p, mask=p < length, other=-1)
    real = (time >= 0)[:, None] & (row >= 0)[None, :]
    cell = tl.load(first + b) + row[None, :] * tl.load(dated + b) + time[:, None]
    some = real[:, :, None] & (band < BANDS)[None, None, :]
    digits = tl.load(pixels + cell[:, :, None] * BANDS + band[None, None, :], mask=some, other=0)
    quality = tl.load(qa + cell, mask=real, other=0).to(tl.int32)
    numbers = digits.to(tl.int32) & 0xFFFF
    missing = tl.sum(((numbers == 0) & (band < BANDS)[None, None, :]).to(tl.int32), axis=2)
    seen = real & (missing == 0)
    times_gain = tl.load(gain + b * BANDS + band, mask=band < BANDS, other=0.0)
    plus_bias = tl.load(bias + b * BANDS + band, mask=band < BANDS, other=0.0)
    values = numbers.to(tl.float32) * times_gain[None, None, :] + plus_bias[None, None, :]
    values = tl.where(seen[:, :, None], values, 0.0)
    inside = (t < dates)[:, None] & (p < length)[None, :]
    place = t[:, None] * length + p[None, :]
    layout = (b * BANDS + band)[None, None, :] * dates * length + place[:, :, None]
    tl.store(image + layout, values, mask=inside[:, :, None] & (band < BANDS)[None, None, :])
    usable = seen & ((quality & unclear_bits) == 0)
    tl.store(clear + b * dates * length + place, usable.to(tl.uint8), mask=inside)


def walk_steps(
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
    """Continue walks from where they start, drawing words on the way: `step_by_step` of their words.

    Args:
        near: who borders whom.
        here: (B, K) int64 rows at which walks start.
        region: (B,) int64 id of each region, part of the key.
        length: pixels of a walk, L.
        run: part of the key.
        epoch: part of the key.
        view: (B,) int64, part of the key.
        backtrack: whether a step may lead straight back where there is another.

    Returns:
        (B, K, L) int64 rows.
    """
    regions, walks = here.shape
    rows = torch.empty(regions, walks, length, dtype=torch.int64, device=here.device)
    if not rows.numel():
        return rows
    weighed = near.bounds is not None
    bounds = near.bounds if near.bounds is not None else near.degree
    _walk[(triton.cdiv(regions * walks, _WALKS),)](
        near.rows, near.degree, bounds, here.contiguous(), region, view, rows, regions * walks, walks,
        length, run & 0xFFFFFFFF, epoch & 0xFFFFFFFF,
        NEAR=near.rows.shape[1], WEIGHED=weighed, BACKTRACK=backtrack, WALKS=_WALKS,
    )  # fmt: skip
    return rows


@triton.jit
def _walk(
    beside, degree, bounds, start, region, view, rows, count, walks, length, run, epoch,
    NEAR: tl.constexpr, WEIGHED: tl.constexpr, BACKTRACK: tl.constexpr, WALKS: tl.constexpr,
):  # fmt: skip
    """WALKS walks, four steps for each block of random words."""
    w = tl.program_id(0) * WALKS + tl.arange(0, WALKS)
    inside = w < count
    owner = w // walks
    here = tl.load(start + w, mask=inside, other=0)
    before = here * 0 - 1
    zero = w.to(tl.int64) * 0
    k0 = (zero + run).to(tl.uint32)
    k1 = tl.load(region + owner, mask=inside, other=0).to(tl.uint32)
    c1 = (w % walks).to(tl.uint32)
    c2 = (zero + epoch).to(tl.uint32)
    c3 = tl.load(view + owner, mask=inside, other=0).to(tl.uint32)
    first = (zero + w) * length
    for block in range(tl.cdiv(length, 4)):
        c0 = (zero + block).to(tl.uint32)
        w0, w1, w2, w3 = philox_impl(c0, c1, c2, c3, k0, k1, 10)
        if block > 0:
            here, before = _step(
                here, before, w0, inside, beside, degree, bounds, NEAR, WEIGHED, BACKTRACK
            )
        s0 = here
        here, before = _step(here, before, w1, inside, beside, degree, bounds, NEAR, WEIGHED, BACKTRACK)
        s1 = here
        here, before = _step(here, before, w2, inside, beside, degree, bounds, NEAR, WEIGHED, BACKTRACK)
        s2 = here
        here, before = _step(here, before, w3, inside, beside, degree, bounds, NEAR, WEIGHED, BACKTRACK)
        # Four steps of a walk are one sector of memory: [.., i, j] is step i + 2 j.
        four = tl.join(tl.join(s0, s1), tl.join(s2, here))
        two = tl.arange(0, 2)
        step = block * 4 + two[None, :, None] + 2 * two[None, None, :]
        mask = inside[:, None, None] & (step < length)
        tl.store(rows + first[:, None, None] + step, four, mask=mask)


@triton.jit
def _step(
    here, before, word, inside, beside, degree, bounds,
    NEAR: tl.constexpr, WEIGHED: tl.constexpr, BACKTRACK: tl.constexpr,
):  # fmt: skip
    """Where walks go next, see `sits_data.orders.random_walks`; and where they were."""
    ways = tl.load(degree + here, mask=inside, other=1).to(tl.uint64)
    word64 = word.to(tl.uint64)
    if BACKTRACK and not WEIGHED:
        column = ((word64 * ways) >> 32).to(tl.int64)
    else:
        low, width, last = ways * 0, ways * 0, ways * 0
        for n in tl.static_range(NEAR):
            if WEIGHED:
                upper = tl.load(bounds + here * NEAR + n, mask=inside, other=1).to(tl.uint64)
            else:
                upper = tl.minimum(ways, n + 1)
            if not BACKTRACK:
                other = tl.load(beside + here * NEAR + n, mask=inside, other=0).to(tl.int64)
                back = (other == before) & (ways > 1) & (upper > last)
                low = tl.where(back, last, low)
                width = tl.where(back, upper - last, width)
            last = upper
        draw = (word64 * (last - width)) >> 32
        draw = tl.where(draw >= low, draw + width, draw)
        column = here * 0
        for n in tl.static_range(NEAR):
            if WEIGHED:
                upper = tl.load(bounds + here * NEAR + n, mask=inside, other=1).to(tl.uint64)
            else:
                upper = tl.minimum(ways, n + 1)
            column += (draw >= upper).to(tl.int64)
    return tl.load(beside + here * NEAR + column, mask=inside, other=0).to(tl.int64), here
