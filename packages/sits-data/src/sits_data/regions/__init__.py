"""Regions: sets of pixels that belong together, as lists of rows and columns on the cube's grid."""

from sits_data.regions.base import RESERVED, RegionSet, Shared, block_names, describe_dropped
from sits_data.regions.squares import chips
from sits_data.regions.superpixels import Composite, superpixels
from sits_data.regions.vector import neighbourhoods, owners, parcels, read_points, read_polygons

__all__ = [
    "RESERVED",
    "Composite",
    "RegionSet",
    "Shared",
    "block_names",
    "chips",
    "describe_dropped",
    "neighbourhoods",
    "owners",
    "parcels",
    "read_points",
    "read_polygons",
    "superpixels",
]
