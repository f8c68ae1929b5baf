"""Run the sides of a comparison in turn, each in a fresh process, and compare medians."""

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Run:
    """One process: seconds of work, peak resident memory in MB, checksum of the result."""

    seconds: float
    peak_mb: float
    checksum: int


def run_side(side: str, settings: Mapping[str, Any]) -> Run:
    """Run one side of a comparison in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.sides", side, json.dumps(dict(settings))]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise RuntimeError(f"{side} failed with exit code {done.returncode}")
    result = json.loads(done.stdout)
    return Run(result["seconds"], result["peak_mb"], result["checksum"])


def compare(sides: Mapping[str, Mapping[str, Any]], runs: int) -> dict[str, list[Run]]:
    """Run all sides in turn, `runs` times after one warm-up that is not counted."""
    results: dict[str, list[Run]] = {side: [] for side in sides}
    for number in range(runs + 1):
        for side, settings in sides.items():
            result = run_side(side, settings)
            if number:
                results[side].append(result)
    return results


def row(what: str, results: Mapping[str, Sequence[Run]], ours: str, target: str) -> dict[str, Any]:
    """A table row: medians, and the ratio of each peer to ours pair by pair (its median)."""
    own = results[ours]
    peers = {}
    for side, runs in results.items():
        if side == ours:
            continue
        ratios = [peer.seconds / mine.seconds for peer, mine in zip(runs, own, strict=True)]
        peers[side] = {
            "seconds": round(statistics.median(run.seconds for run in runs), 2),
            "peak_mb": round(statistics.median(run.peak_mb for run in runs)),
            "ratio": round(statistics.median(ratios), 2),
            "ratio_min": round(min(ratios), 2),
            "ratio_max": round(max(ratios), 2),
        }
    return {
        "what": what,
        "target": target,
        "seconds": round(statistics.median(run.seconds for run in own), 2),
        "peak_mb": round(statistics.median(run.peak_mb for run in own)),
        "runs": len(own),
        "peers": peers,
    }
