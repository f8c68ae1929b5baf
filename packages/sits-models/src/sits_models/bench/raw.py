"""Raw features: what the clear pixels say before anything was learned.

Reflectance is put on a regular grid of ten days, because ridge and forests need the same columns in
every row. A floor must be able to use what the model sees, so the grid spans all dates of the store.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sits_data.store import PlanarStore

GRID_DAYS = 10
_CHUNK_VALUES = 20_000_000

Floats = NDArray[np.float32]


def raw_regions(store: PlanarStore, regions: NDArray[np.int64]) -> Tensor:
    """Mean and standard deviation of each band over a region's clear pixels, every ten days.

    A bin's value is that of its dates, weighted by their clear pixels. Bins without any are
    interpolated in time, before the first and after the last one held.

    Args:
        store: whose reflectance, in its units.
        regions: (R,) int64 positions.

    Returns:
        (R, bins, bands · 2) float32 reflectance (unit 1), all means and then all deviations; 0 for a
        region that was never clear.
    """
    found = []
    for values, clear, first in _chunks(store, regions):
        weight = clear[..., None].astype(np.float32)
        count = np.add.reduceat(weight, first, axis=0)
        total = np.add.reduceat(values * weight, first, axis=0)
        mean = total / np.maximum(count, 1)
        apart = values - np.repeat(mean, np.diff([*first, len(values)]), axis=0)
        variance = np.add.reduceat(apart**2 * weight, first, axis=0) / np.maximum(count, 1)
        moments = np.concatenate([mean, np.sqrt(variance)], axis=2)
        found.append(on_grid(moments, count[..., 0], store.dates))
    return torch.from_numpy(np.concatenate(found))


def raw_pixels(store: PlanarStore, regions: NDArray[np.int64]) -> Tensor:
    """Reflectance of each pixel every ten days, pixels of a region after each other in raster order.

    Args:
        store: whose reflectance, in its units.
        regions: (R,) int64 positions.

    Returns:
        (pixels, bins, bands) float32 reflectance (unit 1), 0 for a pixel that was never clear.
    """
    found = [
        on_grid(values, clear.astype(np.float32), store.dates)
        for values, clear, _ in _chunks(store, regions)
    ]
    return torch.from_numpy(np.concatenate(found))


def on_grid(values: Floats, weight: Floats, dates: NDArray[np.int32]) -> Floats:
    """Series on irregular dates → weighted means of ten days, gaps interpolated, edges held.

    Args:
        values: (N, T, F).
        weight: (N, T), 0 where a value is not to be used.
        dates: (T,) days, ascending.

    Returns:
        (N, bins, F) float32; 0 where a series has no usable value at all.
    """
    bins = (dates - dates[0]) // GRID_DAYS
    count = int(bins[-1]) + 1
    seen, start = np.unique(bins, return_index=True)
    total = np.zeros((len(values), count, values.shape[2]), np.float32)
    amount = np.zeros((len(values), count), np.float32)
    total[:, seen] = np.add.reduceat(values * weight[..., None], start, axis=1)
    amount[:, seen] = np.add.reduceat(weight, start, axis=1)
    filled = amount > 0
    mean = total / np.where(filled, amount, 1)[..., None]
    # For every bin the filled ones before and after it; beyond the edge both are the same one.
    here = np.arange(count)
    before = np.maximum.accumulate(np.where(filled, here, -1), axis=1)
    after = np.minimum.accumulate(np.where(filled, here, count)[:, ::-1], axis=1)[:, ::-1]
    before, after = np.where(before < 0, after, before), np.where(after >= count, before, after)
    before, after = np.clip(before, 0, count - 1), np.clip(after, 0, count - 1)
    share = (here - before) / np.maximum(after - before, 1)
    low = np.take_along_axis(mean, before[..., None], axis=1)
    high = np.take_along_axis(mean, after[..., None], axis=1)
    return np.asarray(low + (high - low) * share[..., None], np.float32)


def _chunks(
    store: PlanarStore, regions: NDArray[np.int64]
) -> Iterator[tuple[Floats, NDArray[np.bool_], NDArray[np.intp]]]:
    """Whole regions, some million values at a time: values (N, T, C), clear (N, T), first rows."""
    manifest = store.manifest
    sizes = store.regions["pixels"].to_numpy()[regions].astype(np.int64)
    per_chunk = max(1, _CHUNK_VALUES // (manifest.dates * len(manifest.bands)))
    chunk_of = (np.cumsum(sizes) - 1) // per_chunk
    for chunk in np.unique(chunk_of):
        some = [store.region(int(position)) for position in regions[chunk_of == chunk]]
        pixels = np.concatenate([region.pixels for region in some])
        qa = np.concatenate([region.qa for region in some])
        size = sizes[chunk_of == chunk]
        clear = ((qa & manifest.unclear_bits) == 0) & (pixels != 0).all(-1)
        values = pixels * np.float32(manifest.scale) + np.float32(manifest.offset)
        yield values, clear, np.cumsum(size) - size
