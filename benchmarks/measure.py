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
    """One process: seconds of work, of all processors too, peak resident memory in MB, checksum."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    checksum: int


def run_side(side: str, settings: Mapping[str, Any]) -> Run:
    """Run one side of a comparison in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.sides", side, json.dumps(dict(settings))]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise RuntimeError(f"{side} failed with exit code {done.returncode}")
    return Run(**json.loads(done.stdout))


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
        pairs = list(zip(runs, own, strict=True))
        ratios = [peer.seconds / mine.seconds for peer, mine in pairs]
        work = [peer.cpu_seconds / mine.cpu_seconds for peer, mine in pairs]
        peers[side] = _medians(runs) | {
            "cpu_ratio": round(statistics.median(work), 2),
            "ratio": round(statistics.median(ratios), 2),
            "ratio_min": round(min(ratios), 2),
            "ratio_max": round(max(ratios), 2),
        }
    return {
        "what": what,
        "target": target,
        **_medians(own),
        "runs": len(own),
        "peers": peers,
    }


def _medians(runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "seconds": round(statistics.median(run.seconds for run in runs), 2),
        "cpu_seconds": round(statistics.median(run.cpu_seconds for run in runs), 2),
        "peak_mb": round(statistics.median(run.peak_mb for run in runs)),
    }
