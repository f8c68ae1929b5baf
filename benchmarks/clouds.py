"""Clouds over whole blocks of a cube."""

from pathlib import Path

import numpy as np
import pystac
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.scenes import ORIGIN, write_raster
from sits_data.bands import SCL_NATIVE_M
from sits_data.grid import BLOCK_PX, Grid

PATTERNS = {"whole days": (1.0, 0.0, 0.0), "fronts": (1.0, 1.0, 0.5), "scattered": (0.0, 0.0, 1.0)}
"""Weights of what all blocks of a day share, what neighbours share, and what each has for itself."""


def cloudy_blocks(
    days: int, rows: int, cols: int, *, share: float, pattern: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Which blocks are cloudy: (day, row, col), the share as near as whole blocks, or days, allow."""
    rng = np.random.default_rng(0)
    shape = days, rows, cols
    day = rng.normal(size=(days, 1, 1))
    fronts = ndimage.gaussian_filter(rng.normal(size=shape), (0, 1.5, 1.5), mode="reflect")
    own = rng.normal(size=shape)
    score = pattern[0] * day + pattern[1] * fronts / fronts.std() + pattern[2] * own
    return np.asarray(score > np.quantile(score, 1 - share))


def cover(catalog_json: Path, grid: Grid, cloudy: NDArray[np.bool_], block_px: int) -> None:
    """Rewrite the scene classification of every scene: clouds of all kinds, or land with none."""
    rng, step = np.random.default_rng(0), grid.resolution_m
    collection = next(pystac.Catalog.from_file(catalog_json).get_children())
    items = sorted(collection.get_items(), key=lambda item: item.id)
    for item, blocks in zip(items, cloudy, strict=True):
        asset = item.assets["scl"]
        side = asset.extra_fields["proj:shape"][0]
        patches = ndimage.zoom(rng.integers(0, 3, (side // 8 + 1,) * 2), 8, order=0)[:side, :side]
        centres = (np.arange(side) + 0.5) * SCL_NATIVE_M
        row = ((grid.top - ORIGIN[1] + centres) / step // BLOCK_PX).clip(0, blocks.shape[0] - 1)
        col = ((ORIGIN[0] + centres - grid.left) / step // BLOCK_PX).clip(0, blocks.shape[1] - 1)
        covered = blocks[np.ix_(row.astype(int), col.astype(int))]
        classes = np.where(covered, 8 + patches, 4 + patches)
        write_raster(asset, classes.astype(np.uint8), block_px)
