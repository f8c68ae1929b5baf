"""Seconds of the frozen readers on a large set: `python -m benchmarks.probe`.

80 000 training and 20 000 test embeddings of 384 numbers, 10 classes in 100 spatial blocks: kNN and
linear probe, choice of C included. Reach: 30 s on 2 cores. Writes benchmarks/results/probe.json.
CPU seconds over the number of cores is what a quiet machine would need.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from sits_models.bench.metrics import macro_f1
from sits_models.bench.readers import Reader, knn, linear

CLASSES, DIM, BLOCKS = 10, 384, 100
REACH_S = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=80_000)
    parser.add_argument("--test", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    features, labels, blocks = _embeddings(arguments.train + arguments.test)
    cut = arguments.train

    def read(reader: Reader) -> Callable[[], Tensor]:
        return lambda: reader(features[:cut], labels[:cut], features[cut:], groups=blocks[:cut])

    rows = []
    for name, reader in (("kNN", knn), ("linear", linear)):
        runs = [_timed(read(reader)) for _ in range(arguments.runs)]
        score = macro_f1(labels[cut:].numpy(), runs[0][2].numpy(), CLASSES)
        seconds, cpu = min(run[0] for run in runs), min(run[1] for run in runs)
        rows.append({"reader": name, "seconds": seconds, "cpu_seconds": cpu, "macro_f1": score})
        print(f"{name:7} {seconds:5.1f} s, CPU {cpu:5.1f} s, macro-F1 {score:.3f}", flush=True)
    cores = torch.get_num_threads()
    total = {key: sum(row[key] for row in rows) for key in ("seconds", "cpu_seconds")}
    quiet = total["cpu_seconds"] / cores
    print(f"both    {total['seconds']:5.1f} s, on {cores} quiet cores {quiet:.1f} s (reach {REACH_S} s)")
    result = {
        "what": f"{cut} train, {arguments.test} test embeddings x {DIM}, {CLASSES} classes",
        "reach_s": REACH_S,
        "cores": cores,
        "rows": rows,
        "cpu_seconds_per_core": quiet,
        **total,
    }
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "probe.json").write_text(json.dumps(result, indent=1) + "\n")


def _embeddings(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Overlapping classes whose spectrum falls like that of real embeddings, and blocks of both."""
    generator = torch.Generator().manual_seed(0)
    scale = 1 / torch.arange(1, DIM + 1) ** 0.7
    centres = torch.randn(CLASSES, DIM, generator=generator)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    noise = torch.randn(count, DIM, generator=generator)
    rotation = torch.linalg.qr(torch.randn(DIM, DIM, generator=generator)).Q
    features = ((0.2 * centres[labels] + noise) * scale) @ rotation
    return features, labels, torch.randint(BLOCKS, (count,), generator=generator)


def _timed(work: Callable[[], Tensor]) -> tuple[float, float, Tensor]:
    began, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - began, time.process_time() - cpu, result


if __name__ == "__main__":
    main()
