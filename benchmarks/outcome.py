"""What one side of a comparison tells of itself, as one JSON object on stdout."""

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple


class Spent(NamedTuple):
    """What some work took: seconds, processor seconds of all its threads, peak of the process in MB."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


class Clock:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def spent(self) -> Spent:
        """What it took until now."""
        seconds, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        # Not `ru_maxrss`: that counts what the parent held before it became this process.
        status = Path("/proc/self/status").read_text()
        return Spent(seconds, cpu, int(status.split("VmHWM:")[1].split()[0]) / 1024)


def report(spent: Spent, checksum: int) -> None:
    """Tell it to the process that compares."""
    json.dump(spent._asdict() | {"checksum": checksum}, sys.stdout)


def fresh(settings: dict[str, Any]) -> Path:
    """Where the work is to be written; what was there is removed."""
    out = Path(settings["out"])
    for path in (out, out.with_name(f"{out.name}.state")):
        shutil.rmtree(path, ignore_errors=True)
    return out
