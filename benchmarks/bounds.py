"""Rows without a peer: bytes fetched, memory, seconds until all work is handed out."""

import argparse
import shutil
from pathlib import Path
from typing import Any

from benchmarks.clouds import cloudy_blocks, cover
from benchmarks.inputs import grid_of
from benchmarks.loading import FOUR
from benchmarks.measure import compare, row, run_side
from benchmarks.scenes import items_at, scenes_and_aoi, write_aoi, write_items
from benchmarks.server import serve
from sits_data.bands import DEFAULT_BANDS
from sits_data.grid import BLOCK_PX

CLOUDY = 0.6


def skip(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Bytes that `--skip-below 0.05` fetches where 60 % of the units are cloudy, over all bytes."""
    dates = max(arguments.dates // 3, 1)
    found: dict[str, Any] = {}
    for block_px in (1024, 512):
        settings = scenes_and_aoi(
            work / "cloudy", dates=dates, size_px=arguments.size, block_px=block_px
        )
        grid, catalog = grid_of(settings), Path(settings["catalog"])
        rows, cols = (-(-side // BLOCK_PX) for side in grid.shape)
        cloudy = cloudy_blocks(dates, rows, cols, share=CLOUDY)
        cover(catalog, grid, cloudy, block_px // 2)
        overcast = cloudy.all((1, 2))
        found |= {
            "cloudy": round(float(cloudy.mean()), 3),
            "days overcast": int(overcast.sum()),
            "days mixed": int((cloudy.any((1, 2)) & ~overcast).sum()),
        }
        with serve(catalog.parent) as server:
            items = items_at(server.address, catalog, work / "skip.geojson")
            settings |= {"catalog": str(items), "threads": 8, "out": str(work / "skip.zarr")}
            fetched = []
            for skip_below in (0.0, 0.05):
                before = server.sent.value
                run_side("ours", settings | {"skip_below": skip_below})
                fetched.append(server.sent.value - before)
        found[f"share, COG blocks of {block_px}"] = round(fetched[1] / fetched[0], 3)
        shutil.rmtree(catalog.parent)
        found[f"plain MB, COG blocks of {block_px}"] = round(fetched[0] / 1e6)
    what = f"bytes with --skip-below 0.05, {dates} dates x 10 bands x {arguments.size}²"
    return {"what": what, "target": "share <= 0.5", "found": found}


def memory(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Peak of build-cube above its imports, on an area and on 16 times that area."""
    above = {}
    imports = run_side("build_imports", {}).peak_mb
    for size_px in (arguments.size, 4 * arguments.size):
        settings = scenes_and_aoi(work, dates=4, size_px=size_px, bands=FOUR)
        out = work / "memory.zarr"
        above[size_px] = run_side("ours", settings | {"out": str(out)}).peak_mb - imports
        shutil.rmtree(out)
        shutil.rmtree(Path(settings["catalog"]).parent)
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
