"""How far one picture of the land lies from another, and how to move it back: NumPy in, values out."""

from sits_data.shifts.consensus import MIN_WINDOWS, Consensus, find_consensus
from sits_data.shifts.edges import Edges, find_edges
from sits_data.shifts.matching import Match, compose, match
from sits_data.shifts.resample import REACH_PX, nearest, resample

__all__ = [
    "MIN_WINDOWS",
    "REACH_PX",
    "Consensus",
    "Edges",
    "Match",
    "compose",
    "find_consensus",
    "find_edges",
    "match",
    "nearest",
    "resample",
]
