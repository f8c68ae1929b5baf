"""Speed and size of planar images: `python -m benchmarks.planar`.

Gathers, samples and walks from a warm store, the size of a store with eight curves, the memory of
planarize as the cube grows, and 500 fields from catalogue to merged store. Rows of a GPU where there is
one. Prints a line a claim and writes benchmarks/results/planar.json.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from benchmarks.measure import run_side
from benchmarks.scenes import scenes_and_aoi
from benchmarks.stores import write_store
from sits_data.manifest import Chips, Recipe
from sits_data.store import open_store, planarize
from sits_models.data.planar import PlanarDataset
from sits_models.data.residence import open_table
from sits_models.data.table import PixelTable
from sits_models.ops.gather import planar_batch
from sits_models.ops.raw import gather_raw
from sits_models.ops.walks import random_walks

SIDE = 16
"""Of a region in pixels: 256 positions a sample."""

Row = dict[str, object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=["cpu", "gpu", "size", "memory", "fields"])
    arguments = parser.parse_args()
    work: Path = arguments.work.resolve()
    rows: dict[str, Row] = {}
    for group, measure in {
        "cpu": lambda: cpu_rows(work, arguments.runs),
        "gpu": lambda: gpu_rows(work, arguments.runs),
        "size": lambda: {"store with 8 curves / pixels (reach 1.15)": size_of_store(work)},
        "memory": lambda: {"planarize, memory of 16 x the area (reach 1.2)": memory(work)},
        "fields": lambda: {"500 fields": fields(work)},
    }.items():
        if arguments.only in (None, group):
            for name, found in measure().items():
                rows[name] = found
                print(f"{name}: {found}", flush=True)
    if arguments.only is None:
        folder = Path(__file__).parent / "results"
        folder.mkdir(exist_ok=True)
        result = {"machine": machine(), "rows": rows}
        (folder / "planar.json").write_text(json.dumps(result, indent=1) + "\n")


def cpu_rows(work: Path, runs: int) -> dict[str, Row]:
    """Gathers from a store of 3 000 regions of 16 x 16 pixels, 36 dates and 10 bands, 0.55 GB."""
    store = work / "planar-3000.planar"
    write_store(store, regions=3000, side_px=SIDE)
    found = {}
    copied, gathered = alternately([lambda: copy_bandwidth(store), lambda: row_bandwidth(store)], runs)
    ratios = [mine / peer for mine, peer in zip(gathered, copied, strict=True)]
    found["raw row gather, one thread, / numpy copy (reach 0.9)"] = spread(ratios) | {
        "gather_gb_s": rounded(statistics.median(gathered)),
        "copy_gb_s": rounded(statistics.median(copied)),
    }  # fmt: skip
    found["raw uint16 samples a second, mapped, random (reach 40 000)"] = _repeated(
        lambda: raw_samples(store), runs
    )
    found["float32 samples 10 x 36 x 256 a second (reach 12 000)"] = _repeated(
        lambda: float_samples(store), runs
    )
    walks = work / "planar-walks.planar"
    write_store(walks, regions=1000, side_px=SIDE, dates=1)
    table = open_table(walks, resident="always")
    found["seconds of 1 M walks of 50 steps (reach 1.5)"] = _repeated(lambda: walk_seconds(table), runs)
    return found


def copy_bandwidth(store: Path) -> float:
    """GB a second of `np.copyto` of all rows, to memory that was written before."""
    pixels = open_store(store).shard("pixels", 0)
    return _bandwidth(pixels, lambda out: np.copyto(out, pixels))


def row_bandwidth(store: Path) -> float:
    """The same bytes as rows of random regions along their Hilbert curve."""
    opened = open_store(store)
    pixels, curve = opened.shard("pixels", 0), opened.shard("orders/hilbert", 0)
    order = np.random.default_rng(1).permutation(len(opened))
    rows = (order[:, None] * SIDE**2 + curve.reshape(len(opened), -1)[order]).astype(np.int64)
    return _bandwidth(pixels, lambda out: gather_raw(pixels, rows.ravel(), out))


def _bandwidth(
    pixels: "np.ndarray[tuple[int, ...], np.dtype[np.uint16]]", work: Callable[..., object]
) -> float:
    out = np.ones_like(pixels)
    work(out)
    began = time.perf_counter()
    work(out)
    return pixels.nbytes / (time.perf_counter() - began) / 1e9


def raw_samples(store: Path, size: int = 32) -> float:
    """uint16 samples of 256 pixels x 36 dates x 10 bands as `PlanarDataset.raw` gives them."""
    dataset = PlanarDataset(store)
    order = torch.from_numpy(np.random.default_rng(2).permutation(len(dataset)))
    out = np.empty((size, SIDE**2, 36, 10), np.uint16)
    dataset.raw(order[:size], out)
    began = time.perf_counter()
    for indices in order.split(size):
        dataset.raw(indices, out[: len(indices)])
    return len(order) / (time.perf_counter() - began)


def float_samples(store: Path, size: int = 32) -> float:
    """Whole regions as `PlanarDataset.batch` gives them, in random order."""
    dataset = PlanarDataset(store)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(dataset)))
    dataset.batch(order[:size])
    began = time.perf_counter()
    for indices in order.split(size):
        image = dataset.batch(indices)["image"]
    seconds = time.perf_counter() - began
    if image.shape[1:] != (10, 36, SIDE**2):
        raise RuntimeError(f"samples have the shape {tuple(image.shape[1:])}")
    return len(order) / seconds


def walk_seconds(table: PixelTable) -> float:
    """1 000 walks of 50 pixels in each of 1 000 regions of 256 pixels."""
    regions = torch.arange(1000)
    random_walks(table, regions[:1], length=50, run=0, epoch=0, view=0)
    began = time.perf_counter()
    walks = random_walks(table, regions, length=50, count=1000, run=0, epoch=1, view=0)
    if table.device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    if walks.numel() != 50_000_000:
        raise RuntimeError("walks are missing")
    return seconds


def gpu_rows(work: Path, runs: int) -> dict[str, Row]:
    """The gather and the walks on a GPU; none where there is none."""
    if not torch.cuda.is_available():
        return {}
    store = work / "planar-3000.planar"
    write_store(store, regions=3000, side_px=SIDE)
    table = open_table(store, device="cuda", resident="always")
    regions = torch.randperm(3000, device="cuda")[:1024]
    curve = table.curves["hilbert"][: SIDE**2].long()
    index = curve.expand(len(regions), -1)

    def gather() -> float:
        return _gpu_seconds(lambda: planar_batch(table, regions, index))

    batch = planar_batch(table, regions, index)
    cells = batch["clear"].numel()
    moved = cells * (2 * 10 + 1) + batch["image"].nbytes + batch["clear"].nbytes
    source = torch.empty(moved // 2, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)  # a copy of n bytes moves 2 n

    def copy() -> float:
        return _gpu_seconds(lambda: target.copy_(source))

    gathered, copied = alternately([gather, copy], runs)
    ratios = [peer / mine for mine, peer in zip(gathered, copied, strict=True)]
    walks = work / "planar-walks.planar"
    write_store(walks, regions=1000, side_px=SIDE, dates=1)
    near = open_table(walks, device="cuda", resident="always")
    name = torch.cuda.get_device_name()
    return {
        f"gather + dequantise + mask / copy of the bytes moved, {name} (reach 0.6)": spread(ratios)
        | {"ms": rounded(1000 * statistics.median(gathered))},
        f"seconds of 1 M walks of 50 steps, {name} (reach 0.003)": _repeated(
            lambda: walk_seconds(near), runs
        ),
    }


def _gpu_seconds(work: Callable[[], object], repeats: int = 20) -> float:
    work()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(repeats):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / repeats


def size_of_store(work: Path) -> Row:
    """All files of a store with eight curves, 10 bands and 36 dates, over its reflectance alone."""
    cube, out = cube_of(work, 512), work / "eight.planar"
    orders = ("hilbert", *(f"hilbert:{number}" for number in range(1, 6)), "snake", "spiral")
    planarize(cube, out, recipe=Recipe(regions=Chips(size_px=SIDE), orders=orders), overwrite=True)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    manifest = open_store(out).manifest
    pixels = manifest.pixels * manifest.dates * len(manifest.bands) * 2
    shutil.rmtree(out)
    return {"ratio": rounded(size / pixels), "curves": len(manifest.orders), "mb": round(size / 1e6)}


def memory(work: Path) -> Row:
    """Peak above the imports of planarize, every pixel in 32 px chips, from 512² to 2048² pixels."""
    found = {}
    for side in (512, 2048):
        settings = {"cube": str(cube_of(work, side)), "threads": 2, "chip_px": 32}
        run = run_side("planarize", settings | {"out": str(work / "memory.planar")})
        found[side] = run.peak_mb
        shutil.rmtree(work / "memory.planar", ignore_errors=True)
    imports = run_side("imports", {}).peak_mb
    above = {side: peak - imports for side, peak in found.items()}
    return {
        "ratio": rounded(above[2048] / above[512]),
        "mb_512": round(above[512]), "mb_2048": round(above[2048]), "mb_imports": round(imports),
    }  # fmt: skip


def fields(work: Path) -> Row:
    """500 simulated fields: one cube each, then one merged store."""
    run = run_side("fields", {"work": str(work / "fields"), "count": 500})
    return {"seconds": rounded(run.seconds), "mb": round(run.peak_mb), "pixels": run.checksum}


def cube_of(work: Path, side: int) -> Path:
    """A cube of 36 dates and 10 bands."""
    out = work / f"cube-{side}.zarr"
    if not out.exists():
        run_side("ours", scenes_and_aoi(work, dates=36, size_px=side) | {"out": str(out)})
    return out


def alternately(sides: list[Callable[[], float]], runs: int) -> list[list[float]]:
    """Results of each side, run in turn after one round that is not counted."""
    rounds = [[side() for side in sides] for _ in range(runs + 1)][1:]
    return [list(column) for column in zip(*rounds, strict=True)]


def _repeated(measure: Callable[[], float], runs: int) -> Row:
    return spread(alternately([measure], runs)[0])


def spread(values: list[float]) -> Row:
    shown = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: rounded(value) for name, value in shown.items()}


def rounded(value: float) -> float:
    return float(f"{value:.3g}")


def machine() -> Row:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return {
        "cpus": len(os.sched_getaffinity(0)), "processor": platform.machine(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "commit": commit.stdout.strip(), "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "numpy", "numba")},
    }  # fmt: skip


if __name__ == "__main__":
    main()
