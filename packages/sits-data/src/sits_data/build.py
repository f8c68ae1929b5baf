"""From a plan to a finished cube: read, mask, write.

The unit of work and of resume is one day of one block. Threads take one day of a *window* of up to
4 x 4 blocks, so that a source tile under several blocks is opened and decoded once; memory is
bounded by the window, whatever the size of the cube.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
from tqdm import tqdm

from sits_data.cube import (
    NOT_READ,
    create_cube,
    is_cube,
    mark_complete,
    open_raw,
)
from sits_data.errors import NotACube, OutputExists
from sits_data.grid import BLOCK_PX, Window
from sits_data.ledger import Ledger, Unit, open_ledger, state_folder
from sits_data.mask import QA, qa_from_scl
from sits_data.output import writing_to
from sits_data.plan import CubePlan, Request
from sits_data.planning import Search, check_request, plan_cube, search_items
from sits_data.read import DayWindow, read_day
from sits_data.threads import available_cores
from sits_data.units import UnitWriter, unit_is_there

WINDOW_BLOCKS = 4
REMOTE_THREADS = 16
"""Over a network a thread mostly waits; a few more than cores cost nothing."""


@dataclass(frozen=True)
class BuildResult:
    """What a build did.

    Args:
        path: the cube.
        plan: what it was built from.
        units: units in the cube, of which `resumed` were there before.
        resumed: units that an earlier run had finished.
        bytes_on_disk: of the arrays' chunks.
        seconds: of this run.
    """

    path: Path
    plan: CubePlan
    units: int
    resumed: int
    bytes_on_disk: int
    seconds: float


def build_cube(
    request: Request,
    out: Path,
    *,
    threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
    search: Search = search_items,
) -> BuildResult:
    """Build a cube, or finish one that was interrupted.

    A cube of the same request is continued from its frozen plan, without asking the catalogue again.

    Args:
        request: what to build.
        out: the Zarr folder; plan and ledger lie beside it in `OUT.state/`.
        threads: reading threads; by default the cores, or 16 for a catalogue on the network.
        overwrite: replace a cube that is there; an interrupted one of this request is continued.
        progress: show a bar on stderr.
        search: gives the items of a cube that is not planned yet.

    Raises:
        OutputExists: something else is at `out`.
        NotACube: a cube of another schema version is at `out`.
        OutputNotWritable: no permission, or the disk is full; finished units are kept.
        UnreadableSource: a raster cannot be read; finished units are kept.
    """
    began = time.monotonic()
    check_request(request)
    _refuse_foreign(out)
    with _open_state(out) as ledger:
        plan = _find_plan(request, out, ledger, search, overwrite=overwrite)
        ledger.done = {unit for unit in ledger.done if unit_is_there(out, *unit)}
        resumed = len(ledger.done)
        tasks = list(_pending(plan, ledger))
        if tasks:
            _run(tasks, plan, out, ledger, threads or _default_threads(plan), progress=progress)
        mark_complete(out)
        return BuildResult(
            path=out,
            plan=plan,
            units=len(ledger.done),
            resumed=resumed,
            bytes_on_disk=ledger.bytes_written,
            seconds=time.monotonic() - began,
        )


def _refuse_foreign(out: Path) -> None:
    """Whatever is at `out` and was not made here is never written to, and never deleted."""
    with writing_to(out):
        foreign = not out.name or (out.exists() and not is_cube(out))
    if foreign:
        raise OutputExists(f"{out} exists and is not a cube of sits-data; choose another --out")


@contextmanager
def _open_state(out: Path) -> Iterator[Ledger]:
    """The ledger of a cube, locked; a state folder in which no plan was written is removed again."""
    state = state_folder(out)
    with writing_to(out):
        state.mkdir(parents=True, exist_ok=True)
        with open_ledger(state / "ledger.jsonl") as ledger:
            try:
                yield ledger
            finally:
                if not (state / "plan.json").exists():
                    shutil.rmtree(state, ignore_errors=True)


def _find_plan(
    request: Request, out: Path, ledger: Ledger, search: Search, *, overwrite: bool
) -> CubePlan:
    """The plan of the cube that is there, or a new one with an empty cube laid out for it."""
    if out.exists() and (not overwrite or _is_unfinished(request, out)):
        return _frozen_plan(request, out)
    if out.is_symlink():
        raise OutputExists(f"{out} is a link; replace what it points to with --out {out.resolve()}")
    plan = plan_cube(request, search)
    if out.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".old", dir=out.parent))
        out.rename(old / out.name)
        shutil.rmtree(old)
    ledger.clear()
    plan.write(state_folder(out) / "plan.json")
    create_cube(out, plan)
    return plan


def _is_unfinished(request: Request, out: Path) -> bool:
    """Whether an interrupted run of the same request left a cube, which `--overwrite` continues too."""
    plan = state_folder(out) / "plan.json"
    try:
        unfinished = open_raw(out, allow_incomplete=True).attributes["status"] != "complete"
        return unfinished and plan.is_file() and CubePlan.read(plan).request == request
    except NotACube:
        return False


def _frozen_plan(request: Request, out: Path) -> CubePlan:
    """The plan of the cube that is there, which must be of this request and of this version."""
    cube = open_raw(out, allow_incomplete=True)
    plan_file = state_folder(out) / "plan.json"
    plan = CubePlan.read(plan_file) if plan_file.is_file() else None
    if plan is None:
        raise OutputExists(
            f"{out} exists without its plan ({plan_file}), so it cannot be continued; bring the plan "
            "back, choose another --out, or replace it with --overwrite"
        )
    if plan.request != request or plan.hash != cube.attributes["plan"]:
        raise OutputExists(
            f"{out} exists and is a cube of another request; choose another --out, or replace it "
            "with --overwrite"
        )
    return plan


def _default_threads(plan: CubePlan) -> int:
    remote = any(
        urlparse(href).scheme not in ("", "file")
        for scene in plan.scenes
        for href in scene.hrefs.values()
    )
    return REMOTE_THREADS if remote else available_cores()


@dataclass(frozen=True)
class _Task:
    """A window of one day and those of its units that are not done."""

    time: int
    window: Window
    units: tuple[Unit, ...]


def _pending(plan: CubePlan, ledger: Ledger) -> Iterator[_Task]:
    """What is left to do, day by day; where some blocks are not wanted, block by block."""
    chosen = plan.request.blocks
    side = BLOCK_PX * (WINDOW_BLOCKS if chosen is None else 1)
    for index in range(len(plan.days)):
        for window in plan.request.grid.windows(side):
            rows = range(window.y // BLOCK_PX, -(-(window.y + window.height) // BLOCK_PX))
            cols = range(window.x // BLOCK_PX, -(-(window.x + window.width) // BLOCK_PX))
            units = (Unit(index, row, col) for row in rows for col in cols)
            wanted = (u for u in units if chosen is None or (u.row, u.col) in chosen)
            missing = tuple(unit for unit in wanted if unit not in ledger.done)
            if missing:
                yield _Task(index, window, missing)


def _run(
    tasks: list[_Task], plan: CubePlan, out: Path, ledger: Ledger, threads: int, *, progress: bool
) -> None:
    """Run all tasks on threads; the first failure stops the rest and is raised."""
    todo = sum(len(task.units) for task in tasks)
    done = len(ledger.done)
    bar = tqdm(total=done + todo, initial=done, unit="unit", desc="build", disable=not progress)

    def run(task: _Task) -> None:
        day = plan.days[task.time]
        request = plan.request
        pixels = read_day(
            day.scenes, request.grid, task.window, request.bands, dilate_m=request.dilate_m
        )
        for unit in task.units:
            ledger.record(unit, _write_unit(UnitWriter(out), unit, pixels, task.window, plan))
            bar.update()

    with bar, ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(run, task) for task in tasks]
        try:
            finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in finished:
                future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _write_unit(
    writer: UnitWriter, unit: Unit, pixels: DayWindow, window: Window, plan: CubePlan
) -> int:
    """Cut one block out of a window and write its chunk of every array; bytes written."""
    top, left = unit.row * BLOCK_PX - window.y, unit.col * BLOCK_PX - window.x
    rows, cols = slice(top, top + BLOCK_PX), slice(left, left + BLOCK_PX)
    scl, scene = pixels.scl[rows, cols], pixels.scene[rows, cols]
    qa = qa_from_scl(scl)
    qa[pixels.dilated[rows, cols]] |= np.uint8(QA.DILATED)
    index = (unit.time, unit.row, unit.col)
    size = writer.write(
        "reflectance",
        (unit.time, 0, unit.row, unit.col),
        pixels.reflectance[None, :, rows, cols],
        fill=0,
    )
    size += writer.write("scl", index, scl[None], fill=0)
    size += writer.write("qa", index, qa[None], fill=NOT_READ)
    if plan.needs_scene_index:
        first = np.int16(plan.first_scene(unit.time))
        scene_index = np.where(scene >= 0, scene + first, np.int16(-1))
        size += writer.write("scene_index", index, scene_index[None], fill=-1)
    return size
