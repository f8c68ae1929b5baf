"""How far a cube is: what its ledger says of every unit, while a build may be running."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from itertools import takewhile
from pathlib import Path
from typing import Literal

from sits_data.cube import open_raw
from sits_data.errors import NotACube
from sits_data.ledger import Row, Unit, is_locked, read_ledger, state_folder
from sits_data.mask import MaskName
from sits_data.plan import CubePlan
from sits_data.unread import worth_reading

Progress = Literal["complete", "complete but for failed units", "being built", "unfinished"]

EXIT_CODES: dict[Progress, int] = {
    "complete": 0,
    "complete but for failed units": 3,
    "being built": 4,
    "unfinished": 4,
}


@dataclass(frozen=True)
class FailedUnit:
    """A unit that could not be read.

    Args:
        day: its date.
        row, col: of its block.
        why: the error.
    """

    day: date
    row: int
    col: int
    why: str


@dataclass(frozen=True)
class CubeStatus:
    """How far a cube is.

    Args:
        path: the cube.
        progress: in words.
        units: in all.
        ok: read and written.
        unread: left unread because too little of them is clear.
        failed: that could not be read.
        damaged: that `verify` found damaged.
        missing: that nobody has tried, or that were lost with the ledger.
        worth_reading: of the unread, how many a mask leaves enough clear of.
        whole_to: ISO day up to which every date is whole.
    """

    path: str
    progress: Progress
    units: int
    ok: int
    unread: int
    failed: tuple[FailedUnit, ...]
    damaged: int
    missing: int
    worth_reading: int
    whole_to: str | None

    @property
    def exit_code(self) -> int:
        """0 complete, 3 complete but for failed units, 4 not complete."""
        return EXIT_CODES[self.progress]


def cube_status(path: str | Path, *, mask: MaskName = "standard", skip_below: float = 0.0) -> CubeStatus:
    """How far a cube is; nothing is written.

    Args:
        path: the Zarr folder.
        mask: for the units that were left unread: what counts as clear.
        skip_below: and how much of them must be, 0 to 1.

    Raises:
        NotACube: no cube is there, or its plan is gone.
    """
    cube = open_raw(path, allow_incomplete=True, allow_values=True)
    state = state_folder(cube.path)
    if "derived" in cube.attributes:
        raise NotACube(
            f"{path} is derived from {cube.attributes['derived']['from']}, and appeared when all of it "
            "was written; sits-data verify compares it with its checksum"
        )
    if not (state / "plan.json").is_file():
        raise NotACube(
            f"{state / 'plan.json'} is gone, which says what {path} is made of; bring it back, or build "
            "the cube again with --overwrite"
        )
    plan, rows = CubePlan.read(state / "plan.json"), read_ledger(state / "ledger.jsonl")
    # A row of a date that an unfinished update adds is not of this cube yet.
    rows = {unit: row for unit, row in rows.items() if unit.time < len(plan.days)}
    counted = Counter(row.state for row in rows.values())
    units = len(plan.days) * cube.blocks
    finished = cube.attributes["status"] == "complete"
    unread = [unit for unit, row in rows.items() if row.state == "unread"]
    return CubeStatus(
        path=str(path),
        progress=_progress(
            finished=finished and not counted["damaged"],
            failed=counted["failed"],
            building=is_locked(state / "ledger.jsonl"),
        ),
        units=units,
        ok=counted["ok"],
        unread=counted["unread"],
        failed=tuple(_failed(row, plan) for _, row in sorted(rows.items()) if row.state == "failed"),
        damaged=counted["damaged"],
        missing=units - counted.total(),
        worth_reading=len(worth_reading(cube.path, plan, unread, mask=mask, at_least=skip_below)),
        whole_to=_whole_to(rows, plan, cube.blocks),
    )


def _progress(*, finished: bool, failed: int, building: bool) -> Progress:
    if building:
        return "being built"
    if not finished:
        return "unfinished"
    return "complete but for failed units" if failed else "complete"


def _failed(row: Row, plan: CubePlan) -> FailedUnit:
    return FailedUnit(plan.days[row.unit.time].day, row.unit.row, row.unit.col, row.why)


def _whole_to(rows: dict[Unit, Row], plan: CubePlan, blocks: int) -> str | None:
    done = Counter(unit.time for unit, row in rows.items() if row.done)
    whole = takewhile(lambda time: done[time] == blocks, range(len(plan.days)))
    last = max(whole, default=None)
    return None if last is None else str(plan.days[last].day)
