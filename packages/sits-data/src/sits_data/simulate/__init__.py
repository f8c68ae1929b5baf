"""A Sentinel-2 catalogue with known truth, for demonstrations, tests and benchmarks.

mosaic → rotation → phenology, texture → landscape         the land
orbits → sky, products                                      who looks at it, through what
scene → scl, cog, stac, truth → catalogue                   what is written
"""

from sits_data.simulate.catalogue import SimulatedCatalog, simulate_catalog

__all__ = ["SimulatedCatalog", "simulate_catalog"]
