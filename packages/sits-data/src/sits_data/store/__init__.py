"""The planar store: a region's pixels once, pixel-major, and curves as index lists beside them."""

from importlib import import_module
from typing import TYPE_CHECKING

from sits_data.manifest import (
    Chips,
    ColumnLabels,
    Features,
    Manifest,
    Parcels,
    Points,
    RasterLabels,
    Recipe,
    Superpixels,
)
from sits_data.store.read import PlanarStore, Region, open_parts, open_store, verify_store

if TYPE_CHECKING:
    from sits_data.store.merge import MergedSummary as MergedSummary
    from sits_data.store.merge import planarize_all as planarize_all
    from sits_data.store.write import Summary as Summary
    from sits_data.store.write import planarize as planarize

__all__ = [
    "Chips",
    "ColumnLabels",
    "Features",
    "Manifest",
    "MergedSummary",
    "Parcels",
    "PlanarStore",
    "Points",
    "RasterLabels",
    "Recipe",
    "Region",
    "Summary",
    "Superpixels",
    "open_parts",
    "open_store",
    "planarize",
    "planarize_all",
    "verify_store",
]


def __getattr__(name: str) -> object:
    """Import what writes only when asked: reading needs neither geopandas nor zarr."""
    module = {
        "MergedSummary": "merge",
        "planarize_all": "merge",
        "Summary": "write",
        "planarize": "write",
    }
    if name not in module:
        raise AttributeError(f"module 'sits_data.store' has no attribute {name!r}")
    return getattr(import_module(f"sits_data.store.{module[name]}"), name)
