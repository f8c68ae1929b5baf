"""Speed of sits-models: `python -m benchmarks.models`.

Samples from a warm store, the share of a training step that data and views take, and start-up. Prints a
line a claim and writes benchmarks/results/models.json.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from benchmarks.stores import write_store
from sits_models.contract import collate
from sits_models.data.normalisation import fit_normalisation
from sits_models.data.planar import PlanarDataset
from sits_models.data.regions import RegionBatch
from sits_models.data.residence import open_table
from sits_models.methods import DINO, SimCLR
from sits_models.methods.base import Method
from sits_models.views.planar import draw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work"))
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    store = arguments.work / "models-4000.planar"
    write_store(store, regions=4000)
    rows: dict[str, dict[str, float]] = {}
    for name, measure in {
        "samples a second, PlanarDataset.batch (reach 20 000)": lambda: batches(store),
        "samples a second, DataLoader + collate": lambda: loader(store),
        "share of a SimCLR step on data and views (reach 0.05)": lambda: share(
            store, SimCLR(curves=("hilbert", "walk"))
        ),
        "share of a DINO step on data and views (reach 0.05)": lambda: share(
            store, DINO(curves=("hilbert", "walk"))
        ),
        "seconds of import sits_models (reach 1)": lambda: started("-c", "import sits_models"),
        "seconds of sits-models --help (reach 1.5)": lambda: started(
            "-c", "from sits_models.cli import main; main(['--help'])"
        ),
    }.items():
        rows[name] = repeated(measure, arguments.runs)
        print(f"{name}: {rows[name]}", flush=True)
    machine = {
        "cpus": len(os.sched_getaffinity(0)), "processor": platform.machine(),
        "threads": torch.get_num_threads(), "torch": version("torch"),
    }  # fmt: skip
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "models.json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


def repeated(measure: Callable[[], float], runs: int) -> dict[str, float]:
    """Median, smallest and largest of some runs after one that is not counted."""
    measure()
    found = [measure() for _ in range(runs)]
    shown = {"median": statistics.median(found), "min": min(found), "max": max(found)}
    return {name: float(f"{value:.3g}") for name, value in shown.items()}


def batches(store: Path, size: int = 32) -> float:
    """float32 samples of 10 x 36 x 64 a second, in batches, in an order like that of training."""
    dataset = PlanarDataset(store, fixed=(36, 64))
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(dataset)))
    dataset.batch(order[:size])
    began = time.perf_counter()
    for indices in order.split(size):
        image = dataset.batch(indices)["image"]
    seconds = time.perf_counter() - began
    if image.shape[1:] != (10, 36, 64):
        raise RuntimeError(f"samples have the shape {tuple(image.shape[1:])}")
    return len(order) / seconds


def loader(store: Path, size: int = 32) -> float:
    """The same through torch's loader, sample by sample and stacked again."""
    dataset = PlanarDataset(store, fixed=(36, 64))
    feed = DataLoader(
        dataset, size, shuffle=True, collate_fn=collate, generator=torch.Generator().manual_seed(0)
    )
    dataset.batch([0])
    began = time.perf_counter()
    for _ in feed:
        pass
    return len(dataset) / (time.perf_counter() - began)


def share(store: Path, method: Method, *, size: int = 64, steps: int = 4) -> float:
    """Time of drawing and gathering all views of a batch, over that of the whole step."""
    table = open_table(store)
    norm = fit_normalisation([PlanarDataset(store).stores[0]], [np.arange(200)])
    optimiser = torch.optim.AdamW([one for one in method.parameters() if one.requires_grad])
    method.log = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    views = whole = 0.0
    for step in range(steps):
        batch = RegionBatch(
            table, torch.arange(size) + step * size, None, 0, step, norm, torch.device("cpu")
        )
        began = time.perf_counter()
        for view, numbers in groupby(range(len(method.views)), method.views.__getitem__):
            draw(batch, view, *numbers)
        drawn = time.perf_counter()
        optimiser.zero_grad()
        method.loss_of(batch).backward()
        optimiser.step()
        if step:  # the first finds neighbours and compiles
            views += drawn - began
            whole += time.perf_counter() - drawn
    return views / whole


def started(*words: str) -> float:
    """Seconds of a process that does this and ends, less those of an empty one."""
    return _timed(*words) - _timed("-c", "pass")


def _timed(*words: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
