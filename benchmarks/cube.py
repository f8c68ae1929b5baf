"""Speed of build-cube and planarize beside their peers: `python -m benchmarks.cube`.

Writes benchmarks/results/cube.json and prints a Markdown table. A ratio above 1 says that the peer
takes longer. Scenes are written once into --work (about 2.5 GB) and stay in the page cache.
"""

import argparse
import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.measure import compare, row, run_side
from benchmarks.scenes import write_aoi, write_catalogue
from benchmarks.server import serve
from sits_data.bands import DEFAULT_BANDS

FOUR = ("B02", "B03", "B04", "B08")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dates", type=int, default=36)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--only", choices=["file4", "file10", "http", "monthly", "planarize"])
    arguments = parser.parse_args()
    work: Path = arguments.work.resolve()
    rows = []
    for name, measure in (
        ("file4", _file4),
        ("file10", _file10),
        ("http", _http),
        ("monthly", _monthly),
        ("planarize", _planarize),
    ):
        if arguments.only in (None, name):
            rows.append(measure(work, arguments))
            print(_markdown(rows[-1]), flush=True)
    result = {"machine": _machine(), "rows": rows}
    if arguments.only is None:
        folder = Path(__file__).parent / "results"
        folder.mkdir(exist_ok=True)
        (folder / "cube.json").write_text(json.dumps(result, indent=1) + "\n")


def _file4(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    return _file(work, arguments, FOUR)


def _file10(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    return _file(work, arguments, DEFAULT_BANDS)


def _file(work: Path, arguments: argparse.Namespace, bands: tuple[str, ...]) -> dict[str, Any]:
    settings = _scenes(work, arguments) | {"bands": bands, "threads": 2}
    sides = {
        side: settings | {"out": str(work / f"{side}.zarr")}
        for side in ("ours", "odc_uint16", "odc_float32")
    }
    results = compare(sides, arguments.runs)
    sums = {run.checksum for side in ("ours", "odc_uint16") for run in results[side]}
    if len(sums) != 1:
        raise RuntimeError(f"the sides disagree on the pixels: {sums}")
    what = f"build-cube, {arguments.dates} dates x {len(bands)} bands x {arguments.size}², file"
    return row(what, results, "ours", "odc_uint16 >= 1.3, odc_float32 >= 1.8")


def _http(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    folder = work / "small"
    catalog = write_catalogue(folder, dates=146, size_px=128, block_px=128)
    aoi = write_aoi(work, catalog, offset_px=18, size_px=60)
    with serve(folder, delay_s=0.03) as address:
        settings = {
            "catalog": f"{address}/catalog.json", "aoi": str(aoi), "bands": DEFAULT_BANDS, "threads": 16,
        }  # fmt: skip
        items = work / "items.geojson"
        _collect_items(catalog, address, items)
        sides = {
            "ours": settings | {"catalog": str(items), "out": str(work / "http.zarr")},
            "odc_threads": settings | {"items": str(items), "out": str(work / "unused.zarr")},
        }
        results = compare(sides, arguments.runs)
    return row("60² px, 146 dates x 11 assets, HTTP + 30 ms", results, "ours", "odc_threads >= 1.0")


def _monthly(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    settings = _scenes(work, arguments) | {"bands": DEFAULT_BANDS, "threads": 2}
    sides = {side: settings | {"out": str(work / f"{side}.zarr")} for side in ("monthly", "odc_monthly")}
    cube = {"cube": str(work / "monthly-source.zarr"), "threads": 2}
    sides |= {
        side: cube | {"out": str(work / f"{side}.zarr")}
        for side in ("monthly_of_cube", "xarray_monthly")
    }
    results = compare(sides, arguments.runs)
    sums = {side: {run.checksum for run in runs} for side, runs in results.items()}
    first = min(sums["monthly"])
    # xarray has reflectance as float32, whose halves round either way.
    if any(abs(one - first) > 1e-6 * first for found in sums.values() for one in found):
        raise RuntimeError(f"the sides disagree on the medians: {sums}")
    what = f"monthly medians to Zarr, {arguments.dates} dates x 10 bands x {arguments.size}², file"
    return row(what, results, "monthly", "odc_monthly >= 2.5")


def _planarize(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    # Half the side: what planarize writes (0.75 GB) must fit the page cache beside everything else.
    half = argparse.Namespace(**vars(arguments) | {"size": arguments.size // 2})
    cube = work / "half.zarr"
    settings = _scenes(work, half) | {"bands": DEFAULT_BANDS, "threads": 2}
    run_side("ours", settings | {"out": str(cube)})
    both = {"cube": str(cube), "threads": 2, "chip_px": 32, "out": str(work / "half.planar")}
    sides = dict.fromkeys(("zarr_blocks", "zarr_decode", "zarrs_decode", "planarize"), both)
    what = f"planarize, {arguments.dates} dates x 10 bands x {half.size}², every pixel in 32 px chips"
    return row(what, compare(sides, arguments.runs), "planarize", "zarr_blocks >= 0.67")


def _scenes(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    name = f"scenes-{arguments.dates}-{arguments.size}"
    catalog = write_catalogue(work / name, dates=arguments.dates, size_px=arguments.size + 512)
    # 2046 px = 20 460 m is a multiple of 60 m, so that the cube is what was asked for.
    size = arguments.size // 6 * 6
    aoi = write_aoi(work, catalog, offset_px=300, size_px=size)
    return {"catalog": str(catalog), "aoi": str(aoi)}


def _collect_items(catalog: Path, address: str, out: Path) -> None:
    """All items in one file, their assets on the server."""
    features = []
    for path in sorted(catalog.parent.glob("sentinel-2-l2a/*/*.json")):
        item = json.loads(path.read_text())
        for asset in item["assets"].values():
            name = Path(asset["href"]).name
            asset["href"] = f"{address}/sentinel-2-l2a/{item['id']}/{name}"
        item["links"] = []
        features.append(item)
    out.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def _machine() -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    packages = ("odc-stac", "odc-loader", "zarr", "zarrs", "dask", "rasterio", "numpy", "xarray")
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
        "versions": {name: version(name) for name in packages},
    }


def _markdown(measured: dict[str, Any]) -> str:
    own = f"{measured['seconds']} s, {measured['peak_mb']} MB"
    lines = [f"{measured['what']}: {own} (reach {measured['target']})"]
    for side, peer in measured["peers"].items():
        lines.append(
            f"  {side}: {peer['seconds']} s, {peer['peak_mb']} MB, ratio {peer['ratio']} "
            f"({peer['ratio_min']} to {peer['ratio_max']}, {measured['runs']} runs)"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
