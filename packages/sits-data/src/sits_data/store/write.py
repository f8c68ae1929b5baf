"""Planarize: from a cube and a recipe to a planar store."""

import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from sits_data.cube import RawCube, open_raw
from sits_data.drafts import drafting
from sits_data.manifest import (
    Manifest,
    Recipe,
    StoreGrid,
    shard_file,
)
from sits_data.mask import unclear_bits
from sits_data.orders import order, parse_order
from sits_data.provenance import write_store_item
from sits_data.regions import (
    RegionSet,
)
from sits_data.store.pixels import write_pixels
from sits_data.store.read import DATES, MANIFEST, REGIONS, is_store, open_store, sha256_of
from sits_data.store.recipe import (
    Labels,
    check_recipe,
    find_labels,
    find_regions,
    name_work,
    read_vectors,
)
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
    vectors: gpd.GeoDataFrame | None = None,
) -> Summary:
    """Write the planar store of a cube, or finish one whose writing was interrupted.

    The store appears at `out` whole or not at all; last comes its STAC item, beside it. Regions are
    sorted by the block of their first pixel, so that regions that are near each other lie near each
    other on disk; `id` says which is which.

    Args:
        cube: a finished cube.
        out: the folder to make.
        recipe: regions, labels, curves, mask.
        overwrite: replace `out` if it is a planar store.
        threads: at least 1; None takes as many as there are cores.
        progress: draw a bar on stderr.
        vectors: polygons or points of the recipe's file, where only some are of this cube; their ids
            are the index.

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
    mask = check_recipe(recipe)
    raw = open_raw(cube)
    with drafting(
        out, name_work([raw], recipe), what="a planar store", is_one=is_store, overwrite=overwrite
    ) as draft:
        folder = draft.folder
        vectors = read_vectors(recipe) if vectors is None else vectors
        regions = find_regions(raw, recipe, vectors)
        labels = find_labels(raw, regions, recipe)
        row_bytes = len(raw.dates) * len(raw.bands) * 2
        shards = Shards.fill(
            regions.frame["pixels"].to_numpy(), limit=recipe.shard_mb * 10**6 // row_bytes
        )
        write_pixels(
            raw,
            regions.yx,
            shards,
            draft,
            mask=mask,
            threads=threads or available_cores(),
            progress=progress,
        )
        _write_tables(raw, regions, shards, labels, folder, recipe)
        manifest = _write_manifest(raw, regions, shards, labels, folder, recipe)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    write_store_item(out, cube=raw.path)
    return Summary(
        out=out,
        regions=manifest.regions,
        pixels=manifest.pixels,
        dates=manifest.dates,
        dropped={reason: len(ids) for reason, ids in manifest.dropped.items()},
        classes=open_store(out).class_counts(),
        orders=manifest.orders,
        labels_resampled=labels.resampled,
        bytes=size,
        seconds=round(time.perf_counter() - started, 3),
    )


def _write_tables(
    raw: RawCube,
    regions: RegionSet,
    shards: Shards,
    labels: Labels,
    folder: Path,
    recipe: Recipe,
) -> None:
    write_npy(folder / DATES, raw.dates.astype(np.int32))
    (folder / "orders").mkdir(exist_ok=True)
    starts = regions.first_row
    for shard in range(len(shards)):
        rows = shards.rows(shard)
        _save(folder, "yx", shard, regions.yx[rows])
        if labels.of_pixel is not None and labels.column is not None:
            _save(folder, f"label-{labels.column.name}", shard, labels.of_pixel[rows])
        first = starts[shards.of_region == shard][1:] - rows.start
        parts = np.split(regions.yx[rows], first)
        for name in recipe.orders:
            kind, dihedral = parse_order(name)
            curves = [order(kind, yx, dihedral=dihedral) for yx in parts]
            _save(folder, f"orders/{name}", shard, np.concatenate(curves))
    frame = regions.frame.assign(
        shard=shards.of_region.astype(np.int32),
        first_row=starts - shards.first[shards.of_region],
    )
    if labels.column is not None:
        frame = frame.assign(**{labels.column.column: labels.of_region})
    _in_reading_order(frame, labels).to_parquet(folder / REGIONS, index=False)


def _in_reading_order(frame: gpd.GeoDataFrame, labels: Labels) -> gpd.GeoDataFrame:
    ours = ["id", *([labels.column.column] if labels.column else [])]
    ours += ["block", "shard", "first_row", "pixels"]
    return frame[ours + [name for name in frame.columns if name not in ours]]


def _save(folder: Path, kind: str, shard: int, values: NDArray[np.int32]) -> None:
    write_npy(folder / shard_file(kind, shard), values.astype(np.int32, copy=False))


def _write_manifest(
    raw: RawCube,
    regions: RegionSet,
    shards: Shards,
    labels: Labels,
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
        unclear_bits=unclear_bits(recipe.mask),
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
