"""Where the time of build-cube goes: `python -m benchmarks.profiled`.

py-spy looks at the threads a hundred times a second. Counted is what those that read and those that
write units were doing whenever they ran; waiting is not.
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from benchmarks.loading import FOUR
from benchmarks.scenes import scenes_and_aoi
from sits_data.bands import DEFAULT_BANDS

COUNTED = ("fill (sits_data/fill.py", "_work (sits_data/patience.py")
"""Where the threads begin that write, and those that read for them until a deadline."""

WAITING = ("_work (sits_data/patience.py", "Condition.wait (threading.py")
"""Innermost frames of threads that wait for the other kind; py-spy takes some of them for running."""

STAGES = {
    "decoding tiles (libdeflate)": "_decode (sits_data/tiles.py",
    "fetching their bytes": "_fetched (sits_data/tiles.py",
    "undoing the predictor, finding tiles": "sits_data/tiles.py",
    "placing tiles in the window": "paste (sits_data/alignment.py",
    "shifting reflectance": "_shift (sits_data/read.py",
    "classes, quality, resolution": "sits_data/read.py",
    "opening rasters": "sits_data/rasters.py",
    "SHA-256": "of (sits_data/ledger.py",
    "writing and renaming files": "_replace (sits_data/units.py",
    "compressing chunks (Blosc)": "write (sits_data/units.py",
}
"""What a frame of a stack stands for; the innermost one decides."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work"))
    parser.add_argument("--dates", type=int, default=36)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--all-bands", action="store_true", help="ten instead of four")
    arguments = parser.parse_args()
    work: Path = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    settings = scenes_and_aoi(work, dates=arguments.dates, size_px=arguments.size)
    settings |= {"bands": DEFAULT_BANDS if arguments.all_bands else FOUR}
    settings |= {"out": str(work / "built.zarr")}
    stacks = work / "stacks.txt"
    build = (sys.executable, "-m", "benchmarks.sides", "ours", json.dumps(settings))
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)  # scenes are in the page cache now
    watch = ("py-spy", "record", "--format", "raw", "--rate", "100", "--output", str(stacks), "--")
    subprocess.run([*watch, *build], check=True, stdout=subprocess.DEVNULL)
    counted = shares(stacks.read_text().splitlines())
    print(f"{sum(counted.values())} samples of the threads that read and write\n")
    print("| what they do | share |\n| --- | --- |")
    for stage, count in counted.most_common():
        print(f"| {stage} | {100 * count / sum(counted.values()):.0f} % |")


def shares(stacks: Iterable[str]) -> Counter[str]:
    """Samples a stage.

    Args:
        stacks: lines of py-spy, frames from the outermost to the innermost and a count.
    """
    counted: Counter[str] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if any(mark in stack for mark in COUNTED) and not frames[-1].startswith(WAITING):
            counted[_stage(frames)] += int(count)
    return counted


def _stage(frames: list[str]) -> str:
    for frame in reversed(frames):
        for stage, mark in STAGES.items():
            if mark in frame:
                return stage
    return "the rest"


if __name__ == "__main__":
    main()
