"""From a plan to a finished cube: read, mask, write; what fails is tried again, marked or raised.

The unit of work and of resume is one day of one block. A task takes one day of a *window* of up to
4 x 4 blocks, so that a source tile under several blocks is opened and decoded once; memory is
bounded by the window, whatever the size of the cube.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlparse

from tqdm import tqdm

from sits_data.access import access_of
from sits_data.cube import QA_SETTINGS, create_cube, is_cube, mark_complete, open_raw
from sits_data.engine import Workers, on_cluster, on_threads
from sits_data.errors import NotACube, OutputExists, SitsDataError, UnreadableSource
from sits_data.fill import How, Task, fill
from sits_data.grid import BLOCK_PX
from sits_data.ledger import Ledger, Row, Unit, open_ledger, state_folder
from sits_data.loaders import Loader, check_loader
from sits_data.mask import MaskName, Refinement
from sits_data.output import writing_to
from sits_data.persist import OnError, run_tasks
from sits_data.plan import CubePlan, Request
from sits_data.planning import Search, check_request, plan_cube, search_items
from sits_data.provenance import item_file, write_cube_item
from sits_data.rasters import RasterReader
from sits_data.screen import screen_days
from sits_data.threads import available_cores
from sits_data.units import chunk_file, chunk_of, sweep_partial
from sits_data.unread import worth_reading

WINDOW_BLOCKS = 4
REMOTE_THREADS = 16
"""Over a network a thread mostly waits; a few more than cores cost nothing."""


@dataclass(frozen=True)
class BuildOptions:
    """How to build, whatever is built; no value of a unit that is read depends on it.

    Args:
        threads: reading threads of this machine; by default the cores, or 16 over a network.
        scheduler: address of a Dask cluster that works instead; it must see the same disk.
        loader: `odc`, or `stackstac`.
        on_error: what cannot be read: `retry` goes on with the rest, tries it once more at the end and
            then stops; `skip` marks it in `qa` and finishes; `raise` stops at the first.
        tries: how often a read is tried over a network before it counts as failed.
        deadline_s: seconds for one window of one day, all attempts together.
        skip_below: of units with a smaller clear fraction only the scene classification is read.
        mask: what counts as clear for that.
    """

    threads: int | None = None
    scheduler: str | None = None
    loader: Loader = "odc"
    on_error: OnError = "retry"
    tries: int = 5
    deadline_s: float = 600.0
    skip_below: float = 0.0
    mask: MaskName = "standard"

    def how(self, request: Request) -> How:
        """What a worker needs to know of it."""
        return How(
            reader=RasterReader(self.loader, access_of(request.catalog), self.tries),
            deadline_s=self.deadline_s,
            refinement=request.refinement,
            skip_below=self.skip_below,
            mask=self.mask,
            mark_failed=self.on_error == "skip",
        )

    @contextmanager
    def workers(self, plan: CubePlan) -> Iterator[Workers]:
        """Who works."""
        if self.scheduler:
            with on_cluster(self.scheduler) as workers:
                yield workers
        else:
            with on_threads(self.threads or default_threads(plan)) as workers:
                yield workers


@dataclass(frozen=True)
class BuildResult:
    """What a build did.

    Args:
        path: the cube.
        plan: what it was built from.
        units: units that are done, of which `resumed` were before.
        resumed: units that an earlier run had finished.
        unread: units whose bands were not read because too little of them is clear.
        failed: units that could not be read and are marked so in `qa`.
        bytes_on_disk: of the arrays' chunks.
        seconds: of this run.
    """

    path: Path
    plan: CubePlan
    units: int
    resumed: int
    unread: int
    failed: tuple[Row, ...]
    bytes_on_disk: int
    seconds: float


def build_cube(
    request: Request,
    out: Path,
    *,
    options: BuildOptions = BuildOptions(),
    overwrite: bool = False,
    progress: bool = False,
    search: Search = search_items,
) -> BuildResult:
    """Build a cube, or finish one that was interrupted.

    A cube of the same request is continued from its frozen plan, without asking the catalogue again:
    what is missing, damaged or could not be read is done, nothing else.

    Args:
        request: what to build.
        out: the Zarr folder; plan and ledger lie beside it in `OUT.state/`.
        options: how.
        overwrite: replace a cube that is there; an interrupted one of this request is continued.
        progress: show a bar on stderr.
        search: gives the items of a cube that is not planned yet.

    Raises:
        OutputExists: something else is at `out`.
        NotACube: a cube of another schema version is at `out`.
        OutputNotWritable: no permission, or the disk is full; finished units are kept.
        UnreadableSource: a raster cannot be read; finished units are kept.
        SchedulerError: the cluster does not answer; finished units are kept.
    """
    began = time.monotonic()
    check_request(request)
    check_loader(options.loader)
    _refuse_foreign(out)
    with open_state(out) as ledger:
        with resumable(ledger):
            plan = _find_plan(request, out, ledger, search, options, overwrite=overwrite)
            resumed = fill_cube(plan, out, ledger, options, progress=progress)
            mark_complete(out, failed=len(ledger.failed))
            if len(ledger.done) > resumed or not item_file(out).is_file():
                write_cube_item(out)
        return BuildResult(
            path=out,
            plan=plan,
            units=len(ledger.done),
            resumed=resumed,
            unread=sum(row.state == "unread" for row in ledger.rows.values()),
            failed=tuple(ledger.failed),
            bytes_on_disk=ledger.bytes_written,
            seconds=time.monotonic() - began,
        )


@contextmanager
def resumable(ledger: Ledger) -> Iterator[None]:
    """An error that stops a build after units were finished has the exit code 4: start it again."""
    try:
        yield
    except (UnreadableSource, OSError) as error:
        if isinstance(error, SitsDataError) and not isinstance(error, OutputExists) and ledger.done:
            error.exit_code = 4
        raise


def fill_cube(
    plan: CubePlan,
    out: Path,
    ledger: Ledger,
    options: BuildOptions,
    *,
    wanted: Callable[[Unit], bool] = lambda _: True,
    plan_name: str = "plan.json",
    progress: bool = False,
) -> int:
    """Do what is left of a plan; how many units were done before.

    Args:
        plan: what to do; it lies in the cube's state folder too.
        out: the cube.
        ledger: of the cube.
        options: how.
        wanted: whether a unit is to be done now, if it is not done.
        plan_name: file of the plan in the state folder.
        progress: show a bar on stderr.
    """
    sweep_partial(out)
    done = still_done(plan, out, ledger, options)
    how = options.how(plan.request)
    if (settings := open_raw(out, allow_incomplete=True).attributes.get(QA_SETTINGS)) is not None:
        how = replace(how, refinement=Refinement(**{k: settings[k] for k in Refinement.model_fields}))
    plan_file = (state_folder(out) / plan_name).resolve()
    work = partial(fill, out.resolve(), plan_file, plan.hash, how=how)
    tasks = list(pending(plan, done, wanted))
    total = len(done) + sum(len(task.units) for task in tasks)
    bar = tqdm(total=total, initial=len(done), unit="unit", desc="build", disable=not progress)
    with bar, writing_to(out):
        if tasks:
            with options.workers(plan) as workers:
                run_tasks(workers, work, tasks, ledger, options.on_error, bar)
    return len(done)


def still_done(plan: CubePlan, out: Path, ledger: Ledger, options: BuildOptions) -> set[Unit]:
    """Units that need nothing: their files are there, and those left unread are still not wanted."""

    def there(row: Row) -> bool:
        return all(chunk_file(out, n, chunk_of(n, row.unit)).is_file() for n in row.files)

    done = {unit for unit in ledger.done if there(ledger.rows[unit])}
    unread = [unit for unit in done if ledger.rows[unit].state == "unread"]
    return done - worth_reading(out, plan, unread, mask=options.mask, at_least=options.skip_below)


def pending(plan: CubePlan, done: set[Unit], wanted: Callable[[Unit], bool]) -> Iterator[Task]:
    """What is left to do, day by day; where some blocks are not asked for, block by block."""
    chosen = plan.request.blocks
    side = BLOCK_PX * (WINDOW_BLOCKS if chosen is None else 1)
    for index in range(len(plan.days)):
        for window in plan.request.grid.windows(side):
            rows = range(window.y // BLOCK_PX, -(-(window.y + window.height) // BLOCK_PX))
            cols = range(window.x // BLOCK_PX, -(-(window.x + window.width) // BLOCK_PX))
            units = (Unit(index, row, col) for row in rows for col in cols)
            asked = (u for u in units if chosen is None or (u.row, u.col) in chosen)
            missing = tuple(unit for unit in asked if unit not in done and wanted(unit))
            if missing:
                yield Task(index, window, missing).of(missing)


def default_threads(plan: CubePlan) -> int:
    """The cores, or more where reading is mostly waiting."""
    remote = any(
        urlparse(href).scheme not in ("", "file")
        for scene in plan.scenes
        for href in scene.hrefs.values()
    )
    return REMOTE_THREADS if remote else available_cores()


def _refuse_foreign(out: Path) -> None:
    """Whatever is at `out` and was not made here is never written to, and never deleted."""
    with writing_to(out):
        foreign = not out.name or (out.exists() and not is_cube(out))
    if foreign:
        raise OutputExists(f"{out} exists and is not a cube of sits-data; choose another --out")


@contextmanager
def open_state(out: Path) -> Iterator[Ledger]:
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
    request: Request,
    out: Path,
    ledger: Ledger,
    search: Search,
    options: BuildOptions,
    *,
    overwrite: bool,
) -> CubePlan:
    """The plan of the cube that is there, or a new one with an empty cube laid out for it."""
    if out.exists() and (not overwrite or _is_unfinished(request, out)):
        return _frozen_plan(request, out)
    if out.is_symlink():
        raise OutputExists(f"{out} is a link; replace what it points to with --out {out.resolve()}")
    plan = screen_days(plan_cube(request, search), options.how(request))
    if out.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".old", dir=out.parent))
        out.rename(old / out.name)
        shutil.rmtree(old)
        _forget_all_but_the_ledger(out)
    ledger.clear()
    plan.write(state_folder(out) / "plan.json")
    create_cube(out, plan)
    return plan


def _forget_all_but_the_ledger(out: Path) -> None:
    """Remove what lies beside a cube that is replaced: its item, its plan, its shifts."""
    item_file(out).unlink(missing_ok=True)
    for beside in state_folder(out).iterdir():
        if beside.is_dir():
            shutil.rmtree(beside)
        elif beside.name != "ledger.jsonl":
            beside.unlink()


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
