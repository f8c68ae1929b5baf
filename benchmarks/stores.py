"""A synthetic planar store for the benchmarks of sits-models."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely

from sits_data.bands import DEFAULT_BANDS
from sits_data.manifest import Chips, LabelClass, LabelColumn, Manifest, Recipe, StoreGrid
from sits_data.orders import order
from sits_data.store import PlanarStore, open_store


def write_store(folder: Path, *, regions: int, side_px: int = 9, dates: int = 36) -> PlanarStore:
    """Square regions of random digital numbers in a row, with a Hilbert curve; seed 0."""
    if (folder / "manifest.json").exists():
        return open_store(folder)
    (folder / "orders").mkdir(parents=True)
    draws = np.random.default_rng(0)
    pixels, bands = side_px**2, len(DEFAULT_BANDS)
    rows = regions * pixels
    inner = np.argwhere(np.ones((side_px, side_px))).astype(np.int32)
    starts = np.arange(regions)[:, None, None] * np.array([0, side_px])
    arrays = {
        "dates.npy": np.arange(dates, dtype=np.int32) * 10 + 18_000,
        "pixels-00000.npy": draws.integers(1000, 6000, (rows, dates, bands), dtype=np.uint16),
        "qa-00000.npy": draws.choice(np.array([0, 0, 2], np.uint8), (rows, dates)),
        "yx-00000.npy": (inner + starts).reshape(-1, 2).astype(np.int32),
        "orders/hilbert-00000.npy": np.tile(order("hilbert", inner), regions),
    }
    for name, values in arrays.items():
        np.save(folder / name, values)
    step = side_px * 10
    left = np.arange(regions) * step
    gpd.GeoDataFrame(
        {
            "id": np.arange(regions), "label": draws.integers(0, 10, regions).astype(np.int32),
            "block": [f"{number // 20}" for number in range(regions)],
            "shard": np.zeros(regions, np.int32), "first_row": np.arange(regions) * pixels,
            "pixels": np.full(regions, pixels),
        },
        geometry=shapely.box(left, 0, left + step, step), crs="EPSG:32631",
    ).to_parquet(folder / "regions.parquet")  # fmt: skip
    manifest = Manifest(
        software="benchmarks", bands=DEFAULT_BANDS, mask="standard", unclear_bits=0xFF & ~32,
        grid=StoreGrid(
            crs="EPSG:32631", transform=(10, 0, 0, 0, -10, step),
            shape=(side_px, regions * side_px), resolution_m=10,
        ),
        dates=dates, regions=regions, pixels=rows, shard_rows=(rows,), dropped={},
        classes=tuple(LabelClass(code=k, name=f"{k}", colour="#808080") for k in range(10)),
        label=LabelColumn(name="label", column="label", per_pixel=False), orders=("hilbert",),
        recipe=Recipe(regions=Chips(size_px=side_px)), cube={},
        files=dict.fromkeys([*arrays, "regions.parquet"], ""),
    )  # fmt: skip
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    return open_store(folder)
