"""One task of a build: a window of one day is read, and its units are written.

This is what runs on a thread or on the worker of a cluster. A worker is told where the plan lies and
opens it itself; what comes back is a row of the ledger for each unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sits_data.cube import NOT_READ
from sits_data.errors import UnreadableSource
from sits_data.grid import BLOCK_PX, Window
from sits_data.ledger import Row, Unit, Written
from sits_data.mask import QA, MaskName, Refinement, clear_pixels
from sits_data.memory import WindowMemory, memory_of_this_thread
from sits_data.patience import within
from sits_data.plan import CubePlan, Request
from sits_data.rasters import RasterReader
from sits_data.read import DayWindow, read_day
from sits_data.scenes import Scene
from sits_data.units import UnitWriter, chunk_of


@dataclass(frozen=True)
class How:
    """How units are filled, whatever the plan.

    Args:
        reader: how rasters are read.
        deadline_s: seconds for one window of one day, all attempts together.
        refinement: how clouds are shrunk and widened in `qa`.
        skip_below: of a unit with a smaller clear fraction only the scene classification is read.
        mask: what counts as clear for that.
        mark_failed: write `read failed` into the `qa` of a unit that cannot be read.
    """

    reader: RasterReader
    deadline_s: float
    refinement: Refinement
    skip_below: float
    mask: MaskName
    mark_failed: bool

    def read(
        self,
        request: Request,
        scenes: Sequence[Scene],
        window: Window,
        bands: Sequence[str],
        *,
        parts: Sequence[Window] | None = None,
        memory: WindowMemory | None = None,
    ) -> DayWindow:
        """Read a window of a day before the deadline.

        Args:
            request: whose grid is read.
            scenes: of the day.
            window: which pixels.
            bands: canonical ids; none reads the scene classification alone.
            parts: of the window that are wanted; by default all of it.
            memory: that what is returned may lie in; after an error something may still write to it.

        Raises:
            UnreadableSource: it cannot be read.
            DeadlinePassed: not in time.
        """
        work = partial(
            read_day, scenes, request.grid, window, bands, reader=self.reader.until(self.deadline_s),
            refinement=self.refinement, parts=parts, memory=memory,
        )  # fmt: skip
        return within(self.deadline_s, work)


@dataclass(frozen=True)
class Task:
    """Units of one day that are not done, and the window around them."""

    time: int
    window: Window
    units: tuple[Unit, ...]

    def of(self, units: tuple[Unit, ...]) -> "Task":
        """The task of some of its units."""
        top, left = min(u.row for u in units) * BLOCK_PX, min(u.col for u in units) * BLOCK_PX
        bottom = (max(u.row for u in units) + 1) * BLOCK_PX
        right = (max(u.col for u in units) + 1) * BLOCK_PX
        whole = self.window
        height, width = (
            min(bottom, whole.y + whole.height) - top,
            min(right, whole.x + whole.width) - left,
        )
        return Task(self.time, Window(top, left, height, width), units)

    @property
    def parts(self) -> list[Window]:
        """The windows of its units: read one by one they show the same in whatever task they are."""
        return [self.of((unit,)).window for unit in self.units]


def fill(out: Path, plan_file: Path, plan_hash: str, task: Task, how: How) -> list[Row]:
    """Read a task's window and write its units.

    Where the window cannot be read, its units are read one by one, so that only those under what is
    damaged fail.

    Args:
        out: the cube.
        plan_file: its frozen plan, on a disk that this machine sees.
        plan_hash: of the plan.
        task: what to read.
        how: loader, deadline, what to leave unread.

    Returns:
        A row a unit: `ok`, `unread` or `failed`.

    Raises:
        OSError: the cube cannot be written.
    """
    plan = _plan(plan_file, plan_hash)
    if how.skip_below <= 0:
        return _read_and_write(out, plan, task, how)
    rows = _leave_unread(out, plan, task, how)
    left = {row.unit for row in rows}
    wanted = tuple(unit for unit in task.units if unit not in left)
    return rows + (_read_and_write(out, plan, task.of(wanted), how) if wanted else [])


@lru_cache(maxsize=4)
def _plan(plan_file: Path, plan_hash: str) -> CubePlan:  # noqa: ARG001  (another plan is another entry)
    return CubePlan.read(plan_file)


def _read_and_write(out: Path, plan: CubePlan, task: Task, how: How) -> list[Row]:
    bands, scenes = plan.request.bands, plan.days[task.time].scenes
    try:
        with memory_of_this_thread() as memory:
            pixels = how.read(plan.request, scenes, task.window, bands, parts=task.parts, memory=memory)
            return [
                Row(unit, "ok", _write(out, plan, unit, _cut(pixels, task.window, unit)))
                for unit in task.units
            ]
    except UnreadableSource as error:
        if len(task.units) > 1:
            alone = [task.of((unit,)) for unit in task.units]
            return [row for one in alone for row in _read_and_write(out, plan, one, how)]
        (unit,) = task.units
        files = _mark_failed(out, unit) if how.mark_failed else {}
        return [Row(unit, "failed", files, str(error))]


def _leave_unread(out: Path, plan: CubePlan, task: Task, how: How) -> list[Row]:
    """Write the units of which too little is clear, without their bands."""
    try:
        classes = how.read(plan.request, plan.days[task.time].scenes, task.window, (), parts=task.parts)
    except UnreadableSource:
        return []  # whoever reads the bands says what cannot be read
    rows = []
    for unit in task.units:
        seen = _cut(classes, task.window, unit)
        if clear_pixels(seen.qa, seen.scl, how.mask).mean() < how.skip_below:
            unread = replace(seen, qa=seen.qa | np.uint8(QA.NOT_READ))
            rows.append(Row(unit, "unread", _write(out, plan, unit, unread)))
    return rows


def _cut(pixels: DayWindow, window: Window, unit: Unit) -> DayWindow:
    """One block out of a window."""
    top, left = unit.row * BLOCK_PX - window.y, unit.col * BLOCK_PX - window.x
    block = slice(top, top + BLOCK_PX), slice(left, left + BLOCK_PX)
    reflectance = pixels.reflectance[:, *block]
    return DayWindow(reflectance, pixels.scl[block], pixels.qa[block], pixels.scene[block])


def _write(out: Path, plan: CubePlan, unit: Unit, block: DayWindow) -> dict[str, Written]:
    """Write one unit: its chunk of every array; no reflectance where no band was read."""
    layers: list[tuple[str, NDArray[np.generic], int]] = []
    if len(block.reflectance):
        layers.append(("reflectance", block.reflectance, 0))
    layers += [("scl", block.scl, 0), ("qa", block.qa, NOT_READ)]
    if plan.needs_scene_index:
        first = np.int16(plan.first_scene(unit.time))
        layers.append(("scene_index", np.where(block.scene >= 0, block.scene + first, np.int16(-1)), -1))
    writer = UnitWriter(out)
    return {
        name: writer.write(name, chunk_of(name, unit), values[None], blank)
        for name, values, blank in layers
    }


def _mark_failed(out: Path, unit: Unit) -> dict[str, Written]:
    """Say in `qa` that a unit could not be read; its other arrays stay without a chunk."""
    qa = np.full((1, BLOCK_PX, BLOCK_PX), QA.READ_FAILED, np.uint8)
    return {"qa": UnitWriter(out).write("qa", chunk_of("qa", unit), qa, NOT_READ)}
