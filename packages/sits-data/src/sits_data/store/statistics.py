"""Statistics of a store's clear values, streamed: exact, in bounded memory."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sits_data.store.read import PlanarStore

DN_VALUES = 1 << 16
_CHUNK_VALUES = 4_000_000


def count_values(store: PlanarStore, regions: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """How often each digital number occurs among clear observations.

    Args:
        store: read some rows at a time.
        regions: (R,) positions 0 … len-1; None takes all.

    Returns:
        (bands, 65536) int64.
    """
    if regions is None:
        regions = np.arange(len(store))
    bands = len(store.manifest.bands)
    counts = np.zeros(bands * DN_VALUES, np.int64)
    first_of_band = np.arange(bands) * DN_VALUES
    for pixels, qa in _pixel_chunks(store, regions):
        kept = ((qa & store.manifest.unclear_bits) == 0) & (pixels != 0).all(-1)
        counts += np.bincount((pixels[kept] + first_of_band).ravel(), minlength=len(counts))
    return counts.reshape(bands, DN_VALUES)


def _pixel_chunks(
    store: PlanarStore, regions: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.uint16], NDArray[np.uint8]]]:
    """The pixels (rows, T, C) and qa (rows, T) of some regions, a few million values at a time."""
    manifest = store.manifest
    places = {name: store.regions[name].to_numpy()[regions] for name in ("shard", "first_row", "pixels")}
    step = max(1, _CHUNK_VALUES // (manifest.dates * len(manifest.bands)))
    for shard in np.unique(places["shard"]):
        here = places["shard"] == shard
        first, size = places["first_row"][here].astype(np.int64), places["pixels"][here].astype(np.int64)
        starts = np.cumsum(size) - size
        rows = np.repeat(first - starts, size) + np.arange(size.sum())
        pixels, qa = store.shard("pixels", int(shard)), store.shard("qa", int(shard))
        for start in range(0, len(rows), step):
            chunk = rows[start : start + step]
            yield pixels[chunk], qa[chunk]
