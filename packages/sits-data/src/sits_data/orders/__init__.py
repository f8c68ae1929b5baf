"""Orders: the curves, walks and runs along which a region's pixels become columns.

An order is an index list into the region's rows, which are in raster order: a planar image is a gather
by it, and scores go back to their pixels by the same list.
"""

from sits_data.orders.curves import DIHEDRALS, ORDERS, OrderName, order, parse_order, rank_table
from sits_data.orders.lines import Direction, Runs, runs, slice_through
from sits_data.orders.names import CurveName, parse_curve
from sits_data.orders.walks import (
    Neighbours,
    WalkKey,
    WalkLaw,
    golden_stride,
    neighbours,
    permutation,
    random_walks,
    spectral,
    walk_count,
)

__all__ = [
    "DIHEDRALS",
    "ORDERS",
    "CurveName",
    "Direction",
    "Neighbours",
    "OrderName",
    "Runs",
    "WalkKey",
    "WalkLaw",
    "golden_stride",
    "neighbours",
    "order",
    "parse_curve",
    "parse_order",
    "permutation",
    "random_walks",
    "rank_table",
    "runs",
    "slice_through",
    "spectral",
    "walk_count",
]
