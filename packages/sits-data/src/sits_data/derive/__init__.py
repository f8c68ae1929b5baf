"""Derived cubes: composites, filled gaps and indices of a cube, each a new cube beside it."""

from sits_data.derive.composite import composite_cube
from sits_data.derive.draft import Run
from sits_data.derive.gapfill import gapfill_cube
from sits_data.derive.indices import Indexing, index_cube
from sits_data.derive.summary import Summary

__all__ = ["Indexing", "Run", "Summary", "composite_cube", "gapfill_cube", "index_cube"]
