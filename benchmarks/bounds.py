"""Rows without a peer: bytes fetched, memory, seconds until all work is handed out."""

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from benchmarks.clouds import PATTERNS, cloudy_blocks, cover
from benchmarks.inputs import grid_of, items_of
from benchmarks.loading import FOUR, LOADED
from benchmarks.measure import compare, row, run_side
from benchmarks.scenes import items_at, write_alike, write_aoi, write_catalogue, write_items
from benchmarks.server import Server, serve
from sits_data.alignment import own_part
from sits_data.bands import BANDS, DEFAULT_BANDS
from sits_data.grid import BLOCK_PX, Grid
from sits_data.tiles import tiles_under

CLOUDY = 0.6


def skip(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Bytes that `--skip-below 0.05` fetches where 60 % of the units are cloudy, over all bytes.

    Beside them the least: blocks of the COGs that any clear unit touches, once, without headers and scl.
    """
    dates, size_px = min(arguments.dates, LOADED), arguments.size
    found: dict[str, Any] = {}
    for block_px in (1024, 512):
        root = work / f"cloudy-{block_px}"
        # Whole COG blocks at every edge, as inside a tile.
        catalog = write_catalogue(root, dates=dates, size_px=size_px + 1024, block_px=block_px)
        aoi = write_aoi(work, offset_px=300, size_px=size_px // 6 * 6)
        settings = {"catalog": str(catalog), "aoi": str(aoi), "bands": DEFAULT_BANDS, "threads": 4}
        grid = grid_of(settings)
        with serve(root) as server:
            items = items_at(server.address, catalog, work / "cloudy.geojson")
            settings |= {"catalog": str(items), "out": str(work / "built.zarr")}
            plain = _fetched(server, settings)
            for name, pattern in PATTERNS.items():
                rows, cols = (-(-side // BLOCK_PX) for side in grid.shape)
                cloudy = cloudy_blocks(dates, rows, cols, share=CLOUDY, pattern=pattern)
                cover(catalog, grid, cloudy, block_px // 2)
                fetched = _fetched(server, settings | {"skip_below": 0.05})
                found[f"COG blocks {block_px}, {name}, {cloudy.mean():.0%} cloudy"] = {
                    "fetched": round(fetched / plain, 3),
                    "least": round(_touched(catalog, grid, cloudy) / plain, 3),
                }
        shutil.rmtree(root)
    what = f"bytes with --skip-below 0.05, {dates} dates x 10 bands x {size_px}²"
    return {"what": what, "target": "share of a plain load <= 0.5", "found": found}


def _fetched(server: Server, settings: dict[str, Any]) -> int:
    before = server.sent.value
    run_side("ours", settings)
    return server.sent.value - before


def _touched(catalog: Path, grid: Grid, cloudy: NDArray[np.bool_]) -> int:
    """Bytes of the bands' COG blocks under units that are not cloudy, each once."""
    total = 0
    for item, day in zip(items_of({"catalog": str(catalog)}), cloudy, strict=True):
        for band in DEFAULT_BANDS:
            native = grid.model_copy(update={"resolution_m": BANDS[band].native_m})
            px = BLOCK_PX * grid.resolution_m // native.resolution_m
            units = [
                native.geobox[y * px : (y + 1) * px, x * px : (x + 1) * px]
                for y, x in zip(*np.nonzero(~day), strict=True)
            ]
            with rasterio.open(item.assets[BANDS[band].common].href) as raster:
                parts = [part for unit in units if (part := own_part(raster, unit)) is not None]
                total += sum(tile.size for tile in tiles_under(raster, parts))
    return total


def memory(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Peak of build-cube above its imports, on an area and on 16 times that area."""
    above = {}
    imports = run_side("build_imports", {}).peak_mb
    for size_px in (arguments.size, 4 * arguments.size):
        root, out = work / f"alike-{size_px}", work / "built.zarr"
        catalog = write_alike(root, dates=4, size_px=size_px + 512, bands=FOUR)
        aoi = write_aoi(work, offset_px=300, size_px=size_px // 6 * 6)
        settings = {"catalog": str(catalog), "aoi": str(aoi), "bands": FOUR, "threads": 2}
        above[size_px] = run_side("ours", settings | {"out": str(out)}).peak_mb - imports
        shutil.rmtree(out)
        shutil.rmtree(root)
    small, large = above.values()
    found = {"ratio": round(large / small, 3), "MB": round(small), "MB of 16 x": round(large)}
    what = f"build-cube, peak above the imports ({imports:.0f} MB), {list(above)} px, 4 dates x 4 bands"
    return {"what": what, "target": "ratio <= 1.2", "found": found}


def submit(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """300 scenes x 10 bands over 40 km: plan, empty cube, all tasks handed out; nothing is read."""
    size_px = 4002
    catalog = write_items(work / "items-300", dates=300, size_px=size_px + 512)
    aoi = write_aoi(work, offset_px=300, size_px=size_px)
    settings = {
        "catalog": str(catalog), "aoi": str(aoi), "bands": DEFAULT_BANDS, "threads": 2,
        "out": str(work / "submit.zarr"),
    }  # fmt: skip
    sides = dict.fromkeys(("ours_submit", "ours_submit_cluster", "odc_graph"), settings)
    results = compare(sides, arguments.runs)
    return row("300 scenes x 10 bands over 40 km, plan and submit", results, "ours_submit", "5 s")
