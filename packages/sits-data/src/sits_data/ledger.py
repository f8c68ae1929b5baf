"""Which units of a cube are done: an append-only file beside it, held by one process at a time."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO, NamedTuple

from sits_data.errors import OutputExists


def state_folder(out: Path) -> Path:
    """Where the plan and the ledger of a cube lie."""
    return out.with_name(f"{out.name}.state")


class Unit(NamedTuple):
    """One day of one block: its indices along time and along the rows and columns of blocks."""

    time: int
    row: int
    col: int


@dataclass
class Ledger:
    """Rows of finished units; a row is written after the unit's files are in place."""

    file: IO[str]
    done: set[Unit]
    bytes_written: int
    lock: Lock

    def record(self, unit: Unit, size: int) -> None:
        """Note that a unit is finished, with its size on disk in bytes."""
        row = json.dumps({"unit": list(unit), "status": "ok", "bytes": size})
        with self.lock:
            self.file.write(row + "\n")
            self.file.flush()
            self.done.add(unit)
            self.bytes_written += size

    def clear(self) -> None:
        """Forget everything: another cube begins."""
        self.file.truncate(0)
        self.done.clear()
        self.bytes_written = 0


@contextmanager
def open_ledger(path: Path) -> Iterator[Ledger]:
    """Open the ledger of a cube for writing, alone.

    Raises:
        OutputExists: another process is building the same cube.
    """
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputExists(
                f"another process is building this cube ({path}); wait for it, or choose another --out"
            ) from error
        file.seek(0)
        done, size = _read_rows(file)
        yield Ledger(file, done, size, Lock())


def _read_rows(file: IO[str]) -> tuple[set[Unit], int]:
    """Finished units; a last line that a crash cut off does not count."""
    sizes: dict[Unit, int] = {}
    text = file.read()
    for line in text.splitlines():
        try:
            row = json.loads(line)
            sizes[Unit(*row["unit"])] = int(row["bytes"])
        except (ValueError, TypeError, LookupError):
            continue
    if text and not text.endswith("\n"):
        file.write("\n")
    return set(sizes), sum(sizes.values())
