"""Rows of scenes loaded into memory: beside the floor, and beside what others load."""

import argparse
from pathlib import Path
from typing import Any

from benchmarks.measure import compare, row
from benchmarks.scenes import items_at, scenes_and_aoi
from benchmarks.server import serve
from sits_data.bands import DEFAULT_BANDS

FOUR = ("B02", "B03", "B04", "B08")
LOADED = 12
"""Dates that are loaded: cubo holds eight bytes a value."""

WARPED = 1e-3
"""By how much sums of warped pixels may differ; pixels that are not warped must be the same."""

FLOOR = "rasterio_windows >= 0.77, that is 1.3 x its time"


def load4(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    settings = _scenes(work, arguments, FOUR)
    sides = "ours_load", "rasterio_windows", "odc_pool", "stackstac_uint16", "cubo_defaults"
    return _row(_what(settings, arguments, "file"), sides, settings, arguments, FLOOR)


def load10(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    settings = _scenes(work, arguments, DEFAULT_BANDS)
    sides = "ours_load", "rasterio_windows", "rasterio_to_grid", "odc_pool", "stackstac_uint16"
    return _row(_what(settings, arguments, "file"), sides, settings, arguments, FLOOR)


def load_http(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    settings = _scenes(work, arguments, FOUR)
    catalog = Path(settings["catalog"])
    with serve(catalog.parent) as server:
        items = items_at(server.address, catalog, work / "load.geojson")
        settings |= {"catalog": str(items)}
        sides = "ours_load", "rasterio_windows", "odc_pool", "stackstac_uint16"
        return _row(_what(settings, arguments, "HTTP"), sides, settings, arguments, FLOOR)


def zone4(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    settings = _scenes(work, arguments, FOUR) | {"crs": "EPSG:32633"}
    what = _what(settings, arguments, "file, warped into the next zone")
    return _row(
        what, ("ours_load", "odc_pool", "stackstac_uint16"), settings, arguments, "odc_pool >= 1"
    )


def zone10(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    settings = _scenes(work, arguments, DEFAULT_BANDS) | {"crs": "EPSG:32633"}
    what = _what(settings, arguments, "file, warped into the next zone")
    return _row(what, ("ours_load", "odc_pool"), settings, arguments, "odc_pool >= 1")


def _scenes(work: Path, arguments: argparse.Namespace, bands: tuple[str, ...]) -> dict[str, Any]:
    scenes = scenes_and_aoi(work, dates=arguments.dates, size_px=arguments.size)
    return scenes | {"bands": bands, "dates": min(arguments.dates, LOADED)}


def _what(settings: dict[str, Any], arguments: argparse.Namespace, where: str) -> str:
    bands, size = len(settings["bands"]), arguments.size
    return f"load, {settings['dates']} dates x {bands} bands x {size}², {where}"


def _row(
    what: str,
    sides: tuple[str, ...],
    settings: dict[str, Any],
    arguments: argparse.Namespace,
    target: str,
) -> dict[str, Any]:
    results = compare(dict.fromkeys(sides, settings), arguments.runs)
    sums = [run.checksum for side in sides if side != "cubo_defaults" for run in results[side]]
    if max(sums) - min(sums) > (WARPED if "crs" in settings else 0) * max(sums):
        raise RuntimeError(f"the sides disagree on the pixels: {results}")
    return row(what, results, sides[0], target)
