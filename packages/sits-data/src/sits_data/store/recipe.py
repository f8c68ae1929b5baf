"""What a recipe asks for: is it possible, where are the regions, what are their labels."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from sits_data.cube import RawCube
from sits_data.errors import InvalidAOI, InvalidRequest
from sits_data.labels import LabelRaster, column_labels, majority, open_label_raster
from sits_data.manifest import (
    Chips,
    ColumnLabels,
    Features,
    LabelClass,
    LabelColumn,
    Parcels,
    Points,
    Recipe,
    Superpixels,
)
from sits_data.mask import MaskName, parse_mask
from sits_data.orders import parse_order
from sits_data.regions import (
    RESERVED,
    RegionSet,
    Shared,
    chips,
    neighbourhoods,
    parcels,
    read_points,
    read_polygons,
    superpixels,
)
from sits_data.store.composite import composites
from sits_data.store.pixels import blocks_of


@dataclass(frozen=True)
class Labels:
    """Where the labels of some regions lie, and what they are.

    Args:
        column: where a store keeps them; None without labels.
        classes: by label.
        of_region: (regions,) int32, -1 = unlabelled.
        of_pixel: (rows,) int32; None where regions are labelled as a whole.
        resampled: whether the raster lay on another grid than the cube.
    """

    column: LabelColumn | None
    classes: tuple[LabelClass, ...]
    of_region: NDArray[np.int32]
    of_pixel: NDArray[np.int32] | None
    resampled: bool


def check_recipe(recipe: Recipe) -> MaskName:
    """What pydantic cannot know; returns the mask.

    Raises:
        InvalidRequest: says what cannot be followed.
    """
    for name in recipe.orders:
        parse_order(name)
    if len(set(recipe.orders)) < len(recipe.orders):
        raise InvalidRequest(f"an order is asked for twice ({', '.join(recipe.orders)}); name each once")
    parse_mask(recipe.mask)
    if recipe.shard_mb < 1:
        raise InvalidRequest(f"a shard must have at least 1 MB, got {recipe.shard_mb}")
    if isinstance(recipe.labels, ColumnLabels) and not isinstance(recipe.regions, Parcels | Points):
        raise InvalidRequest(
            "labels from a column need regions from a file: give --regions FILE, or --labels RASTER"
        )
    return recipe.mask


def name_work(raws: Sequence[RawCube], recipe: Recipe) -> str:
    """Names what a store is made of: the recipe, the cubes and the files that the recipe names."""
    asked = (recipe.regions, "path"), (recipe.labels, "path"), (recipe.labels, "legend")
    named = [getattr(part, field, None) for part, field in asked]
    files = [Path(path) for path in named if path is not None] + [raw.path / "zarr.json" for raw in raws]
    states = [file.stat() for file in files if file.exists()]
    texts = [version("sits-data"), recipe.model_dump_json(), *(str(file.resolve()) for file in files)]
    texts += [f"{state.st_size} {state.st_mtime_ns}" for state in states]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def read_vectors(recipe: Recipe) -> gpd.GeoDataFrame | None:
    """The polygons or points that the recipe names; None where it names no file."""
    match recipe.regions:
        case Parcels():
            return read_polygons(recipe.regions.path)
        case Points():
            return read_points(recipe.regions.path)
    return None


def _own_polygons(raw: RawCube) -> gpd.GeoDataFrame:
    if raw.aoi.empty:
        raise InvalidAOI(
            f"{raw.path} does not name its area's polygons; say what the regions are: --regions "
            "parcels.gpkg, --chips 32 or --superpixels 200"
        )
    return raw.aoi


def find_regions(raw: RawCube, recipe: Recipe, vectors: gpd.GeoDataFrame | None) -> RegionSet:
    """The regions of a cube, sorted by the block of their first pixel.

    Args:
        raw: the cube.
        recipe: says what they are.
        vectors: see `read_vectors`; some of them for some of the cubes of a merged store.

    Raises:
        InvalidAOI, InvalidRequest: there are none, or they cannot be had.
    """
    wanted = recipe.regions
    grid, shared = raw.geobox, Shared(min_pixels=wanted.min_pixels, block_m=recipe.block_m)
    match wanted:
        case Features() | Parcels():
            source = wanted.path if isinstance(wanted, Parcels) else str(raw.path)
            regions = parcels(
                vectors if isinstance(wanted, Parcels) else _own_polygons(raw),
                grid,
                source=source,
                shrink_m=wanted.shrink_m,
                all_touched=wanted.all_touched,
                **shared,
            )
        case Points():
            regions = neighbourhoods(vectors, grid, wanted.size_px, source=wanted.path, **shared)
        case Chips():
            regions = chips(grid, wanted.size_px, stride_px=wanted.stride_px, **shared)
        case Superpixels():
            parts = composites(raw, recipe.mask)
            regions = superpixels(grid, parts, wanted.size_px, compactness=wanted.compactness, **shared)
    first = regions.yx[regions.first_row] // raw.chunk_px
    return regions.reordered(np.lexsort((first[:, 1], first[:, 0])))


def find_labels(raw: RawCube, regions: RegionSet, recipe: Recipe) -> Labels:
    """The labels of some regions.

    Raises:
        InvalidLabels: they cannot be had.
    """
    wanted = recipe.labels
    if wanted is None:
        return Labels(None, (), np.full(len(regions.frame), -1, np.int32), None, resampled=False)
    if isinstance(wanted, ColumnLabels):
        found = column_labels(regions.attributes, wanted.field, name_field=wanted.name_field)
        column = LabelColumn(name=wanted.field, column="label", per_pixel=False)
        return Labels(column, found.classes, found.labels, None, resampled=False)
    raster = open_label_raster(wanted.path, raw.geobox, legend=wanted.legend)
    of_pixel = _labels_of_pixels(raster, regions, raw.chunk_px)
    of_region = majority(of_pixel, regions.first_row)
    taken = raster.name in {*regions.frame.columns, *RESERVED}
    column = LabelColumn(name=raster.name, column="label" if taken else raster.name, per_pixel=True)
    return Labels(column, raster.classes, of_region, of_pixel, raster.resampled)


def _labels_of_pixels(raster: LabelRaster, regions: RegionSet, side_px: int) -> NDArray[np.int32]:
    height, width = raster.geobox.shape
    labels = np.empty(len(regions.yx), np.int32)
    for block in blocks_of(regions.yx, (height, width), side_px):
        found = raster.read(block.y, block.x, block.shape)
        y, x = block.yx.T
        labels[block.rows] = found[y, x]
    return labels
