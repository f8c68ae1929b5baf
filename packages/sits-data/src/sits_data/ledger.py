"""What became of each unit of a cube: an append-only file beside it, which one process writes."""

import fcntl
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO, Literal, NamedTuple, get_args

from sits_data.errors import OutputExists

State = Literal["ok", "unread", "failed", "damaged"]
"""Of a unit: read and written · its bands not read by choice, too little is clear · could not be read ·
found damaged on disk."""


def state_folder(out: Path) -> Path:
    """Where the plan and the ledger of a cube lie."""
    return out.with_name(f"{out.name}.state")


class Unit(NamedTuple):
    """One day of one block: its indices along time and along the rows and columns of blocks."""

    time: int
    row: int
    col: int


class Written(NamedTuple):
    """A chunk's file: its size in bytes, and the SHA-256 of these in hexadecimal."""

    size: int
    sha256: str

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> "Written":
        """What a file that holds these bytes is."""
        return cls(len(data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class Row:
    """What became of a unit.

    Args:
        unit: which.
        state: see `State`.
        files: its chunks, by array.
        why: what could not be read.
    """

    unit: Unit
    state: State
    files: Mapping[str, Written] = field(default_factory=dict)
    why: str = ""

    @property
    def done(self) -> bool:
        """Whether nothing is left to do for the unit."""
        return self.state in ("ok", "unread")

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.size for file in self.files.values())

    def to_json(self) -> str:
        """One line of the ledger."""
        row: dict[str, object] = {"unit": self.unit, "status": self.state}
        row |= {"files": self.files} if self.files else {}
        row |= {"why": self.why} if self.why else {}
        return json.dumps(row)

    @classmethod
    def from_json(cls, line: str) -> "Row | None":
        """The row that a line holds; None for one that a crash cut off."""
        try:
            row = json.loads(line)
            files = {
                str(name): Written(int(size), str(sha256))
                for name, (size, sha256) in row.get("files", {}).items()
            }
            unit = Unit(*map(int, row["unit"]))
            state = row["status"]
        except (ValueError, TypeError, LookupError, AttributeError):
            return None
        return cls(unit, state, files, str(row.get("why", ""))) if state in get_args(State) else None


@dataclass
class Ledger:
    """The last row of each unit; a row is written after the unit's files are in place."""

    file: IO[str]
    rows: dict[Unit, Row]
    lock: Lock = field(default_factory=Lock)

    @property
    def done(self) -> set[Unit]:
        """Units for which nothing is left to do."""
        return {unit for unit, row in self.rows.items() if row.done}

    @property
    def failed(self) -> list[Row]:
        """Units that could not be read, in order."""
        return [self.rows[unit] for unit in sorted(self.rows) if self.rows[unit].state == "failed"]

    @property
    def bytes_written(self) -> int:
        """Of all units' chunks."""
        return sum(row.size for row in self.rows.values())

    def record(self, row: Row) -> None:
        """Note what became of a unit."""
        with self.lock:
            self.file.write(row.to_json() + "\n")
            self.file.flush()
            self.rows[row.unit] = row

    def clear(self) -> None:
        """Forget everything: another cube begins."""
        self.file.truncate(0)
        self.rows.clear()


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
        text = file.read()
        if text and not text.endswith("\n"):
            file.write("\n")
        yield Ledger(file, _last_rows(text.splitlines()))


def read_ledger(path: Path) -> dict[Unit, Row]:
    """The last row of each unit, also while a build is writing; empty when there is no ledger."""
    return _last_rows(path.read_text().splitlines()) if path.is_file() else {}


def is_locked(path: Path) -> bool:
    """Whether some process is writing a ledger."""
    if not path.is_file():
        return False
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _last_rows(lines: Iterable[str]) -> dict[Unit, Row]:
    rows = (Row.from_json(line) for line in lines)
    return {row.unit: row for row in rows if row is not None}
