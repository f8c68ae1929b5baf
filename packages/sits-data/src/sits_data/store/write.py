"""Planarize: from a cube and a recipe to a planar store."""

import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import cast, get_args

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from sits_data.cube import RawCube, open_raw
from sits_data.errors import InvalidRequest
from sits_data.labels import LabelRaster, column_labels, majority, open_label_raster
from sits_data.manifest import (
    Chips,
    ColumnLabels,
    LabelClass,
    LabelColumn,
    Manifest,
    Parcels,
    Points,
    Recipe,
    StoreGrid,
    Superpixels,
    shard_file,
)
from sits_data.mask import MaskPreset, unclear_bits
from sits_data.orders import ORDERS, OrderName, order
from sits_data.output import new_folder
from sits_data.regions import (
    RESERVED,
    RegionSet,
    Shared,
    around_points,
    chips,
    read_parcels,
    superpixels,
)
from sits_data.store.composite import composites
from sits_data.store.pixels import blocks_of, write_pixels
from sits_data.store.read import DATES, MANIFEST, REGIONS, is_store, sha256_of
from sits_data.store.shards import Shards, write_npy
from sits_data.threads import available_cores


@dataclass(frozen=True)
class Summary:
    """What planarize did.

    Args:
        out: the store.
        regions, pixels, dates: how many.
        dropped: regions left out, by reason.
        classes: regions of each class, by name; `unlabelled` for those without.
        orders: curves written.
        labels_resampled: whether the label raster lay on another grid than the cube.
        bytes: of all files.
        seconds: that it took.
    """

    out: Path
    regions: int
    pixels: int
    dates: int
    dropped: dict[str, int]
    classes: dict[str, int]
    orders: tuple[str, ...]
    labels_resampled: bool
    bytes: int
    seconds: float

    def shown(self, *, as_json: bool) -> dict[str, object]:
        """As the command prints it: dictionaries for JSON, `wheat: 17` for people."""
        summary = asdict(self) | {"out": str(self.out)}
        if as_json:
            return summary
        dropped = [f"{count} {why}" for why, count in self.dropped.items()]
        classes = [f"{name}: {count}" for name, count in self.classes.items()]
        return summary | {
            "dropped": dropped or "none",
            "classes": classes or "none",
            "labels_resampled": "yes, to the nearest pixel" if self.labels_resampled else "no",
        }


def planarize(
    cube: str | Path,
    out: str | Path,
    *,
    recipe: Recipe,
    overwrite: bool = False,
    threads: int | None = None,
    progress: bool = False,
) -> Summary:
    """Write the planar store of a cube.

    The store appears at `out` whole or not at all. Regions are sorted by the block of their first
    pixel, so that regions that are near each other lie near each other on disk; `id` says which is
    which.

    Args:
        cube: a finished cube.
        out: the folder to make.
        recipe: regions, labels, curves, mask.
        overwrite: replace `out` if it is a planar store.
        threads: at least 1; None takes as many as there are cores.
        progress: draw a bar on stderr.

    Raises:
        NotACube, IncompleteCube: there is nothing to read.
        InvalidAOI, InvalidLabels, InvalidRequest: the recipe cannot be followed; the message says
            why.
        OutputExists, OutputNotWritable: there is nowhere to write.

    Example::

        recipe = Recipe(regions=Parcels(path="parcels.gpkg"), labels=ColumnLabels(field="crop"))
        planarize("field.zarr", "field.planar", recipe=recipe)
    """
    started, out = time.perf_counter(), Path(out)
    mask = _check(recipe)
    raw = open_raw(cube)
    with new_folder(out, what="a planar store", is_one=is_store, overwrite=overwrite) as folder:
        regions = _find_regions(raw, recipe)
        labels = _find_labels(raw, regions, recipe)
        row_bytes = len(raw.dates) * len(raw.bands) * 2
        shards = Shards.fill(
            regions.frame["pixels"].to_numpy(), limit=recipe.shard_mb * 10**6 // row_bytes
        )
        write_pixels(
            raw,
            regions.yx,
            shards,
            folder,
            mask=mask,
            threads=threads or available_cores(),
            progress=progress,
        )
        _write_tables(raw, regions, shards, labels, folder, recipe)
        manifest = _write_manifest(raw, regions, shards, labels, folder, recipe)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return Summary(
        out=out,
        regions=manifest.regions,
        pixels=manifest.pixels,
        dates=manifest.dates,
        dropped={reason: len(ids) for reason, ids in manifest.dropped.items()},
        classes=labels.count(),
        orders=manifest.orders,
        labels_resampled=labels.resampled,
        bytes=size,
        seconds=round(time.perf_counter() - started, 3),
    )


@dataclass(frozen=True)
class _Labels:
    column: LabelColumn | None
    classes: tuple[LabelClass, ...]
    of_region: NDArray[np.int32]
    of_pixel: NDArray[np.int32] | None
    resampled: bool

    def count(self) -> dict[str, int]:
        if self.column is None:
            return {}
        names = [one.name for one in self.classes] + ["unlabelled"]
        counts = [int((self.of_region == label).sum()) for label in range(len(self.classes))]
        counts.append(int((self.of_region < 0).sum()))
        # Two codes may share a name: count them together.
        total = dict.fromkeys(names, 0)
        for name, count in zip(names, counts, strict=True):
            total[name] += count
        return {name: count for name, count in total.items() if count or name != "unlabelled"}


def _check(recipe: Recipe) -> MaskPreset:
    """What pydantic cannot know; returns the mask preset."""
    unknown = set(recipe.orders) - set(ORDERS)
    if unknown:
        raise InvalidRequest(
            f"unknown order {', '.join(sorted(unknown))}; use some of {', '.join(ORDERS)} (walks and "
            "slices need no storage)"
        )
    if len(set(recipe.orders)) < len(recipe.orders):
        raise InvalidRequest(f"an order is asked for twice ({', '.join(recipe.orders)}); name each once")
    if recipe.mask not in get_args(MaskPreset):
        raise InvalidRequest(
            f"unknown mask preset {recipe.mask}; use one of {', '.join(get_args(MaskPreset))}"
        )
    if recipe.shard_mb < 1:
        raise InvalidRequest(f"a shard must have at least 1 MB, got {recipe.shard_mb}")
    if isinstance(recipe.labels, ColumnLabels) and not isinstance(recipe.regions, Parcels | Points):
        raise InvalidRequest(
            "labels from a column need regions from a file: give --regions FILE, or --labels RASTER"
        )
    return cast(MaskPreset, recipe.mask)


def _find_regions(raw: RawCube, recipe: Recipe) -> RegionSet:
    wanted = recipe.regions
    grid, shared = raw.geobox, Shared(min_pixels=wanted.min_pixels, block_m=recipe.block_m)
    match wanted:
        case Parcels():
            regions = read_parcels(
                wanted.path, grid, shrink_m=wanted.shrink_m, all_touched=wanted.all_touched, **shared
            )
        case Points():
            regions = around_points(wanted.path, grid, wanted.size_px, **shared)
        case Chips():
            regions = chips(grid, wanted.size_px, stride_px=wanted.stride_px, **shared)
        case Superpixels():
            parts = composites(raw, cast(MaskPreset, recipe.mask))
            regions = superpixels(grid, parts, wanted.size_px, compactness=wanted.compactness, **shared)
    first = regions.yx[regions.first_row] // raw.chunk_px
    return regions.reordered(np.lexsort((first[:, 1], first[:, 0])))


def _find_labels(raw: RawCube, regions: RegionSet, recipe: Recipe) -> _Labels:
    wanted = recipe.labels
    if wanted is None:
        return _Labels(None, (), np.full(len(regions.frame), -1, np.int32), None, resampled=False)
    if isinstance(wanted, ColumnLabels):
        found = column_labels(regions.attributes, wanted.field, name_field=wanted.name_field)
        column = LabelColumn(name=wanted.field, column="label", per_pixel=False)
        return _Labels(column, found.classes, found.labels, None, resampled=False)
    raster = open_label_raster(wanted.path, raw.geobox, legend=wanted.legend)
    of_pixel = _labels_of_pixels(raster, regions, raw.chunk_px)
    of_region = majority(of_pixel, regions.first_row)
    taken = raster.name in {*regions.frame.columns, *RESERVED}
    column = LabelColumn(name=raster.name, column="label" if taken else raster.name, per_pixel=True)
    return _Labels(column, raster.classes, of_region, of_pixel, raster.resampled)


def _labels_of_pixels(raster: LabelRaster, regions: RegionSet, side_px: int) -> NDArray[np.int32]:
    height, width = raster.geobox.shape
    labels = np.empty(len(regions.yx), np.int32)
    for block in blocks_of(regions.yx, (height, width), side_px):
        found = raster.read(block.y, block.x, block.shape)
        labels[block.rows] = found[block.yx[:, 0], block.yx[:, 1]]
    return labels


def _write_tables(
    raw: RawCube,
    regions: RegionSet,
    shards: Shards,
    labels: _Labels,
    folder: Path,
    recipe: Recipe,
) -> None:
    write_npy(folder / DATES, raw.dates.astype(np.int32))
    (folder / "orders").mkdir()
    starts = regions.first_row
    for shard in range(len(shards)):
        rows = shards.rows(shard)
        _save(folder, "yx", shard, regions.yx[rows])
        if labels.of_pixel is not None and labels.column is not None:
            _save(folder, f"label-{labels.column.name}", shard, labels.of_pixel[rows])
        first = starts[shards.of_region == shard][1:] - rows.start
        parts = np.split(regions.yx[rows], first)
        for name in cast(tuple[OrderName, ...], recipe.orders):
            _save(folder, f"orders/{name}", shard, np.concatenate([order(name, yx) for yx in parts]))
    frame = regions.frame.assign(
        shard=shards.of_region.astype(np.int32),
        first_row=starts - shards.first[shards.of_region],
    )
    if labels.column is not None:
        frame = frame.assign(**{labels.column.column: labels.of_region})
    _in_reading_order(frame, labels).to_parquet(folder / REGIONS, index=False)


def _in_reading_order(frame: gpd.GeoDataFrame, labels: _Labels) -> gpd.GeoDataFrame:
    ours = ["id", *([labels.column.column] if labels.column else [])]
    ours += ["block", "shard", "first_row", "pixels"]
    return frame[ours + [name for name in frame.columns if name not in ours]]


def _save(folder: Path, kind: str, shard: int, values: NDArray[np.int32]) -> None:
    write_npy(folder / shard_file(kind, shard), values.astype(np.int32, copy=False))


def _write_manifest(
    raw: RawCube,
    regions: RegionSet,
    shards: Shards,
    labels: _Labels,
    folder: Path,
    recipe: Recipe,
) -> Manifest:
    names = sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())
    manifest = Manifest(
        software=f"sits-data {version('sits-data')}",
        bands=raw.bands,
        grid=StoreGrid(
            crs=str(raw.geobox.crs),
            transform=tuple(raw.geobox.transform)[:6],
            shape=(raw.geobox.shape[0], raw.geobox.shape[1]),
            resolution_m=raw.resolution_m,
        ),
        mask=recipe.mask,
        unclear_bits=unclear_bits(cast(MaskPreset, recipe.mask)),
        dates=len(raw.dates),
        regions=len(regions.frame),
        pixels=len(regions.yx),
        shard_rows=tuple(np.diff(shards.first).tolist()),
        dropped=regions.dropped,
        classes=labels.classes,
        label=labels.column,
        orders=recipe.orders,
        recipe=recipe,
        cube={"path": raw.path.name, **raw.sources},
        files=sha256_of(folder, names),
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n")
    return manifest
