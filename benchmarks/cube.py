"""Speed of build-cube and planarize beside their peers: `python -m benchmarks.cube`.

Writes benchmarks/results/cube.json and prints the rows. A ratio above 1 says that the peer takes longer.
Scenes are written into --work (about 6 GB) once, and stay in the page cache.
"""

import argparse
import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import bounds, loading
from benchmarks.loading import FOUR
from benchmarks.measure import compare, row, run_side
from benchmarks.scenes import items_at, scenes_and_aoi, write_aoi, write_catalogue
from benchmarks.server import serve
from sits_data.bands import DEFAULT_BANDS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dates", type=int, default=36)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--only", choices=[measure.__name__ for measure in ROWS], action="append")
    arguments = parser.parse_args()
    work: Path = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    rows = []
    for measure in ROWS:
        if arguments.only is None or measure.__name__ in arguments.only:
            rows.append(measure(work, arguments))
            print(_markdown(rows[-1]), flush=True)
    result = {"machine": _machine(), "rows": rows}
    if arguments.only is None:
        folder = Path(__file__).parent / "results"
        folder.mkdir(exist_ok=True)
        (folder / "cube.json").write_text(json.dumps(result, indent=1) + "\n")


def file4(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    return _file(work, arguments, FOUR)


def file10(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    return _file(work, arguments, DEFAULT_BANDS)


def _file(work: Path, arguments: argparse.Namespace, bands: tuple[str, ...]) -> dict[str, Any]:
    settings = scenes_and_aoi(work, dates=arguments.dates, size_px=arguments.size) | {"bands": bands}
    settings |= {"out": str(work / "built.zarr")}
    sides = "ours", "odc_uint16", "odc_float32", "odc_float32_as_is"
    results = compare(dict.fromkeys(sides, settings), arguments.runs)
    sums = {run.checksum for side in ("ours", "odc_uint16") for run in results[side]}
    if len(sums) != 1:
        raise RuntimeError(f"the sides disagree on the pixels: {sums}")
    what = f"build-cube, {arguments.dates} dates x {len(bands)} bands x {arguments.size}², file"
    return row(what, results, "ours", "odc_uint16 >= 1.5, odc_float32 >= 2.2")


def http(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    folder = work / "small"
    catalog = write_catalogue(folder, dates=146, size_px=128, block_px=128)
    aoi = write_aoi(work, offset_px=18, size_px=60)
    with serve(folder, delay_s=0.03) as server:
        items = items_at(server.address, catalog, work / "items.geojson")
        settings = {
            "catalog": str(items), "aoi": str(aoi), "bands": DEFAULT_BANDS, "threads": 16,
            "out": str(work / "built.zarr"),
        }  # fmt: skip
        results = compare(dict.fromkeys(("ours", "odc_threads"), settings), arguments.runs)
    return row("60² px, 146 dates x 11 assets, HTTP + 30 ms", results, "ours", "odc_threads >= 1.0")


def monthly(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    # xarray's median over dates holds much: half the side.
    size_px = arguments.size // 2
    settings = scenes_and_aoi(work, dates=arguments.dates, size_px=size_px)
    settings |= {"bands": DEFAULT_BANDS, "out": str(work / "months.zarr")}
    settings |= {"source": str(work / "months-source.zarr")}
    results = compare(dict.fromkeys(("monthly", "odc_monthly"), settings), arguments.runs)
    sums = {run.checksum for runs in results.values() for run in runs}
    if len(sums) != 1:
        raise RuntimeError(f"the sides disagree on the medians: {sums}")
    what = f"monthly medians to Zarr, {arguments.dates} dates x 10 bands x {size_px}², file"
    return row(what, results, "monthly", "odc_monthly >= 2.5")


def planarize(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    # Half the side: what planarize writes (0.75 GB) must fit the page cache beside everything else.
    size_px = arguments.size // 2
    cube = work / "half.zarr"
    settings = scenes_and_aoi(work, dates=arguments.dates, size_px=size_px)
    run_side("ours", settings | {"out": str(cube)})
    both = {"cube": str(cube), "threads": 2, "chip_px": 32, "out": str(work / "half.planar")}
    sides = dict.fromkeys(("zarr_blocks", "zarr_decode", "zarrs_decode", "planarize"), both)
    what = f"planarize, {arguments.dates} dates x 10 bands x {size_px}², every pixel in 32 px chips"
    return row(what, compare(sides, arguments.runs), "planarize", "zarr_blocks >= 0.67")


ROWS = (
    *(loading.load4, loading.load10, loading.load_http, file4, file10, http),
    *(bounds.skip, loading.zone4, loading.zone10, bounds.memory, bounds.submit, monthly, planarize),
)


def _machine() -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    packages = (
        *("odc-stac", "odc-loader", "stackstac", "cubo", "zarr", "zarrs", "dask", "rasterio", "numpy"),
        "xarray",
    )
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
        "versions": {name: version(name) for name in packages},
    }


def _markdown(measured: dict[str, Any]) -> str:
    if "found" in measured:
        return f"{measured['what']}: {measured['found']} (reach {measured['target']})"
    lines = [f"{measured['what']}: {_cost(measured)} (reach {measured['target']})"]
    for side, peer in measured["peers"].items():
        lines.append(
            f"  {side}: {_cost(peer)}, ratio {peer['ratio']} "
            f"({peer['ratio_min']} to {peer['ratio_max']}, {measured['runs']} runs), "
            f"of processor time {peer['cpu_ratio']}"
        )
    return "\n".join(lines)


def _cost(side: dict[str, Any]) -> str:
    return f"{side['seconds']} s, {side['cpu_seconds']} s of processors, {side['peak_mb']} MB"


if __name__ == "__main__":
    main()
